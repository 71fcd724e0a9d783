"""What is done about a uri: a decision from what stands and from the image's version, without reading the image."""

import dataclasses
import enum
from collections.abc import Sequence

from transforms.update.rows import hash8


class Outcome(enum.Enum):
    """What is done about a uri for one collection."""

    FETCH = "fetch"
    """The image is fetched: it is new, has changed, or failed before and is tried again."""
    SAME = "same"
    """Its row stands as it is."""
    REVISE = "revise"
    """Its row is written again, with the same vector and the present version and carried columns."""
    TAKE = "take"
    """Its row in a part of a run that ended early is taken over."""
    FAILED = "failed"
    """It failed before, in this version, and is not tried again."""


@dataclasses.dataclass(frozen=True)
class HeldRow:
    """A row that is there for a uri.

    Attributes:
      version: hash of its version.
      same_columns: whether its carried columns are those of the uri now.
      sha256: first 8 bytes of the image's sha256, as a number.
      file: number of its file.
      asked: its version as text, where storage has to be asked; else ''.
    """

    version: int
    same_columns: bool
    sha256: int
    file: int
    asked: str


@dataclasses.dataclass(frozen=True)
class HeldFailure:
    """A failure that is there for a uri.

    Attributes:
      version: the version that failed.
      transient: whether another attempt may succeed.
      file: number of its file.
      is_part: whether that is a part of a run that ended early; else the failure stands in the collection.
      of_list: whether it is one of reading the input, which each run does again.
    """

    version: str
    transient: bool
    file: int
    is_part: bool = False
    of_list: bool = False


@dataclasses.dataclass(frozen=True)
class Held:
    """All that is there for a uri: in the collection, and in the parts of runs that ended early."""

    row: HeldRow | None = None
    part: HeldRow | None = None
    failure: HeldFailure | None = None


def stands(failure: HeldFailure | None) -> bool:
    """Whether there is a failure, and in the collection."""
    return failure is not None and not failure.is_part


def is_tried(failure: HeldFailure, retry: str) -> bool:
    """Whether an earlier failure is tried again, by one of `transforms.collection.choices.RETRIES`."""
    return failure.of_list or retry == "all" or (retry == "transient" and failure.transient)


def outcome_of(held: Held, version: str, retry: str) -> Outcome:
    """Decide what is done about an image of a known version."""
    hashed = hash8(version)
    if held.row and held.row.version == hashed:
        return Outcome.SAME if held.row.same_columns else Outcome.REVISE
    if held.part and held.part.version == hashed:
        return Outcome.TAKE
    if held.failure and held.failure.version == version and not is_tried(held.failure, retry):
        return Outcome.FAILED
    return Outcome.FETCH


def outcome_unasked(held: Held, retry: str) -> Outcome:
    """Decide what is done about an image whose version is not asked for: what is known of it is taken as present."""
    if held.row:
        return Outcome.SAME if held.row.same_columns else Outcome.REVISE
    if held.part:
        return Outcome.TAKE
    return Outcome.FAILED if held.failure and not is_tried(held.failure, retry) else Outcome.FETCH


def outcome_of_bytes(held: Held, sha256: int, version: str) -> Outcome:
    """Decide what is done about an image that has been fetched, from its bytes' hash."""
    if held.row and held.row.sha256 == sha256:
        return Outcome.SAME if held.row.same_columns and held.row.version == hash8(version) else Outcome.REVISE
    return Outcome.TAKE if held.part and held.part.sha256 == sha256 else Outcome.FETCH


def condition_for(held: Sequence[Held], retry: str) -> str:
    """Return the version that an image is fetched without, '' for none: the same in all collections that need it."""
    versions = {_condition(one, retry) for one in held}
    return versions.pop() if len(versions) == 1 else ""


def _condition(held: Held, retry: str) -> str:
    # A failure beside a row is that of a newer version.
    if held.failure and held.failure.version and not is_tried(held.failure, retry):
        return held.failure.version
    return next((row.asked for row in (held.row, held.part) if row and row.asked), "")

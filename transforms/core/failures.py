"""What was lost, why, and where that is written.

A stage raises `ImageError` for an image that it cannot work with; `capture` makes a `Failure` of it, which leaves the
stage by the output tagged `FAILURES`. Nothing else is caught: an unexpected exception fails the run, and says so.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from transforms.core.counters import count, timed
from transforms.core.elements import ImageUri
from transforms.core.errors import ImageError as ImageError
from transforms.core.errors import one_line
from transforms.write.shards import FAILURES_PREFIX, ShardFormat, WriteShards

FAILURES = "failures"

REASONS = {
    "bad_row": "the manifest's row cannot be read",
    "no_uri": "the manifest's row has an empty uri",
    "not_found": "there is nothing at the uri",
    "bucket_not_found": "the uri's bucket is not there",
    "permission_denied": "the account that runs may not read it",
    "not_a_file": "the uri is a folder, a device or a pipe",
    "unsupported_scheme": "no filesystem for the uri's scheme is installed",
    "too_many_bytes": "more bytes than --max_image_bytes",
    "forbidden_address": "the host has an address that is not public; see --allow_private_hosts",
    "too_many_redirects": "the server redirected more than 5 times",
    "timeout": "no whole answer within --fetch_timeout",
    "connection": "the connection could not be made, or broke",
    "corrupted_download": "what came is shorter than the object, or has another crc32c",
    "bad_uri": "the uri is not well-formed",
    "http_NNN": "the server's final answer, e.g. http_404",
    "io_error": "the filesystem failed while reading",
    "empty": "the file has no bytes",
    "not_an_image": "the bytes are in none of the formats that are opened",
    "truncated": "the image ends early",
    "corrupt": "the decoder found the image broken",
    "too_many_pixels": "more pixels than --max_image_pixels",
    "too_many_scans": "a progressive JPEG with more scans than any encoder writes",
    "unsupported_color": "the colour mode has no conversion to RGB",
    "missing_size": "the pixels were decoded for other backbones only",
    "out_of_memory": "the device had no memory left for even this one image",
    "inference": "the backbone raised an error on this image",
}
"""Each `Failure.reason` with its meaning."""

OWN_COLUMNS = ("uri", "stage", "reason", "kind", "error", "message", "attempts")


@dataclasses.dataclass(frozen=True)
class Failure:
    """An input that has no embedding: the stage that lost it, a stable `reason`, and whether to try again."""

    source: ImageUri
    stage: str
    reason: str
    kind: str
    error: str
    message: str
    attempts: int = 1

    @classmethod
    def of(cls, source: ImageUri, stage: str, error: ImageError) -> "Failure":
        cause = error.error or type(error.__cause__ or error).__name__
        kind = "transient" if error.transient else "permanent"
        return cls(source, stage, error.reason, kind, cause, one_line(error), error.attempts)


def failed(source: ImageUri, stage: str, error: ImageError) -> TaggedOutput:
    """Count a loss and tag it for the failures' output."""
    count("images-failed")
    return TaggedOutput(FAILURES, Failure.of(source, stage, error))


@dataclasses.dataclass(frozen=True)
class capture:  # noqa: N801 (reads as a verb where it is used)
    """Time a function and make a Failure of its ImageError: element -> output | TaggedOutput(FAILURES, Failure)."""

    stage: str
    function: Callable[[Any], Any]

    def __call__(self, element: Any) -> Any:
        try:
            with timed(f"{self.stage}-busy-us"):
                return self.function(element)
        except ImageError as e:
            source = element if isinstance(element, ImageUri) else element.source
            return failed(source, self.stage, e)


@dataclasses.dataclass(frozen=True)
class FailuresFormat(ShardFormat):
    """JSON lines: the failure's own columns, then the carried ones; valid as an input of the next run."""

    extension: str = ".jsonl"
    prefix: str = FAILURES_PREFIX

    def encode(self, elements: list[Failure]) -> list[bytes]:
        return [failure_to_json(f).encode() + b"\n" for f in elements]

    def write(self, path: str, chunks: Iterable[list[bytes]]) -> None:
        with open(path, "wb") as f:
            for lines in chunks:
                f.writelines(lines)

    def read(self, path: str) -> Iterator[list[bytes]]:
        with open(path, "rb") as f:
            for line in f:
                yield [line]


def failure_to_json(failure: Failure) -> str:
    """Return one line of JSON; values that JSON has no type for are written as strings."""
    row = dataclasses.asdict(failure)
    source = row.pop("source")
    row = {"uri": source["uri"], **row, **source["columns"]}
    return json.dumps(row, ensure_ascii=False, default=str)


@dataclasses.dataclass
class WriteFailures(beam.PTransform):
    """Write failures to `failures-RUN-SSSSS-of-NNNNN.jsonl`: Failure -> WrittenFile.

    Args:
      output: a folder on any Beam filesystem.
      run_id: in each file's name, so that no run writes over another's.
    """

    output: str
    run_id: str
    shard_bytes: int = 256 << 20

    def expand(self, failures: Any) -> Any:
        return failures | WriteShards(FailuresFormat(), self.output, self.run_id, None, self.shard_bytes)


class CountReasons(beam.CombineFn):
    """Count failures by reason, with one example each: Failure -> {reason: {count, example, message, kind}}."""

    def create_accumulator(self) -> dict[str, dict[str, Any]]:
        return {}

    def add_input(self, reasons: dict[str, dict[str, Any]], failure: Failure) -> dict[str, dict[str, Any]]:
        example = {"count": 0, "kind": failure.kind, "example": failure.source.uri, "message": failure.message}
        reasons.setdefault(failure.reason, example)["count"] += 1
        return reasons

    def merge_accumulators(self, accumulators: Iterable[Mapping[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
        merged: dict[str, dict[str, Any]] = {}
        for reasons in accumulators:
            for reason, seen in reasons.items():
                merged.setdefault(reason, {**seen, "count": 0})["count"] += seen["count"]
        return merged

    def extract_output(self, reasons: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return dict(sorted(reasons.items(), key=lambda item: -item[1]["count"]))

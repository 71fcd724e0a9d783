"""The failures that stand in a collection, by reason, with examples."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from pipelines.similar.collection import reading
from transforms.collection.layout import FAILURES, path_of
from transforms.collection.manifest import Manifest
from transforms.core.failures import meaning_of
from transforms.core.printable import printable
from transforms.storage.files import read_locally
from transforms.write.failures import FailuresFormat

EXAMPLES = 3
"""Examples of each reason."""
SHOWN = 300
"""Maximum characters of a uri or a message."""


class Example(NamedTuple):
    """A lost image, printable and without secrets."""

    uri: str
    message: str


class Reason(NamedTuple):
    """A reason, its meaning, whether another attempt may succeed, how many it lost, and some of them."""

    name: str
    meaning: str
    kind: str
    images: int
    examples: list[Example]


def reasons_of(folder: str, manifest: Manifest) -> list[Reason]:
    """Read the failures of a collection, also those that the last run did not try again; the most frequent first.

    Raises:
      RunError: a file cannot be read.
    """
    paths = [path_of(folder, file["name"]) for file in manifest["files"] if FAILURES.names(file["name"])]
    counts: dict[tuple[str, str], int] = {}
    examples: dict[tuple[str, str], list[Example]] = {}
    for reason, kind, uri, message in _lines(paths):
        of = reason, kind
        counts[of] = counts.get(of, 0) + 1
        shown = examples.setdefault(of, [])
        if len(shown) < EXAMPLES:
            shown.append(Example(printable(uri, SHOWN), printable(message, SHOWN)))
    return [
        Reason(name, meaning_of(name), kind, count, examples[name, kind])
        for (name, kind), count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]


def _lines(paths: Iterable[str]) -> Iterable[tuple[str, str, str, str]]:
    """Yield the reason, the kind, the uri and the message of each failure."""
    for path in paths:
        with reading(path), read_locally(path) as local:
            for lines in FailuresFormat().read(local):
                for line in map(json.loads, lines):
                    yield line["reason"], line["kind"], line["uri"], line["message"]

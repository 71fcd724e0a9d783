"""Folders that all workers of a run share: one that does not see them is found out before it works."""

import dataclasses
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from transforms.core.errors import RunError
from transforms.storage.paths import local_path, scheme_of


def check_seen(paths: Iterable[str]) -> None:
    """Check that this process sees paths of the machine that launched the run; those of buckets count as seen.

    Raises:
      RunError: one is not there.
    """
    for path in paths:
        if scheme_of(path) in ("", "file") and not os.path.exists(local_path(path) if scheme_of(path) else path):
            raise RunError(
                f"a worker on {socket.gethostname()} does not share {path}: give a folder that all workers see under "
                "this name, or one in a bucket"
            )


@dataclasses.dataclass
class MustSee(beam.DoFn):
    """Pass elements on, once the process that does so sees all of some paths: anything -> the same.

    Args:
      paths: of the machine that launched the run.
    """

    paths: Sequence[str]

    def __post_init__(self) -> None:
        super().__init__()

    def setup(self) -> None:
        check_seen(self.paths)

    def process(self, element: Any) -> Iterator[Any]:
        yield element

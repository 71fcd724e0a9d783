"""The disk that an output takes while it is written."""

import os
import shutil
from collections.abc import Sequence

from transforms import EmbeddingSpec
from transforms.core.errors import UsageError
from transforms.storage.paths import local_path, scheme_of

AT_ONCE = 2
"""Copies of each row that are there before the run is committed: one in a part, one in the file that it goes to."""
OTHER_BYTES = 100
"""About the bytes of a row beside its vector: uri, hash, version."""


def bytes_of(specs: Sequence[EmbeddingSpec], rows: int, formats: int) -> int:
    """Return about how many bytes rows take, before compression.

    Args:
      specs: of the backbones, each of which makes a row of an image.
      rows: number of images.
      formats: number of output formats.
    """
    widths = (spec.dim * (2 if spec.embedding_dtype == "float16" else 4) + OTHER_BYTES for spec in specs)
    return rows * formats * sum(widths)


def free_bytes(output: str) -> int | None:
    """Return the bytes that are free where a local output is or will be; None for a bucket."""
    if scheme_of(output) not in ("", "file"):
        return None
    folder = os.path.abspath(local_path(output) if scheme_of(output) else output)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free


def check_disk(output: str, specs: Sequence[EmbeddingSpec], rows: int, formats: int) -> None:
    """Refuse a run whose output would fill its disk.

    Raises:
      UsageError: there is not enough room.
    """
    needed, free = AT_ONCE * bytes_of(specs, rows, formats), free_bytes(output)
    if free is not None and needed > free:
        raise UsageError(
            f"--output {output}: {rows:,} images take about {needed / 1e9:,.1f} GB while they are written, its disk "
            f"has {free / 1e9:,.1f}; choose another, or --embedding_dtype float16"
        )

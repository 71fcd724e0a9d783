"""Uri lists are known by their suffix, and unpacked."""

import bz2
import gzip
import pathlib
from collections.abc import Callable

import pyarrow as pa
import pytest

from transforms.read.formats.list_files import format_of, is_uri_list, opened


@pytest.mark.parametrize(
    ("path", "format_"),
    [
        *(
            ("a.txt", "text"),
            ("/x/a.csv", "csv"),
            ("a.TSV", "tsv"),
            ("gs://b/a.jsonl", "json"),
            ("a.parquet", "parquet"),
        ),
        *(("a.csv.gz", "csv"), ("A.TXT.GZ", "text")),
        *(
            ("a.ndjson", "json"),
            ("a.pq", "parquet"),
            ("a.csv.bz2", "csv"),
            ("a.csv.zst", "csv"),
            ("a.jsonl.gz", "json"),
        ),
        *((name, "") for name in ("a.jpg", "csv", "a.csv.jpg", "a.gz", "a.json", "a.csv.zip", "")),
    ],
)
def test_a_uri_list_is_known_by_its_suffix(path: str, format_: str) -> None:
    """(2e) Lists were taken for images."""
    assert format_of(path) == format_
    assert is_uri_list(path) == bool(format_)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: bytes(pa.compress(data, "zstd")),
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_packed_list_is_unpacked_and_one_that_ends_early_raises(tmp_path: pathlib.Path, suffix: str) -> None:
    data = bytes(range(256)) * 1000
    packed = PACKERS[suffix](data)
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes(packed + packed)
    with opened(str(path)) as f:
        assert f.read() == data + data
    path.write_bytes(packed[:-5])
    with pytest.raises((OSError, EOFError)), opened(str(path)) as f:  # noqa: PT012
        assert len(f.read()) < len(data)
        f.read()

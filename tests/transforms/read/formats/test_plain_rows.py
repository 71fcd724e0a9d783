"""Each line of text is a uri, but for blank lines and comments."""

import pathlib

import pyarrow as pa

from transforms.read.bounds import ROW_BYTES
from transforms.read.formats.plain_rows import columns, rows


def test_a_line_is_a_uri_and_one_too_long_is_told(tmp_path: pathlib.Path) -> None:
    """(4b)"""
    path = tmp_path / "x.txt"
    path.write_text(f"a.jpg\n\n# no uri\n{'x' * (ROW_BYTES + 1)}\n b.jpg \n")
    assert list(rows(str(path), "u", {})) == [
        ("", {"uri": "a.jpg"}),
        ("a row of more than 16,777,216 characters", {}),
        ("", {"uri": "b.jpg"}),
    ]
    found = columns(str(path), "u")
    assert (dict(found.types), found.num_rows, found.holds_long("u")) == ({"u": pa.string()}, 3, False)

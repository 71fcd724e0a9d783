"""What is found is written whole or not at all, and any reader reads it."""

import json
import pathlib
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from pipelines.similar.tables import Match, check_out, check_out_folder, replaced, write_table
from tests.pipelines.conftest import files_in
from transforms.core.errors import UsageError
from transforms.measure.pairs import Pair

MATCHES = [Match("/a ä.jpg", 1, 'gs://b/"c".jpg', 1.0), Match("/a ä.jpg", 2, "/d.jpg", -0.25)]


@pytest.mark.parametrize("rows", [MATCHES, []], ids=len)
def test_both_formats_hold_the_rows_with_their_types(rows: list[Match], tmp_path: pathlib.Path) -> None:
    write_table(str(tmp_path / "new" / "found.parquet"), Match, iter(rows))
    table = pq.read_table(tmp_path / "new" / "found.parquet")
    assert [str(type_) for type_ in table.schema.types] == ["string", "int32", "string", "double"]
    assert table.to_pylist() == [row._asdict() for row in rows]
    write_table(str(tmp_path / "found.JSONL"), Match, iter(rows))
    lines = (tmp_path / "found.JSONL").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [row._asdict() for row in rows]


def test_more_rows_than_are_written_at_a_time_are_all_written(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.similar.tables.ROWS", 3)
    pairs = [Pair(f"{i}", f"{i}b", i / 10) for i in range(8)]
    write_table(str(tmp_path / "pairs.parquet"), Pair, iter(pairs))
    assert pq.read_metadata(tmp_path / "pairs.parquet").num_row_groups == 3
    assert pq.read_table(tmp_path / "pairs.parquet").to_pylist() == [pair._asdict() for pair in pairs]


def test_what_fails_leaves_the_file_as_it_was(tmp_path: pathlib.Path) -> None:
    def failing() -> Iterator[Match]:
        yield MATCHES[0]
        raise ZeroDivisionError

    (tmp_path / "found.jsonl").write_text("as it was")
    with pytest.raises(ZeroDivisionError):
        write_table(str(tmp_path / "found.jsonl"), Match, failing())
    assert (tmp_path / "found.jsonl").read_text() == "as it was"
    assert files_in(tmp_path) == ["found.jsonl"]
    write_table(str(tmp_path / "found.jsonl"), Match, [])
    assert (tmp_path / "found.jsonl").read_text() == ""


def test_what_cannot_be_written_is_one_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write --out"), replaced(str(tmp_path / "file" / "found.jsonl")):
        pass
    with pytest.raises(UsageError, match=r"--out .* is a folder; give the name of a file"):
        check_out(str(tmp_path))
    with pytest.raises(UsageError, match="nothing here writes to https://"):
        check_out("https://host/found.jsonl")
    check_out(str(tmp_path / "new.jsonl"))
    with pytest.raises(UsageError, match=r"--out .* is a file; give the name of a folder"):
        check_out_folder(str(tmp_path / "file"))
    with pytest.raises(UsageError, match="nothing here writes to https://"):
        check_out_folder("https://host/found")
    check_out_folder(str(tmp_path))
    check_out_folder(str(tmp_path / "new"))

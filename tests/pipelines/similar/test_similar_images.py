"""What the command prints and writes, against the cosines of the collection's own Parquet files in float64."""

import itertools
import json
import pathlib
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.options.commands.similar import parse
from pipelines.similar.similar_images import run
from tests.collection_files import collection, embedding
from tests.pipelines.conftest import files_in
from tests.pipelines.similar.conftest import Made
from transforms.core.errors import UsageError


def ran(made: Made, *arguments: object) -> None:
    assert run(*parse(["--embeddings", str(made.folder), *map(str, arguments)])) == 0


def ranked(made: Made, uri: str) -> list[tuple[str, float]]:
    """All other rows, the nearest first."""
    found = [(other, made.cosine(uri, other)) for other in made.vectors if other != uri]
    return sorted(found, key=lambda one: -one[1])


def test_the_nearest_rows_are_printed_with_their_cosines(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    first, second = (str(made.photos / name) for name in ("0.jpg", "4.jpg"))
    ran(made, "--to", first, "--to", second, "--top", 3, "--out", tmp_path / "found.jsonl")
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[4], len(lines)) == (first, second, 8)
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    for to, printed, written in ((first, lines[1:4], rows[:3]), (second, lines[5:], rows[3:])):
        expected = ranked(made, to)[:3]
        assert [line.split() for line in printed] == [[f"{cosine:.4f}", uri] for uri, cosine in expected]
        assert [(row["to"], row["rank"], row["uri"]) for row in written] == [
            (to, rank, uri) for rank, (uri, _) in enumerate(expected, 1)
        ]
        np.testing.assert_allclose([row["cosine"] for row in written], [cosine for _, cosine in expected], atol=1e-6)


def test_a_photo_s_own_copy_is_the_nearest_to_it(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    copy = str(shutil.copy(made.photos / "5.jpg", tmp_path / "copy.jpg"))
    ran(made, "--to", copy, "--out", tmp_path / "found.parquet")
    assert capsys.readouterr().out.splitlines()[:2] == [copy, f"   1.0000  {made.photos}/5.jpg"]
    # Ten are wanted, and there are nine.
    assert pq.read_table(tmp_path / "found.parquet")["rank"].to_pylist() == list(range(1, 10))


def test_the_page_shows_all_that_is_found(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    uri = str(made.photos / "0.jpg")
    ran(made, "--to", uri, "--top", 4, "--out", tmp_path / "found.html")
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    shown = re.findall(r'alt="([^"]*)" width="160" height="160"', page)
    found = [f"{pathlib.Path(other).name}, cosine {cosine:.4f}" for other, cosine in ranked(made, uri)[:4]]
    assert shown == ["0.jpg, asked for", *found]
    assert f"among 9 images of {made.folder}, embedded by MobileNet" in page


@pytest.mark.parametrize("above", [0.999, -1.0])
def test_the_pairs_are_those_of_two_loops(
    above: float, made: Made, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    ran(made, "--pairs", "--above", above, "--out", tmp_path / "pairs.parquet")
    found = {
        (row["uri_a"], row["uri_b"]): row["cosine"] for row in pq.read_table(tmp_path / "pairs.parquet").to_pylist()
    }
    cosines = {pair: made.cosine(*pair) for pair in itertools.combinations(sorted(made.vectors), 2)}
    expected = {pair: cosine for pair, cosine in cosines.items() if cosine >= above}
    assert 0 < len(expected) <= 36
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[pair] for pair in expected], list(expected.values()), atol=1e-6)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"pairs   {len(expected)} with a cosine of at least {above:g}, among 9 images"


def test_groups_are_printed_the_largest_first_and_cut_where_they_are_many(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images of equal bytes have equal vectors here: one of 13, and 21 of 2."""
    rows = [embedding(f"/big/{i:02d}.jpg", data="big", label=0) for i in range(13)]
    rows += [embedding(f"/{i:02d}/{one}.jpg", data=f"{i}", label=0) for i in range(21) for one in "ab"]
    collection(tmp_path, rows)
    assert run(*parse(["--embeddings", str(tmp_path), "--pairs", "--above", "1"])) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"pairs   {13 * 12 // 2 + 21} with a cosine of at least 1, among 55 images",
        "groups  22, of 55 images in all",
        "    13  /big/00.jpg",
    ]
    assert lines[11:15] == ["        /big/09.jpg", "        and 3 more", "     2  /00/a.jpg", "        /00/b.jpg"]
    assert lines[-1] == "        and 2 more, none of them larger"
    assert len(lines) == 2 + 11 + 19 * 2 + 1


def test_what_has_no_direction_resembles_nothing(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [embedding(f"/{i}.jpg", label=0) for i in range(4)]
    rows[1].embedding[:], rows[2].embedding[:] = 0, np.nan
    collection(tmp_path, rows)
    here = ["--embeddings", str(tmp_path)]
    assert run(*parse([*here, "--pairs", "--above", "-1"])) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["     2  /0.jpg", "        /3.jpg"]
    assert run(*parse([*here, "--to", "/2.jpg"])) == 0
    assert capsys.readouterr().out == "/2.jpg\n  its embedding is zero or not finite, and resembles nothing\n"


def test_the_collection_stays_as_it_is(made: Made, tmp_path: pathlib.Path) -> None:
    before = files_in(made.folder)
    ran(made, "--pairs", "--out", tmp_path / "pairs.jsonl")
    ran(made, "--pairs", "--out", tmp_path / "pairs.jsonl", "--runner", "direct")
    ran(made, "--to", made.photos / "0.jpg")
    assert files_in(made.folder) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--runner=direct"], "--runner is for --pairs: one photo needs no workers"),
        (["--tops=3"], r"unknown flag --tops \(did you mean '--top'\?\); see similar-images --help"),
        (["more.jpg"], "unexpected 'more.jpg' after --to a.jpg: .*; see similar-images --help"),
    ],
)
def test_flags_for_workers_are_refused_with_a_photo(arguments: list[str], says: str, made: Made) -> None:
    with pytest.raises(UsageError, match=says):
        ran(made, "--to", "a.jpg", *arguments)

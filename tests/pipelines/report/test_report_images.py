"""The command on collections that a run has made, and on one of made-up rows: what the page says is what stands."""

import html
import pathlib
import re

import numpy as np
import pytest

from benchmarks.grown import grow
from pipelines.options.commands.report import parse
from pipelines.report import survey
from pipelines.report.report_images import run
from tests.collection_files import collection, embedding, failure
from tests.pipelines.conftest import files_in
from tests.pipelines.similar.conftest import Made, made, made_once
from tests.pipelines.similar.test_page import Elements
from transforms.core.elements import ImageUri

__all__ = ["made", "made_once"]

LIMIT = 20_000_000


def ran(folder: pathlib.Path, out: pathlib.Path, *flags: str) -> str:
    assert run(parse(["--embeddings", str(folder), "--out", str(out), *flags])) == 0
    return out.read_text(encoding="utf-8")


def panels(page: str) -> dict[str, list[tuple[str, str]]]:
    """The neighbours that the page shows of each picture, with their cosines, by the names of files."""
    found = {}
    for name, text in re.findall(r'aria-label="Neighbours of ([^"]*)">(.*?)</section>', page, re.DOTALL):
        near = re.findall(r'cosine (-?[\d.]+)<br><span class="name">([^<]*)<', text)
        found[html.unescape(name)] = [(html.unescape(other), cosine) for cosine, other in near]
    return found


def test_the_neighbours_are_those_of_a_loop(
    made: Made, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_in(made.folder)
    page = ran(made.folder, tmp_path / "report.html", "--above", "0.999")
    found = panels(page)
    assert found.keys() == {pathlib.Path(uri).name for uri in made.vectors}
    for uri in made.vectors:
        ranked = sorted(((made.cosine(uri, other), other) for other in made.vectors if other != uri), reverse=True)
        shown = found[pathlib.Path(uri).name]
        assert [name for name, _ in shown] == [pathlib.Path(other).name for _, other in ranked[: survey.NEIGHBOURS]]
        np.testing.assert_allclose([float(cosine) for _, cosine in shown], [c for c, _ in ranked[:5]], atol=1e-4)
    assert page.count('<image id="thumbnail-') == 9
    assert Elements(page).open == []
    assert files_in(made.folder) == before
    assert capsys.readouterr().out.startswith(f"report  {tmp_path / 'report.html'}, ")


def test_uris_and_messages_of_strangers_are_text(tmp_path: pathlib.Path) -> None:
    hostile = 'https://me:secret@host/<script>alert("1")</script>\u202e\'/x.jpg?sig=secret'
    rows = [embedding(hostile, data=f"{i}", label=0) if not i else embedding(f"/{i}.jpg", label=i) for i in range(4)]
    collection(tmp_path / "out", rows, [failure(hostile + "2", label=0)])
    page = ran(tmp_path / "out", tmp_path / "report.html", "--allowed_prefix", str(tmp_path))
    found = Elements(page)
    assert len(found.all("script")) == 1
    assert "secret" not in page
    assert "\u202e" not in page
    assert "no picture: forbidden_prefix: " in found.text
    assert '<script>alert("1")</script>' in found.text


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_images_have_a_page_too(rows: int, tmp_path: pathlib.Path) -> None:
    collection(tmp_path / "out", [embedding(f"/{i}.jpg", label=i) for i in range(rows)])
    assert len(panels(ran(tmp_path / "out", tmp_path / "report.html"))) == rows


def test_a_collection_whose_inputs_all_failed_tells_why(tmp_path: pathlib.Path) -> None:
    collection(tmp_path / "out", [], [failure("/a.jpg", label=0), failure("/b.jpg", label=1)])
    page = ran(tmp_path / "out", tmp_path / "report.html")
    assert Elements(page).open == []
    assert "0 images, embedded by" in page
    assert "2 io_error" in page
    assert "2 of 2 inputs failed in the last run." in page
    assert panels(page) == {}


@pytest.mark.parametrize("rows", [1000, pytest.param(20_000, marks=pytest.mark.exhaustive)])
def test_a_page_of_many_images_stays_small(rows: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection(tmp_path / "out", [embedding("/first.jpg", label=0)])
    folder = "/".join(["a very long folder"] * 30)
    grow(str(tmp_path / "out"), [ImageUri(f"/{folder}/{i}.jpg", {"label": i}) for i in range(rows)])
    monkeypatch.setattr(survey, "COMPARISONS", 500 * (rows + 1))
    page = ran(tmp_path / "out", tmp_path / "report.html")
    assert 1_000_000 < len(page.encode()) < LIMIT
    assert f"{rows + 1:,} images, embedded by" in page
    assert "of 500 chosen by chance" in page

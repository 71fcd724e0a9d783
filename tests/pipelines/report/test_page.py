"""The page: everything that it shows stands in it as text, strangers' text is text, nothing loads."""

import base64
import dataclasses
import hashlib
import re
from typing import Any

from pipelines.report.failures import Example, Reason
from pipelines.report.history import Told
from pipelines.report.page import Content, Images, page_of
from pipelines.report.pictures import DUPLICATE, OTHER, Choice, Picture
from pipelines.report.sizes import Format, Quantile, Sizes
from pipelines.report.survey import Group
from pipelines.similar.thumbnails import Thumbnail
from tests.pipelines.report.test_history import entry, history, manifest
from tests.pipelines.similar.test_page import Elements
from transforms.measure.nearest import Neighbour

HOSTILE = "/<script>alert(\"1\")</script>'onload='x.jpg"
SCRIPT = "let drawn = 1 < 2;"


def images(**changes: Any) -> Images:
    picture = Picture("<b>.jpg", HOSTILE, Thumbnail("data:image/jpeg;base64,AAAA", (96, 128)))
    lack = Picture("gone.jpg", "/gone.jpg", Thumbnail("", (96, 128), "not_found: <i>"))
    made = Images(
        points=2,
        choice=Choice([Group([3, 4], 0.9812)], [3], {3: DUPLICATE, 4: OTHER}, [3, 4]),
        pictures={3: picture, 4: lack},
        neighbours={3: [Neighbour(4, 0.9812)], 4: []},
        surveyed=7,
        groups=1,
        sizes=Sizes([Format("JPEG", 7, 1.0)], [Quantile("median", 640, 480, 0.3072)], 2, [(1, 10, 7)], (224, 224)),
    )
    return dataclasses.replace(made, **changes)


def content(**changes: Any) -> Content:
    runs = manifest(entry(1, embedded=5, new=5), entry(2, embedded=2, failed=1, new=1, changed=1, rows_before=5))
    made = Content(
        folder=HOSTILE,
        ended="2026-11-02",
        rows=7,
        backbone="MobileNetV2",
        notices=["1 of 3 inputs failed."],
        compared=history.compared(runs),
        runs=history.runs_shown(runs),
        all_runs=2,
        stages=[Told("fetch, s", "1.0", "2.0", "-1.0")],
        reasons=[Reason("not_an_image", "no format", "permanent", 9, [Example(HOSTILE, "<img src=x onerror=y>")])],
        images=images(),
        above=0.95,
        spec={"fingerprint": "abc", "backbone_kwargs": "<u>"},
        script=SCRIPT,
    )
    return dataclasses.replace(made, **changes)


def test_it_parses_and_all_text_of_strangers_is_text() -> None:
    found = Elements(page_of(content()))
    assert found.open == []
    assert {tag for tag, _ in found.found}.isdisjoint({"b", "i", "u", "img", "link", "iframe", "object", "base"})
    assert len(found.all("script")) == 1
    for _, attributes in found.found:
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
    for text in (HOSTILE, "<img src=x onerror=y>", "no picture: not_found: <i>", "cosine 0.9812", "and 8 more"):
        assert text in found.text, text
    assert found.all("figure")[0]["title"] == HOSTILE


def test_nothing_loads_and_no_script_runs_but_its_own() -> None:
    page = page_of(content())
    found = Elements(page)
    (policy,) = [one["content"] for one in found.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    (script,) = re.findall(r"<script>(.*)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert "http" not in page.replace("http-equiv", "")
    assert "url(" not in page
    for tag, attributes in found.found:
        assert str(attributes.get("href", "#")).startswith(("#", "data:image/")), tag


def test_each_link_leads_to_a_part_of_the_page() -> None:
    found = Elements(page_of(content()))
    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {str(one["href"])[1:] for tag in ("a", "use") for one in found.all(tag)}
    assert {"picture-3", "picture-4", "thumbnail-3", "atlas", "spec"} <= links <= set(ids)


def test_every_picture_and_chart_has_its_words() -> None:
    found = Elements(page_of(content()))
    drawn = [attributes for _, attributes in found.found if attributes.get("role") == "img"]
    assert {"map", "changes", "sides", "stages"} <= {one.get("id") for one in drawn}
    assert all(one["aria-label"] for one in drawn)
    assert found.all("html") == [{"lang": "en"}]


def test_what_there_is_nothing_of_says_so() -> None:
    none = images(groups=0, choice=Choice([], [], {}, []), pictures={})
    empty = content(notices=[], reasons=[], images=none, runs=[], compared=[])
    text = Elements(page_of(empty)).text
    assert "Nothing calls for a look" in text
    assert "None with a cosine of at least 0.95." in text
    assert "None: no two images can be compared." in text


def test_a_collection_without_images_has_no_map_and_leads_to_none() -> None:
    found = Elements(page_of(content(images=None, rows=0)))
    assert found.open == []
    ids = {attributes["id"] for _, attributes in found.found if "id" in attributes}
    assert ids.isdisjoint({"atlas", "near-duplicates", "odd", "sizes", "map"})
    assert {str(one["href"])[1:] for one in found.all("a")} <= ids
    assert "<img src=x onerror=y>" in found.text


def test_a_sample_is_called_one() -> None:
    text = Elements(page_of(content(rows=1_000_000, images=images(surveyed=400)))).text
    assert "of 400 chosen by chance" in text
    assert "looked for among 400 images" in text


def test_it_is_light_or_dark_as_its_reader_wants_and_fits_a_phone() -> None:
    page = page_of(content())
    named = {one["name"]: one["content"] for one in Elements(page).all("meta") if "name" in one}
    assert named == {"viewport": "width=device-width, initial-scale=1", "color-scheme": "light dark"}
    assert "background: Canvas; color: CanvasText" in page

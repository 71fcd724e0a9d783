"""Charts are declarations that Vega-Lite accepts, and no text in them can end their script."""

import json
import re

import pytest
import vl_convert

from pipelines.report import charts
from pipelines.report.history import runs_shown
from pipelines.report.pictures import ODD_ONE
from tests.pipelines.report.test_history import entry, manifest

HOSTILE = "</script><script>alert(1)</script><!--\u2028"
POINTS = [
    {"x": 0.0, "y": 1.0, "name": HOSTILE},
    {"x": 1.0, "y": 0.0, "name": "b", "kind": ODD_ONE, "href": "#picture-7", "image": "data:,"},
    {"x": 1.0, "y": 1.0, "name": "c", "image": "data:,"},
]


@pytest.mark.parametrize("points", [POINTS, POINTS[:1], POINTS[1:2], POINTS[2:]])
def test_a_map_is_accepted_and_holds_its_points(points: list[dict[str, object]]) -> None:
    chart = charts.map_chart(points).to_dict()
    vl_convert.vegalite_to_vega(chart)
    assert sorted(rows_in(chart), key=str) == sorted(points, key=str)


def test_only_what_has_a_place_in_the_page_can_be_clicked_and_only_its_kinds_are_explained() -> None:
    small, medium, large = (layer["encoding"] for layer in charts.map_chart(POINTS).to_dict()["layer"])
    assert ("href" in small, "href" in medium, "href" in large) == (False, False, True)
    assert large["color"]["scale"]["domain"] == [ODD_ONE]
    fields = [one["field"] for one in medium["tooltip"]]
    assert fields == ["name", "image"]


def rows_in(chart: dict) -> list[dict[str, object]]:
    return [row for rows in chart["datasets"].values() for row in rows]


def test_the_other_charts_are_accepted() -> None:
    runs = [entry(1, embedded=5, new=5), entry(2, embedded=2, new=1, changed=1, rows_before=5)]
    bars = charts.runs_chart(runs_shown(manifest(*runs))).to_dict()
    vl_convert.vegalite_to_vega(bars)
    # The first run changed nothing: it made the collection.
    assert {row["run"] for row in rows_in(bars)} == {"2026-11-02 03:04:05 UTC"}
    assert {row["what"]: row["images"] for row in rows_in(bars)}["changed"] == 1
    for some in (runs, runs[:1]):
        vl_convert.vegalite_to_vega(charts.stages_chart(some).to_dict())
    vl_convert.vegalite_to_vega(charts.sides_chart([(1, 10, 3), (10, 100, 4)], 224).to_dict())


def test_no_text_can_end_the_script() -> None:
    script = charts.script_of({"map": charts.map_chart(POINTS)})
    assert "</script" not in script.lower()
    assert "<!--" not in script.rpartition("for (const [id, spec]")[2]
    assert HOSTILE not in script


def test_the_script_names_no_address_that_the_library_would_load() -> None:
    """Those in the library are names of XML and of schemas, and words of messages."""
    found = set(re.findall(r"https?://([^/\s\"'`]+)", charts.script_of({"map": charts.map_chart(POINTS)})))
    assert found <= {"www.w3.org", "vega.github.io", "github.com"}


def test_specs_are_json_in_the_script() -> None:
    spec = json.dumps(charts.map_chart(POINTS).to_dict()).replace("<", "\\u003c")
    assert json.loads(spec)["$schema"].startswith("https://vega.github.io/schema/vega-lite/")

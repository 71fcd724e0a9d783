"""The charts of a page, by Altair: a declaration of each, which Vega draws in the browser, zooms and answers for.

Altair, since vl-convert holds its 0.9 MB of JavaScript: neither a page nor making one needs a network. Vega interprets
expressions, if told to, so that a page may forbid all code but its own; its tooltips show pictures, and a click follows
a link: nothing is drawn or programmed here. Of the others, plotly.js is 4.8 MB and shows no picture on hover without
code; Bokeh needs code for a click, and evaluates it from text; datamapplot needs Dask, Numba and a network;
embedding-atlas needs sentence-transformers and a server.

Colours of text are the page's (`currentColor`), so that charts follow it from light to dark.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert

from pipelines.report.history import Run
from pipelines.report.pictures import DUPLICATE, ODD_ONE, OTHER
from transforms.collection.manifest import RunEntry
from transforms.measure.stage_times import STAGES

COLORS = {ODD_ONE: "#e69f00", DUPLICATE: "#56b4e9", OTHER: "#009e73"}
SHAPES = {ODD_ONE: "triangle-up", DUPLICATE: "square", OTHER: "circle"}
"""Of the points of the map; colours that most people with a colour blindness tell apart (Okabe and Ito, 2008)."""
WHAT = {"new": "#009e73", "changed": "#56b4e9", "failed": "#d55e00", "removed": "#cc79a7"}
"""What is drawn of runs, with its colour."""
GREY = "#888888"

Chart = alt.Chart | alt.LayerChart | alt.FacetChart


def map_chart(points: Sequence[Mapping[str, Any]]) -> Chart:
    """Return the map: one that the wheel zooms and dragging moves.

    Args:
      points: `x`, `y`, `name`; for those with a picture `image` (a data uri); for those with neighbours also `kind` and
        `href` (the place in the page that shows them).
    """
    place = {"x": alt.X("x:Q", axis=None), "y": alt.Y("y:Q", axis=None)}
    name, image = alt.Tooltip("name:N", title="title"), alt.Tooltip("image:N")
    small = [one for one in points if "image" not in one]
    medium = [one for one in points if "image" in one and "kind" not in one]
    large = [one for one in points if "kind" in one]
    kinds = [kind for kind in COLORS if any(one["kind"] == kind for one in large)]
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=kinds, range=[COLORS[kind] for kind in kinds]),
        legend=alt.Legend(orient="top", title=None, symbolSize=120, labelLimit=300),
    )
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=[SHAPES[kind] for kind in kinds]))
    dots = (
        alt.Chart(_values(small))
        .mark_circle(size=16, color=GREY, opacity=0.6, aria=False)
        .encode(**place, tooltip=name)
    )
    neighbours = (
        alt.Chart(_values(medium))
        .mark_circle(size=60, color=GREY, opacity=0.8, aria=False)
        .encode(**place, tooltip=[name, image])
    )
    pictures = (
        alt.Chart(_values(large))
        .mark_point(size=110, filled=True, opacity=0.9, aria=False, cursor="pointer")
        .encode(
            **place,
            color=color,
            shape=shape,
            href="href:N",
            tooltip=[name, image, "kind:N"],
        )
    )
    # Vega warns of a layer without points.
    drawn = [layer for layer, rows in ((dots, small), (neighbours, medium), (pictures, large)) if rows]
    return _plain(alt.layer(*drawn).properties(height=480).interactive())


def runs_chart(runs: Sequence[Run]) -> Chart:
    """Return what each run changed, as bars, the last run last; one that found nothing made the collection."""
    bars = [
        {"run": run.started, "what": what, "images": getattr(run, what)}
        for run in reversed(runs)
        for what in WHAT
        if run.before
    ]
    return _plain(
        alt.Chart(_values(bars))
        .mark_bar()
        .encode(
            x=alt.X("run:O", title=None, sort=None, axis=alt.Axis(labelAngle=-40, labelOverlap=True)),
            y=alt.Y("images:Q", title="images"),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=list(WHAT), range=list(WHAT.values())),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=["run:O", "what:N", "images:Q"],
        )
        .properties(height=180)
    )


def stages_chart(runs: Sequence[RunEntry]) -> Chart:
    """Return the busy seconds of each stage, of the last run and the one before, as bars."""
    names = ("last run", "run before")[: len(runs)]
    bars = [
        {"run": name, "stage": stage, "seconds": run["stages"].get(stage, 0.0)}
        for name, run in zip(names, reversed(runs[-2:]), strict=False)
        for stage in STAGES
    ]
    return _plain(
        alt.Chart(_values(bars))
        .mark_bar()
        .encode(
            x=alt.X("seconds:Q", title="busy seconds, of all threads together"),
            y=alt.Y("stage:N", title=None, sort=list(STAGES)),
            yOffset=alt.YOffset("run:N", sort=list(names)),
            color=alt.Color(
                "run:N",
                scale=alt.Scale(domain=list(names), range=["#009e73", GREY][: len(names)]),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=["run:N", "stage:N", "seconds:Q"],
        )
        .properties(height=180)
    )


def sides_chart(sides: Iterable[tuple[int, int, int]], scaled: int) -> Chart:
    """Return the number of images by their shorter side.

    Args:
      sides: (least, below, number), in px.
      scaled: shorter side that images are scaled to, in px, which is marked.
    """
    bars = _values({"least": a, "below": b, "images": n, "none": 0} for a, b, n in sides)
    side = alt.X("least:Q", title="shorter side, px", scale=alt.Scale(type="log", nice=False, padding=4))
    drawn = (
        alt.Chart(bars)
        .mark_rect(color="#009e73")
        .encode(
            x=side,
            x2="below:Q",
            y=alt.Y("images:Q", title="images"),
            y2="none:Q",
            tooltip=["least:Q", "below:Q", "images:Q"],
        )
    )
    mark = alt.Chart(_values([{"scaled to": scaled}])).mark_rule(strokeDash=[4, 3], color="#d55e00", size=2)
    return _plain((drawn + mark.encode(x="scaled to:Q", tooltip="scaled to:Q")).properties(height=180))


def _plain(chart: Chart) -> Chart:
    """Fit a chart into the page."""
    text = {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "titleFontSize": 12}
    plain: Chart = (
        chart.properties(width="container")
        .configure(background="transparent", font="system-ui, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(**text, domainColor=GREY, tickColor=GREY, gridColor=GREY, gridOpacity=0.25)
        .configure_legend(labelColor="currentColor", labelFontSize=13)
    )
    return plain


def _values(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    return alt.InlineData(values=list(rows))


def script_of(charts: Mapping[str, Chart]) -> str:
    """Return the text of a script that draws charts, each in the element of its id, with the library."""
    # No text of a chart can end the script, or begin another.
    specs = json.dumps({name: chart.to_dict() for name, chart in charts.items()}).replace("<", "\\u003c")
    options = json.dumps({"actions": False, "ast": True, "renderer": "svg"})
    draw = f"for (const [id, spec] of Object.entries({specs})) vegaEmbed('#' + id, spec, {options});"
    # What goes through the bundler comes out with other escapes.
    return f"{_library()}\n{draw}"


@functools.cache
def _library() -> str:
    """Return the text that defines `vegaEmbed`; bundling it takes 2 s, the same for each page."""
    text: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return text

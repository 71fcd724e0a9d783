"""Write a page about a collection.

report-images --embeddings embeddings/ --out report.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.console.exit_codes import DONE
from pipelines.console.lines import say
from pipelines.launch.beam_pipeline import billed
from pipelines.options.commands.report import Settings
from pipelines.report import charts, history
from pipelines.report.failures import reasons_of
from pipelines.report.page import Content, Images, page_of
from pipelines.report.pictures import TALL, Choice, Picture, choose, name_of, pictures_of
from pipelines.report.projection import plane
from pipelines.report.sizes import sizes_of
from pipelines.report.survey import survey_of
from pipelines.similar.collection import Collection, open_any_collection
from pipelines.similar.matrix import Matrix, matrix_of, sample
from pipelines.similar.tables import check_out, replaced
from pipelines.similar.thumbnails import thumbnails_of
from transforms.collection.manifest import Manifest, runs_of
from transforms.core.printable import printable
from transforms.storage.paths import canonical_uri

POINTS = 2000
"""Maximum number of images on the map."""


def run(settings: Settings) -> int:
    """Write the page that the settings ask for; return the exit code of the command.

    Raises:
      UsageError: something cannot work; one line says what to do.
      RunError: the work began and failed.
    """
    check_out(settings.out)
    if settings.billing_project:
        billed(settings.billing_project, ())
    collection = open_any_collection(settings.embeddings)
    with replaced(settings.out) as local:
        page = page_of(content_of(settings, collection))
        with open(local, "w", encoding="utf-8") as f:
            f.write(page)
    say(f"report  {settings.out}, {len(page.encode()) / 1e6:.1f} MB, of {collection.rows:,} images")
    return DONE


def content_of(settings: Settings, collection: Collection) -> Content:
    """Return what a page tells of a collection."""
    manifest = collection.manifest
    runs = history.runs_shown(manifest)
    drawn: dict[str, charts.Chart] = {}
    images = None
    if collection.files:
        images, drawn = images_of(settings, collection)
    return Content(
        folder=printable(settings.embeddings),
        ended=history.told_time(manifest["times"]["finished"]),
        rows=collection.rows,
        backbone=collection.spec.backbone,
        notices=list(history.notices(manifest)),
        compared=history.compared(manifest),
        runs=runs,
        all_runs=len(runs_of(manifest)),
        stages=history.stages(manifest),
        reasons=reasons_of(canonical_uri(settings.embeddings), manifest),
        images=images,
        above=settings.above,
        spec=told_spec(collection),
        script=charts.script_of({**drawn, **charts_of(manifest, runs)}),
    )


def images_of(settings: Settings, collection: Collection) -> tuple[Images, dict[str, charts.Chart]]:
    """Return what a page tells of a collection's images, and the charts of that."""
    random = np.random.default_rng(0)
    sizes = sizes_of(collection)
    with matrix_of(collection) as matrix:
        survey = survey_of(matrix.vectors, random)
        groups = survey.groups(settings.above)
        choice = choose(survey, groups, random)
        uris = matrix.uris_of(choice.rows)
        pictures = pictures_of(choice.rows, uris, thumbnails_of(uris, settings, collection.spec, TALL))
        points = points_of(matrix, choice, pictures, random)
    images = Images(
        points=len(points),
        choice=choice,
        pictures=pictures,
        neighbours=survey.neighbours,
        surveyed=len(survey.neighbours),
        groups=len(groups),
        sizes=sizes,
    )
    drawn = {
        "map": charts.map_chart(points),
        "sides": charts.sides_chart(sizes.sides, min(sizes.scaled_to)),
    }
    return images, drawn


def points_of(
    matrix: Matrix, choice: Choice, pictures: Mapping[int, Picture], random: np.random.Generator
) -> list[dict[str, Any]]:
    """Return the points of the map: the images that are shown, and others by chance."""
    others = [row for row in sample(len(matrix.vectors), POINTS, random).tolist() if row not in pictures]
    rows = [*pictures, *others[: POINTS - len(pictures)]]
    places = plane(np.asarray(matrix.vectors[rows])).round(4).tolist()
    points = []
    for row, uri, (x, y) in zip(rows, matrix.uris_of(rows), places, strict=True):
        point = {"x": x, "y": y, "name": name_of(uri)}
        if row in pictures:
            point["image"] = pictures[row].thumbnail.data_uri
        if row in choice.kinds:
            point |= {"kind": choice.kinds[row], "href": f"#picture-{row}"}
        points.append(point)
    return points


def charts_of(manifest: Manifest, shown: Sequence[history.Run]) -> dict[str, charts.Chart]:
    """Return the charts of the runs, by the id of the element that each is drawn in."""
    found: dict[str, charts.Chart] = {}
    if runs := runs_of(manifest):
        found["stages"] = charts.stages_chart(runs)
    if any(run.before for run in shown):
        found["changes"] = charts.runs_chart(shown)
    return found


def told_spec(collection: Collection) -> dict[str, str]:
    """Return how the vectors are made, and what computed the last run, in words."""
    manifest = collection.manifest
    workers = [f"{one['engine']} {one['version']} on {one['processor']}" for one in manifest["workers"]]
    told: dict[str, Any] = {
        "fingerprint": manifest["embedding_spec_fingerprint"],
        **manifest["embedding_spec"],
        "computed by": "; ".join(workers),
        "versions": ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()),
        "last run": manifest["run_id"],
    }
    return {name: printable(_text(value), 1000) for name, value in told.items() if value != ""}


def _text(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, list) else str(value)

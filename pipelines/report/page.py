"""The page: the template `page.html`, filled in by Jinja, which escapes all text."""

import base64
import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence

import jinja2
import markupsafe

from pipelines.report.failures import Reason
from pipelines.report.history import Run, Told
from pipelines.report.pictures import MEMBERS, OTHER, Choice, Picture
from pipelines.report.sizes import Sizes
from transforms.measure.nearest import Neighbour


@dataclasses.dataclass(frozen=True)
class Images:
    """What a page tells of the images; all text of unknown origin is printable.

    Attributes:
      points: number of images on the map.
      choice: the images that are shown.
      pictures: the picture of each row that is shown.
      neighbours: the neighbours of each row that is shown with them.
      surveyed: number of rows that were compared with all others.
      groups: number of all groups of near-duplicates among these.
      sizes: sizes and formats.
    """

    points: int
    choice: Choice
    pictures: Mapping[int, Picture]
    neighbours: Mapping[int, Sequence[Neighbour]]
    surveyed: int
    groups: int
    sizes: Sizes

    @property
    def listed(self) -> list[int]:
        """The rows that are shown with their neighbours, by name."""
        return sorted(self.choice.kinds, key=lambda row: (self.pictures[row].name, row))


@dataclasses.dataclass(frozen=True)
class Content:
    """What a page tells; all text of unknown origin is printable.

    Attributes:
      folder: the collection.
      ended: when its last run ended.
      rows: number of its images.
      backbone: name of its backbone.
      notices: what to look at first, a sentence each.
      compared: what the last run did beside what the one before did.
      runs: the last runs, the last one first.
      all_runs: number of all runs that are known.
      stages: where their time went.
      reasons: failures by reason.
      images: what is told of the images; None if all inputs failed.
      above: least cosine of near-duplicates.
      spec: how the vectors are made, and by what, in words.
      script: what draws the charts.
    """

    folder: str
    ended: str
    rows: int
    backbone: str
    notices: Sequence[str]
    compared: Sequence[Told]
    runs: Sequence[Run]
    all_runs: int
    stages: Sequence[Told]
    reasons: Sequence[Reason]
    images: Images | None
    above: float
    spec: Mapping[str, str]
    script: str


def page_of(content: Content) -> str:
    """Return the page, in HTML: it loads nothing, and runs nothing but its own script."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"format_number": "{:,}".format, "format_seconds": _duration}
    script = markupsafe.Markup(content.script)
    digest = base64.b64encode(hashlib.sha256(content.script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        content=content, members=MEMBERS, other=OTHER, script=script, digest=digest
    )


def _duration(seconds: float) -> str:
    """Say a duration in at most two units: 8 s, 4 min 5 s, 2 h 7 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"

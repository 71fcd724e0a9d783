"""Which images a page shows, so that it stays small: near-duplicates, odd ones out, and others by chance."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.report.survey import Group, Survey
from pipelines.similar.thumbnails import Thumbnail
from transforms.core.printable import printable

THUMBNAILS = 400
"""Maximum number of thumbnails."""
TALL = 96
"""Height of a thumbnail, in px."""
BYTES = 5_000_000
"""Maximum length of all thumbnails' data uris; each stands in the page twice."""
GROUPS, MEMBERS, ODD = 8, 6, 12
"""Groups of near-duplicates, images of each, and odd ones out."""
SHOWN = 300
"""Maximum characters of a uri."""

DUPLICATE, ODD_ONE, OTHER = "near-duplicate", "odd one out", "other"
"""Why an image is shown with its neighbours: what it is, or that it was chosen by chance."""


class Choice(NamedTuple):
    """The rows that are shown.

    Attributes:
      groups: near-duplicates.
      odd: odd ones out.
      kinds: of each row that is shown with its neighbours, why it is.
      rows: all rows that have a thumbnail.
    """

    groups: list[Group]
    odd: list[int]
    kinds: dict[int, str]
    rows: list[int]


class Picture(NamedTuple):
    """An image as it is shown; all text is printable.

    Attributes:
      name: the last part of its uri.
      uri: its uri, without secrets.
      thumbnail: its picture, or why there is none.
    """

    name: str
    uri: str
    thumbnail: Thumbnail


def choose(survey: Survey, groups: Sequence[Group], random: np.random.Generator) -> Choice:
    """Choose rows, as many as THUMBNAILS allows, each with its neighbours.

    Args:
      survey: the neighbours.
      groups: the groups of near-duplicates, the clearest first.
      random: chooses by chance.
    """
    clearest, odd = list(groups[:GROUPS]), survey.odd(ODD)
    wanted = {
        **dict.fromkeys((row for group in clearest for row in group.rows[:MEMBERS]), DUPLICATE),
        **dict.fromkeys(odd, ODD_ONE),
    }
    for row in random.permutation(list(survey.neighbours)).tolist():
        wanted.setdefault(row, OTHER)
    rows = dict.fromkeys(row for row, kind in wanted.items() if kind != OTHER)
    kinds: dict[int, str] = {}
    for row, kind in wanted.items():
        # What is not in the sample has no known neighbours.
        if row in survey.neighbours:
            more = {row: None, **dict.fromkeys(near.row for near in survey.neighbours[row])}
            if len(rows.keys() | more.keys()) > THUMBNAILS:
                break
            rows |= more
            kinds[row] = kind
    return Choice(clearest, odd, kinds, list(rows))


def pictures_of(rows: Iterable[int], uris: Iterable[str], thumbnails: Mapping[str, Thumbnail]) -> dict[int, Picture]:
    """Return the picture of each row, with thumbnails until they are BYTES."""
    found: dict[int, Picture] = {}
    left = BYTES
    for row, uri in zip(rows, uris, strict=True):
        thumbnail = thumbnails[uri]
        left -= len(thumbnail.data_uri)
        if left < 0:
            thumbnail = Thumbnail("", thumbnail.size, "the page would be too large")
        found[row] = Picture(name_of(uri), printable(uri, SHOWN), thumbnail)
    return found


def name_of(uri: str) -> str:
    """Return the last part of a uri, printable."""
    return printable(printable(uri).rstrip("/").rpartition("/")[2], 80)

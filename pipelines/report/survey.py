"""What resembles what in a collection: the neighbours of its images, or of a sample where there are many."""

import dataclasses
from typing import NamedTuple

import numpy as np

from pipelines.similar.matrix import sample
from transforms.measure.groups import Groups
from transforms.measure.nearest import Neighbour, nearest

COMPARISONS = 400_000_000
"""Maximum number of cosines; all pairs of 20,000 images."""
AT_LEAST = 100
"""Images that are compared with all others, however many these are."""
AT_A_TIME = 2048
"""Images whose neighbours are looked for at a time."""
NEIGHBOURS = 5
"""Neighbours of each image."""


class Group(NamedTuple):
    """Rows that neighbours connect, and the least cosine of two such neighbours."""

    rows: list[int]
    least: float


@dataclasses.dataclass(frozen=True)
class Survey:
    """The neighbours of some rows among all.

    Attributes:
      neighbours: of each row that was compared with all others, the nearest first; none where a vector is zero or not
        finite.
    """

    neighbours: dict[int, list[Neighbour]]

    def groups(self, above: float) -> list[Group]:
        """Return the groups of rows that are alike, the clearest first: by the least cosine, then by size.

        Two images are linked if one is among the nearest of the other, and their cosine is `above` or more; so a group
        of more than NEIGHBOURS + 1 may come as several.
        """
        links = [
            (row, near.row, near.cosine)
            for row, found in self.neighbours.items()
            for near in found
            if near.cosine >= above
        ]
        groups = Groups((row, other) for row, other, _ in links).found()
        number = {row: i for i, group in enumerate(groups) for row in group}
        least = [1.0] * len(groups)
        for row, _, cosine in links:
            least[number[row]] = min(least[number[row]], cosine)
        found = map(Group, groups, least)
        return sorted(found, key=lambda group: (-group.least, -len(group.rows), group.rows))

    def odd(self, number: int) -> list[int]:
        """Return the compared rows whose nearest neighbours are farthest, the oddest first."""
        least = sorted((found[0].cosine, row) for row, found in self.neighbours.items() if found)
        return [row for _, row in least[:number]]


def survey_of(vectors: np.ndarray, random: np.random.Generator) -> Survey:
    """Compare rows with all others: `unit_vectors`, float32 [N, D] -> Survey.

    Args:
      vectors: the vectors, perhaps in a file.
      random: chooses the sample.
    """
    rows = sample(len(vectors), max(COMPARISONS // len(vectors), AT_LEAST), random)
    neighbours: dict[int, list[Neighbour]] = {}
    for start in range(0, len(rows), AT_A_TIME):
        some = rows[start : start + AT_A_TIME].tolist()
        neighbours.update(zip(some, nearest(vectors, np.asarray(vectors[some]), NEIGHBOURS, some), strict=True))
    return Survey(neighbours)

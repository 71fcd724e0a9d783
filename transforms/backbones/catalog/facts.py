"""What the 40 backbones are, without importing TensorFlow: name, input size, width, parameters, preprocessing.

`python -m transforms.backbones.catalog.print_catalog` writes `catalog.csv` from Keras itself, and a test compares the
two.
"""

import csv
import dataclasses
import functools
import importlib.resources

from transforms.core.errors import UsageError, did_you_mean


@dataclasses.dataclass(frozen=True)
class BackboneFacts:
    """A constructor of `keras.applications` with its defaults.

    Attributes:
      name: the constructor's name.
      size: height and width of its default input, in px.
      dim: width of its average-pooled output.
      params: count of its weights without the top.
      preprocessing: what Keras does to RGB values of 0 to 255, see `transforms.backbones.catalog.print_catalog`.
    """

    name: str
    size: int
    dim: int
    params: int
    preprocessing: str


@functools.cache
def catalog() -> dict[str, BackboneFacts]:
    """Return the facts of each backbone by its name."""
    with importlib.resources.files(__package__).joinpath("catalog.csv").open(encoding="utf-8") as f:
        rows = [
            BackboneFacts(r["name"], int(r["size"]), int(r["dim"]), int(r["params"]), r["preprocessing"])
            for r in csv.DictReader(f)
        ]
    return {row.name: row for row in rows}


def find_backbone(name: str) -> BackboneFacts:
    """Return the backbone of a name in any case.

    Raises:
      UsageError: no such backbone; the message names the nearest.
    """
    for known, facts in catalog().items():
        if known.lower() == name.lower():
            return facts
    raise UsageError(f"unknown backbone {name!r}{did_you_mean(name, catalog())}; see --list_backbones")

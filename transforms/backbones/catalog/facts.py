"""The 40 backbones: name, input size, width, parameters, accuracy, preprocessing, without importing TensorFlow.

`python -m transforms.backbones.catalog.print_catalog` writes `catalog.csv` from Keras itself; a test compares the two.
"""

import csv
import dataclasses
import functools
import importlib.resources

from transforms.core.errors import UsageError, did_you_mean


@dataclasses.dataclass(frozen=True)
class CatalogRow:
    """A constructor of `keras.applications` with its defaults.

    Attributes:
      name: the constructor's name.
      side: height and width of its default input, in px.
      dim: width of its average-pooled output.
      params: number of its weights without the top.
      top_1: percent of ImageNet's validation images that it classifies rightly, as its authors and Keras publish it.
      preprocessing: what Keras does to RGB values of 0 to 255, as `print_catalog` words it.
    """

    name: str
    side: int
    dim: int
    params: int
    top_1: float
    preprocessing: str


@functools.cache
def catalog_rows() -> dict[str, CatalogRow]:
    """Return the row of each backbone, by name."""
    with importlib.resources.files(__package__).joinpath("catalog.csv").open(encoding="utf-8") as f:
        rows = [
            CatalogRow(
                r["name"], int(r["side"]), int(r["dim"]), int(r["params"]), float(r["top_1"]), r["preprocessing"]
            )
            for r in csv.DictReader(f)
        ]
    return {row.name: row for row in rows}


def find_backbone(name: str) -> CatalogRow:
    """Return the row of a backbone; the case of its name does not matter.

    Raises:
      UsageError: there is no such backbone; the message names the nearest.
    """
    for known, row in catalog_rows().items():
        if known.lower() == name.lower():
            return row
    raise UsageError(f"unknown backbone {name!r}{did_you_mean(name, catalog_rows())}; see --list_backbones")

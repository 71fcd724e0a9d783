"""Print the catalog from Keras itself.

python -m transforms.backbones.catalog.print_catalog > transforms/backbones/catalog/catalog.csv
"""

import csv
import dataclasses
import sys

import numpy as np

from transforms.backbones.catalog.facts import CatalogRow
from transforms.backbones.graph.keras_applications import constructor, constructors, keras, preprocess_of

ANY_SIDE = 224
"""Side of MobileNetV3's input, in px: Keras accepts any size and documents this one."""

PREPROCESSING = {
    "in the model": (123.0, 45.0, 67.0),
    "to -1..1": (123.0 / 127.5 - 1, 45.0 / 127.5 - 1, 67.0 / 127.5 - 1),
    "to 0..1, ImageNet mean and deviation": tuple(
        (x / 255 - mean) / deviation
        for x, mean, deviation in zip((123.0, 45.0, 67.0), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
    ),
    "BGR, minus ImageNet mean": (67.0 - 103.939, 45.0 - 116.779, 123.0 - 123.68),
}
"""What each preprocessing makes of the pixel (123, 45, 67): modes none, tf, torch and caffe of imagenet_utils."""


def catalog_row(name: str) -> CatalogRow:
    """Build a backbone without allocating its weights, and return its facts."""
    with keras.StatelessScope():
        side = constructor(name)(weights=None).input_shape[1] or ANY_SIDE
        pooled = constructor(name)(weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3))
    return CatalogRow(name, side, pooled.output_shape[-1], pooled.count_params(), preprocessing(name))


def preprocessing(name: str) -> str:
    """Return which preprocessing of Keras a backbone uses."""
    seen = np.asarray(preprocess_of(name)(np.array([[[123.0, 45.0, 67.0]]], np.float32))).ravel()
    return next(kind for kind, expected in PREPROCESSING.items() if np.allclose(seen, expected, atol=1e-4))


def main() -> None:
    """Print the catalog as CSV."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(CatalogRow))
    for name in constructors():
        writer.writerow(dataclasses.astuple(catalog_row(name)))


if __name__ == "__main__":
    main()

"""Ask Keras what its backbones are.

python -m transforms.backbones.catalog.print_catalog > transforms/backbones/catalog/catalog.csv
"""

import csv
import sys

import numpy as np

from transforms.backbones.catalog.facts import BackboneFacts
from transforms.backbones.graph.keras_applications import constructor, constructors, keras, preprocess_of

# Keras' MobileNetV3 takes any size and documents this one.
ANY_SIZE = 224

PREPROCESSING = {
    "in the model": (123.0, 45.0, 67.0),
    "to -1..1": (123.0 / 127.5 - 1, 45.0 / 127.5 - 1, 67.0 / 127.5 - 1),
    "to 0..1, ImageNet mean and deviation": tuple(
        (x / 255 - mean) / deviation
        for x, mean, deviation in zip((123.0, 45.0, 67.0), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
    ),
    "BGR, minus ImageNet mean": (67.0 - 103.939, 45.0 - 116.779, 123.0 - 123.68),
}
"""What becomes of the pixel (123, 45, 67) by each of Keras' ways: modes none, tf, torch and caffe of imagenet_utils."""


def describe(name: str) -> BackboneFacts:
    """Build a backbone without allocating its weights, and note its facts."""
    with keras.StatelessScope():
        size = constructor(name)(weights=None).input_shape[1] or ANY_SIZE
        pooled = constructor(name)(weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3))
    return BackboneFacts(name, size, pooled.output_shape[-1], pooled.count_params(), preprocessing(name))


def preprocessing(name: str) -> str:
    """Find out which of Keras' ways of preprocessing is a backbone's."""
    seen = np.asarray(preprocess_of(name)(np.array([[[123.0, 45.0, 67.0]]], np.float32))).ravel()
    return next(kind for kind, expected in PREPROCESSING.items() if np.allclose(seen, expected, atol=1e-4))


def main() -> None:
    """Print the catalog."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["name", "size", "dim", "params", "preprocessing"])
    for name in constructors():
        facts = describe(name)
        writer.writerow([facts.name, facts.size, facts.dim, facts.params, facts.preprocessing])


if __name__ == "__main__":
    main()

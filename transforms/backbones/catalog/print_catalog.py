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

TOP_1 = {
    "Xception": 79.0,
    "VGG16": 71.3,
    "VGG19": 71.3,
    "ResNet50": 74.9,
    "ResNet101": 76.4,
    "ResNet152": 76.6,
    "ResNet50V2": 76.0,
    "ResNet101V2": 77.2,
    "ResNet152V2": 78.0,
    "InceptionV3": 77.9,
    "InceptionResNetV2": 80.3,
    "MobileNet": 70.4,
    "MobileNetV2": 71.3,
    "MobileNetV3Small": 68.1,
    "MobileNetV3Large": 75.6,
    "DenseNet121": 75.0,
    "DenseNet169": 76.2,
    "DenseNet201": 77.3,
    "NASNetMobile": 74.4,
    "NASNetLarge": 82.5,
    "EfficientNetB0": 77.1,
    "EfficientNetB1": 79.1,
    "EfficientNetB2": 80.1,
    "EfficientNetB3": 81.6,
    "EfficientNetB4": 82.9,
    "EfficientNetB5": 83.6,
    "EfficientNetB6": 84.0,
    "EfficientNetB7": 84.3,
    "EfficientNetV2B0": 78.7,
    "EfficientNetV2B1": 79.8,
    "EfficientNetV2B2": 80.5,
    "EfficientNetV2B3": 82.0,
    "EfficientNetV2S": 83.9,
    "EfficientNetV2M": 85.3,
    "EfficientNetV2L": 85.7,
    "ConvNeXtTiny": 81.3,
    "ConvNeXtSmall": 82.3,
    "ConvNeXtBase": 85.3,
    "ConvNeXtLarge": 86.3,
    "ConvNeXtXLarge": 86.7,
}
"""Published top-1 accuracy in percent: https://keras.io/api/applications, for MobileNetV3 its module's docstring."""


def catalog_row(name: str) -> CatalogRow:
    """Build a backbone without allocating its weights, and return its facts."""
    with keras.StatelessScope():
        side = constructor(name)(weights=None).input_shape[1] or ANY_SIDE
        pooled = constructor(name)(weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3))
    return CatalogRow(name, side, pooled.output_shape[-1], pooled.count_params(), TOP_1[name], preprocessing(name))


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

"""The 40 image backbones of Keras: what they are, and how they are loaded.

The only package that imports TensorFlow, and that only when a backbone is loaded: naming and checking one is instant.
"""

from typing import TYPE_CHECKING

import numpy as np

from transforms.backbones.backbone import ACTIVATIONS, POOLINGS, Backbone
from transforms.backbones.catalog import BackboneFacts, catalog, find_backbone

if TYPE_CHECKING:
    from transforms.backbones.classes import Classes
    from transforms.backbones.graph import LoadedBackbone

__all__ = [
    "ACTIVATIONS",
    "POOLINGS",
    "Backbone",
    "BackboneFacts",
    "catalog",
    "find_backbone",
    "load_backbone",
    "name_classes",
]


def load_backbone(backbone: Backbone) -> "LoadedBackbone":
    """Return the process's one copy of a backbone, loading it at the first call; see `transforms.backbones.graph`."""
    from transforms.backbones.graph import load

    return load(backbone)


def name_classes(scores: np.ndarray, k: int) -> "list[Classes]":
    """Name the k best classes of each image, see `transforms.backbones.classes`."""
    from transforms.backbones.classes import top_classes

    return top_classes(scores, k)

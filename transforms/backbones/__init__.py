"""The 40 image backbones of Keras: what they are, and how they are loaded.

TensorFlow is imported only when a backbone is loaded: naming and checking one is instant.
"""

from typing import TYPE_CHECKING

import numpy as np

from transforms.backbones.backbone import ACTIVATIONS, POOLINGS, Backbone
from transforms.backbones.catalog.facts import BackboneFacts, find_backbone
from transforms.backbones.engines import Engine, choose_engine, count_gpus, device_of, has_gpu
from transforms.core.elements import Size
from transforms.core.spec import PIXELS_POLICY, EmbeddingSpec

if TYPE_CHECKING:
    from transforms.backbones.graph.classes import Classes

__all__ = [
    "ACTIVATIONS",
    "POOLINGS",
    "Backbone",
    "BackboneFacts",
    "Engine",
    "choose_engine",
    "count_gpus",
    "device_of",
    "embedding_spec",
    "find_backbone",
    "has_gpu",
    "load_backbone",
    "name_classes",
]


def load_backbone(backbone: Backbone) -> Engine:
    """Return the process's one copy of a backbone, loading it at the first call; see `transforms.backbones.loaded`."""
    from transforms.backbones.loaded import load

    return load(backbone).engine


def name_classes(scores: np.ndarray, k: int) -> "list[Classes]":
    """Name the k best classes of each image, see `transforms.backbones.graph.classes`."""
    from transforms.backbones.graph.classes import top_classes

    return top_classes(scores, k)


def embedding_spec(
    backbone: Backbone, *, resize: str = "crop", decoded_for: Size | None = None, embedding_dtype: str = "float32"
) -> EmbeddingSpec:
    """Read a backbone's weights and say how its embeddings are made.

    Args:
      backbone: which.
      resize: as `transforms.DecodeImages` has it.
      decoded_for: the largest size that the images are decoded for; default the backbone's own.
      embedding_dtype: of the stored vectors.

    Raises:
      UsageError: the weights cannot be had or do not fit.
    """
    from transforms.backbones.loaded import facts_of

    facts = facts_of(backbone)
    return EmbeddingSpec(
        backbone=backbone.name,
        backbone_kwargs=dict(backbone.backbone_kwargs),
        weights=backbone.weights if backbone.weights in ("imagenet", "random") else "file",
        weights_sha256=facts.weights_sha256,
        output=backbone.output,
        classifier_activation=backbone.classifier_activation if backbone.include_top else None,
        image_size=backbone.size,
        decoded_for=decoded_for or backbone.size,
        resize=resize,
        resize_filter="bilinear",
        pixels_policy=PIXELS_POLICY,
        precision=backbone.precision,
        engine=backbone.engine,
        normalize=backbone.normalize,
        embedding_dtype=embedding_dtype,
        dim=facts.dim,
    )

"""Image backbones, the 40 of Keras and whole models of one's own: naming, checking, loading and running them.

Naming and checking a backbone imports no library; TensorFlow is imported when one is loaded.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from transforms.backbones.backbone import Backbone
    from transforms.backbones.catalog.facts import CatalogRow, catalog_rows, find_backbone
    from transforms.backbones.engines import Engine, choose_engine
    from transforms.backbones.engines.devices import count_gpus, has_gpu
    from transforms.backbones.from_spec import backbone_from_spec
    from transforms.backbones.graph.classes import Classes
    from transforms.backbones.own.header import own_backbone
    from transforms.core.elements import Size
    from transforms.core.spec import EmbeddingSpec

__all__ = [
    "Backbone",
    "CatalogRow",
    "Engine",
    "backbone_from_spec",
    "catalog_rows",
    "choose_engine",
    "count_gpus",
    "embedding_spec",
    "find_backbone",
    "has_gpu",
    "load_backbone",
    "name_classes",
    "note_of",
    "own_backbone",
]

_HOMES = {
    "Backbone": "transforms.backbones.backbone",
    "backbone_from_spec": "transforms.backbones.from_spec",
    "CatalogRow": "transforms.backbones.catalog.facts",
    "catalog_rows": "transforms.backbones.catalog.facts",
    "find_backbone": "transforms.backbones.catalog.facts",
    "Engine": "transforms.backbones.engines",
    "choose_engine": "transforms.backbones.engines",
    "count_gpus": "transforms.backbones.engines.devices",
    "has_gpu": "transforms.backbones.engines.devices",
    "own_backbone": "transforms.backbones.own.header",
}


def __getattr__(name: str) -> Any:
    # Flags take their choices from `engines`, which must not import everything here.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def load_backbone(backbone: "Backbone") -> "Engine":
    """Return the one copy of a backbone in this process, loading it at the first call.

    Raises:
      UsageError: the weights cannot be read or do not fit, or the engine cannot run the backbone here.
    """
    from transforms.backbones import loaded

    return loaded.get(backbone).engine


def note_of(backbone: "Backbone") -> str:
    """Say in words what was taken of a model of the user's own: the place of the weights in it, or its output.

    Raises:
      UsageError: as `load_backbone`.
    """
    from transforms.backbones import loaded

    facts = loaded.facts_of(backbone)
    if facts.found_in:
        return f"the weights of {facts.found_in} in it"
    if not backbone.model:
        return ""
    output = (
        f"the output of {facts.layer}" if facts.layer else "its own output" if not backbone.layer else backbone.output
    )
    without = f", without {facts.why}" if facts.why else ""
    pixels = f"{backbone.model.rescales} in it" if backbone.model.rescales else f"--preprocess {backbone.preprocess}"
    return f"{output}{without}; its input is made by {pixels}"


def name_classes(scores: "np.ndarray", k: int) -> "list[Classes]":
    """Name the `k` best classes of each image: float32 [B, D] -> B tuples of at most `k` (id, name, score)."""
    from transforms.backbones.graph.classes import top_classes

    return top_classes(scores, k)


def embedding_spec(
    backbone: "Backbone",
    *,
    resize: str = "crop",
    resize_filter: str = "bilinear",
    color_profile: str = "ignore",
    central_fraction: float = 1.0,
    decoded_for: "Size | None" = None,
    embedding_dtype: str = "float32",
) -> "EmbeddingSpec":
    """Read a backbone's weights and return how its embeddings are made.

    Args:
      backbone: the backbone with its weights.
      resize: as in `transforms.DecodeImages`.
      resize_filter: likewise.
      color_profile: likewise.
      central_fraction: likewise.
      decoded_for: largest height and width that images are decoded for, in px; default: the backbone's own.
      embedding_dtype: type of the stored vectors.

    Raises:
      UsageError: the weights cannot be read or do not fit.
    """
    from transforms.backbones import loaded
    from transforms.core.spec import BUILT_IN_WEIGHTS, OWN_PREPROCESSING, PIXELS_POLICY, EmbeddingSpec

    facts = loaded.facts_of(backbone)
    return EmbeddingSpec(
        backbone=backbone.architecture,
        backbone_kwargs=dict(backbone.backbone_kwargs),
        weights=backbone.weights if backbone.weights in BUILT_IN_WEIGHTS else "file",
        weights_sha256=facts.weights_sha256,
        output=f"layer:{facts.layer}:{backbone.pooling}" if facts.layer else backbone.output,
        classifier_activation=backbone.classifier_activation if backbone.include_top else None,
        image_size=backbone.size,
        decoded_for=decoded_for or backbone.size,
        resize=resize,
        resize_filter=resize_filter,
        pixels_policy=PIXELS_POLICY,
        precision=backbone.precision,
        normalize=backbone.normalize,
        embedding_dtype=embedding_dtype,
        dim=facts.dim,
        preprocess=backbone.preprocess or OWN_PREPROCESSING,
        color_profile=color_profile,
        central_fraction=central_fraction,
    )

"""The backbones that the settings name."""

import dataclasses
import os
from typing import Any

from pipelines.options.settings import HowToEmbed
from pipelines.plan.runner import Where
from transforms.backbones import Backbone
from transforms.backbones.engines import AUTO, engine_for
from transforms.backbones.kept import prebuild
from transforms.storage.paths import canonical_uri

REWRITES = "EMBED_IMAGES_REWRITES"
"""Environment variable: 0 runs each model as Keras built it, see `transforms.backbones.rewrites`."""


def has_rewrites() -> bool:
    """Whether graphs are rewritten for speed: unless REWRITES says otherwise."""
    return os.environ.get(REWRITES, "") != "0"


def build_ahead(settings: HowToEmbed, beam_args: list[str]) -> None:
    """Start building the graphs that a run on this machine will need, before Beam is imported.

    Does nothing if there are flags for Beam, since another machine may embed, or a weights file, which Beam's
    filesystems may have to copy first.
    """
    if not beam_args and not settings.own_weights:
        prebuild.start(backbones_of(settings, Where()))


def backbones_of(settings: HowToEmbed, where: Where) -> list[Backbone]:
    """Return the backbones that the settings name, or the one that is a whole model.

    The engine 'auto' is the one for GPUs if a GPU is required; where other machines embed, each one chooses.

    Raises:
      UsageError: a setting does not exist or contradicts another, or the model cannot be a backbone.
    """
    choices = _choices(settings)
    if settings.model:
        # Only here: it imports NumPy, which would have threads where a second process is forked to build ahead.
        from transforms.backbones import own_backbone

        backbones = [own_backbone(canonical_uri(settings.model), **choices)]
    else:
        weights = canonical_uri(settings.own_weights) if settings.own_weights else settings.weights
        kwargs = settings.backbone_kwargs
        backbones = [Backbone(name, weights=weights, backbone_kwargs=kwargs, **choices) for name in settings.backbone]
    if settings.engine == AUTO and settings.require_gpu:
        backbones = [dataclasses.replace(b, engine=engine_for(b.read_as, "GPU")) for b in backbones]
    return [backbone.for_this_machine() for backbone in backbones] if where.embeds_here else backbones


def _choices(settings: HowToEmbed) -> dict[str, Any]:
    return {
        "weights_sha256": settings.weights_sha256,
        "pooling": settings.pooling,
        "include_top": settings.include_top,
        "classifier_activation": settings.classifier_activation,
        "top_k": settings.top_k,
        "layer": settings.layer,
        "image_size": settings.image_size,
        "normalize": settings.normalize,
        "precision": settings.precision,
        "engine": settings.engine,
        "trust_model": settings.trust_model,
        "preprocess": settings.preprocess,
        "rewrites": has_rewrites(),
    }

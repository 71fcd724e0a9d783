"""The backbones that the options name."""

import argparse

from transforms.backbones import Backbone, choose_engine
from transforms.backbones.kept import prebuild as ahead


def build_ahead(options: argparse.Namespace, beam_args: list[str]) -> None:
    """Begin to build what a run on this machine will ask for; before Beam is imported.

    With Beam's flags it may be another machine that embeds, and a weights file has its path from Beam's filesystems.
    """
    if not beam_args and options.weights in ("imagenet", "random"):
        ahead.begin([make_backbone(name, options) for name in options.backbone])


def make_backbone(name: str, options: argparse.Namespace, remote: bool = False) -> Backbone:
    """Return one of the backbones that the options name.

    TensorFlow, which is everywhere, runs it where a GPU is required, and on another machine, which is not known here.
    """
    engine = "tensorflow" if options.engine == "auto" and (remote or options.require_gpu) else options.engine
    weights = options.weights
    if weights not in ("imagenet", "random"):
        from transforms.read.uris import canonical_uri

        weights = canonical_uri(weights)
    return Backbone(
        name,
        weights=weights,
        weights_sha256=options.weights_sha256,
        backbone_kwargs=options.backbone_kwargs,
        pooling=options.pooling,
        include_top=options.include_top,
        classifier_activation=options.classifier_activation,
        top_k=options.top_k,
        layer=options.layer,
        image_size=options.image_size,
        normalize=options.normalize,
        precision=options.precision,
        engine=choose_engine(engine),
        trust_saved_model=options.trust_saved_model,
    )

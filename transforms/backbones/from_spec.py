"""From an embedding spec back to a backbone: the reverse of `embedding_spec`."""

from typing import Any

from transforms.backbones.backbone import Backbone
from transforms.backbones.catalog.facts import find_backbone
from transforms.core.errors import UsageError
from transforms.core.spec import BUILT_IN_WEIGHTS, POOLINGS, EmbeddingSpec


def backbone_from_spec(spec: EmbeddingSpec, weights: str = "", **own: Any) -> Backbone:
    """Return the backbone that embeds as a spec says.

    That its weights are those of the spec is known once they are read: `embedding_spec` of it has the same fingerprint.

    Args:
      spec: how the embeddings are made.
      weights: path of the weights, for a spec of weights that are not built in.
      own: arguments of `Backbone` that decide no numbers, e.g. `engine`.

    Raises:
      UsageError: the spec is of own weights, and there is no path; or there is a path, and it is not.
    """
    is_built_in = spec.weights in BUILT_IN_WEIGHTS
    if is_built_in and weights:
        raise UsageError(f"--weights is for own weights, and these embeddings are of {spec.weights} weights; drop it")
    if not is_built_in and not weights:
        raise UsageError(
            f"these embeddings are of own weights for {spec.backbone}; give their path as --weights, their "
            f"weights_sha256 is {spec.weights_sha256}"
        )
    layer, pooling = _output_of(spec.output)
    side = find_backbone(spec.backbone).side
    return Backbone(
        spec.backbone,
        weights=spec.weights if is_built_in else weights,
        backbone_kwargs=spec.backbone_kwargs,
        pooling=pooling,
        include_top=spec.output == "top",
        classifier_activation=spec.classifier_activation or Backbone.classifier_activation,
        layer=layer,
        # Where it is the default, the graph is one that the command keeps.
        image_size=None if spec.image_size == (side, side) else spec.image_size,
        normalize=spec.normalize,
        precision=spec.precision,
        preprocess="" if is_built_in else spec.preprocess,
        **own,
    )


def _output_of(output: str) -> tuple[str, str]:
    """Return the layer, '' for the last, and the pooling of an output, as `Backbone.output` names it."""
    if output in POOLINGS:
        return "", output
    if output == "top":
        return "", Backbone.pooling
    layer, _, pooling = output.removeprefix("layer:").rpartition(":")
    return layer, pooling

"""From an embedding spec back to a backbone: the reverse of `embedding_spec`."""

from typing import Any

from transforms.backbones.backbone import KERAS, ONNX, SAVED_MODEL, Backbone
from transforms.backbones.catalog.facts import find_backbone
from transforms.backbones.own.header import own_backbone
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
    if spec.backbone in (KERAS, SAVED_MODEL, ONNX):
        return _model_from_spec(spec, weights, own)
    is_built_in = spec.weights in BUILT_IN_WEIGHTS
    if is_built_in and weights:
        raise UsageError(f"--weights is for own weights, and these embeddings are of {spec.weights} weights; drop it")
    if not is_built_in and not weights:
        raise UsageError(
            f"these embeddings are of own weights for {spec.backbone}; give their path as --weights, their "
            f"weights_sha256 is {spec.weights_sha256}"
        )
    side = find_backbone(spec.backbone).side
    return Backbone(
        spec.backbone,
        weights=spec.weights if is_built_in else weights,
        backbone_kwargs=spec.backbone_kwargs,
        include_top=spec.output == "top",
        classifier_activation=spec.classifier_activation or Backbone.classifier_activation,
        # Where it is the default, the graph is one that the command keeps.
        image_size=None if spec.image_size == (side, side) else spec.image_size,
        **_numbers_of(spec),
        **own,
    )


def _model_from_spec(spec: EmbeddingSpec, path: str, own: dict[str, Any]) -> Backbone:
    if not path:
        raise UsageError(
            f"these embeddings are of a whole model ({spec.backbone}); give its path as --weights, its weights_sha256 "
            f"is {spec.weights_sha256}"
        )
    found = own_backbone(path, image_size=spec.image_size, preprocess=spec.preprocess, **_numbers_of(spec), **own)
    if found.architecture != spec.backbone:
        raise UsageError(f"--weights {path} is a model of another kind, {found.architecture}, not {spec.backbone}")
    return found


def _numbers_of(spec: EmbeddingSpec) -> dict[str, Any]:
    """Return the arguments that decide numbers of any backbone."""
    layer, pooling = _output_of(spec.output)
    return {"layer": layer, "pooling": pooling, "normalize": spec.normalize, "precision": spec.precision}


def _output_of(output: str) -> tuple[str, str]:
    """Return the layer, '' for the last, and the pooling of an output, as `Backbone.output` names it."""
    if output in POOLINGS:
        return "", output
    if output == "top":
        return "", Backbone.pooling
    layer, _, pooling = output.removeprefix("layer:").rpartition(":")
    return layer, pooling

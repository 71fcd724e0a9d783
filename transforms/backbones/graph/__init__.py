"""From a backbone with its weights to a graph that an engine runs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from transforms.backbones.backbone import Backbone, WeightsFacts


class SavedGraph(Protocol):
    """A graph that was built."""

    @property
    def facts(self) -> "WeightsFacts":
        """Facts of the backbone's weights."""

    def save(self, folder: str) -> None:
        """Write it to a folder; raise OSError if that fails."""


def build(backbone: "Backbone", tell: "Callable[[WeightsFacts], None]" = lambda facts: None) -> SavedGraph:
    """Build a backbone's graph, by TensorFlow or, of ONNX, by ONNX, whichever it is importing only that.

    Args:
      backbone: the backbone to build.
      tell: function that gets the facts of the weights as soon as they are known, in any thread.

    Raises:
      UsageError: the weights cannot be read or do not fit, or the backbone does not give one vector an image, or does
        not take images of this size.
    """
    from transforms.backbones.backbone import ONNX

    if backbone.model and backbone.model.kind == ONNX:
        from transforms.backbones.own.onnx_models.graph import build_onnx_graph

        return build_onnx_graph(backbone, tell)
    from transforms.backbones.graph.graph import build_graph

    return build_graph(backbone, tell)

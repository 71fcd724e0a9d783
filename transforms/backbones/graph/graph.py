"""Build a backbone as one TensorFlow graph: uint8 pixels in, float32 vectors out."""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from transforms.backbones.backbone import KERAS, Backbone, WeightsFacts
from transforms.backbones.engines import ENGINES
from transforms.backbones.graph.held import Step, check_held, num_bytes
from transforms.backbones.graph.model import keras_source
from transforms.backbones.graph.source import GraphSource
from transforms.core.errors import UsageError, one_line
from transforms.core.tensorflow_setup import tf


@dataclasses.dataclass(frozen=True)
class Graph:
    """A backbone as a function: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Attributes:
      function: TensorFlow's concrete function.
      weights: TensorFlow's object that owns the function's variables and tables.
      facts: facts of the backbone's weights.
      engine: name of the engine that will read the graph.
    """

    function: Any
    weights: Any
    facts: WeightsFacts
    engine: str

    def save(self, folder: str) -> None:
        """Write a SavedModel; raise OSError if that fails."""
        module = tf.Module()
        module.weights = self.weights
        # The saver is a subgraph of all variables: some engines find them through it, TensorFlow does not read it.
        options = tf.saved_model.SaveOptions(experimental_skip_saver=not ENGINES[self.engine].reads_names)
        try:
            tf.saved_model.save(module, folder, signatures=self.function, options=options)
        except tf.errors.OpError as e:
            raise OSError(one_line(e)) from e


def build_graph(backbone: Backbone, tell: Callable[[WeightsFacts], None] = lambda facts: None) -> Graph:
    """Build a backbone's graph, and report the facts of its weights as soon as they are known.

    Args:
      backbone: the backbone to build.
      tell: function that gets the facts, called in a thread once the weights are read and hashed.

    Raises:
      UsageError: the weights cannot be read or do not fit, or the backbone does not give one vector per image, or does
        not take images of this size.
    """
    tf.get_logger().setLevel("ERROR")
    source = _source_of(backbone)(backbone)

    def hash_weights() -> WeightsFacts:
        facts = source.facts()
        tell(facts)
        return facts

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        facts = thread.submit(hash_weights)
        function, weights = _trace(backbone, source)
    return Graph(function, weights, facts.result(), backbone.engine)


def _source_of(backbone: Backbone) -> Callable[[Backbone], GraphSource]:
    """Return what builds a backbone of its kind; a whole model's modules are imported where there is one."""
    if not backbone.model:
        return keras_source
    if backbone.model.kind == KERAS:
        from transforms.backbones.own.keras_model import keras_model_source

        return keras_model_source
    from transforms.backbones.own.saved_model import saved_model_source

    return saved_model_source


def _trace(backbone: Backbone, source: GraphSource) -> tuple[Any, Any]:
    function, weights = source.prepare()

    def embed(pixels: Any) -> Any:
        output = tf.cast(function(tf.cast(pixels, tf.float32)), tf.float32)
        if backbone.normalize:
            # Divided by the largest value first: in float32 the squares of small values would vanish.
            output = tf.math.divide_no_nan(output, tf.reduce_max(tf.abs(output), axis=-1, keepdims=True))
            output = tf.math.divide_no_nan(output, tf.norm(output, axis=-1, keepdims=True))
        return output

    def traced(images: int | None) -> Any:
        signature = [tf.TensorSpec([images, *backbone.size, 3], tf.uint8)]
        return tf.function(embed, input_signature=signature, autograph=False).get_concrete_function()

    try:
        if backbone.model:
            # By itself, since what is reshaped has no known size where there may be any number of images.
            check_held(_steps(traced(1).graph), backbone)
        return traced(None), weights
    except UsageError:
        raise
    except (ValueError, TypeError, tf.errors.OpError) as e:
        raise UsageError(f"{backbone.name} cannot be run on images of {backbone.size}: {one_line(e)}") from e


def _steps(graph: Any) -> Iterator[Step]:
    """Yield the operations of a graph; a call is one of them, whatever happens in it."""
    for op in graph.get_operations():
        known = {x.name: num_bytes(x.shape, x.dtype.size) for x in op.outputs if x.shape.rank is not None}
        yield Step(op.name, [x.name for x in op.inputs], known)

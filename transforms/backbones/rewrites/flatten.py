"""Make one level of a model that holds models, without what does nothing at inference."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from transforms.backbones.backbone import KerasModel
from transforms.backbones.graph.keras_applications import keras
from transforms.core.elements import Size

_IDLE = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.SpatialDropout2D,
)
_AUGMENTS, _CROPS = "Random", "RandomCrop"
"""How the names of Keras' layers begin that change images in training, and the one that also does at inference."""
_RESCALES_BY = {"Add", "Divide", "Multiply", "Subtract", "TrueDivide"}
"""Names of operations of `keras.ops` that rescale, by a number."""


class Flat(NamedTuple):
    """A model of one level, and what it did first to its input: float32 [B, H, W, 3] of pixels -> the same shape."""

    model: KerasModel
    preprocess: Callable[[Any], Any]


def flat(model: KerasModel, size: Size) -> Flat:
    """Build a functional model of the same layers and weights, all on one level: keras.Model -> Flat.

    So a rewrite sees a backbone that someone nested in a model, and its rescaling, as it sees the backbone itself.
    Layers for training are left out. A layer that is called twice stays one; a name that is taken gets a number.

    Args:
      model: a functional or Sequential model of one input.
      size: height and width of the images, in px.
    """
    try:
        return _Flattening((*size, 3), takes_rescaling=True).of(model)
    except ValueError:
        # The pixels are read without the rescaling, too.
        return _Flattening((*size, 3), takes_rescaling=False).of(model)


class _Flattening:
    def __init__(self, shape: tuple[int, int, int], takes_rescaling: bool):
        self._image = keras.Input(shape)
        self._takes_rescaling, self._steps = takes_rescaling, list[Callable[[Any], Any]]()
        self._names: dict[str, int] = {}
        self._copies: dict[int, Any] = {}

    def of(self, model: KerasModel) -> Flat:
        output = self._run(model)(self._image)
        steps = self._steps

        def preprocess(x: Any) -> Any:
            return functools.reduce(lambda x, step: step(x), steps, x)

        return Flat(keras.Model(self._image, output), preprocess)

    def _run(self, operation: Any) -> Callable[..., Any]:
        """Return what does the same as an operation of the model, by copies of its layers."""
        if isinstance(operation, keras.Sequential):
            return lambda x, **_: functools.reduce(lambda x, layer: self._run(layer)(x), operation.layers, x)
        if isinstance(operation, keras.Model):
            return lambda *args, **_: operation._run_through_graph([*args], self._run)
        name = type(operation).__name__
        if isinstance(operation, _IDLE) or (name.startswith(_AUGMENTS) and name != _CROPS):
            return lambda *args, **kwargs: (*args, *kwargs.values())[0]
        return lambda *args, **kwargs: self._called(operation, args, kwargs)

    def _called(self, operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if args and args[0] is self._image and self._takes_rescaling and _rescales(operation, args[1:]):
            self._steps.append(lambda x: operation(x, *args[1:]))
            # What follows reads another input; a layer that still reads the first one cannot be connected.
            self._image = keras.Input(self._image.shape[1:])
            return self._image
        if not isinstance(operation, keras.layers.Layer):
            return operation(*args, **kwargs)
        kwargs.pop("training", None)
        copy = self._copies[id(operation)] = self._copy_of(operation)
        is_new = not copy.built
        output = copy(*args, **kwargs)
        if is_new:
            copy.set_weights(operation.get_weights())
        return output

    def _copy_of(self, layer: Any) -> Any:
        if id(layer) in self._copies:
            return self._copies[id(layer)]
        config = layer.get_config()
        name = config["name"]
        self._names[name] = number = self._names.get(name, 0) + 1
        if number > 1:
            config["name"] = f"{name}_in_{number}"
        # The weights are set once it is built; making random ones first would take as long as the rest.
        config.update({key: "zeros" for key in config if key.endswith("_initializer")})
        return type(layer).from_config(config)


def _rescales(operation: Any, others: Any) -> bool:
    """Whether an operation only scales and shifts each channel."""
    if isinstance(operation, keras.layers.Normalization):
        return operation.axis in ((-1,), (3,), ())
    if isinstance(operation, keras.layers.Rescaling):
        return True
    return type(operation).__name__ in _RESCALES_BY and all(isinstance(x, (int, float)) for x in others)

"""Make one level of a model that holds models, without what does nothing at inference."""

from typing import Any

from transforms.backbones.backbone import KerasModel
from transforms.backbones.graph.keras_applications import keras

_IDLE = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.SpatialDropout2D,
)
_AUGMENTS = "Random"
"""How the names of Keras' layers begin that change images in training."""


def flat(model: KerasModel) -> KerasModel:
    """Build a functional model of the same layers and weights, all on one level: keras.Model -> keras.Model.

    So a rewrite sees a backbone that someone nested in a model as it sees the backbone itself. Layers for training are
    left out. A layer that is called twice stays one; a name that is taken gets a number.
    """
    names: dict[str, int] = {}
    copies: dict[int, Any] = {}

    def copy_of(layer: Any) -> Any:
        if id(layer) not in copies:
            config = layer.get_config()
            names[config["name"]] = number = names.get(config["name"], 0) + 1
            if number > 1:
                config["name"] = f"{config['name']}_in_{number}"
            # The weights are set below; making random ones first would take as long as the rest.
            config.update({key: "zeros" for key in config if key.endswith("_initializer")})
            copies[id(layer)] = type(layer).from_config(config)
        return copies[id(layer)]

    def run(operation: Any) -> Any:
        if isinstance(operation, keras.Sequential):
            return lambda x, **_: through(operation.layers, x)
        if isinstance(operation, keras.Model):
            return lambda *args, **_: operation._run_through_graph(_one(args), run)
        if isinstance(operation, _IDLE) or type(operation).__name__.startswith(_AUGMENTS):
            return lambda x, **_: x
        if not isinstance(operation, keras.layers.Layer):
            return operation
        return lambda *args, **kwargs: _called(operation, copy_of(operation), args, kwargs)

    def through(layers: Any, x: Any) -> Any:
        for layer in layers:
            x = run(layer)(x)
        return x

    (of_model,) = model.inputs
    image = keras.Input(of_model.shape[1:], name="image")
    return keras.Model(image, run(model)(image))


def _called(layer: Any, copy: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    is_new = not copy.built
    kwargs.pop("training", None)
    output = copy(*args, **kwargs)
    if is_new:
        copy.set_weights(layer.get_weights())
    return output


def _one(args: Any) -> Any:
    return args[0] if len(args) == 1 else list(args)

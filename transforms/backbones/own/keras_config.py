"""The architecture in a `.keras` file, as JSON: read and checked without Keras, before anything is built of it.

Keras builds whatever class a config names, and some classes run code or read files. So each object in it has to be one
of Keras' own that does neither.
"""

import json
import os
import zipfile
from collections.abc import Iterator
from typing import Any

from transforms.backbones.backbone import Backbone
from transforms.backbones.own.header import Header
from transforms.backbones.weights.containers import MAX_INFLATION
from transforms.core.errors import UsageError, one_line

MAX_CONFIG_BYTES = 16_000_000
"""Maximum size of a config: the largest of Keras' applications, NASNetLarge, has 1 MB."""
MAX_DEPTH = 100
"""Maximum depth of the objects of a config: models in models have some ten levels each."""
MAX_LAYERS = 3_000
"""Maximum number of layers, nested ones counted: NASNetLarge has 1,000. Keras takes seconds to build so many."""

CODE = "runs code of its own"
_MODELS = {"Functional", "Sequential", "Model"}
_KNOWN = {
    "keras",
    "keras.layers",
    "keras.models",
    "keras.activations",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.regularizers",
    "keras.src.engine.functional",
    "keras.src.engine.sequential",
    "keras.src.models.functional",
    "keras.src.models.sequential",
    "builtins",
}
"""Modules whose objects compute, and do nothing else. `builtins` are the names of Keras' functions."""
_OPERATIONS = "keras.src.ops."
"""Where the classes of `keras.ops` are, which a functional model may call."""
_IN_APPLICATIONS = {"LayerScale", "StochasticDepth"}
"""Layers of `keras.applications.convnext`, which are none of `keras.layers`."""
_HUB = "keras_hub"
"""Package whose layers are known where it is installed."""
_VALUES = {"__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__keras_tensor__", "__slice__"}
"""Names that Keras gives to values, not to objects."""
_REFUSED = {
    "Lambda": CODE,
    "__lambda__": CODE,
    "TFSMLayer": "runs a SavedModel",
    "TorchModuleWrapper": CODE,
    "JaxLayer": CODE,
    "FlaxLayer": CODE,
    "StringLookup": "reads a file",
    "IntegerLookup": "reads a file",
    "TextVectorization": "reads a file",
    "QuantizedDTypePolicy": "is for quantized weights",
    "QuantizedFloat8DTypePolicy": "is for quantized weights",
}
_RESCALING = {"Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract"}
"""What makes a network's input from pixels, if it stands before all layers with weights."""


def read_header(local: str, backbone: Backbone) -> Header:
    """Read what a `.keras` file says of its model: local path -> Header.

    Raises:
      UsageError: the file is none, its model cannot be a backbone, or something in it could run code.
    """
    config, num_bytes = read_config(local, backbone)
    try:
        shapes, layers = list(map(_sides, _input_shapes(config))), list(_layers(config))
        rescales = _rescales(layers)
    except (AttributeError, KeyError, TypeError) as e:
        raise UsageError(f"{backbone.given_as} has a config that Keras does not write: {one_line(e)}") from e
    if len(layers) > MAX_LAYERS:
        raise UsageError(f"{backbone.given_as} has {len(layers)} layers, which no model has")
    if len(shapes) != 1:
        raise UsageError(f"{backbone.given_as} takes {len(shapes)} inputs; a backbone takes one, an image")
    (shape,) = shapes
    if len(shape) != 4 or shape[3] != 3:
        raise UsageError(f"{backbone.given_as} takes {tuple(shape)}, not RGB images, (None, height, width, 3)")
    _, height, width, _ = shape
    return Header((height, width) if height and width else None, rescales, num_bytes // 4)


def read_config(local: str, backbone: Backbone) -> tuple[dict[str, Any], int]:
    """Return the config of a `.keras` file, in which all is known, and the size of its weights in bytes.

    Raises:
      UsageError: as `read_header`.
    """
    given_as = backbone.given_as
    try:
        with zipfile.ZipFile(local) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            if sum(sizes.values()) > MAX_INFLATION * os.path.getsize(local):
                raise UsageError(f"{given_as} would inflate to {sum(sizes.values())} bytes, which no model does")
            if sizes["config.json"] > MAX_CONFIG_BYTES:
                raise UsageError(f"{given_as} has a config of {sizes['config.json']} bytes, which no model has")
            with archive.open("config.json") as f:
                # Its size may be a lie.
                text = f.read(MAX_CONFIG_BYTES + 1)
        config = json.loads(text)
        num_bytes = sizes["model.weights.h5"]
    except (OSError, zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, ValueError, RecursionError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"{given_as} is not a .keras file: {one_line(e)}") from e
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise UsageError(f"{given_as} is not a .keras file: its config.json describes no model")
    _check(config, given_as)
    if config.get("class_name") not in _MODELS and not str(config.get("module")).startswith(_HUB):
        raise UsageError(
            f"{given_as} is a {config.get('class_name')}, not a Sequential or functional model; {_OTHERWISE}"
        )
    return config, num_bytes


_OTHERWISE = "export it as a SavedModel, model.export(FOLDER), and give that with --trust_model"


def _check(config: Any, given_as: str, depth: int = 0) -> None:
    """Refuse a config with an object that is not known; drop what only training needs."""
    if depth > MAX_DEPTH:
        raise UsageError(f"{given_as} has a config of more than {MAX_DEPTH} levels, which no model has")
    if isinstance(config, list):
        for value in config:
            _check(value, given_as, depth + 1)
    if not isinstance(config, dict):
        return
    # Losses and metrics may be anyone's.
    config.pop("compile_config", None)
    name, module = config.get("class_name"), config.get("module")
    if name is not None:
        # The name of a function stands beside that it is one.
        said = config.get("config")
        names = [name, said.get("config") if isinstance(said, dict) else said] if name == "function" else [name]
        why = next(filter(None, (_why_refused(str(one), module, config.get("registered_name")) for one in names)), "")
        if why:
            raise UsageError(f"{given_as} holds {names[-1]}, which {why}; {_OTHERWISE}")
    for value in config.values():
        _check(value, given_as, depth + 1)


def _why_refused(name: str, module: Any, registered: Any) -> str:
    if name in _REFUSED:
        return _REFUSED[name]
    if name in _VALUES:
        return ""
    # A name with a dot would lead out of its module.
    if isinstance(module, str) and name.isidentifier():
        if module in _KNOWN and (not registered or ">" not in str(registered)):
            return ""
        if module.startswith(_OPERATIONS) or (module == "keras.src.applications.convnext" and name in _IN_APPLICATIONS):
            return ""
        if module.partition(".")[0] == _HUB:
            from transforms.backbones.own.hub import why_unknown

            return why_unknown(name)
    return f"is not one of Keras' own layers ({registered or module or 'of no module'}) and could run code"


def _layers(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the configs of all layers in their order, those of models in the model in their place."""
    for layer in config.get("config", {}).get("layers", ()):
        if layer.get("class_name") in _MODELS:
            yield from _layers(layer)
        else:
            yield layer


def _input_shapes(config: dict[str, Any]) -> Iterator[list[int | None]]:
    layers = config["config"].get("layers") or []
    inputs = [layer["config"] for layer in layers if layer.get("class_name") == "InputLayer"]
    found = [one.get("batch_shape") or one.get("batch_input_shape") or [] for one in inputs]
    if found:
        yield from found
        return
    if "image_shape" in config["config"]:
        # Of Keras Hub.
        yield [None, *config["config"]["image_shape"]]
        return
    # A Sequential may keep its input's shape beside its layers, or its first layer is a model with one.
    built = (config.get("build_config") or {}).get("input_shape") or config["config"].get("build_input_shape")
    if built:
        yield built
    elif layers and layers[0].get("class_name") in _MODELS:
        yield from _input_shapes(layers[0])


def _sides(shape: Any) -> list[int | None]:
    """Return a shape as it should be; raise TypeError if it is not."""
    if not isinstance(shape, list) or not all(side is None or type(side) is int for side in shape):
        raise TypeError(f"a shape is {shape!r}")
    return shape


def _rescales(layers: list[dict[str, Any]]) -> str:
    """Return the names of what rescales before the first layer that cannot, joined by ' and '; '' if nothing does."""
    found = []
    for layer in layers:
        name = str(layer.get("class_name"))
        if name in _RESCALING:
            found.append(name)
        elif any(kind in name for kind in ("Conv", "Dense", "BatchNormalization", "Attention", "Embedding")):
            break
    return " and ".join(dict.fromkeys(found))

"""Small models of one's own, by the libraries that people make them with."""

import json
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, save

from transforms.backbones import load_backbone, own_backbone
from transforms.core.errors import UsageError

SIDE = 32
PIXELS = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
layers = keras.layers


def refused(path: pathlib.Path | str, **arguments: Any) -> str:
    """Return the one line in which a model is refused, when it is named or when it is loaded."""
    with pytest.raises(UsageError) as error:
        load_backbone(own_backbone(str(path), **arguments))
    assert "\n" not in str(error.value)
    return str(error.value)


def fine_tuned(augmented: bool = True) -> keras.Model:
    """A model as Keras' guide to transfer learning makes it."""
    keras.utils.set_random_seed(7)
    base = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])(image) if augmented else image
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = base(x, training=False)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(x)
    x = layers.Dropout(0.2)(pooled)
    return keras.Model(image, layers.Dense(5, activation="softmax", name="classes")(x))


def up_to(model: keras.Model, layer: str, pixels: np.ndarray = PIXELS) -> np.ndarray:
    """Return what Keras alone gives at a layer."""
    part = keras.Model(model.inputs, model.get_layer(layer).output)
    return part.predict(pixels.astype(np.float32), verbose=0)


def cosine(found: Any, expected: Any) -> float:
    """Return the least cosine of the rows."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def rewritten(path: pathlib.Path, change: Callable[[dict[str, Any]], None]) -> pathlib.Path:
    """Change the config in a `.keras` file; return its path."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    change(config)
    files["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def network(
    batch: str | int = "N",
    side: str | int = SIDE,
    channels_first: bool = True,
    end: str = "softmax",
    opset: int = 17,
) -> ModelProto:
    """A convolution and what `end` says: 'softmax' or 'scores' of five classes, 'vector', 'maps' or 'tokens'."""
    random = np.random.default_rng(3)
    weights = {
        "kernel": random.standard_normal((8, 3, 3, 3)).astype(np.float32),
        "classes": random.standard_normal((8, 5)).astype(np.float32),
        "to_rows": np.array([0, 8, -1], np.int64),
    }
    image = [batch, 3, side, side] if channels_first else [batch, side, side, 3]
    nodes = [] if channels_first else [helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2])]
    nodes.append(helper.make_node("Conv", ["image" if channels_first else "first", "kernel"], ["raw"], strides=[2, 2]))
    nodes.append(helper.make_node("Relu", ["raw"], ["maps"]))
    pooled = [
        helper.make_node("GlobalAveragePool", ["maps"], ["one"]),
        helper.make_node("Flatten", ["one"], ["vector"]),
        helper.make_node("MatMul", ["vector", "classes"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["softmax"], axis=1),
    ]
    rows = [
        helper.make_node("Reshape", ["maps", "to_rows"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["tokens"], perm=[0, 2, 1]),
    ]
    nodes += {"maps": [], "tokens": rows, "vector": pooled[:2], "scores": pooled[:3], "softmax": pooled}[end]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def saved(model: ModelProto, path: pathlib.Path, beside: str = "") -> pathlib.Path:
    """Write an ONNX file, with its data in a file beside it if that has a name; return its path."""
    if beside:
        save(model, str(path), save_as_external_data=True, location=beside, size_threshold=0)
    else:
        save(model, str(path))
    return path

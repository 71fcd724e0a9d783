"""Hostile `.keras` files: what their configs name, how large they claim to be, what their arrays are."""

import io
import json
import pathlib
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import keras
import numpy as np

from tests.hostile_models.trap import Trap

SIDE = 16
MANY = 10**9
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
layers = keras.layers

Files = dict[str, bytes]
"""The members of a `.keras` file, by name."""
Make = Callable[[Trap], Files]


def saved(files: Files, path: pathlib.Path, packing: int = zipfile.ZIP_STORED) -> pathlib.Path:
    """Write a `.keras` file; return its path."""
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def files_of(model: keras.Model) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/a.keras")
        with zipfile.ZipFile(f"{folder}/a.keras") as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def sequential(*more: Any) -> keras.Model:
    """An image, its rescaling, a convolution, more layers, the mean."""
    first = [keras.Input((SIDE, SIDE, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, name="conv")]
    return keras.Sequential([*first, *more, layers.GlobalAveragePooling2D(name="mean")])


def functional(operation: Callable[[Any], Any]) -> keras.Model:
    """The same, with operations on the maps."""
    image = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.GlobalAveragePooling2D()(operation(maps)))


def with_config(change: Callable[[dict[str, Any], Trap], Any]) -> Make:
    """Return what makes the file of a model whose config is changed, or is the text that the change returns."""

    def make(trap: Trap) -> Files:
        files = files_of(sequential())
        config = json.loads(files[CONFIG])
        text = change(config, trap)
        return {**files, CONFIG: text if isinstance(text, bytes) else json.dumps(config).encode()}

    return make


def with_layer(layer: Callable[[Trap], dict[str, Any]]) -> Make:
    return with_config(lambda config, trap: config["config"]["layers"].insert(-1, layer(trap)))


def with_argument(key: str, value: Callable[[Trap], Any]) -> Make:
    """Return what makes the file of a model with another argument of its convolution."""
    return with_config(lambda config, trap: config["config"]["layers"][2]["config"].update({key: value(trap)}))


def with_shape(*sides: Any) -> Make:
    return with_config(lambda config, _: config["config"]["layers"][0]["config"].update(batch_shape=list(sides)))


def with_arrays(change: Callable[[h5py.File, Trap], object]) -> Make:
    def make(trap: Trap) -> Files:
        files = files_of(sequential())
        content = io.BytesIO(files[WEIGHTS])
        with h5py.File(content, "r+") as f:
            change(f, trap)
        return {**files, WEIGHTS: content.getvalue()}

    return make


def with_kernel(put: Callable[[h5py.Group, tuple[int, ...], Trap], object]) -> Make:
    """Return what makes the file of a model with something else as '0', in the place of its kernel."""

    def change(f: h5py.File, trap: Trap) -> None:
        group = f["layers/conv2d/vars"]
        shape = group["0"].shape
        del group["0"]
        put(group, shape, trap)

    return with_arrays(change)


def of(name: str, module: str | None = "keras.layers", registered: str | None = None, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


def function(name: str, module: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function"}


def code(trap: Trap) -> Any:
    """A function as Keras writes a lambda: its code, marshalled."""
    trace = str(trap.trace)
    return layers.Lambda(lambda x: (open(trace, "w").close(), x)[1]).get_config()["function"]


def many_layers(config: dict[str, Any], _: Trap) -> None:
    image, rescaling, *rest = config["config"]["layers"]
    named = ({**rescaling, "config": {**rescaling["config"], "name": f"again_{i}"}} for i in range(10_000))
    config["config"]["layers"] = [image, *named, *rest]


def two_inputs() -> keras.Model:
    images = [keras.Input((SIDE, SIDE, 3)), keras.Input((SIDE, SIDE, 3))]
    return keras.Model(images, layers.GlobalAveragePooling2D()(layers.Add()(images)))


def two_outputs() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    maps = layers.Rescaling(1 / 255)(image)
    return keras.Model(image, [layers.GlobalAveragePooling2D()(maps), layers.GlobalMaxPooling2D()(maps)])


def attention(x: Any) -> Any:
    tokens = layers.Reshape((-1, 1))(layers.UpSampling2D(300)(x))
    return layers.Reshape((4200, 4200, -1))(layers.MultiHeadAttention(1, 1)(tokens, tokens))


def external(group: h5py.Group, shape: tuple[int, ...], trap: Trap) -> None:
    group.create_dataset("0", shape, "f4", external=[(str(trap.secret), 0, h5py.h5f.UNLIMITED)])


def virtual(group: h5py.Group, shape: tuple[int, ...], trap: Trap) -> None:
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource(str(trap.secret), "x", shape)
    group.create_virtual_dataset("0", layout)


def terabytes(group: h5py.Group, shape: tuple[int, ...], trap: Trap) -> None:
    group.create_dataset("0", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def filled(value: Any, kind: str = "f4", sides: tuple[int, ...] = (3, 3, 3, 4)) -> Make:
    return with_kernel(lambda group, *_: group.create_dataset("0", data=np.full(sides, value, kind)))


REFUSED: dict[str, Make] = {
    # Code.
    "Lambda": with_layer(lambda trap: of("Lambda", function=code(trap))),
    "Lambda of a module": with_layer(lambda _: of("Lambda", function=function("ran", "evil"))),
    "pickle": with_layer(lambda _: {**of("TorchModuleWrapper"), "config": {"module": pickle.dumps(print).hex()}}),
    "class of a module": with_layer(lambda _: of("Evil", "evil")),
    "registered class": with_layer(lambda _: of("Evil", "evil", "evil>Evil")),
    "registered name in Keras": with_layer(lambda _: of("Evil", "keras.layers", "evil>Evil")),
    "os.system": with_layer(lambda trap: of("system", "os", command=f"touch {trap.trace}")),
    "subprocess.Popen": with_layer(lambda trap: of("Popen", "subprocess", args=["touch", str(trap.trace)])),
    "dotted name": with_layer(lambda _: of("src.utils.file_utils.get_file", "keras", fname="x", origin="x")),
    "function that fetches": with_layer(lambda _: of("get_file", "keras.utils", fname="x", origin="x")),
    "path as module": with_layer(lambda _: of("Evil", "keras.src.ops.../../evil")),
    "no module": with_layer(lambda _: of("Evil", None)),
    "activation with code": with_argument("activation", code),
    "activation of a module": with_argument("activation", lambda _: function("ran", "evil")),
    "activation by a dotted name": with_argument("activation", lambda _: "evil.ran"),
    "initializer with code": with_argument("kernel_initializer", code),
    "initializer of a module": with_argument("kernel_initializer", lambda _: of("Evil", "evil")),
    "regularizer of a module": with_argument("kernel_regularizer", lambda _: of("Evil", "evil")),
    "constraint of a module": with_argument("kernel_constraint", lambda _: function("ran", "evil")),
    "dtype policy of a module": with_argument("dtype", lambda _: of("Evil", "evil")),
    "build config with code": with_config(
        lambda config, trap: config["config"]["layers"][2].update(build_config={"input_shape": code(trap)})
    ),
    "layer in a layer": with_layer(lambda _: of("TimeDistributed", layer=of("Evil", "evil", "evil>Evil"))),
    "subclass": with_config(lambda config, _: config.update(of("Evil", "evil", "Custom>Evil"))),
    # Files.
    "TFSMLayer": with_layer(lambda trap: of("TFSMLayer", filepath=str(trap.folder))),
    "StringLookup": with_layer(lambda trap: of("StringLookup", vocabulary=str(trap.secret))),
    "IntegerLookup": with_layer(lambda trap: of("IntegerLookup", vocabulary=str(trap.secret))),
    "TextVectorization": with_layer(lambda trap: of("TextVectorization", vocabulary=str(trap.secret))),
    "external link": with_kernel(lambda group, _, trap: group.update({"0": h5py.ExternalLink(str(trap.secret), "x")})),
    "external storage": with_kernel(external),
    "virtual dataset": with_kernel(virtual),
    # Sizes.
    "config of 17 MB": with_config(lambda *_: b" " * 17_000_000),
    "config of 100,000 levels": with_config(lambda *_: b'{"config": ' * 100_000 + b"1" + b"}" * 100_000),
    "config of 900 levels": with_config(lambda *_: b'{"config": ' * 900 + b"1" + b"}" * 900),
    "list of 500,000 levels": with_config(lambda *_: b"[" * 500_000),
    "number of millions of digits": with_config(lambda *_: b'{"config": {"x": ' + b"9" * 5_000_000 + b"}}"),
    "thousands of layers": with_config(many_layers),
    "sides of a gigapixel": with_shape(None, MANY, MANY, 3),
    "a billion filters": with_argument("filters", lambda _: MANY),
    "kernel of a gigapixel": with_argument("kernel_size", lambda _: [MANY, MANY]),
    "array of terabytes": with_kernel(terabytes),
    "zip bomb of a config": lambda _: {**files_of(sequential()), CONFIG: bytes(15_000_000)},
    "zip bomb of weights": lambda _: {**files_of(sequential()), WEIGHTS: bytes(100_000_000)},
    # Sums.
    "Dense of terabytes": with_layer(lambda _: {**of("Dense"), "config": {"units": 10**12}}),
    "ZeroPadding2D": lambda _: files_of(sequential(layers.ZeroPadding2D(10**6))),
    "UpSampling2D": lambda _: files_of(sequential(layers.UpSampling2D(10**5))),
    "Resizing": lambda _: files_of(sequential(layers.Resizing(10**6, 10**6))),
    "RepeatVector": lambda _: files_of(
        sequential(layers.Flatten(), layers.RepeatVector(10**10), layers.Reshape((100_000, -1, 784)))
    ),
    "Embedding": with_layer(lambda _: {**of("Embedding"), "config": {"input_dim": 10**12, "output_dim": 4}}),
    "tile": lambda _: files_of(functional(lambda x: keras.ops.tile(x, (1, 10**5, 10**5, 1)))),
    "broadcast_to": lambda _: files_of(
        functional(lambda x: keras.ops.broadcast_to(keras.ops.mean(x, (1, 2), keepdims=True), (1, 10**6, 10**6, 4)))
    ),
    "one_hot": lambda _: files_of(
        functional(lambda x: keras.ops.sum(keras.ops.one_hot(keras.ops.cast(x, "int32"), 10**10), -1))
    ),
    "attention of all to all": lambda _: files_of(functional(attention)),
    # What is no model, or none for images.
    "NaN as a number": with_argument("filters", lambda _: float("nan")),
    "negative kernel": with_argument("kernel_size", lambda _: [-3, -3]),
    "no layers": with_config(lambda config, _: config["config"].update(layers=[])),
    "two inputs": lambda _: files_of(two_inputs()),
    "two outputs": lambda _: files_of(two_outputs()),
    "one channel": with_shape(None, SIDE, SIDE, 1),
    "no rank": with_shape(),
    "links in a circle": with_arrays(lambda f, _: f.update({"layers/again": h5py.SoftLink("/layers")})),
    "kernel of another shape": filled(0, sides=(1, 1, 3, 4)),
    "kernel of text": filled(b"x", "S4"),
    "kernel that is NaN": filled(np.nan),
    "kernel that is infinite": filled(np.inf),
    "no arrays": with_arrays(lambda f, _: f.clear()),
    "cut arrays": lambda _: {**(files := files_of(sequential())), WEIGHTS: files[WEIGHTS][:3000]},
    "no HDF5": lambda _: {**files_of(sequential()), WEIGHTS: b"junk" * 100},
}
"""By what is wrong with them; a zip bomb is packed when it is saved."""

HARMLESS: dict[str, Make] = {
    "loss with code": with_config(
        lambda config, trap: config.update(
            compile_config={"optimizer": of("Evil", "evil"), "loss": code(trap), "metrics": [function("ran", "evil")]}
        )
    ),
    "key that is said twice": with_config(
        lambda config, _: json.dumps(config).encode()[:-1] + b', "module": "evil", "module": "keras"}'
    ),
    "members that climb": lambda trap: {
        **files_of(sequential()),
        "../../climbed": b"x",
        str(trap.trace): b"x",
        "assets/../../climbed": b"x",
    },
    "hard links in a circle": with_arrays(lambda f, _: f.update({"layers/again": f["layers"]})),
    "long attributes": with_arrays(lambda f, _: f.attrs.update({f"x{i}": np.zeros(8000) for i in range(1000)})),
}
"""What may be in a file, since nobody reads it."""

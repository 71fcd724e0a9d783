"""A backbone is found in the files of any model that holds it once, with every value in its place."""

import collections
import io
import pathlib
import tempfile
import types
from typing import NamedTuple

import h5py
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms import Backbone
from transforms.backbones.weights.nested import taken_out

KINDS = {"conv2d": 1, "batch_normalization": 3, "dense": 2}
"""Number of weights by the kind of a layer; the last of three is not trained."""


class Layer(NamedTuple):
    kind: str
    name: str
    weights: list[np.ndarray]


def write_groups(f: h5py.Group, layers: list[Layer], named: bool) -> None:
    """Write what Keras 3 does: a group for each layer, numbered by its kind."""
    numbers: collections.Counter[str] = collections.Counter()
    for layer in layers:
        number, numbers[layer.kind] = numbers[layer.kind], numbers[layer.kind] + 1
        group = f.create_group(f"layers/{layer.kind}{f'_{number}' if number else ''}/vars")
        if named:
            group.attrs["name"] = layer.name
        for i, weight in enumerate(layer.weights):
            group[str(i)] = weight


def write_lists(f: h5py.Group, models: dict[str, list[Layer]], frozen: set[str]) -> None:
    """Write what Keras 2 does: a list for each layer of the outermost model, first what is trained."""
    f.attrs["layer_names"] = list(models)
    for model, layers in models.items():
        group = f.create_group(model)
        pairs = [(layer, i) for layer in layers for i in range(len(layer.weights))]
        pairs.sort(key=lambda pair: pair[0].name in frozen or pair[1] == 2)
        group.attrs["weight_names"] = [f"{layer.name}/weight{i}:0" for layer, i in pairs]
        for (layer, i), name in zip(pairs, group.attrs["weight_names"], strict=True):
            group[name] = layer.weights[i]


@st.composite
def backbones(draw: st.DrawFn, start: int) -> list[Layer]:
    """Draw layers with names of their own, or those that a session gives that has made some before."""
    layers: list[Layer] = []
    numbers = collections.Counter(dict.fromkeys(KINDS, start))
    for i, kind in enumerate(draw(st.lists(st.sampled_from(list(KINDS)[:2]), min_size=2, max_size=14))):
        number, numbers[kind] = numbers[kind], numbers[kind] + 1
        name = f"{kind}_{number}" if number else kind
        if draw(st.booleans()):
            name = f"block_{i}_{kind}"
        # Neighbours of one kind have other shapes, as where channels change.
        shape = draw(st.sampled_from([(3,), (2, 3), (1, 1, 4)]))
        layers.append(Layer(kind, name, [np.zeros(shape, np.float32)] * KINDS[kind]))
    return layers


def filled(layers: list[Layer], first: float) -> list[Layer]:
    """Give each weight a value that no other has."""
    values = iter(np.arange(first, first + 1000))
    return [layer._replace(weights=[w + np.float32(next(values)) for w in layer.weights]) for layer in layers]


def renumbered(layers: list[Layer], by: int) -> list[Layer]:
    """Rename what a session has numbered, as one would that has made more layers before."""
    renamed = []
    for layer in layers:
        number = layer.name.removeprefix(layer.kind).removeprefix("_")
        own = layer.name.startswith(layer.kind)
        renamed.append(layer._replace(name=f"{layer.kind}_{int(number or 0) + by}") if own else layer)
    return renamed


def fake_model(layers: list[Layer]) -> types.SimpleNamespace:
    def save_weights(path: str) -> None:
        with h5py.File(path, "w") as f:
            write_groups(f, layers, named=True)

    paths = [f"{layer.name}/weight{i}" for layer in layers for i in range(len(layer.weights))]
    return types.SimpleNamespace(
        save_weights=save_weights, weights=[types.SimpleNamespace(path=path) for path in paths]
    )


@given(st.data())
def test_every_value_comes_to_its_place(data: st.DataObject) -> None:
    own = filled(data.draw(backbones(data.draw(st.sampled_from([0, 5])))), 0)
    tuned = filled(renumbered(own, data.draw(st.sampled_from([1, 4, 95]))), 5000)
    head = Layer("dense", "head", [np.ones((3, 5), np.float32), np.ones(5, np.float32)])
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tuned.weights.h5"
        with h5py.File(path, "w") as f:
            if data.draw(st.booleans(), "as Keras 2"):
                frozen = set(data.draw(st.lists(st.sampled_from([layer.name for layer in tuned]))))
                models = (
                    {"base": [*tuned, head]} if data.draw(st.booleans(), "deeper") else {"base": tuned, "head": [head]}
                )
                write_lists(f, models, frozen)
            else:
                named = data.draw(st.booleans(), "named")
                at = data.draw(st.sampled_from(["layers/functional", "layers/sequential/layers/functional_1"]))
                write_groups(f, [head], named)
                write_groups(f.create_group(at), tuned, named)
        before = path.read_bytes()
        with taken_out(str(path), Backbone(weights=str(path)), fake_model(own)) as (alone, _):
            found = arrays_in(pathlib.Path(alone).read_bytes())
        assert path.read_bytes() == before
    expected = io.BytesIO()
    with h5py.File(expected, "w") as f:
        write_groups(f, tuned, named=False)
    np.testing.assert_equal(found, arrays_in(expected.getvalue()))


def arrays_in(content: bytes) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(io.BytesIO(content)) as f:
        f.visititems(lambda name, one: found.update({name: one[()]}) if isinstance(one, h5py.Dataset) else None)
    return found

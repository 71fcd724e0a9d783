"""A backbone inside the file of a larger model, such as a fine-tuned classifier: found by its layers, and taken out.

Files have one of two layouts. Keras 3, and Keras 2 in its last versions, write a group for each layer, inside that of
its model: `layers/functional/layers/conv2d/vars/0`, numbered by class; today's Keras adds the layer's name. Before, and
still in `.h5` files, Keras wrote a group for each layer of the outermost model alone, with a list of names such as
`Conv1/kernel:0`: all weights of a nested model, first those that are trained.
"""

import collections
import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import h5py

from transforms.backbones.backbone import Backbone, KerasModel
from transforms.backbones.weights.containers import listed_layers, opened
from transforms.core.errors import UsageError
from transforms.core.printable import printable

LAYERS = re.compile(r"\b_layer_checkpoint_dependencies\b")
"""How some versions of Keras 2 spell the groups that others call `layers`."""

SHOWN = 3
"""Maximum number of layers that a message names."""


class _Layer(NamedTuple):
    """A layer with weights.

    Attributes:
      name: its name in its model; '' where the file does not tell.
      path: its path below the group of its model; in the older layout its name.
      arrays: its weights, in its own order.
    """

    name: str
    path: str
    arrays: tuple[h5py.Dataset, ...]


class _Place(NamedTuple):
    """A model in a file.

    Attributes:
      path: path of its group; '' for the whole file.
      name: its name, after those of the models that it is in.
      layers: its layers with weights, those of models in it too.
    """

    path: str
    name: str
    layers: list[_Layer]


class _Match(NamedTuple):
    """What of a model has the place of each layer of a backbone.

    Attributes:
      place: the model.
      pairs: each layer of the backbone, in its order, with one of the model; None if there is none.
      doubtful: names of layers that could have the same places.
    """

    place: _Place
    pairs: list[tuple[_Layer, _Layer | None]]
    doubtful: list[str]

    @property
    def num_fitting(self) -> int:
        return sum(_fits(*pair) for pair in self.pairs)

    @property
    def is_whole(self) -> bool:
        return self.num_fitting == len(self.pairs)


def is_alone(local: str, given_as: str, model: KerasModel) -> bool:
    """Whether a file holds as many weights as a model has, so that Keras can load it as it is."""
    with opened(local, given_as) as f:
        whole = [place for place in _places(f) if not place.path]
    return bool(whole) and sum(len(layer.arrays) for layer in whole[0].layers) == len(model.weights)


@contextlib.contextmanager
def taken_out(local: str, backbone: Backbone, model: KerasModel) -> Iterator[tuple[str, str]]:
    """Yield the path of a `.weights.h5` of a backbone alone, and the name of the model in which it was; '' if in none.

    The file is the one that the backbone itself would write, with arrays of the same shapes from the larger file.

    Args:
      local: local path of the larger file, which `refuse_inflated` has accepted.
      backbone: the backbone whose weights the file is.
      model: the backbone, built.

    Raises:
      UsageError: the backbone is not in the file, or is more than once; the message names what is.
      OSError: the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="embed-images-") as folder:
        alone = os.path.join(folder, "backbone.weights.h5")
        model.save_weights(alone)
        with opened(local, backbone.given_as) as f, h5py.File(alone, "r+") as out:
            own_layers = _own_layers(out, model)
            match = _only_one([_match(place, own_layers) for place in _places(f)], backbone)
            for own, found in match.pairs:
                for array, source in zip(own.arrays, found.arrays if found else (), strict=True):
                    name = array.name
                    del out[name]
                    f.copy(source, out, name=name)
        yield alone, printable(match.place.name, 100)


def _own_layers(f: h5py.File, model: KerasModel) -> list[_Layer]:
    """Return a backbone's layers with weights in its own order."""
    order = {weight.path.split("/")[-2]: i for i, weight in enumerate(model.weights)}
    (whole,) = (place for place in _places(f) if not place.path)
    return sorted(whole.layers, key=lambda layer: order[layer.name])


def _only_one(matches: Sequence[_Match], backbone: Backbone) -> _Match:
    """Return the match of the whole backbone, where there is one and no other; raise UsageError elsewhere."""
    weights, name = backbone.weights, backbone.name
    whole = [match for match in matches if match.is_whole]
    # Whatever is in a model is also in those around it.
    inmost = [match for match in whole if not any(_is_around(match.place, other.place) for other in whole)]
    if not inmost:
        hint = "; without --include_top, no top is needed" if backbone.include_top else ""
        raise UsageError(f"--weights {weights} does not fit {name}: {printable(_difference(matches), 300)}{hint}")
    names = [match.place.name for match in inmost] if len(inmost) > 1 else inmost[0].doubtful[:SHOWN]
    if names:
        several = f"more than one {name}, or layers like its own: {printable(', '.join(names), 300)}"
        raise UsageError(f"--weights {weights} holds {several}; save the one that you mean by itself")
    return inmost[0]


def _is_around(outer: _Place, inner: _Place) -> bool:
    return outer.path != inner.path and inner.path.startswith(f"{outer.path}/" if outer.path else "")


def _match(place: _Place, own: Sequence[_Layer]) -> _Match:
    """Match layers by name or, if fewer fit, by path: names may be the user's own, paths swap layers of one class."""
    by_name = _matched_by([layer.name for layer in own], own, [layer.name for layer in place.layers], place)
    by_path = _matched_by([layer.path for layer in own], own, [layer.path for layer in place.layers], place)
    return max(by_name, by_path, key=lambda match: match.num_fitting)


def _matched_by(own_keys: Sequence[str], own: Sequence[_Layer], keys: Sequence[str], place: _Place) -> _Match:
    """Match layers of keys like conv2d_7 in the order of their numbers, which begin where a session had arrived."""
    ours, theirs = _by_stem(own_keys, own), _by_stem(keys, place.layers)
    found: dict[str, _Layer] = {}
    doubtful: list[str] = []
    for stem, layers in ours.items():
        runs = _runs(theirs.get(stem, []), len(layers))
        fitting = [run for run in runs if all(map(_fits, layers, run))]
        found |= {layer.path: one for layer, one in zip(layers, (fitting or runs)[0], strict=False)}
        doubtful += [_name_of(one) for run in fitting[1:] for one in run]
    return _Match(place, [(layer, found.get(layer.path)) for layer in own], doubtful)


def _by_stem(keys: Sequence[str], layers: Sequence[_Layer]) -> dict[str, list[_Layer]]:
    """Group layers by their keys without a number, in the order of the numbers."""
    grouped: dict[str, list[tuple[int, int]]] = collections.defaultdict(list)
    for i, key in enumerate(keys):
        stem, _, number = key.rpartition("_")
        numbered = stem and number.isdecimal() and number.isascii()
        grouped[stem if numbered else key].append((int(number) if numbered else 0, i))
    return {stem: [layers[i] for _, i in sorted(entries)] for stem, entries in grouped.items()}


def _runs(layers: Sequence[_Layer], length: int) -> list[Sequence[_Layer]]:
    """Return each run of neighbours of a length; all there are if they are fewer."""
    return [layers[i : i + length] for i in range(max(1, len(layers) - length + 1))]


def _fits(own: _Layer, found: _Layer | None) -> bool:
    return found is not None and _shapes(own) == _shapes(found)


def _shapes(layer: _Layer) -> list[Any]:
    # Text and the like may be of any size.
    return [array.shape if array.dtype.itemsize <= 8 else array.dtype for array in layer.arrays]


def _name_of(layer: _Layer) -> str:
    return layer.name or layer.path


def _difference(matches: Sequence[_Match]) -> str:
    """Say in words where the model that is most like the backbone differs first, and what it has instead."""
    if not matches:
        return "it has no layers with weights"
    nearest = max(matches, key=lambda match: (match.num_fitting, len(match.place.path)))
    place = f"{nearest.place.name} in it" if nearest.place.name else "it"
    own, found = next(pair for pair in nearest.pairs if not _fits(*pair))
    if found:
        return f"{place} has {_name_of(found)} of {_in_words(found)}, and the backbone {own.name} of {_in_words(own)}"
    matched = {id(other) for _, other in nearest.pairs}
    others = [_name_of(layer) for layer in nearest.place.layers if id(layer) not in matched]
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    instead = f"; it has {', '.join(others[:SHOWN])}{more}" if others else ""
    count = f"{nearest.num_fitting or 'none'} of the {len(nearest.pairs)} layers with weights"
    return f"{place} has {count}, and no {own.name}{instead}"


def _in_words(layer: _Layer) -> str:
    return " + ".join(map(str, _shapes(layer)))


def _places(f: h5py.File) -> list[_Place]:
    """Return all models of a file that have layers with weights."""
    group = f.get("model_weights", f)
    listed = listed_layers(group)
    if listed:
        places = [_Place(name, name, _layers_of(group[name], names)) for name, names in listed if names]
        whole = _Place("", "", [layer for place in places for layer in place.layers])
        # A layer of one is no model.
        return [*(place for place in places if len(place.layers) > 1), whole]
    found: dict[str, list[_Layer]] = collections.defaultdict(list)
    names: dict[str, str] = {}

    def visit(path: str, group: Any) -> None:
        *parts, last = LAYERS.sub("layers", path).split("/")
        # What random numbers start from is no weight.
        if last != "vars" or not isinstance(group, h5py.Group) or parts[-1:] == ["seed_generator"]:
            return
        name = names["/".join(parts)] = str(group.attrs.get("name", ""))
        arrays = [array for _, array in sorted(group.items(), key=lambda item: (len(item[0]), item[0]))]
        if not arrays or not all(isinstance(array, h5py.Dataset) for array in arrays):
            return
        for i, part in enumerate(parts):
            if part == "layers":
                found["/".join(parts[:i])].append(_Layer(name, "/".join(parts[i:]), tuple(arrays)))

    f.visititems(visit)
    return [_Place(path, "/".join(_names_along(path, names)), layers) for path, layers in found.items()]


def _names_along(path: str, names: dict[str, str]) -> Iterable[str]:
    """Yield the name of each model on the way to one, as far as it is known, else that of its group."""
    parts = path.split("/")
    for i, part in enumerate(parts):
        if part not in ("", "layers"):
            yield names.get("/".join(parts[: i + 1])) or part


def _layers_of(group: Any, weight_names: Sequence[str]) -> list[_Layer]:
    """Gather a list of weights by their layers, each in the order of the list."""
    arrays: dict[str, list[h5py.Dataset]] = collections.defaultdict(list)
    for weight in weight_names:
        arrays[weight.split("/")[-2] if "/" in weight else ""].append(group[weight])
    return [_Layer(name, name, tuple(found)) for name, found in arrays.items()]

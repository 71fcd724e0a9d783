"""Weights files as containers: how much they hold, and what they list; no array is read."""

import contextlib
import io
import math
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from transforms.backbones.backbone import KerasModel
from transforms.core.errors import UsageError, one_line

MAX_INFLATION = 4
"""Maximum size of what a file holds, in multiples of its own size or of the model's weights.

A file may hold the state of an optimizer, which for Adam is twice the size of the weights. Weights hardly compress, a
bomb does.
"""
IN_KERAS_FILE = "model.weights.h5"
"""Name of the container of arrays in a `.keras` file, which is a zip archive."""


def refuse_inflated(local: str, given_as: str, model: KerasModel) -> None:
    """Refuse a file that would take far more memory than the model it is for.

    Args:
      local: local path of the file.
      given_as: flag and path as the user gave them, for the message.
      model: the model that the arrays are for.

    Raises:
      UsageError: the file is one, or leads to other files, or is a broken archive.
      OSError: the file is no HDF5.
    """
    needed = sum(_num_bytes(weight) for weight in model.weights)
    with opened(local, given_as) as f:
        if f.visititems_links(lambda _, link: None if isinstance(link, h5py.HardLink) else link):
            raise UsageError(f"{given_as} has links, which weights do not need")
        if f.visititems(lambda _, found: _is_elsewhere(found) or None):
            raise UsageError(f"{given_as} has arrays in other files, which weights do not need")
        held = max(_num_bytes_of_arrays(f), _num_bytes_of_names(f.get("model_weights", f)))
    if held > MAX_INFLATION * max(needed, os.path.getsize(local)):
        raise UsageError(f"{given_as} would inflate to {held} bytes, where the backbone has {needed}")


@contextlib.contextmanager
def opened(local: str, given_as: str) -> Iterator[h5py.File]:
    """Open a file, or the container of arrays in a `.keras` file; takes and raises what `refuse_inflated` does."""
    if not local.endswith(".keras"):
        with h5py.File(local) as f:
            yield f
        return
    try:
        with zipfile.ZipFile(local) as archive:
            inflated = sum(entry.file_size for entry in archive.infolist())
            if inflated > MAX_INFLATION * os.path.getsize(local):
                raise UsageError(f"{given_as} would inflate to {inflated} bytes, which no weights do")
            content = archive.read(IN_KERAS_FILE)
    except (zipfile.BadZipFile, KeyError) as e:
        raise UsageError(f"{given_as} is not a .keras file: {one_line(e)}") from e
    with h5py.File(io.BytesIO(content)) as f:
        yield f


def _is_elsewhere(found: Any) -> bool:
    return isinstance(found, h5py.Dataset) and bool(found.external or found.is_virtual)


def _num_bytes(array: Any) -> int:
    """Return the size of an array once it is read, in bytes: a file may declare many, and hold none of them."""
    num_bytes: int = math.prod(array.shape or ()) * np.dtype(array.dtype).itemsize
    return num_bytes


def _num_bytes_of_arrays(f: h5py.File) -> int:
    sizes: list[int] = []
    f.visititems(lambda _, found: sizes.append(_num_bytes(found)) if isinstance(found, h5py.Dataset) else None)
    return sum(sizes)


def _num_bytes_of_names(group: Any) -> int:
    """Return the size of all that a `.h5` file names as weights: an array may have many names, and is read for each."""
    return sum(_num_bytes(group[layer][name]) for layer, names in listed_layers(group) for name in names)


def listed_layers(group: Any) -> list[tuple[str, list[str]]]:
    """Return the layers that a `.h5` file lists, each with the names of its weights; none where no list is."""
    return [(name, _names(group[name], "weight_names")) for name in _names(group, "layer_names")]


def _names(group: Any, attribute: str) -> list[str]:
    """Return a list that Keras keeps in an attribute or, if it is long, in several: NAME, or NAME0, NAME1, ..."""
    keys = sorted(
        (key for key in group.attrs if key.rstrip("0123456789") == attribute), key=lambda key: (len(key), key)
    )
    names = [name for key in keys for name in group.attrs[key]]
    return [name.decode() if isinstance(name, bytes) else name for name in names]

"""Files that hold far more than weights are refused by what they declare, before any of it is read."""

import io
import os
import pathlib
import subprocess
import sys
import zipfile

import h5py
import keras
import pytest

from tests.transforms.backbones.conftest import SMALL, SUFFIXES, save, usage_error
from transforms import Backbone
from transforms.backbones import load_backbone

HUGE = 1 << 30
"""Number of values in an array that nothing is stored for: 4 GiB in memory, kilobytes on disk."""


def own_file(folder: pathlib.Path, model: keras.Model, suffix: str, change: object) -> str:
    """Write a file of weights, with a change in its HDF5; return its path."""
    path = folder / f"own{suffix}"
    save(model, path)
    if suffix != ".keras":
        with h5py.File(path, "r+") as f:
            change(f)
        return str(path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(content, "r+") as f:
        change(f)
    with zipfile.ZipFile(path, "w") as archive:
        for name, entry in {**entries, "model.weights.h5": content.getvalue()}.items():
            archive.writestr(name, entry)
    return str(path)


def first_array(f: h5py.File) -> str:
    """Return the name of the first array in a file."""
    return f.visititems(lambda name, found: name if isinstance(found, h5py.Dataset) else None)


def inflate(f: h5py.File) -> None:
    """Replace an array with a huge one, of which nothing is stored."""
    name = first_array(f)
    del f[name]
    f.create_dataset(name, shape=(HUGE,), dtype="f4", chunks=(1 << 20,), compression="gzip")


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_inflates_is_refused_before_it_is_read(
    suffix: str, tmp_path: pathlib.Path, model: keras.Model
) -> None:
    """(4d) A stranger's file of a megabyte does not take all of the memory of the machine."""
    path = own_file(tmp_path, model, suffix, inflate)
    assert os.path.getsize(path) < 4_000_000
    code = f"""if True:
        import re
        from transforms import Backbone
        from transforms.backbones import load_backbone
        try:
            load_backbone(Backbone(weights={path!r}, **{SMALL!r}))
        except ValueError as e:
            print(e)
        # Not getrusage, which counts what this process was forked from.
        print(int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024)
    """
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    error, memory = printed.splitlines()
    assert error.startswith(f"--weights {path} would inflate to 42")
    assert int(memory) < 4 * HUGE


def test_an_array_with_many_names_is_counted_for_each(tmp_path: pathlib.Path, model: keras.Model) -> None:
    """(4d) Keras reads an array for each of its names, so that a small file could fill the memory with copies."""

    def repeat(f: h5py.File) -> None:
        layer = f["model_weights"]["conv_pw_13"]
        layer.attrs["weight_names"] = [*layer.attrs["weight_names"]] * 400

    path = own_file(tmp_path, model, ".h5", repeat)
    assert "would inflate to" in usage_error(weights=path, **SMALL)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_leads_to_other_files_is_refused(suffix: str, tmp_path: pathlib.Path, model: keras.Model) -> None:
    def lead(f: h5py.File) -> None:
        name = first_array(f)
        del f[name]
        f[name] = h5py.ExternalLink("/etc/passwd", "/")

    assert "has links" in usage_error(weights=own_file(tmp_path, model, suffix, lead), **SMALL)


@pytest.mark.parametrize("kind", ["external", "virtual"])
def test_arrays_that_lie_in_other_files_are_refused(kind: str, tmp_path: pathlib.Path, model: keras.Model) -> None:
    """(4c) Their bytes would be those of any file that the command may read."""

    def lead(f: h5py.File) -> None:
        name = first_array(f)
        shape = f[name].shape
        del f[name]
        if kind == "external":
            f.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
        else:
            layout = h5py.VirtualLayout(shape, "f4")
            layout[:] = h5py.VirtualSource("/etc/other.h5", "x", shape)
            f.create_virtual_dataset(name, layout)

    assert "arrays in other files" in usage_error(weights=own_file(tmp_path, model, ".weights.h5", lead), **SMALL)


@pytest.mark.exhaustive
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_file_with_the_state_of_its_optimizer_is_accepted(suffix: str, tmp_path: pathlib.Path) -> None:
    model = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / f"trained{suffix}")
    assert os.path.getsize(tmp_path / f"trained{suffix}") > 2.5 * 4 * model.count_params()
    load_backbone(Backbone(weights=str(tmp_path / f"trained{suffix}"), **SMALL))


def test_a_keras_file_without_arrays_is_none(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    assert "is not a .keras file: " in usage_error(weights=str(tmp_path / "empty.keras"))

"""Weights for an architecture that was built here: from Keras' download, or from a file.

A weights file is only ever a container of arrays. A `.keras` or `.h5` file could hold a model's code too; nothing here
reads that part. What a file hashes to is checked before anything parses it.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import socket
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import h5py

from transforms.backbones.backbone import Backbone
from transforms.backbones.graph.keras_applications import keras
from transforms.backbones.weights.hashing import cache_folder, sha256_of_files
from transforms.core.errors import UsageError, one_line
from transforms.storage.gcs import check_access, generations_of, is_gcs

SUFFIXES = (".weights.h5", ".h5", ".keras")
DOWNLOAD_TIMEOUT = 60.0
"""Seconds without a byte from Keras' server until the download is given up."""
MAX_INFLATION = 4
"""How many times its size a `.keras` file may inflate to: weights hardly compress, a bomb does."""


@contextlib.contextmanager
def keras_download(what: str, otherwise: str) -> Iterator[None]:
    """Let one process at a time download, with a timeout, and say in one line what to do when it fails.

    Raises:
      UsageError: `what` is broken in Keras' cache, or not there nor to be downloaded; `otherwise` is the other way out.
    """
    try:
        os.makedirs(cache_folder(), exist_ok=True)
        lock = open(os.path.join(cache_folder(), ".embed-images.lock"), "a")  # noqa: SIM115 (closed by the with)
    except OSError:
        # A cache that cannot be written to can still be read, and needs no lock.
        lock = open(os.devnull)  # noqa: SIM115
    before = socket.getdefaulttimeout()
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        try:
            # Keras prints its progress to stdout, which is for results.
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except Exception as e:
            url = re.search(r"https?://\S+?(?=:?(?:\s|$))", str(e))
            if url:
                failed, advice = "downloaded", f"put {url.group().rpartition('/')[2]} into"
            elif isinstance(e, OSError):
                failed, advice = "read", "delete their file in"
            else:
                raise
            why = one_line(e, 160)
            raise UsageError(f"{what} cannot be {failed} ({why}): {advice} {cache_folder()}, or {otherwise}") from e
        finally:
            socket.setdefaulttimeout(before)


def is_saved_model(path: str) -> bool:
    """Whether weights are a folder.

    Raises:
      UsageError: Cloud Storage cannot be asked.
    """
    if not is_gcs(path) or path.endswith(SUFFIXES):
        return os.path.isdir(path)
    check_access([path])
    try:
        return not {""}.issuperset(generations_of(path))
    except OSError as e:
        raise UsageError(f"cannot read --weights {path}: {one_line(e)}") from e


def load_file(model: Any, backbone: Backbone) -> None:
    """Load a weights file into a model.

    Raises:
      UsageError: the file cannot be read, is not what its sha256 promised, or does not fit; names the first layer.
    """
    path = backbone.weights
    if not path.endswith(SUFFIXES):
        raise UsageError(f"--weights {path} must be imagenet, random or a file ending in {', '.join(SUFFIXES)}")
    with local_copy(path, lambda local: check_sha256(local, backbone)) as local:
        _refuse_bomb(local, path)
        try:
            model.load_weights(local)
        except Exception as e:
            raise UsageError(f"--weights {path} does not fit {backbone.name}: {_misfit(model, local, e)}") from e


@contextlib.contextmanager
def local_copy(path: str, check: Callable[[str], None]) -> Iterator[str]:
    """Give the local path of weights, downloaded where they are remote, once `check` has not raised at it."""
    try:
        if is_gcs(path):
            from transforms.backbones.weights.download import fetched_once

            check_access([path])
            with fetched_once(path, check) as local:
                yield local
            return
        if "://" not in path:
            if not os.path.exists(path):
                raise UsageError(f"there is no weights file {path}")
            check(path)
            yield path
            return
        from transforms.storage.files import download

        with tempfile.TemporaryDirectory() as folder:
            local = os.path.join(folder, path.rpartition("/")[2])
            try:
                download(path, local)
            except ValueError as e:
                raise OSError(one_line(e)) from e
            check(local)
            yield local
    except OSError as e:
        raise UsageError(f"cannot read --weights {path}: {one_line(e)}") from e


def check_sha256(local: str, backbone: Backbone) -> None:
    """Raise UsageError where a file's sha256 is not the one that was asked for."""
    if not backbone.weights_sha256:
        return
    found = sha256_of_files(local)
    if found != backbone.weights_sha256.lower():
        raise UsageError(
            f"--weights {backbone.weights} has sha256 {found}, not the --weights_sha256 {backbone.weights_sha256}"
        )


def _refuse_bomb(local: str, path: str) -> None:
    if not path.endswith(".keras"):
        return
    try:
        with zipfile.ZipFile(local) as archive:
            inflated = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as e:
        raise UsageError(f"--weights {path} is no .keras file: {one_line(e)}") from e
    if inflated > MAX_INFLATION * os.path.getsize(local):
        raise UsageError(f"--weights {path} would inflate to {inflated} bytes, which no weights do")


def _misfit(model: Any, local: str, error: Exception) -> str:
    """Say which layer differs first."""
    text = " ".join(str(error).split())
    named = re.search(
        r"(Shape mismatch in layer.*?\.|Layer '.*?' expected .*? during loading|Layer #\d+ \(named.*)", text
    )
    if named:
        return one_line(ValueError(named.group()))
    with contextlib.suppress(Exception), h5py.File(local) as f:
        group = f.get("model_weights", f)
        names = [n.decode() if isinstance(n, bytes) else n for n in group.attrs["layer_names"]]
        saved = [n for n in names if len(group[n].attrs["weight_names"])]
        wanted = [layer.name for layer in model.layers if layer.weights]
        for i, (a, b) in enumerate(zip([*wanted, "(none)"], [*saved, "(none)"], strict=False)):
            if a != b:
                return f"layer {i} with weights is {a} in the backbone and {b} in the file"
    return one_line(error)


def sha256_of_values(model: Any) -> str:
    """Return the sha256 of all weights' values in the model's order: the same for every container they came in."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight))
    return digest.hexdigest()

"""The user's own weights: a file is a container of arrays, loaded into an architecture that was built here.

A `.keras` or `.h5` file can hold a model's code too; nothing here reads that part. The hash of a file is checked before
anything parses it.
"""

import contextlib
import functools
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator

from transforms.backbones.backbone import Backbone, KerasModel
from transforms.backbones.weights.containers import refuse_inflated
from transforms.backbones.weights.nested import is_alone, taken_out
from transforms.core.errors import UsageError, one_line
from transforms.storage.gcs import check_access, is_gcs
from transforms.storage.hashing import check_regular, sha256_of_files
from transforms.storage.schemes import how_to_install

SUFFIXES = (".weights.h5", ".h5", ".keras")


def load_file(model: KerasModel, backbone: Backbone) -> str:
    """Load a weights file into a model, and return the name of the nested model that it was found in; '' if in none.

    Raises:
      UsageError: the file cannot be read, has a wrong sha256, or holds far more than the model needs; or the backbone
        is not in it, or more than once, and the message names what is.
    """
    path = backbone.weights
    if not path.endswith(SUFFIXES):
        hint = "; a SavedModel is a whole model: give it as --model" if os.path.isdir(path) else ""
        raise UsageError(f"--weights {path} must be imagenet, random or a file ending in {', '.join(SUFFIXES)}{hint}")
    with own_file(backbone) as local, _filling(model, local, backbone):
        if is_alone(local, backbone.given_as, model):
            # What Keras finds wrong with it is said better of its layers.
            with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
                model.load_weights(local)
                return ""
        with taken_out(local, backbone, model) as (alone, place):
            model.load_weights(alone)
        return place


def load_whole(model: KerasModel, local: str, backbone: Backbone) -> None:
    """Load a file's weights into the whole model that it describes; raise UsageError if they do not fit."""
    with _filling(model, local, backbone):
        model.load_weights(local)


@contextlib.contextmanager
def _filling(model: KerasModel, local: str, backbone: Backbone) -> Iterator[None]:
    """Refuse a file that would inflate; say in one line what does not fit, for which Keras raises nearly anything."""
    try:
        refuse_inflated(local, backbone.given_as, model)
        yield
    except UsageError:
        raise
    except Exception as e:
        raise UsageError(f"{backbone.given_as} does not fit {backbone.name}: {one_line(e)}") from e


def own_file(backbone: Backbone) -> contextlib.AbstractContextManager[str]:
    """Give the `local_copy` of own weights or of a whole model, whose sha256 is checked first."""
    return local_copy(backbone.weights, functools.partial(check_sha256, backbone=backbone), backbone.given_as)


@contextlib.contextmanager
def local_copy(path: str, check: Callable[[str], None], given_as: str = "") -> Iterator[str]:
    """Yield the local path of weights, downloaded if they are elsewhere, after `check` has accepted it."""
    given_as = given_as or f"--weights {path}"
    try:
        if is_gcs(path):
            from transforms.backbones.weights.download import downloaded_once

            check_access([path])
            with downloaded_once(path, check) as local:
                yield local
            return
        if "://" not in path:
            if not os.path.exists(path):
                raise UsageError(f"there is no {'model' if given_as.startswith('--model') else 'weights file'} {path}")
            check_regular(path)
            check(path)
            yield path
            return
        from transforms.storage.files import download

        if command := how_to_install(path):
            raise UsageError(f"nothing here reads {given_as}; run: {command}")
        with tempfile.TemporaryDirectory() as folder:
            local = os.path.join(folder, path.rpartition("/")[2])
            try:
                download(path, local)
            except ValueError as e:
                raise OSError(one_line(e)) from e
            check(local)
            yield local
    except OSError as e:
        raise UsageError(f"cannot read {given_as}: {one_line(e)}") from e


def check_sha256(local: str, backbone: Backbone) -> None:
    """Raise UsageError if a file does not have the requested sha256."""
    if not backbone.weights_sha256:
        return
    found = sha256_of_files(local)
    if found != backbone.weights_sha256.lower():
        raise UsageError(
            f"{backbone.given_as} has sha256 {found}, not the --weights_sha256 {backbone.weights_sha256}, given or "
            "found before"
        )


def sha256_of_own(local: str, backbone: Backbone) -> str:
    """Return the sha256 of an `own_file`, in hex: the one that it was checked for, else it is hashed here."""
    return backbone.weights_sha256.lower() or sha256_of_files(local)

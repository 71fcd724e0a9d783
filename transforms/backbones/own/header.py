"""What the file of a whole model says before it is built: which kind it is, which images it takes."""

import dataclasses
import importlib
import os
from typing import Any, NamedTuple

from transforms.backbones.backbone import KERAS, ONNX, SAVED_MODEL, Backbone, OwnModel
from transforms.backbones.graph.held import memory_of_this_machine
from transforms.backbones.preprocessing import CHOICES
from transforms.backbones.weights.files import own_file, sha256_of_own
from transforms.core.elements import Size
from transforms.core.errors import UsageError, one_line
from transforms.core.spec import OWN_PREPROCESSING
from transforms.storage.gcs import check_access, generations_of, is_gcs
from transforms.storage.hashing import size_of_files

MAX_SIDE = 8192
"""Longest side of a model's input, in px: a lie in a file must not take the memory of all images."""
WEIGHT_COPIES = 3
"""Copies of the weights in a process while it builds a model: as they are read, as they are saved, as they run."""

_READERS = {KERAS: "keras_config", ONNX: "onnx_models.file", SAVED_MODEL: "saved_model"}
"""The module that reads the header of each kind."""
_INSTEAD = {
    (".h5", ".hdf5"): "save it again as .keras: keras.models.load_model(PATH).save('model.keras')",
    (
        ".pt",
        ".pth",
        ".bin",
        ".safetensors",
        ".ckpt",
    ): "export it as ONNX: torch.onnx.export(model, example, 'model.onnx')",
    (".pb", ".pbtxt"): "give the folder of the SavedModel",
    (".tflite", ".mlmodel", ".engine", ".xml"): "export the model that it was made from as ONNX",
}
"""What to do with files that other libraries keep models in."""


class Header(NamedTuple):
    """What a file says of its model.

    Attributes:
      size: height and width of the images that it takes, in px; None if any.
      rescales: what in the model makes its input from pixels of 0 to 255, in words; '' if nothing does.
      num_weights: number of its weights, by the size of its files.
    """

    size: Size | None
    rescales: str
    num_weights: int


def own_backbone(
    path: str, *, image_size: Size | None = None, preprocess: str = "", weights_sha256: str = "", **choices: Any
) -> Backbone:
    """Return the backbone that a whole model is, with the input size and the preprocessing that it needs.

    Args:
      path: a `.keras` or `.onnx` file on any Beam filesystem, or a folder, local or gs://, with a SavedModel or one
        `.onnx` file.
      image_size: height and width of the input, in px; needed if the model takes any.
      preprocess: as in `Backbone`; needed unless the model rescales its input itself.
      weights_sha256: what the file must hash to, in hex; '' accepts any, and what it hashes to now is asked of later.
      choices: further arguments of `Backbone`.

    Raises:
      UsageError: there is no such model, it cannot be a backbone, or it does not say what it takes.
    """
    kind = _kind_of(path)
    # Any size and preprocessing, until the header is read.
    asked = Backbone(
        os.path.basename(path.rstrip("/")),
        weights=path,
        weights_sha256=weights_sha256,
        model=OwnModel(kind),
        image_size=image_size or (1, 1),
        preprocess=preprocess or "raw",
        **choices,
    )
    with own_file(asked) as local:
        _check_memory(local, asked)
        module: Any = importlib.import_module(f"{__package__}.{_READERS[kind]}")
        header: Header = module.read_header(local, asked)
        # Workers read the file again, later: it must be the one that was checked here.
        sha256 = sha256_of_own(local, asked)
    if header.size and max(header.size) > MAX_SIDE:
        raise UsageError(f"{asked.given_as} takes images of {header.size} px; the longest side may have {MAX_SIDE}")
    if preprocess == OWN_PREPROCESSING:
        raise UsageError(
            "--preprocess backbone is that of a --backbone; say what the --model takes: raw, unit, tf, ..."
        )
    if not preprocess and not header.rescales:
        raise UsageError(f"{asked.given_as} does not say what it takes; add --preprocess: {CHOICES}")
    if not image_size and not header.size:
        raise UsageError(f"{asked.given_as} takes images of any size; say which with --image_size")
    if image_size and header.size and image_size != header.size:
        height, width = header.size
        raise UsageError(f"{asked.given_as} takes images of {height} x {width} px; drop --image_size")
    own = OwnModel(kind, header.num_weights, "" if preprocess else header.rescales)
    return dataclasses.replace(asked, model=own, image_size=image_size or header.size, weights_sha256=sha256)


def _check_memory(local: str, backbone: Backbone) -> None:
    """Refuse a model that this machine has no memory to build."""
    size = size_of_files(local)
    memory = memory_of_this_machine()
    if memory and WEIGHT_COPIES * size > memory:
        raise UsageError(
            f"{backbone.given_as} has {size / 1e9:.1f} GB, and takes {WEIGHT_COPIES} times that while it is built; "
            f"this machine has {memory / 1e9:.1f} GB"
        )


def _kind_of(path: str) -> str:
    if path.endswith(".keras"):
        return KERAS
    if path.endswith(".onnx"):
        return ONNX
    names = _names_in(path)
    if "saved_model.pb" in names:
        return SAVED_MODEL
    if names:
        models = [name for name in names if name.endswith(".onnx")]
        if len(models) == 1:
            return ONNX
        raise UsageError(f"--model {path} is a folder without a saved_model.pb, and with {len(models)} .onnx files")
    ending = os.path.splitext(path)[1].lower()
    instead = next((text for endings, text in _INSTEAD.items() if ending in endings), "")
    what = "must be a .keras or .onnx file, or the folder of a SavedModel"
    raise UsageError(f"--model {path} {what}{f'; {instead}' if instead else ''}")


def _names_in(path: str) -> list[str]:
    """Return the names in a folder; none if it is no folder."""
    try:
        if is_gcs(path):
            check_access([path])
            return [name for name in generations_of(path) if name and "/" not in name]
        return os.listdir(path) if os.path.isdir(path) else []
    except OSError as e:
        raise UsageError(f"cannot read --model {path}: {one_line(e)}") from e

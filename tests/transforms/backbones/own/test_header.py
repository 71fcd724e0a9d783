"""Which kind of model a path is, and what is said where it is none."""

import os
import pathlib

import pytest

from tests.transforms.backbones.own.conftest import network, refused, saved
from transforms.backbones import own_backbone

TF = {"preprocess": "tf", "engine": "openvino"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mine.h5", "save it again as .keras"),
        ("mine.pth", "export it as ONNX: torch.onnx.export"),
        ("mine.safetensors", "export it as ONNX"),
        ("saved_model.pb", "give the folder of the SavedModel"),
        ("mine.tflite", "export the model that it was made from as ONNX"),
        ("mine", "or the folder of a SavedModel"),
    ],
)
def test_other_files_are_refused_with_what_to_do(name: str, hint: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    said = refused(tmp_path / name)
    assert f"--model {tmp_path / name} must be a .keras or .onnx file" in said
    assert hint in said


def test_a_folder_holds_one_model(tmp_path: pathlib.Path) -> None:
    assert "is a folder without a saved_model.pb, and with 0 .onnx files" in refused(made(tmp_path / "a", "x.txt"))
    assert "with 2 .onnx files" in refused(made(tmp_path / "b", "x.onnx", "y.onnx"))
    folder = made(tmp_path / "c", "notes.txt")
    saved(network(), folder / "x.onnx")
    assert own_backbone(str(folder), **TF).architecture == "onnx"
    # With the slash that a shell's completion leaves.
    assert own_backbone(f"{folder}/", **TF).name == "c"


def test_what_is_not_there_or_never_ends_is_told(tmp_path: pathlib.Path) -> None:
    assert "there is no model" in refused(tmp_path / "none.onnx", **TF)
    os.mkfifo(tmp_path / "pipe.onnx")
    assert "cannot read --model" in refused(tmp_path / "pipe.onnx", **TF)
    (tmp_path / "saved").mkdir()
    os.mkfifo(tmp_path / "saved" / "saved_model.pb")
    assert "no regular file" in refused(tmp_path / "saved", trust_model=True, preprocess="tf")


def test_the_hash_is_compared_before_the_file_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    assert "not the --weights_sha256 00" in refused(tmp_path / "junk.onnx", weights_sha256="00", **TF)


def made(folder: pathlib.Path, *names: str) -> pathlib.Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder

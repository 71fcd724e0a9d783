"""The user's own weights: from each kind of file, never its code, and what is said when they do not fit."""

import hashlib
import os
import pathlib
import zipfile

import keras
import pytest
from apache_beam.io.localfilesystem import LocalFileSystem

from tests.conftest import exhaustive
from tests.transforms.backbones.conftest import PIXELS, SMALL, SUFFIXES, assert_same, plain, save, usage_error
from transforms import Backbone
from transforms.backbones import load_backbone
from transforms.backbones.weights.files import check_sha256, local_copy
from transforms.core.errors import UsageError


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_come_from_each_kind_of_file(tmp_path: pathlib.Path, model: keras.Model, suffix: str) -> None:
    path = tmp_path / f"own{suffix}"
    save(model, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = load_backbone(Backbone(weights=str(path), weights_sha256=sha256.upper(), **SMALL))
    assert_same(loaded(PIXELS), plain(model))


def test_a_wrong_sha256_is_refused_before_the_file_is_parsed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "not-even-hdf5.h5"
    path.write_bytes(b"junk")
    assert "not the --weights_sha256 00" in usage_error(weights=str(path), weights_sha256="00", **SMALL)


def test_a_sha256_is_compared_in_any_case_and_only_where_it_is_asked_for(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    for accepted in ("", sha256, sha256.upper()):
        check_sha256(str(path), Backbone(weights=str(path), weights_sha256=accepted))


@pytest.mark.parametrize("place", [63, *exhaustive(0, 8)])
def test_a_sha256_is_compared_by_each_of_its_digits(place: int, tmp_path: pathlib.Path) -> None:
    """(5d) Weights that share the start of a hash with the right ones, which anyone can make, are refused."""
    path = tmp_path / "a.h5"
    path.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    other = sha256[:place] + f"{int(sha256[place], 16) ^ 1:x}" + sha256[place + 1 :]
    for wrong in (other, sha256[:place]) if place else (other,):
        with pytest.raises(UsageError, match=f"has sha256 {sha256}, not the --weights_sha256 {wrong}"):
            check_sha256(str(path), Backbone(weights=str(path), weights_sha256=wrong))


@pytest.mark.parametrize("suffix", [SUFFIXES[1], *exhaustive(SUFFIXES[0], SUFFIXES[2])])
def test_weights_that_do_not_fit_name_the_layer(tmp_path: pathlib.Path, model: keras.Model, suffix: str) -> None:
    path = tmp_path / f"own{suffix}"
    save(model, path)
    assert "conv1" in usage_error(name="MobileNet", weights=str(path))
    assert "conv1" in usage_error(name="ResNet50", weights=str(path)).lower()


def test_weights_that_are_missing_broken_or_of_another_kind_are_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"junk")
    (tmp_path / "a.keras").write_bytes(b"junk")
    assert "cannot read --weights foo://none.h5" in usage_error(weights="foo://none.h5")
    assert "no weights file" in usage_error(weights=str(tmp_path / "none.h5"))
    assert "reads --weights s3://b/w.h5; run: pip install 'apache-beam[aws]'" in usage_error(weights="s3://b/w.h5")
    assert "does not fit" in usage_error(weights=str(tmp_path / "a.h5"))
    assert "is not a .keras file" in usage_error(weights=str(tmp_path / "a.keras"))
    assert "must be imagenet, random or a file" in usage_error(weights="imagenet21k")


@pytest.mark.parametrize("special", ["a pipe", "/proc/kmsg", "/dev/zero"])
def test_weights_that_never_end_are_refused(special: str, tmp_path: pathlib.Path) -> None:
    """(4c) A path that is no file is answered with a line, not with a command that hangs."""
    path = tmp_path / "a.weights.h5"
    if special == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(special)
    found = usage_error(weights=str(path), **SMALL)
    what = "made up by the system while it is read" if special == "/proc/kmsg" else "no regular file"
    assert found.startswith(f"cannot read --weights {path}: {what}: {path}")


def test_a_keras_file_that_inflates_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(10_000_000))
    assert "would inflate to 10000000 bytes" in usage_error(weights=str(path))


def test_the_code_in_a_weights_file_is_not_run(tmp_path: pathlib.Path) -> None:
    sign = tmp_path / "ran"
    path = tmp_path / "hostile.keras"
    program = keras.layers.Lambda(lambda x, sign=str(sign): (open(sign, "w").close(), x)[1])
    keras.Sequential([keras.Input((64, 64, 3)), program]).save(path)
    sign.unlink(missing_ok=True)
    usage_error(weights=str(path), **SMALL)
    assert not sign.exists()


def test_a_saved_model_is_no_weights(tmp_path: pathlib.Path) -> None:
    (tmp_path / "saved").mkdir()
    says = "a file ending in .weights.h5, .h5, .keras; a SavedModel is a whole model: give it as --model"
    assert usage_error(weights=str(tmp_path / "saved"), **SMALL).endswith(says)


def test_a_local_file_is_read_where_it_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"weights")
    checked: list[str] = []
    with local_copy(str(path), checked.append) as local:
        assert local == str(path)
    assert checked == [str(path)]
    assert path.exists()


class Disk(LocalFileSystem):
    """A filesystem that Beam knows and this project does not: disk:///PATH."""

    @classmethod
    def scheme(cls) -> str:
        return "disk"

    def open(self, path: str, *arguments: object, **named: object) -> object:
        return super().open(path.removeprefix("disk://"), *arguments, **named)


def test_a_file_on_another_filesystem_is_copied_for_as_long_as_it_is_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.weights.h5"
    path.write_bytes(b"weights")
    checked: list[bytes] = []
    with local_copy(f"disk://{path}", lambda local: checked.append(pathlib.Path(local).read_bytes())) as local:
        assert local != str(path)
        assert os.path.basename(local) == "a.weights.h5"
        assert pathlib.Path(local).read_bytes() == b"weights"
    assert checked == [b"weights"]
    assert not os.path.exists(local)
    assert path.exists()


def test_a_file_that_is_not_on_another_filesystem_is_named(tmp_path: pathlib.Path) -> None:
    path = f"disk://{tmp_path}/none.h5"
    with pytest.raises(UsageError, match=f"cannot read --weights {path}: "), local_copy(path, print):
        pytest.fail("it was there")

"""Keras' own downloads: once, by one process at a time, and told in one line where they fail."""

import concurrent.futures
import pathlib
import socket
import sys
import threading
import time

import keras
import pytest

from tests.conftest import answer
from tests.transforms.backbones.conftest import PIXELS, SMALL, assert_same, plain, usage_error
from transforms import Backbone
from transforms.backbones import load_backbone
from transforms.backbones.weights.keras_download import TIMEOUT, keras_download, keras_folder
from transforms.core.errors import UsageError


def test_weights_are_downloaded_once_and_their_absence_names_both_ways_out(
    serve: object, own_keras_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch, model: keras.Model
) -> None:
    no_top = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3))
    no_top.set_weights(model.get_weights())
    no_top.save(own_keras_home / "made.h5")
    file = (own_keras_home / "made.h5").read_bytes()
    requests: list[str] = []

    def handler(request: object) -> None:
        requests.append(request.path)
        if request.path.endswith("mobilenet_2_5_224_tf_no_top.h5"):
            answer(request, 200, file)
        else:
            answer(request, 404)

    address = serve(handler) + "/"
    module = sys.modules[keras.applications.MobileNet.__module__]
    monkeypatch.setattr(module, "BASE_WEIGHT_PATH", address)
    message = usage_error(name="MobileNet", backbone_kwargs={"alpha": 0.5}, image_size=(64, 64))
    assert f"put mobilenet_5_0_224_tf_no_top.h5 into {own_keras_home}/models" in message
    assert "--weights random" in message
    assert "--weights FILE" in message
    for normalize in (False, True):
        loaded = load_backbone(Backbone(weights="imagenet", normalize=normalize, **SMALL))
        assert loaded(PIXELS).shape == (len(PIXELS), 256)
    assert_same(load_backbone(Backbone(**SMALL))(PIXELS), plain(model))
    assert requests.count("/mobilenet_2_5_224_tf_no_top.h5") == 1
    assert (own_keras_home / "models" / "mobilenet_2_5_224_tf_no_top.h5").read_bytes() == file


def test_imagenet_weights_that_are_broken_are_named(own_keras_home: pathlib.Path) -> None:
    broken = own_keras_home / "models" / "mobilenet_2_5_224_tf_no_top.h5"
    broken.parent.mkdir()
    broken.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    message = usage_error(weights="imagenet", normalize=True, pooling="max", **SMALL)
    assert f"delete their file in {own_keras_home}/models" in message


def test_the_folder_is_the_one_that_keras_uses(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_folder() == str(tmp_path / "models")
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keras_folder() == str(tmp_path / ".keras" / "models")


def test_progress_goes_to_stderr_and_results_alone_to_stdout(
    own_keras_home: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with keras_download("something", "do without"):
        print("1/2")
    assert capsys.readouterr() == ("", "1/2\n")


def test_a_server_that_falls_silent_is_given_up_and_other_sockets_wait_as_before(own_keras_home: pathlib.Path) -> None:
    before = socket.getdefaulttimeout()
    with keras_download("something", "do without"):
        assert socket.getdefaulttimeout() == TIMEOUT
    assert socket.getdefaulttimeout() == before
    with pytest.raises(UsageError), keras_download("something", "do without"):
        raise OSError("broken")
    assert socket.getdefaulttimeout() == before


def test_one_at_a_time_downloads(own_keras_home: pathlib.Path) -> None:
    together, inside, most = threading.Barrier(4), [], []

    def download(number: int) -> None:
        together.wait()
        with keras_download("something", "do without"):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(download, range(4)))
    assert most == [1, 1, 1, 1]


def test_a_folder_that_cannot_be_written_to_is_read_without_a_lock(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with keras_download("something", "do without"):
        assert keras_folder() == str(tmp_path / "file" / "models")
    assert (tmp_path / "file").read_text() == ""


def test_an_error_that_is_about_no_file_stays_what_it_is(own_keras_home: pathlib.Path) -> None:
    with pytest.raises(ZeroDivisionError), keras_download("something", "do without"):
        _ = 1 / 0

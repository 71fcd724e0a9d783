"""Graphs built by a process of their own while the command imports Beam: found, reported and ended as if by itself."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.sample_images import sample_pixels
from tests.conftest import sample_image
from transforms import Backbone
from transforms.backbones import ahead

COMMAND = "import sys; from pipelines.command import main; code = main(sys.argv[1:]); "
IMPORTED = "print('tensorflow' in sys.modules); "
SMALL = ("--weights", "random", "--image_size", "64", "--engine", "openvino")


@pytest.fixture
def arguments(tmp_path: pathlib.Path) -> list[str]:
    sample_image(3, 64, 64).save(tmp_path / "image.png")
    return ["--input", str(tmp_path / "image.png"), "--output", str(tmp_path / "out"), *SMALL]


@pytest.fixture
def environment(tmp_path: pathlib.Path) -> dict[str, str]:
    return {**os.environ, "EMBED_IMAGES_CACHE": str(tmp_path / "cache")}


def run(code: str, arguments: list[str], environment: dict[str, str]) -> tuple[int, list[str], str]:
    command = [sys.executable, "-c", code + "sys.exit(code)", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        out, err = process.communicate()
    # Nobody of its group is left.
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    return process.returncode, out.splitlines(), err


def test_another_process_builds_and_the_numbers_are_keras_own(
    arguments: list[str], environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    arguments += ["--backbone", "MobileNetV2,MobileNet"]
    code, out, err = run(COMMAND + IMPORTED, arguments, environment)
    assert (code, out[-1], err) == (0, "False", "")
    assert len(os.listdir(tmp_path / "cache")) == 2
    image = keras.applications.mobilenet.preprocess_input(sample_pixels(3, 64, 64, grain=0)[None].astype(np.float32))
    for name in ("MobileNetV2", "MobileNet"):
        keras.utils.set_random_seed(0)
        build = getattr(keras.applications, name)
        model = build(weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3))
        (shard,) = (tmp_path / "out" / name).glob("*.parquet")
        (vector,) = pq.read_table(shard)["embedding"].to_pylist()
        expected = model(image, training=False).numpy()[0]
        np.testing.assert_allclose(vector, expected, rtol=1e-3, atol=np.abs(expected).max() * 1e-4)


def test_what_cannot_be_read_is_the_same_one_line(arguments: list[str], environment: dict[str, str]) -> None:
    code, out, err = run(COMMAND + IMPORTED, [*arguments, "--layer", "block_1_padd"], environment)
    assert (code, out) == (2, ["False"])
    assert err == "embed-images: MobileNetV2 has no layer 'block_1_padd' (did you mean 'block_1_pad'?)\n"


def test_a_mistake_does_not_wait_for_the_graph(
    arguments: list[str], environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    code, out, err = run(COMMAND + IMPORTED, [*arguments, "--input", str(tmp_path / "none")], environment)
    assert (code, out) == (2, ["False"])
    assert err.startswith("embed-images: nothing matches --input")
    assert not list(tmp_path.glob("cache/*"))


@pytest.mark.parametrize(
    ("prevented", "cached"),
    [
        ("import os; from transforms.backbones import ahead; ahead._build = lambda *_: os._exit(9); ", True),
        ("import os; os.fork = lambda: os.open('/nowhere', os.O_RDONLY); ", True),
        ("", False),
    ],
    ids=["died", "refused", "no cache"],
)
def test_the_command_builds_what_nobody_else_does(
    prevented: str, cached: bool, arguments: list[str], environment: dict[str, str]
) -> None:
    environment = environment if cached else {**environment, "EMBED_IMAGES_CACHE": ""}
    code, out, err = run(prevented + COMMAND + IMPORTED, arguments, environment)
    assert (code, out[-1], err) == (0, "True", "")


def test_an_interrupt_ends_both_processes(arguments: list[str], environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", COMMAND + "sys.exit(code)", *arguments]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stderr.read() == "\nembed-images: interrupted\n"
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_nothing_is_begun_in_a_process_that_may_have_threads(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path))
    backbone = Backbone("MobileNet", weights="random", image_size=(32, 32))
    ahead.begin([backbone])
    assert (ahead.facts(backbone), ahead.entry(backbone)) == (None, None)

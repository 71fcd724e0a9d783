"""What this machine computes with, found out without any library."""

import glob
import pathlib
import platform

import pytest

from transforms.backbones.engines import devices
from transforms.backbones.engines.devices import count_gpus, has_gpu, model_of, processor_flags


@pytest.mark.parametrize(
    ("names", "gpus"),
    [
        ([], 0),
        (["nvidiactl", "nvidia-uvm", "nvidia-modeset", "null"], 0),
        (["nvidia0", "nvidiactl", "nvidia-uvm"], 1),
        (["nvidia0", "nvidia1", "nvidia10", "nvidiactl"], 3),
    ],
    ids=["none", "a driver alone", "one", "three"],
)
def test_gpus_are_counted_by_their_devices(
    names: list[str], gpus: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dev").mkdir()
    for name in names:
        (tmp_path / "dev" / name).write_text("")
    find = glob.glob
    monkeypatch.setattr(devices.glob, "glob", lambda pattern: find(f"{tmp_path}{pattern}"))
    assert (count_gpus(), has_gpu()) == (gpus, gpus > 0)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have other words")
def test_the_processor_s_flags_are_those_that_linux_tells() -> None:
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    (first, *_) = [line.partition(":")[2].split() for line in lines if line.startswith("flags")]
    assert {"sse2", "fpu"} <= processor_flags() >= set(first)


def test_a_processor_of_which_nothing_is_told_has_no_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise FileNotFoundError("/proc/cpuinfo")

    monkeypatch.setattr("builtins.open", closed)
    assert processor_flags() == set()
    assert model_of("CPU") == platform.machine()


def test_the_model_is_the_one_that_the_system_tells(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "proc" / "driver" / "nvidia" / "gpus" / "0000:01:00.0" / "information"
    find = glob.glob
    monkeypatch.setattr(devices.glob, "glob", lambda pattern: find(f"{tmp_path}{pattern}"))
    assert model_of("GPU") == "GPU"
    told.parent.mkdir(parents=True)
    told.write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 98\n")
    assert model_of("GPU") == "NVIDIA H200"
    assert model_of("CPU")

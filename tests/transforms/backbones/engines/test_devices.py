"""What this machine computes with, found out without any library."""

import glob
import pathlib
import platform
from typing import Any

import pytest

from transforms.backbones.engines import devices
from transforms.backbones.engines.devices import count_gpus, gpu_memories, has_gpu, model_of, processor_flags


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


class Driver:
    """NVIDIA's driver, of GPUs of some memory; the calls named in `failing` return an error."""

    def __init__(self, *memories: int, failing: str = "") -> None:
        self.memories, self.failing = memories, failing

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._done("cuInit")

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.memories)
        return self._done("cuDeviceGetCount")

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = 100 + index
        return self._done("cuDeviceGet")

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:  # noqa: N802
        memory._obj.value = self.memories[device.value - 100]
        return self._done("cuDeviceTotalMem_v2")

    def _done(self, call: str) -> int:
        return 100 if call == self.failing else 0


@pytest.mark.parametrize(
    ("driver", "memories"),
    [
        (Driver(24 << 30), [24 << 30]),
        (Driver(80 << 30, 16 << 30), [80 << 30, 16 << 30]),
        (Driver(), []),
        *(
            (Driver(1, failing=call), [])
            for call in ("cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceTotalMem_v2")
        ),
    ],
)
def test_the_memory_of_each_gpu_is_what_the_driver_tells(
    driver: Driver, memories: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices.ctypes, "CDLL", {"libcuda.so.1": driver}.__getitem__)
    assert gpu_memories() == memories


def test_without_a_driver_no_gpu_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(devices.ctypes, "CDLL", missing)
    assert gpu_memories() == []


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

"""Run a program and measure all of it: seconds, peak memory of its whole process tree, bytes that it wrote."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import psutil

SAMPLED_EVERY = 0.5
"""Seconds between two looks at the memory. A look takes a core some 20 ms per GB, so timed runs are not looked at."""

FOR_ALL = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}
"""Variables that this project sets for itself; all ways get them, so that none is slower without."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """One run: seconds of the whole process, steady images per second, MB at the peak (0 if timed), MB written."""

    seconds: float
    images: int
    steady: float
    peak_mb: float
    written_mb: float

    @property
    def rate(self) -> float:
        """Images per second, whole process."""
        return self.images / self.seconds


def measure(way: str, photos: str, backbone: str, environment: dict[str, str], memory: bool) -> Measured:
    """Run a way on a folder of photos in a process of its own, and look at its memory if asked; raise if it fails."""
    with (
        tempfile.TemporaryDirectory() as output,
        tempfile.TemporaryFile("w+") as printed,
        tempfile.TemporaryFile("w+") as complained,
    ):
        command = [sys.executable, "-m", f"benchmarks.ways.{way}", photos, output, backbone]
        started = time.monotonic()
        process = psutil.Popen(
            command,
            stdout=printed,
            stderr=complained,
            env={**os.environ, **FOR_ALL, **environment},
        )
        peak, code = 0, None
        while code is None:
            peak = max(peak, _memory(process)) if memory else 0
            with contextlib.suppress(psutil.TimeoutExpired):
                code = process.wait(SAMPLED_EVERY if memory else None)
        seconds = time.monotonic() - started
        if code:
            complained.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {code}: {complained.read()[-2000:]}")
        printed.seek(0)
        said = json.loads(printed.read().splitlines()[-1])
        written = sum(file.stat().st_size for file in pathlib.Path(output).rglob("*") if file.is_file())
    return Measured(seconds, said["images"], said["steady"], peak / 1e6, written / 1e6)


def _memory(process: psutil.Process) -> int:
    """Return the memory of all processes, in bytes, or the highest peak of one of them so far, if that is more."""
    total = highest = 0
    for one in [process, *_children(process)]:
        with contextlib.suppress(psutil.Error, OSError):
            # Proportional: what processes share counts once.
            total += one.memory_full_info().pss
            highest = max(highest, _peak(one.pid))
    return max(total, highest)


def _peak(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a command cost: seconds of the whole process, seconds of processors, MB at the peak, and the load."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    load: float


def cost_of(command: list[str], environment: dict[str, str]) -> Cost:
    """Run a command in a process of its own; raise if it fails.

    The peak is that of the largest process, the load the mean of the last minute, with the command's own.
    """
    with tempfile.TemporaryFile("w+") as printed:
        started = time.monotonic()
        process = subprocess.Popen(
            command, stdout=printed, stderr=subprocess.STDOUT, env={**os.environ, **FOR_ALL, **environment}
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            printed.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {printed.read()[-2000:]}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3, os.getloadavg()[0])

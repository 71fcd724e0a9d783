"""What this machine can compute with, found without any library: its GPUs, its processor and what that can do."""

import ctypes
import glob
import platform


def count_gpus() -> int:
    """Return the number of NVIDIA GPUs of this machine, including those that TensorFlow cannot use."""
    return len(glob.glob("/dev/nvidia[0-9]*"))


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU."""
    return count_gpus() > 0


def gpu_memories() -> list[int]:
    """Return the memory of each GPU that this process may use, in bytes, as NVIDIA's driver tells; none without it."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count, device, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return []
    memories = []
    for index in range(count.value):
        if driver.cuDeviceGet(ctypes.byref(device), index) or driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device):
            return []
        memories.append(memory.value)
    return memories


def processor_flags() -> set[str]:
    """Return the processor's capabilities by Linux's names, e.g. 'amx_bf16'; empty on other systems."""
    return set(_first_line("/proc/cpuinfo", "flags").split())


def model_of(device: str) -> str:
    """Return the model of a device, 'CPU' or 'GPU', e.g. 'NVIDIA H200'; of a processor at least its kind, 'arm64'."""
    if device == "GPU":
        found = [_first_line(path, "Model") for path in sorted(glob.glob("/proc/driver/nvidia/gpus/*/information"))]
        return found[0] if found else device
    return _first_line("/proc/cpuinfo", "model name") or platform.machine()


def _first_line(path: str, key: str) -> str:
    """Return what follows the first `key` in a file of Linux's; '' if there is no such file or line."""
    try:
        with open(path, encoding="ascii", errors="replace") as f:
            line = next((line for line in f if line.startswith(key)), "")
    except OSError:
        return ""
    return " ".join(line.partition(":")[2].split())

"""What this machine can compute with, found without any library: its GPUs, its processor's capabilities."""

import glob


def count_gpus() -> int:
    """Return the number of NVIDIA GPUs of this machine, including those that TensorFlow cannot use."""
    return len(glob.glob("/dev/nvidia[0-9]*"))


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU."""
    return count_gpus() > 0


def processor_flags() -> set[str]:
    """Return the processor's capabilities by Linux's names, e.g. 'amx_bf16'; empty on other systems."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            return set(next((line for line in f if line.startswith("flags")), "").split())
    except OSError:
        return set()

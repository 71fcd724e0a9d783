"""What runs a backbone's graph on a processor or a GPU.

An engine takes the graph and gives a function, uint8 [B, H, W, 3] -> float32 [B, D]. Naming and choosing
one imports none of them.
"""

import glob
import importlib.util
from typing import Protocol

import numpy as np

from transforms.core.errors import UsageError

ENGINES = ("tensorflow", "openvino")
PRECISIONS = ("float32", "bfloat16", "float16")


class Engine(Protocol):
    """A graph that is ready to run.

    Attributes:
      device: the kind that it runs on, 'CPU' or 'GPU'.
      device_memory: of a GPU, in bytes; 0 on a CPU.
      devices: how many that can work at the same time.
      batches: how many each of them takes at the same time: two where a core that has nothing left of the first one
        begins the second, one where there is memory for one.
    """

    device: str
    device_memory: int
    devices: int
    batches: int

    def __call__(self, pixels: np.ndarray, index: int = 0) -> np.ndarray:
        """Embed a batch on the device of an index: uint8 [B, H, W, 3] -> float32 [B, D].

        Raises:
          OutOfMemoryError: the device has no room for it.
        """


def check_engine(engine: str, precision: str) -> None:
    """Make the engine ready for graphs of a precision.

    Raises:
      UsageError: the engine is not installed here, or this machine does not compute in it, or would do so no faster.
    """
    if choose_engine(engine) == "openvino":
        from transforms.backbones.engines import openvino

        openvino.check_precision(precision)
    else:
        from transforms.backbones.engines import tensorflow

        tensorflow.use_precision(precision)


def open_engine(engine: str, path: str, precision: str) -> Engine:
    """Open a graph: path of a SavedModel -> Engine."""
    if engine == "openvino":
        from transforms.backbones.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(path, precision)
    from transforms.backbones.engines.tensorflow import TensorFlowEngine, read_graphs

    return TensorFlowEngine(read_graphs(path))


def choose_engine(engine: str) -> str:
    """Resolve 'auto' for this machine: OpenVINO where it is installed and there is no GPU, else TensorFlow.

    Raises:
      UsageError: the engine is not installed here.
    """
    installed = importlib.util.find_spec("openvino") is not None
    if engine == "openvino" and not installed:
        raise UsageError("--engine openvino is not installed; pip install 'beam-image-embeddings[openvino]'")
    if engine == "auto":
        return "openvino" if installed and not has_gpu() else "tensorflow"
    return engine


def device_of(engine: str) -> str:
    """Return the kind of device that an engine computes on here, 'CPU' or 'GPU'."""
    if engine == "openvino":
        return "CPU"
    from transforms.backbones.engines import tensorflow

    return tensorflow.device()


def dtype_policy(engine: str, precision: str) -> str:
    """Return Keras' policy for an engine's graph: a GPU computes as the graph says, a processor as the engine is told.

    In float32 it is the same for all, and TensorFlow need not be asked what there is.
    """
    mixed = precision != "float32" and device_of(engine) == "GPU"
    return f"mixed_{precision}" if mixed else "float32"


def count_gpus() -> int:
    """Return how many NVIDIA GPUs this machine has, also such as TensorFlow cannot use."""
    return len(glob.glob("/dev/nvidia[0-9]*"))


def has_gpu() -> bool:
    """Whether this machine has such a GPU."""
    return count_gpus() > 0


def processor_flags() -> set[str]:
    """Return what the processor can do in Linux's words, such as 'amx_bf16'; none where they are not told."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            return set(next((line for line in f if line.startswith("flags")), "").split())
    except OSError:
        return set()

"""Run an ONNX graph with ONNX Runtime, on the GPUs that it sees and nowhere else.

No GPU has run this yet. Checked without one: the graphs, with ONNX Runtime's provider for processors; that its provider
for GPUs and the pinned libraries of CUDA load together; what is said where there is no driver, no library, or no GPU.
"""

import contextlib
import ctypes
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from transforms.backbones.engines import ENGINES, ONNX_FILE, OutOfMemoryError
from transforms.backbones.engines.devices import gpu_memories
from transforms.core.errors import UsageError, one_line

PROVIDER = "CUDAExecutionProvider"
OPTIONS = {"use_tf32": 0, "arena_extend_strategy": "kSameAsRequested"}
"""Float32 is whole, not TF32 of 10 bits; and memory is taken as it is needed, not by powers of two."""
_NO_MEMORY = re.compile("failed to allocate memory|requested bytes|out of memory|_ALLOC(ATION)?_FAILED", re.IGNORECASE)
"""What ONNX Runtime's arena, CUDA, cuBLAS and cuDNN say of a lack of memory."""
FATAL = 4
"""ONNX Runtime's level of what it prints: what else happens is raised, or seen by what a session has become."""


def device() -> str:
    """Return the kind of device, which is always a GPU."""
    return "GPU"


def use_precision(precision: str) -> None:
    """Raise UsageError if ONNX Runtime cannot use the GPUs, or would not compute in `precision`."""
    if precision != "float32":
        raise UsageError(f"--engine onnxruntime computes in float32; use --precision float32, not {precision}")
    onnxruntime.set_default_logger_severity(FATAL)
    if PROVIDER not in onnxruntime.get_available_providers():
        raise _unusable(f"the onnxruntime that is installed is for processors; {ENGINES['onnxruntime'].how_to_install}")
    try:
        _load_libraries()
    except OSError as e:
        raise _unusable(f"{one_line(e)}; pip install 'tensorflow[and-cuda]'") from e
    if not gpu_memories():
        raise _unusable("NVIDIA's driver finds none; check nvidia-smi")


def open_graph(path: str, precision: str) -> "OnnxRuntimeEngine":
    """Open the folder of an ONNX graph on each GPU; the precision was looked at by `use_precision`.

    Raises:
      UsageError: a session would compute elsewhere.
    """
    memories = gpu_memories()
    return OnnxRuntimeEngine(
        [_session(os.path.join(path, ONNX_FILE), index) for index in range(len(memories))], memories
    )


class OnnxRuntimeEngine:
    """A graph on GPUs: uint8 [B, H, W, 3] -> float32 [B, D].

    Args:
      sessions: the same graph on each GPU.
      memories: memory of each GPU, in bytes.
    """

    device = "GPU"
    batches_in_flight = 1

    def __init__(self, sessions: Sequence[Any], memories: Sequence[int]):
        self._sessions, self.devices, self.device_memory = sessions, len(sessions), memories[0]

    def __call__(self, pixels: np.ndarray, index: int = 0) -> np.ndarray:
        """Embed a batch on the GPU `index`; raise OutOfMemoryError if it has no room."""
        session = self._sessions[index]
        (given,) = session.get_inputs()
        try:
            (vectors,) = session.run(None, {given.name: np.ascontiguousarray(pixels)})
        except Exception as e:
            # ONNX Runtime has no exception of its own for it.
            if _NO_MEMORY.search(str(e)):
                raise OutOfMemoryError(one_line(e)) from e
            raise
        found: np.ndarray = vectors
        return found

    def smallest_batch(self, batch_size: int) -> int:
        """Return how few images need no other shape: cuDNN chooses its kernels for each number of images."""
        return batch_size


def _session(path: str, index: int) -> Any:
    """Open a graph on one GPU; raise UsageError if it would compute elsewhere."""
    try:
        # What a provider cannot do, ONNX Runtime would do again on a processor, without a word.
        session = onnxruntime.InferenceSession(
            path, providers=[(PROVIDER, {"device_id": index, **OPTIONS})], enable_fallback=False
        )
    except Exception as e:
        found = re.search(r"CUDA failure \d+: [^;]+", str(e))
        if not found:
            raise
        raise _unusable(found[0].strip()) from e
    if session.get_providers()[:1] != [PROVIDER]:
        raise _unusable(f"it gives {', '.join(session.get_providers())} instead of {PROVIDER}")
    return session


def _load_libraries() -> None:
    """Load CUDA's libraries, and what ONNX Runtime calls them by; raise OSError if one is missing.

    Where TensorFlow was imported before, its stand-ins for CUDA's functions would be taken for them, unless a library
    looks among its own first.
    """
    # It prints what it does not find; what is missing is raised below.
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        onnxruntime.preload_dlls(directory="")
    folder = os.path.join(os.path.dirname(onnxruntime.__file__), "capi")
    ctypes.CDLL(os.path.join(folder, "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(os.path.join(folder, "libonnxruntime_providers_cuda.so"), mode=getattr(os, "RTLD_DEEPBIND", 0))


def _unusable(why: str) -> UsageError:
    return UsageError(f"ONNX Runtime cannot use the GPU: {why}")

"""Run a graph by OpenVINO, on the processor: the same numbers, sooner.

TensorFlow is not needed: OpenVINO reads the frozen graph's file, and keeps what it compiled beside it.
"""

import os
import threading

import numpy as np
import openvino

from transforms.errors import UsageError

DEVICE = "CPU"
_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16"}


def check_precision(precision: str) -> None:
    """Raise UsageError where the processor does not compute in `precision`, or would do so no faster."""
    capable = openvino.Core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    if precision != "float32" and _CAPABILITIES[precision] not in capable:
        raise UsageError(f"this processor has no fast {precision}; use --precision float32")


class OpenVinoEngine:
    """A compiled graph: uint8 [B, H, W, 3] -> float32 [B, D], one compilation for each B.

    Args:
      path: the frozen graph, a GraphDef with one input and one output.
      precision: to compute in.

    """

    device = DEVICE
    device_memory = 0

    def __init__(self, path: str, precision: str = "float32"):
        self._core = openvino.Core()
        self._core.set_property({"CACHE_DIR": os.path.dirname(path)})
        self._model = self._core.read_model(path)
        self._precision = precision
        self._compiled: dict[int, openvino.CompiledModel] = {}
        self._lock = threading.Lock()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        with self._lock:
            if len(pixels) not in self._compiled:
                self._compiled[len(pixels)] = self._compile(pixels.shape)
            vectors: np.ndarray = self._compiled[len(pixels)]([pixels], share_inputs=True)[0]
            return vectors

    def _compile(self, shape: tuple[int, ...]) -> openvino.CompiledModel:
        self._model.reshape({self._model.input(0): list(shape)})
        # One stream that uses all cores: batches come one at a time.
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _TYPES[self._precision]}
        return self._core.compile_model(self._model, DEVICE, settings)

"""Run a graph by OpenVINO, on the processor: the same numbers, sooner.

TensorFlow is not needed: OpenVINO reads the frozen graph's file, and keeps what it compiled beside it.
"""

import os
import threading
from typing import Any

import numpy as np
import openvino

from transforms.errors import UsageError

DEVICE = "CPU"
IMAGES_A_REQUEST = 2
"""So few that what lies between two layers stays in a core's cache: a third faster than 32 for MobileNetV2. One would
read the weights of large backbones from memory twice as often."""
_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16"}


def check_precision(precision: str) -> None:
    """Raise UsageError where the processor does not compute in `precision`, or would do so no faster."""
    capable = openvino.Core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    if precision != "float32" and _CAPABILITIES[precision] not in capable:
        raise UsageError(f"this processor has no fast {precision}; use --precision float32")


class OpenVinoEngine:
    """A compiled graph: uint8 [B, H, W, 3] -> float32 [B, D].

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
        self._queues: dict[int, openvino.AsyncInferQueue] = {}
        self._lock = threading.Lock()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        images = IMAGES_A_REQUEST if len(pixels) % IMAGES_A_REQUEST == 0 else 1
        vectors: list[Any] = [None] * (len(pixels) // images)

        def keep(request: openvino.InferRequest, index: int) -> None:
            # A copy: the request's own memory is that of its next result.
            vectors[index] = request.get_output_tensor(0).data.copy()

        with self._lock:
            queue = self._queue((images, *pixels.shape[1:]))
            queue.set_callback(keep)
            for index in range(len(vectors)):
                queue.start_async({0: pixels[index * images : (index + 1) * images]}, index, share_inputs=True)
            queue.wait_all()
        return np.concatenate(vectors)

    def _queue(self, shape: tuple[int, ...]) -> openvino.AsyncInferQueue:
        if shape[0] not in self._queues:
            self._model.reshape({self._model.input(0): list(shape)})
            settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": _TYPES[self._precision]}
            self._queues[shape[0]] = openvino.AsyncInferQueue(self._core.compile_model(self._model, DEVICE, settings))
        return self._queues[shape[0]]

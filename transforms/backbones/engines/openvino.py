"""Run a graph by OpenVINO, on the processor: the same numbers, sooner.

TensorFlow is not needed: OpenVINO reads the SavedModel itself, and keeps what it compiled beside it.
"""

import contextlib
import math
import os
import threading

import numpy as np
import openvino

from transforms.backbones.engines import processor_flags
from transforms.backbones.weights.hashing import size_of_files
from transforms.core.errors import UsageError

DEVICE = "CPU"
MOST_IMAGES = 16
BYTES_AN_IMAGE = 20_000_000
"""A core works on one request: of an image for so many bytes of the graph, up to 16. Its weights come from memory for
each request, those of Winograd are many; what lies between two layers should stay in a cache. Of 4, 8 and 16 images 16
were fastest for ResNet50 (300 MB), by an eighth, and slowest for Xception and EfficientNetB4 (90 and 77 MB)."""
_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16"}


def check_precision(precision: str) -> None:
    """Raise UsageError where the processor does not compute in `precision`, or would do so no faster."""
    if precision == "float32":
        return
    capable = _CAPABILITIES[precision] in openvino.Core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    flags = processor_flags()
    # By AVX-512 alone MobileNetV2 and ResNet50 took one and a half times as long as in float32, and more.
    slower = precision == "float16" and "avx512_fp16" in flags and "amx_fp16" not in flags
    if slower or not capable:
        raise UsageError(f"this processor has no fast {precision}; use --precision float32")


class OpenVinoEngine:
    """A compiled graph: uint8 [B, H, W, 3] -> float32 [B, D].

    Args:
      path: of a SavedModel with one input and one output.
      precision: to compute in.
    """

    device = DEVICE
    device_memory = 0
    devices = 1
    batches = 2

    def __init__(self, path: str, precision: str = "float32"):
        self._core = openvino.Core()
        self._core.set_property({"CACHE_DIR": os.path.dirname(path)})
        self._model = self._core.read_model(path)
        self._most = min(2 ** round(math.log2(max(size_of_files(path) / BYTES_AN_IMAGE, 1))), MOST_IMAGES)
        self._precision = precision
        self._compiled: dict[int, openvino.CompiledModel] = {}
        self._idle: dict[int, list[openvino.InferRequest]] = {}
        self._lock = threading.Lock()

    def __call__(self, pixels: np.ndarray, index: int = 0) -> np.ndarray:
        """Embed a batch on the one device that there is."""
        pixels = np.ascontiguousarray(pixels)
        with self._lock:
            images = self._images_a_request(len(pixels))
            compiled, idle = self._compile((images, *pixels.shape[1:])), self._idle.setdefault(images, [])
            parts = [slice(at, at + images) for at in range(0, len(pixels), images)]
            requests = [idle.pop() if idle else compiled.create_infer_request() for _ in parts]
        vectors = np.empty((len(pixels), compiled.output(0).shape[1]), np.float32)
        with contextlib.ExitStack() as started:
            started.callback(idle.extend, requests)
            # All have ended when it is left, however: they read and write these arrays in place.
            for part, request in zip(parts, requests, strict=True):
                request.set_input_tensor(openvino.Tensor(pixels[part], shared_memory=True))
                request.set_output_tensor(openvino.Tensor(vectors[part], shared_memory=True))
                request.start_async()
                started.callback(request.wait)
        return vectors

    def _images_a_request(self, batch: int) -> int:
        """Divide a batch so that each core has work, but one smaller than before by a graph that is there."""
        share = max(batch // (os.cpu_count() or 1), 1)
        images = math.gcd(batch, min(self._most, 1 << (share.bit_length() - 1)))
        if images in self._compiled or images > max(self._compiled, default=0):
            return images
        # Each number of images is a graph of its own, with weights of its own.
        return max((there for there in self._compiled if batch % there == 0), default=1)

    def _compile(self, shape: tuple[int, ...]) -> openvino.CompiledModel:
        if shape[0] not in self._compiled:
            self._model.reshape({self._model.input(0): list(shape)})
            settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": _TYPES[self._precision]}
            self._compiled[shape[0]] = self._core.compile_model(self._model, DEVICE, settings)
        return self._compiled[shape[0]]

"""Run a graph with OpenVINO, on the processor: the same numbers, faster.

TensorFlow is not needed: OpenVINO reads the SavedModel or the ONNX itself, and keeps what it compiled beside it.
"""

import contextlib
import math
import os
import shutil
import sys
import tempfile
import threading

import numpy as np

from transforms.backbones.engines import ONNX_FILE
from transforms.backbones.engines.devices import processor_flags
from transforms.core.errors import UsageError
from transforms.storage.hashing import size_of_files
from transforms.storage.seals import is_intact, seal

# OpenVINO reports its import to its makers over the network, unless this library of its is missing. Python takes a
# module that is None for one that is not installed.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

DEVICE = "CPU"
COMPILED = "compiled-"
"""Prefix of the folders, beside a graph, that hold what it was compiled to, one for each number of images."""
MOST_IMAGES = 16
BYTES_AN_IMAGE = 20_000_000
"""Each core computes one request at a time: one image for each 20 MB of the graph, at most 16.

The more weights a graph has, the more images should share one read of them from memory; but the fewer the images, the
more of the data between two layers stays in the processor's cache. Of 4, 8 and 16 images, 16 were the fastest for
ResNet50 (300 MB) by an eighth, and the slowest for Xception and EfficientNetB4 (90 and 77 MB).
"""
_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16"}


def device() -> str:
    """Return the kind of device, which is always the processor."""
    return DEVICE


def use_precision(precision: str) -> None:
    """Raise UsageError if the processor cannot compute in `precision`, or not faster than in float32."""
    if precision == "float32":
        return
    capable = _CAPABILITIES[precision] in openvino.Core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    flags = processor_flags()
    # With AVX-512 alone, MobileNetV2 and ResNet50 took at least 1.5 times as long as in float32.
    slower = precision == "float16" and "avx512_fp16" in flags and "amx_fp16" not in flags
    if slower or not capable:
        raise UsageError(f"this processor has no fast {precision}; use --precision float32")


def open_graph(path: str, precision: str) -> "OpenVinoEngine":
    """Open the folder of a SavedModel, or of an ONNX graph."""
    return OpenVinoEngine(path, precision)


class OpenVinoEngine:
    """A compiled graph: uint8 [B, H, W, 3] -> float32 [B, D].

    Args:
      path: path of the folder of a SavedModel, or of an ONNX graph, of one input and one output.
      precision: numbers to compute in.
    """

    device = DEVICE
    device_memory = 0
    devices = 1
    batches_in_flight = 2

    def __init__(self, path: str, precision: str = "float32"):
        self._core = openvino.Core()
        self._folder = os.path.dirname(path)
        onnx = os.path.join(path, ONNX_FILE)
        try:
            self._model = self._core.read_model(onnx if os.path.exists(onnx) else path)
        except RuntimeError as e:
            # The lines before the last say where in OpenVINO's code.
            raise RuntimeError(str(e).strip().splitlines()[-1]) from e
        self._most = min(2 ** round(math.log2(max(size_of_files(path) / BYTES_AN_IMAGE, 1))), MOST_IMAGES)
        self._precision = precision
        self._compiled: dict[int, openvino.CompiledModel] = {}
        self._idle: dict[int, list[openvino.InferRequest]] = {}
        self._lock = threading.Lock()

    def __call__(self, pixels: np.ndarray, index: int = 0) -> np.ndarray:
        """Embed a batch; there is one device, so `index` is 0."""
        pixels = np.ascontiguousarray(pixels)
        with self._lock:
            images = self._images_a_request(len(pixels))
            compiled, idle = self._compile((images, *pixels.shape[1:])), self._idle.setdefault(images, [])
            parts = [slice(at, at + images) for at in range(0, len(pixels), images)]
            requests = [idle.pop() if idle else compiled.create_infer_request() for _ in parts]
        vectors = np.empty((len(pixels), compiled.output(0).shape[1]), np.float32)
        with contextlib.ExitStack() as started:
            started.callback(idle.extend, requests)
            # Leaving the block waits for all requests: they read and write these arrays in place.
            for part, request in zip(parts, requests, strict=True):
                request.set_input_tensor(openvino.Tensor(pixels[part], shared_memory=True))
                request.set_output_tensor(openvino.Tensor(vectors[part], shared_memory=True))
                request.start_async()
                started.callback(request.wait)
        return vectors

    def smallest_batch(self, batch_size: int) -> int:
        """Return how few images need no other shape, and compile for that: the images of one request."""
        with self._lock:
            images = self._images_a_request(batch_size)
            _, *shape = self._model.input(0).partial_shape
            self._compile((images, *(side.get_length() for side in shape)))
        return images

    def _images_a_request(self, batch: int) -> int:
        """Return the images per request: each core gets work; a small batch uses a graph that is already compiled."""
        share = max(batch // (os.cpu_count() or 1), 1)
        images = math.gcd(batch, min(self._most, 1 << (share.bit_length() - 1)))
        if images in self._compiled or images > max(self._compiled, default=0):
            return images
        # Each number of images is a compiled graph of its own, with its own copy of the weights.
        return max((images for images in self._compiled if batch % images == 0), default=1)

    def _compile(self, shape: tuple[int, ...]) -> openvino.CompiledModel:
        if shape[0] not in self._compiled:
            self._model.reshape({self._model.input(0): list(shape)})
            self._compiled[shape[0]] = self._kept(shape[0])
        return self._compiled[shape[0]]

    def _kept(self, images: int) -> openvino.CompiledModel:
        """Return the compiled model from a folder beside the graph, if it is intact there, else compile and keep it."""
        folder = os.path.join(self._folder, f"{COMPILED}{images}")
        if is_intact(folder):
            return self._compile_in(folder)
        try:
            new = tempfile.mkdtemp(prefix=COMPILED, dir=self._folder)
        except OSError:
            return self._compile_in("")
        compiled = self._compile_in(new)
        # Another process may keep the same at the same time, or there may be no room for it.
        with contextlib.suppress(OSError):
            seal(new)
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(new, folder)
        shutil.rmtree(new, ignore_errors=True)
        return compiled

    def _compile_in(self, folder: str) -> openvino.CompiledModel:
        settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": _TYPES[self._precision]}
        return self._core.compile_model(self._model, DEVICE, {**settings, "CACHE_DIR": folder})

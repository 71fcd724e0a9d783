"""Run a graph with TensorFlow, on the GPUs that it sees, else on the processor."""

import concurrent.futures
import contextlib
import os
from collections.abc import Sequence

import numpy as np

from transforms.backbones.engines import OutOfMemoryError
from transforms.backbones.engines.devices import processor_flags
from transforms.core.errors import UsageError, one_line
from transforms.core.tensorflow_setup import device_lib, tf

IMAGES_A_CALL = 16
"""Images in one call on a processor, whose cores compute several calls at once.

In a single call, each operation would wait for its slowest thread. Fewer images cost more, since each call reorders the
weights for oneDNN: calls of 8 were a twelfth slower for ResNet50.
"""


class TensorFlowEngine:
    """A graph as a function: uint8 [B, H, W, 3] -> float32 [B, D].

    Args:
      graphs: the same graph on each device.
    """

    def __init__(self, graphs: Sequence["DeviceGraph"]):
        self._graphs = graphs
        self.device, self.devices = device(), len(graphs)
        self.device_memory, self.batches_in_flight = (gpu_memory(), 1) if self.device == "GPU" else (0, 2)
        self._threads = concurrent.futures.ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="TensorFlowEngine")
        for graph in graphs:
            # The first call optimizes the graph, which takes a second and leaves Python free.
            self._threads.submit(graph.warm_up)

    def __call__(self, pixels: np.ndarray, index: int = 0) -> np.ndarray:
        """Embed a batch on the device `index`; raise OutOfMemoryError if it has no room."""
        graph = self._graphs[index]
        try:
            if self.device == "GPU" or len(pixels) <= IMAGES_A_CALL:
                return graph(pixels)
            parts = [pixels[at : at + IMAGES_A_CALL] for at in range(0, len(pixels), IMAGES_A_CALL)]
            return np.concatenate(list(self._threads.map(graph, parts)))
        except tf.errors.ResourceExhaustedError as e:
            raise OutOfMemoryError(one_line(e)) from e

    def smallest_batch(self, batch_size: int) -> int:
        """Return how few images need no other shape: on a GPU, cuDNN chooses its kernels for each number of images."""
        return batch_size if self.device == "GPU" else 1


def device() -> str:
    """Return the kind of device that TensorFlow runs on, 'CPU' or 'GPU'; let several processes share a GPU."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        # Without memory growth the first process takes all memory. A device in use cannot be changed any more.
        with contextlib.suppress(RuntimeError):
            tf.config.experimental.set_memory_growth(gpu, True)
    return "GPU" if gpus else "CPU"


def gpu_names() -> list[str]:
    """Return TensorFlow's names of the GPUs that it sees."""
    return [f"/{gpu.device_type}:{i}" for i, gpu in enumerate(tf.config.list_logical_devices("GPU"))]


def gpu_memory() -> int:
    """Return the memory of the first GPU that TensorFlow may use, in bytes."""
    return next((d.memory_limit for d in device_lib.list_local_devices() if d.device_type == "GPU"), 0)


_precisions: set[str] = set()


def use_precision(precision: str) -> None:
    """Let TensorFlow compute in `precision`, for all graphs of this process.

    On a GPU a reduced precision is part of the graph, through Keras' dtype policy. Float32 is whole there: convolutions
    would take TF32, of 10 bits, and no processor would compute the same.

    Raises:
      UsageError: the processor cannot compute in it, or not faster; or this process computes in another one.
    """
    if device() == "GPU":
        tf.config.experimental.enable_tensor_float_32_execution(precision != "float32")
        return
    if precision == "float16":
        raise UsageError("TensorFlow has no fast float16 on a processor; use --precision bfloat16 or float32")
    if precision == "bfloat16" and {"avx512_bf16", "amx_bf16"}.isdisjoint(processor_flags()):
        raise UsageError("this processor has no fast bfloat16 (avx512_bf16, amx_bf16); use --precision float32")
    if _precisions - {precision}:
        # A thread that has called TensorFlow before would not notice the change.
        raise UsageError(f"TensorFlow computes in one precision a process, and this one in {', '.join(_precisions)}")
    _precisions.add(precision)
    options = {"auto_mixed_precision_onednn_bfloat16": precision == "bfloat16"}
    tf.config.optimizer.set_experimental_options(options)


def open_graph(path: str, precision: str) -> TensorFlowEngine:
    """Open a SavedModel; its precision was set by `use_precision`."""
    return TensorFlowEngine(read_graphs(path))


def read_graphs(path: str) -> list["DeviceGraph"]:
    """Read a SavedModel onto each GPU, or onto the processor if there is none."""
    return [DeviceGraph(path, name) for name in gpu_names()] or [DeviceGraph(path, None)]


class DeviceGraph:
    """A graph on one device: uint8 [B, H, W, 3] -> float32 [B, D]."""

    def __init__(self, path: str, device_name: str | None):
        self._device_name = device_name
        with tf.device(device_name):
            # Keeps the weights alive.
            self._loaded = tf.saved_model.load(path)
        self._signature = self._loaded.signatures["serving_default"]

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        with tf.device(self._device_name):
            (output,) = self._signature(pixels=tf.constant(pixels)).values()
        vectors: np.ndarray = output.numpy()
        return vectors

    def warm_up(self) -> None:
        """Embed one image of zeros."""
        (pixels,) = self._signature.structured_input_signature[1].values()
        self(np.zeros((1, *pixels.shape[1:]), np.uint8))

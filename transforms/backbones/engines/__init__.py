"""Engines, which compute a backbone's graph on a processor or on GPUs: their registry, and what each must offer.

An engine is a module of this room with the functions of `EngineModule`, and a line in ENGINES. Naming and choosing one
imports none of them.
"""

import dataclasses
import importlib
import importlib.metadata
import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

from transforms.backbones.engines.devices import has_gpu
from transforms.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class EngineEntry:
    """What is known about an engine without importing it.

    Attributes:
      library: the package that must be installed.
      uses_gpus: whether it computes on GPUs if there are any.
      reads_names: whether it finds a SavedModel's variables by their names, for which the file needs a saver.
    """

    library: str
    uses_gpus: bool
    reads_names: bool


ENGINES = {
    "tensorflow": EngineEntry("tensorflow", uses_gpus=True, reads_names=False),
    "openvino": EngineEntry("openvino", uses_gpus=False, reads_names=True),
}
"""Engines by the name of their module; if several can run, the last one is the fastest."""


class Engine(Protocol):
    """A graph that is ready to run.

    Attributes:
      device: kind of device that it runs on, 'CPU' or 'GPU'.
      device_memory: memory of a GPU, in bytes; 0 on a CPU.
      devices: number of devices that can compute at the same time.
      batches_in_flight: batches per device: 2 on a CPU, so that idle cores can start the next batch; 1 on a GPU, whose
        memory holds one.
    """

    device: str
    device_memory: int
    devices: int
    batches_in_flight: int

    def __call__(self, pixels: "np.ndarray", index: int = 0) -> "np.ndarray":
        """Embed a batch on the device `index`: uint8 [B, H, W, 3] -> float32 [B, D].

        Raises:
          OutOfMemoryError: the device has no room for it.
        """

    def smallest_batch(self, batch_size: int) -> int:
        """Return how few images can be a batch without a shape that batches of `batch_size` do not have."""


class EngineModule(Protocol):
    """The functions of an engine's module."""

    def device(self) -> str:
        """Return the kind of device that it computes on here, 'CPU' or 'GPU'."""

    def use_precision(self, precision: str) -> None:
        """Prepare for graphs of a precision; raise UsageError if this machine cannot compute in it, or only slowly."""

    def open_graph(self, path: str, precision: str) -> Engine:
        """Open a SavedModel of one input and one output."""


def prepare_engine(engine: str, precision: str) -> None:
    """Make an engine ready for graphs of a precision.

    Raises:
      UsageError: the engine is not installed, or this machine cannot compute in the precision, or only slowly.
    """
    _module(choose_engine(engine)).use_precision(precision)


def open_engine(engine: str, path: str, precision: str) -> Engine:
    """Open a graph: path of a SavedModel -> Engine."""
    return _module(engine).open_graph(path, precision)


def choose_engine(engine: str) -> str:
    """Resolve 'auto' for this machine: OpenVINO if it is installed and there is no GPU, else TensorFlow.

    Raises:
      UsageError: the engine is not installed.
    """
    if engine != AUTO:
        if not _is_installed(engine):
            raise UsageError(f"--engine {engine} is not installed; pip install {ENGINES[engine].library}")
        return engine
    gpu = has_gpu()
    return [name for name, entry in ENGINES.items() if _is_installed(name) and (entry.uses_gpus or not gpu)][-1]


def device_of(engine: str) -> str:
    """Return the kind of device that an engine computes on here, 'CPU' or 'GPU'."""
    return _module(engine).device() if ENGINES[engine].uses_gpus else "CPU"


def version_of(engine: str) -> str:
    """Return the version of an engine's library; '' if its package has another name here."""
    try:
        return importlib.metadata.version(ENGINES[engine].library)
    except importlib.metadata.PackageNotFoundError:
        return ""


def dtype_policy(engine: str, precision: str) -> str:
    """Return Keras' dtype policy for an engine's graph.

    On a GPU the graph decides the precision, on a processor the engine does. In float32 the policy is the same
    everywhere, so TensorFlow need not be asked for its devices.
    """
    mixed = precision != "float32" and device_of(engine) == "GPU"
    return f"mixed_{precision}" if mixed else "float32"


def _is_installed(engine: str) -> bool:
    return importlib.util.find_spec(ENGINES[engine].library) is not None


def _module(engine: str) -> EngineModule:
    module: Any = importlib.import_module(f"{__name__}.{engine}")
    return module  # type: ignore[no-any-return]

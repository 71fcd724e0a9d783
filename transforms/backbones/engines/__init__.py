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
SAVED_MODELS, ONNX_MODELS = "models of Keras and TensorFlow", "ONNX"
"""What an engine may read, in words: what becomes a SavedModel, and what stays ONNX."""
ONNX_FILE = "model.onnx"
"""Name of a graph of ONNX in its folder, beside its weights."""


@dataclasses.dataclass(frozen=True)
class EngineEntry:
    """What is known about an engine without importing it.

    Attributes:
      library: the module that must be installed.
      reads: what it computes, SAVED_MODELS, ONNX_MODELS or both.
      runs_on: kinds of device that it computes on, 'CPU', 'GPU' or both.
      reads_names: whether it finds a SavedModel's variables by their names, for which the file needs a saver.
      package: the package that has the library; '' if it has the same name.
      versions: which versions of the package fit the rest; '' if any does.
    """

    library: str
    reads: tuple[str, ...] = (SAVED_MODELS,)
    runs_on: tuple[str, ...] = ("CPU",)
    reads_names: bool = False
    package: str = ""
    versions: str = ""

    @property
    def installed_as(self) -> str:
        """The package that has the library."""
        return self.package or self.library

    @property
    def how_to_install(self) -> str:
        """The command that installs it."""
        requirement = self.installed_as + self.versions
        return f"pip install {requirement!r}" if self.versions else f"pip install {requirement}"


ENGINES = {
    "tensorflow": EngineEntry("tensorflow", runs_on=("CPU", "GPU")),
    "openvino": EngineEntry("openvino", reads=(SAVED_MODELS, ONNX_MODELS), reads_names=True),
    # From 1.27 on it is built for CUDA 13, TensorFlow for CUDA 12.
    "onnxruntime": EngineEntry(
        "onnxruntime", reads=(ONNX_MODELS,), runs_on=("GPU",), package="onnxruntime-gpu", versions=">=1.26,<1.27"
    ),
}
"""Engines by the name of their module; if several can run, the last one is the fastest."""


class OutOfMemoryError(Exception):
    """The device has no memory for a batch of this size."""


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
        """Open a graph of one input and one output: the folder of a SavedModel, or one with ONNX_FILE."""


def prepare_engine(engine: str, precision: str) -> None:
    """Make an engine ready for graphs of a precision.

    Raises:
      UsageError: the engine is not installed, or this machine cannot compute in the precision, or only slowly.
    """
    _check_installed(engine)
    _module(engine).use_precision(precision)


def open_engine(engine: str, path: str, precision: str) -> Engine:
    """Open a graph: path of its folder -> Engine."""
    return _module(engine).open_graph(path, precision)


def engine_for(what: str, device: str = "CPU") -> str:
    """Return the first engine that computes SAVED_MODELS or ONNX_MODELS on a kind of device, 'CPU' or 'GPU'."""
    return _engines_for(what, device)[0]


def choose_engine(engine: str, what: str = SAVED_MODELS) -> str:
    """Resolve 'auto' for this machine: the fastest engine that is installed, and uses the GPU if there is one.

    Args:
      engine: name of an engine, or 'auto'.
      what: what it has to compute, SAVED_MODELS or ONNX_MODELS.

    Raises:
      UsageError: the engine, or each that could be chosen, is not installed; or the engine does not read `what`.
    """
    if engine != AUTO:
        if what not in ENGINES[engine].reads:
            readers = [name for name, entry in ENGINES.items() if what in entry.reads]
            raise UsageError(f"--engine {engine} does not read {what}; use --engine {' or '.join(readers)}")
        _check_installed(engine)
        return engine
    device = "GPU" if has_gpu() else "CPU"
    fitting = _engines_for(what, device)
    installed = [name for name in fitting if _is_installed(name)]
    if not installed:
        others = [name for name, entry in ENGINES.items() if what in entry.reads and name not in fitting]
        instead = f", or leave the GPU idle with --engine {others[0]}" if device == "GPU" else ""
        raise UsageError(
            f"{what} is computed on a {device} by {fitting[-1]}, which is not installed; "
            f"{ENGINES[fitting[-1]].how_to_install}{instead}"
        )
    return installed[-1]


def device_of(engine: str) -> str:
    """Return the kind of device that an engine computes on here, 'CPU' or 'GPU'."""
    return _module(engine).device() if "GPU" in ENGINES[engine].runs_on else "CPU"


def version_of(engine: str) -> str:
    """Return the version of an engine's library; '' if its package has another name here."""
    try:
        return importlib.metadata.version(ENGINES[engine].installed_as)
    except importlib.metadata.PackageNotFoundError:
        return ""


def dtype_policy(engine: str, precision: str) -> str:
    """Return Keras' dtype policy for an engine's graph.

    On a GPU the graph decides the precision, on a processor the engine does. In float32 the policy is the same
    everywhere, so TensorFlow need not be asked for its devices.
    """
    mixed = precision != "float32" and device_of(engine) == "GPU"
    return f"mixed_{precision}" if mixed else "float32"


def _engines_for(what: str, device: str) -> list[str]:
    return [name for name, entry in ENGINES.items() if what in entry.reads and device in entry.runs_on]


def _check_installed(engine: str) -> None:
    if not _is_installed(engine):
        raise UsageError(f"--engine {engine} is not installed; {ENGINES[engine].how_to_install}")


def _is_installed(engine: str) -> bool:
    return importlib.util.find_spec(ENGINES[engine].library) is not None


def _module(engine: str) -> EngineModule:
    module: Any = importlib.import_module(f"{__name__}.{engine}")
    return module  # type: ignore[no-any-return]

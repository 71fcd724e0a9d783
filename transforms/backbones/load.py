"""The backbone as workers run it: uint8 pixels to float32 vectors, loaded once a process."""

import dataclasses
import threading

import numpy as np

from transforms.backbones import ahead, cache
from transforms.backbones.backbone import Backbone, Facts
from transforms.backbones.engines import Engine, check_engine, open_engine
from transforms.errors import UsageError, one_line


@dataclasses.dataclass(frozen=True)
class LoadedBackbone:
    """A backbone that is ready: uint8 [B, H, W, 3] RGB -> float32 [B, D].

    Attributes:
      engine: what computes.
      facts: its D, and the sha256 of its weights.
    """

    engine: Engine
    facts: Facts

    @property
    def device(self) -> str:
        """The kind of device that it runs on, 'CPU' or 'GPU'."""
        return self.engine.device

    @property
    def device_memory(self) -> int:
        """Bytes that a GPU has for it; 0 on a CPU."""
        return self.engine.device_memory

    @property
    def devices(self) -> int:
        """How many GPUs take turns, a batch each; 1 on a CPU."""
        return self.engine.devices

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Embed a batch; raise OutOfMemoryError where the device has no room for it."""
        return self.engine(pixels)


_loaded: dict[str, LoadedBackbone] = {}
_lock = threading.Lock()


def facts_of(backbone: Backbone) -> Facts:
    """Say what a backbone gives; of one that is built ahead, before its graph is.

    Raises:
      UsageError: as `load`.
    """
    # First, so that this process imports the engine while another one reads the weights.
    check_engine(backbone.engine, backbone.precision)
    return ahead.facts(backbone) or load(backbone).facts


def load(backbone: Backbone) -> LoadedBackbone:
    """Return the process's one copy of a backbone, loading it at the first call.

    Raises:
      UsageError: the weights cannot be had or do not fit, or the engine cannot run the backbone here.
    """
    with _lock:
        if backbone.key not in _loaded:
            _loaded[backbone.key] = _load(backbone)
        return _loaded[backbone.key]


def _load(backbone: Backbone) -> LoadedBackbone:
    check_engine(backbone.engine, backbone.precision)
    # Before the weights are read: should they be replaced meanwhile, what is kept is not taken for theirs.
    name = cache.name_of(backbone)
    entry = ahead.entry(backbone) or cache.find(name) or _built(backbone, name)
    try:
        engine = open_engine(backbone.engine, entry.graph, backbone.precision)
    except Exception as e:
        hint = f"delete {entry.folder} and try again, or choose another --engine"
        raise UsageError(f"{backbone.engine} cannot open {backbone.name}'s graph: {one_line(e)}; {hint}") from e
    return LoadedBackbone(engine, entry.facts)


def _built(backbone: Backbone, name: str | None) -> cache.Entry:
    from transforms.backbones.graph import build_graph

    graph = build_graph(backbone)
    if backbone.weights == "imagenet":
        # Keras may have downloaded the file that the name stands for.
        name = cache.name_of(backbone)
    return cache.keep(name, graph.save, graph.facts)

"""The backbone as workers run it: uint8 pixels to float32 vectors, loaded once a process."""

import threading
from typing import NamedTuple

from transforms.backbones.backbone import Backbone, Facts
from transforms.backbones.engines import Engine, check_engine, open_engine
from transforms.backbones.kept import graphs as cache
from transforms.backbones.kept import prebuild as ahead
from transforms.core.errors import UsageError, one_line


class LoadedBackbone(NamedTuple):
    """A backbone that is ready: its graph, the D of its vectors and the sha256 of its weights."""

    engine: Engine
    facts: Facts


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
    from transforms.backbones.graph.graph import build_graph

    graph = build_graph(backbone)
    if backbone.weights == "imagenet":
        # Keras may have downloaded the file that the name stands for.
        name = cache.name_of(backbone)
    return cache.keep(name, graph.save, graph.facts)

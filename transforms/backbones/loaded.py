"""Backbones that are ready to run: uint8 pixels to float32 vectors, each loaded once per process."""

import threading
from typing import NamedTuple

from transforms.backbones.backbone import Backbone, WeightsFacts
from transforms.backbones.engines import Engine, open_engine, prepare_engine
from transforms.backbones.kept import graphs, prebuild
from transforms.core.errors import UsageError, one_line


class LoadedBackbone(NamedTuple):
    """A backbone that is ready to run: the engine that computes it, and the facts of its weights."""

    engine: Engine
    facts: WeightsFacts


_loaded: dict[str, LoadedBackbone] = {}
_lock = threading.Lock()


def facts_of(backbone: Backbone) -> WeightsFacts:
    """Return the facts of a backbone's weights; if another process builds it, without waiting for its graph.

    Raises:
      UsageError: as `get`.
    """
    backbone = backbone.for_this_machine()
    # First, so that this process imports the engine while another one reads the weights.
    prepare_engine(backbone.engine, backbone.precision)
    return prebuild.wait_for_facts(backbone) or get(backbone).facts


def get(backbone: Backbone) -> LoadedBackbone:
    """Return the one copy of a backbone in this process, loading it at the first call.

    Raises:
      UsageError: the weights cannot be read or do not fit, or the engine cannot run the backbone here.
    """
    backbone = backbone.for_this_machine()
    with _lock:
        if backbone.key not in _loaded:
            _loaded[backbone.key] = _load(backbone)
        return _loaded[backbone.key]


def _load(backbone: Backbone) -> LoadedBackbone:
    prepare_engine(backbone.engine, backbone.precision)
    # Named before the weights are read: if they are replaced meanwhile, the graph is not kept under their new name.
    name = graphs.name_of(backbone)
    kept = prebuild.wait_for_graph(backbone) or graphs.find(name) or _built(backbone, name)
    try:
        engine = open_engine(backbone.engine, kept.graph, backbone.precision)
    except UsageError:
        raise
    except Exception as e:
        hint = f"delete {kept.folder} and try again, or choose another --engine"
        raise UsageError(f"{backbone.engine} cannot open the graph of {backbone.name}: {one_line(e)}; {hint}") from e
    return LoadedBackbone(engine, kept.facts)


def _built(backbone: Backbone, name: str | None) -> graphs.KeptGraph:
    from transforms.backbones.graph import build

    graph = build(backbone)
    if backbone.weights == "imagenet":
        # Keras may have downloaded the file that the name stands for.
        name = graphs.name_of(backbone)
    return graphs.keep(name, graph.save, graph.facts)

"""Graphs that were built before: a start that finds one neither imports Keras, nor builds, nor traces.

A graph is an entry of the cache folder, named after everything that decides it: the backbone, the identity of its
weights, the versions of the libraries. It is sealed, and built again if the seal does not hold: flipped bytes would
give other vectors under the same fingerprint. An engine may keep what it compiled beside it.
"""

import atexit
import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable

from transforms.backbones.backbone import Backbone, WeightsFacts
from transforms.backbones.engines import ENGINES, dtype_policy
from transforms.backbones.engines.devices import has_gpu
from transforms.backbones.weights.identity import identity_of
from transforms.core.errors import UsageError, one_line
from transforms.storage import cache
from transforms.storage.seals import is_intact, is_sealed, seal

FORMAT = 14
"""Version of what an entry holds, and of the code that builds graphs: raise it when either changes."""
GRAPH = "graph"
FACTS = "facts.json"


@dataclasses.dataclass(frozen=True)
class KeptGraph:
    """A graph in a folder of its own.

    Attributes:
      folder: the entry's folder.
      facts: facts of the backbone's weights.
    """

    folder: str
    facts: WeightsFacts

    @property
    def graph(self) -> str:
        """The path of the graph's own folder."""
        return os.path.join(self.folder, GRAPH)


def find(name: str | None) -> KeptGraph | None:
    """Return the kept graph of this name, or None if there is none, or it is damaged."""
    return _read(os.path.join(cache.root(), name)) if name and cache.root() else None


def seems_kept(name: str | None) -> bool:
    """Whether a graph of this name was kept, without reading it: it may be damaged."""
    return bool(name and cache.root() and is_sealed(os.path.join(cache.root(), name, GRAPH)))


def _read(folder: str) -> KeptGraph | None:
    graph = os.path.join(folder, GRAPH)
    if not is_intact(graph):
        return None
    with contextlib.suppress(OSError):
        os.utime(folder)
    try:
        with open(os.path.join(graph, FACTS), encoding="utf-8") as f:
            return KeptGraph(folder, WeightsFacts(**json.load(f)))
    except (OSError, ValueError, TypeError):
        return None


def keep(name: str | None, save: Callable[[str], None], facts: WeightsFacts) -> KeptGraph:
    """Keep a graph for the next start or, if that is impossible, until this process ends.

    Args:
      name: name of its entry; None if it need not be found again.
      save: function that writes the graph to a folder.
      facts: facts of the backbone's weights.

    Raises:
      UsageError: there is no room for it.
    """
    kept = store(name, save, facts)
    if kept:
        return kept
    try:
        folder = tempfile.mkdtemp(prefix="embed-images-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return _write(folder, save, facts)
    except OSError as e:
        raise UsageError(f"cannot write a graph to {tempfile.gettempdir()}: {one_line(e)}") from e


def store(name: str | None, save: Callable[[str], None], facts: WeightsFacts) -> KeptGraph | None:
    """Keep a graph for the next start, as `keep`; return None if that is impossible."""
    if not name or not cache.root():
        return None
    kept = KeptGraph(os.path.join(cache.root(), name), facts)
    with contextlib.suppress(OSError):
        cache.add(kept.folder, lambda folder: _write(folder, save, facts), lambda path: _read(path) is not None)
        # Just written, or just found whole; hashing it again would delay the start. Trimming may have removed it.
        return kept if seems_kept(name) else None
    return _read(kept.folder)


def _write(folder: str, save: Callable[[str], None], facts: WeightsFacts) -> KeptGraph:
    kept = KeptGraph(folder, facts)
    save(kept.graph)
    with open(os.path.join(kept.graph, FACTS), "w", encoding="utf-8") as f:
        json.dump(facts._asdict(), f)
    seal(kept.graph)
    return kept


def name_of(backbone: Backbone) -> str | None:
    """Return the name of a backbone's entry; None if there is no cache, or if nothing identifies its weights."""
    weights = identity_of(backbone.weights)
    if not cache.root() or weights is None:
        return None
    # TensorFlow and Keras build every graph but those of ONNX, whichever engine computes it; Keras Hub may have layers.
    libraries = dict.fromkeys(("tensorflow", "keras", "keras-hub", "onnx", ENGINES[backbone.engine].installed_as))
    versions = [version for library in libraries for version in _versions_of(library)]
    policy = dtype_policy(backbone.engine, backbone.precision)
    decided = json.dumps([FORMAT, backbone.key, weights, versions, policy, has_gpu()])
    return hashlib.sha256(decided.encode()).hexdigest()[:32]


def _versions_of(library: str) -> list[str]:
    """Return the version of a library; none if it is not installed."""
    try:
        return [importlib.metadata.version(library)]
    except importlib.metadata.PackageNotFoundError:
        return []

"""Graphs that were built before, on the local disk: the next start neither imports Keras nor builds nor traces.

An entry is named after all that decides its graph: the backbone, what its weights are, the versions of the libraries.
The folder may be deleted at any time. EMBED_IMAGES_CACHE names another one; empty, it switches the cache off.
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
import time
from collections.abc import Callable
from typing import Any

from transforms.backbones.backbone import Backbone, Facts
from transforms.backbones.engines import dtype_policy, has_gpu
from transforms.backbones.weights.hashing import cache_folder, sha256_of_files, size_of_files
from transforms.core.errors import UsageError, one_line
from transforms.storage.gcs import INSTALLED, generations_of, is_gcs

FORMAT = 10
"""Version of what an entry holds, and of the code that builds graphs."""
GRAPH = "graph"
FACTS = "facts.json"
INCOMING = ".incoming-"
DAY = 86_400
MAX_BYTES = 20_000_000_000
"""Size of the folder, in bytes, above which the entries that were not used for longest go."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A graph in a folder of its own, beside what an engine made of it; the facts are its backbone's."""

    folder: str
    facts: Facts
    bytes: int

    @property
    def graph(self) -> str:
        """The path of the SavedModel."""
        return os.path.join(self.folder, GRAPH)


def find(name: str | None) -> Entry | None:
    """Return the entry of a name, or None where there is none."""
    return _entry(os.path.join(root(), name)) if name else None


def _entry(folder: str) -> Entry | None:
    try:
        with open(os.path.join(folder, FACTS), encoding="utf-8") as f:
            said = json.load(f)
        entry = Entry(folder, Facts(**said["facts"]), said["bytes"])
        with contextlib.suppress(OSError):
            os.utime(folder)
        return entry if size_of_files(entry.graph) == entry.bytes else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep(name: str | None, save: Callable[[str], None], facts: Facts) -> Entry:
    """Keep a graph for the next start or, where that cannot be, until the process ends.

    Args:
      name: of its entry; None where it is not to be found again.
      save: writes it to a folder.
      facts: of its backbone.

    Raises:
      UsageError: there is no room for it.
    """
    entry = store(name, save, facts)
    if entry:
        return entry
    try:
        folder = tempfile.mkdtemp(prefix="embed-images-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return _write(folder, save, facts)
    except OSError as e:
        raise UsageError(f"cannot write a graph to {tempfile.gettempdir()}: {one_line(e)}") from e


def store(name: str | None, save: Callable[[str], None], facts: Facts) -> Entry | None:
    """Keep a graph for the next start: as `keep`, but None where that cannot be."""
    if not name:
        return None
    kept = os.path.join(root(), name)
    with contextlib.suppress(OSError):
        _store(kept, save, facts)
    return _entry(kept)


def _store(kept: str, save: Callable[[str], None], facts: Facts) -> None:
    os.makedirs(root(), mode=0o700, exist_ok=True)
    incoming = tempfile.mkdtemp(prefix=INCOMING, dir=root())
    try:
        _write(incoming, save, facts)
        try:
            os.rename(incoming, kept)
        except OSError:
            # Another process was sooner, or what is there is broken.
            if _entry(kept) is None:
                shutil.rmtree(kept)
                os.rename(incoming, kept)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    trim(root(), MAX_BYTES)


def _write(folder: str, save: Callable[[str], None], facts: Facts) -> Entry:
    entry = Entry(folder, facts, 0)
    save(entry.graph)
    entry = dataclasses.replace(entry, bytes=size_of_files(entry.graph))
    with open(os.path.join(folder, FACTS), "w", encoding="utf-8") as f:
        json.dump({"facts": facts._asdict(), "bytes": entry.bytes}, f)
    return entry


def root() -> str:
    """Return the folder of the cache, '' where there is none."""
    default = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "embed-images")
    return os.environ.get("EMBED_IMAGES_CACHE", default)


def is_writable() -> bool:
    """Whether graphs can be kept for the next start."""
    with contextlib.suppress(OSError):
        if root():
            os.makedirs(root(), mode=0o700, exist_ok=True)
            return os.access(root(), os.W_OK | os.X_OK)
    return False


def name_of(backbone: Backbone) -> str | None:
    """Return the name of a backbone's entry; None where there is no cache, or nothing tells its weights apart."""
    weights = _weights(backbone)
    if not root() or weights is None:
        return None
    versions = [importlib.metadata.version(library) for library in ("tensorflow", "keras")]
    if backbone.engine == "openvino":
        versions.append(importlib.metadata.version("openvino"))
    policy = dtype_policy(backbone.engine, backbone.precision)
    decided = json.dumps([FORMAT, backbone.key, weights, versions, policy, has_gpu()])
    return hashlib.sha256(decided.encode()).hexdigest()[:32]


def _weights(backbone: Backbone) -> Any:
    """What tells weights apart without loading them; None where nothing does."""
    path = backbone.weights
    if path == "random":
        return []
    with contextlib.suppress(OSError):
        if path == "imagenet":
            # Which of its files Keras takes is Keras' secret: another one there costs a start, never a wrong vector.
            with os.scandir(cache_folder()) as files:
                return sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if ".h5" in f.name)
        if "://" not in path:
            return sha256_of_files(path)
        if is_gcs(path) and INSTALLED:
            return sorted(generations_of(path).items())
    return None


def trim(root: str, max_bytes: int) -> None:
    """Remove the entries that were not used for longest, above a size in bytes, and what killed processes left."""
    with os.scandir(root) as entries:
        folders = sorted((e for e in entries if e.is_dir()), key=lambda e: e.stat().st_mtime, reverse=True)
    total = 0
    for folder in folders:
        # Other processes rename and remove, too.
        with contextlib.suppress(OSError):
            total += size_of_files(folder.path)
            if folder.name.startswith(INCOMING):
                unwanted = folder.stat().st_mtime < time.time() - DAY
            else:
                unwanted = total > max_bytes
            if unwanted:
                shutil.rmtree(folder.path, ignore_errors=True)

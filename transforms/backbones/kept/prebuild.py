"""Build graphs in a process of their own, while this one imports Beam: Python does one thing at a time in a process.

Where that was not begun, or that process died, a graph is built when it is asked for.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from transforms.backbones.backbone import Backbone, Facts
from transforms.backbones.engines import has_gpu
from transforms.backbones.kept import graphs as cache
from transforms.core.errors import UsageError

UNUSED = ("matplotlib", "pandas")
"""What Keras imports, for its charts and tables, where it is installed; it can do without."""

_pipes: dict[str, Connection] = {}
_said: dict[str, list[Any]] = {}
_processes: list[multiprocessing.process.BaseProcess] = []


def begin(backbones: Sequence[Backbone]) -> None:
    """Begin to build those of float32 that are not kept, until `end` or the end of this process, however that comes.

    Only where they can be kept; not beside a GPU, whose memory is for one process; and not where this process has
    threads, as it has once Beam or TensorFlow are here: a fork would not have them, but would have their locks.
    """
    alone = threading.active_count() == 1 and not {"apache_beam", "tensorflow"} & sys.modules.keys()
    if not alone or has_gpu() or not cache.is_writable():
        return
    # The name of another precision depends on the device, and so on TensorFlow.
    missing = [b for b in backbones if b.precision == "float32" and not cache.find(cache.name_of(b))]
    if not missing:
        return
    # Without another process, for want of memory or of a right to one, the command builds.
    with contextlib.suppress(OSError):
        fork = multiprocessing.get_context("fork")
        pipes = [fork.Pipe(duplex=False) for _ in missing]
        process = fork.Process(target=_work, args=(missing, [theirs for _, theirs in pipes]), daemon=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        _processes.append(process)
        for backbone, (ours, theirs) in zip(missing, pipes, strict=True):
            theirs.close()
            _pipes[backbone.key] = ours


def end() -> None:
    """End what was begun; for a process that is left without its exit handlers."""
    for process in _processes:
        process.terminate()
        process.join()


def facts(backbone: Backbone) -> Facts | None:
    """Wait until the weights of a backbone are read and hashed; None where that was not begun.

    Raises:
      UsageError: the weights cannot be had or do not fit.
    """
    found: Facts | None = _wait_for(backbone, 0)
    return found


def entry(backbone: Backbone) -> cache.Entry | None:
    """Wait until the graph of a backbone is kept; None where that was not begun, or it cannot be kept.

    Raises:
      UsageError: as `facts`, or the backbone does not take images of this size.
    """
    found: cache.Entry | None = _wait_for(backbone, 1)
    return found


def _wait_for(backbone: Backbone, place: int) -> Any:
    said = _said.setdefault(backbone.key, [])
    with contextlib.suppress(KeyError, EOFError, OSError):
        while len(said) <= place:
            said.append(_pipes[backbone.key].recv())
    for word in said:
        if isinstance(word, UsageError):
            raise word
    return said[place] if len(said) > place else None


def _work(backbones: Sequence[Backbone], pipes: Sequence[Connection]) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        # As Ctrl-C would: Keras and the cache remove what they have half written.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # Ctrl-C itself reaches the command, too, which then ends this process.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        threading.Thread(target=_end_with_the_command, daemon=True).start()
        # What else goes wrong is met by the command once more, when it builds the graph itself.
        with contextlib.suppress(Exception):
            _build(backbones, pipes)


def _end_with_the_command() -> None:
    command = multiprocessing.parent_process()
    if command:
        wait([command.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _build(backbones: Sequence[Backbone], pipes: Sequence[Connection]) -> None:
    # None is what Python finds for a module that is not there.
    sys.modules.update({name: None for name in UNUSED if name not in sys.modules})  # type: ignore[misc]
    # What is imported stays: looking for garbage in it took a twelfth of the time.
    gc.disable()
    from transforms.backbones.graph.graph import build_graph

    gc.freeze()
    gc.enable()
    for backbone, pipe in zip(backbones, pipes, strict=True):
        with pipe, contextlib.suppress(Exception):
            try:
                graph = build_graph(backbone, pipe.send)
                pipe.send(cache.store(cache.name_of(backbone), graph.save, graph.facts))
            except UsageError as e:
                pipe.send(e)

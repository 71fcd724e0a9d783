"""Build graphs in a second process while this one imports Beam: a Python process does one thing at a time.

If the second process was not started, or died, a graph is built when it is needed.
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

from transforms.backbones.backbone import Backbone, WeightsFacts
from transforms.backbones.engines.devices import has_gpu
from transforms.backbones.kept import graphs
from transforms.core.errors import UsageError
from transforms.storage import cache

FORKS = hasattr(os, "fork") and sys.platform != "darwin"
"""Whether this platform can fork a process safely: macOS has the function, but its own libraries start threads."""
UNUSED = ("matplotlib", "pandas")
"""Libraries that Keras imports, if installed, for charts and tables that nobody needs here."""

_pipes: dict[str, Connection] = {}
_messages: dict[str, list[Any]] = {}
_processes: list[multiprocessing.process.BaseProcess] = []


def start(backbones: Sequence[Backbone]) -> None:
    """Start building the graphs that are not kept, until `stop` or the end of this process, whatever its cause.

    Builds only graphs in float32 that can be kept. Does nothing where a process cannot be forked, or beside a GPU,
    whose memory is for one process; and nothing once this process has threads, as Beam and TensorFlow start them on
    import: a fork would lack the threads and inherit their locks.
    """
    alone = threading.active_count() == 1 and not {"apache_beam", "tensorflow"} & sys.modules.keys()
    if not FORKS or not alone or has_gpu() or not cache.is_writable():
        return
    # The name of a graph of another precision depends on the device, and so on TensorFlow.
    missing = [b for b in backbones if b.precision == "float32" and not graphs.seems_kept(graphs.name_of(b))]
    if not missing:
        return
    # If there is no memory for another process, or no permission to start one, the command builds.
    with contextlib.suppress(OSError):
        fork = multiprocessing.get_context("fork")
        pipes = [fork.Pipe(duplex=False) for _ in missing]
        process = fork.Process(target=_work, args=(missing, [theirs for _, theirs in pipes]), daemon=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, _ending())
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ending())
        _processes.append(process)
        for backbone, (ours, theirs) in zip(missing, pipes, strict=True):
            theirs.close()
            _pipes[backbone.key] = ours


def stop() -> None:
    """End the second process; for a command that ends without its exit handlers."""
    for process in _processes:
        process.terminate()
        process.join()


def wait_for_facts(backbone: Backbone) -> WeightsFacts | None:
    """Wait until a backbone's weights are read and hashed; return None if no build was started for it.

    Raises:
      UsageError: the weights cannot be read or do not fit.
    """
    found: WeightsFacts | None = _wait_for(backbone, 0)
    return found


def wait_for_graph(backbone: Backbone) -> graphs.KeptGraph | None:
    """Wait until a backbone's graph is kept; return None if no build was started for it, or it cannot be kept.

    Raises:
      UsageError: as `wait_for_facts`, or the backbone does not take images of this size.
    """
    found: graphs.KeptGraph | None = _wait_for(backbone, 1)
    return found


def _wait_for(backbone: Backbone, place: int) -> Any:
    messages = _messages.setdefault(backbone.key, [])
    with contextlib.suppress(KeyError, EOFError, OSError):
        while len(messages) <= place:
            messages.append(_pipes[backbone.key].recv())
    for message in messages:
        if isinstance(message, UsageError):
            raise message
    return messages[place] if len(messages) > place else None


def _ending() -> list[signal.Signals]:
    """Return the signals that end a command, on every platform that forks."""
    return [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def _work(backbones: Sequence[Backbone], pipes: Sequence[Connection]) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        # Raises as Ctrl-C would, so that Keras and the cache remove what they have half written.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # Ctrl-C itself, and the loss of the terminal, reach the command as well, which then ends this process.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ending())
        threading.Thread(target=_end_with_the_command, daemon=True).start()
        # The command meets any other error again, when it builds the graph itself.
        with contextlib.suppress(Exception):
            _build(backbones, pipes)


def _end_with_the_command() -> None:
    command = multiprocessing.parent_process()
    if command:
        wait([command.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _build(backbones: Sequence[Backbone], pipes: Sequence[Connection]) -> None:
    # Python takes a module that is None for one that is not installed.
    sys.modules.update({name: None for name in UNUSED if name not in sys.modules})  # type: ignore[misc]
    # Imported modules stay; collecting garbage among them took a twelfth of the time.
    gc.disable()
    from transforms.backbones.graph.graph import build_graph

    gc.freeze()
    gc.enable()
    for backbone, pipe in zip(backbones, pipes, strict=True):
        with pipe, contextlib.suppress(Exception):
            try:
                graph = build_graph(backbone, pipe.send)
                pipe.send(graphs.store(graphs.name_of(backbone), graph.save, graph.facts))
            except UsageError as e:
                pipe.send(e)

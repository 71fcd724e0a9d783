"""Build graphs in a process of their own, while this one imports Beam: Python does one thing at a time in a process.

Where that was not begun, or that process died, a graph is built when it is asked for.
"""

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from transforms.backbones import cache
from transforms.backbones.backbone import Backbone, Facts
from transforms.backbones.engines import check_engine, has_gpu
from transforms.errors import UsageError

_pipes: dict[str, Connection] = {}
_said: dict[str, list[Any]] = {}


def begin(backbones: Sequence[Backbone]) -> None:
    """Begin to build those of float32 that are not kept, until this process ends.

    Only where they can be kept; not beside a GPU, whose memory is for one process; and not once Beam or TensorFlow are
    here, whose threads a fork would not have.
    """
    possible = cache.root() and not has_gpu() and not {"apache_beam", "tensorflow"} & sys.modules.keys()
    # The name of another precision depends on the device, and so on TensorFlow.
    named = [b for b in backbones if possible and b.precision == "float32"]
    missing = [b for b in named if not cache.find(cache.name_of(b))]
    if not missing:
        return
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe(duplex=False) for _ in missing]
    # Without another process, for want of memory or of a right to one, nothing is ever said, as if it had died.
    with contextlib.suppress(OSError):
        fork.Process(target=_build, args=(missing, [theirs for _, theirs in pipes]), daemon=True).start()
    for backbone, (ours, theirs) in zip(missing, pipes, strict=True):
        theirs.close()
        _pipes[backbone.key] = ours


def facts(backbone: Backbone) -> Facts | None:
    """Wait until the weights of a backbone are read; None where that was not begun.

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


def _build(backbones: Sequence[Backbone], pipes: Sequence[Connection]) -> None:
    # Ctrl-C reaches the command, too, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from transforms.backbones.graph import build_graph, read_model

    for backbone, pipe in zip(backbones, pipes, strict=True):
        # What else goes wrong is met by the command once more, when it builds the graph itself.
        with pipe, contextlib.suppress(Exception):
            try:
                check_engine(backbone.engine, backbone.precision)
                model = read_model(backbone)
                pipe.send(model.facts)
                graph = build_graph(backbone, model)
                pipe.send(cache.store(cache.name_of(backbone), graph.save, graph.facts))
            except UsageError as e:
                pipe.send(e)

"""What a graph holds in memory at once for one image, by the shapes of its values; nothing is computed to find it.

A file of kilobytes can ask for terabytes: it need only pad, repeat or multiply.
"""

import math
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from transforms.backbones.backbone import Backbone
from transforms.core.errors import UsageError


class Step(NamedTuple):
    """One operation of a graph.

    Attributes:
      name: its name.
      reads: keys of the values that it reads.
      gives: size of each value that it gives for one image, in bytes, by its key.
    """

    name: str
    reads: Sequence[Hashable]
    gives: Mapping[Hashable, int]


def num_bytes(shape: Iterable[int | None], item: int) -> int:
    """Return the size of a value in bytes, of a shape whose unknown sides count as 1, and of items of so many bytes."""
    return math.prod(1 if side is None else side for side in shape) * item


def memory_of_this_machine() -> int:
    """Return the memory of this machine, in bytes; 0 if it does not tell."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0


def check_held(steps: Iterable[Step], backbone: Backbone) -> None:
    """Refuse a graph that this machine has no memory to run, not even on one image.

    Args:
      steps: its operations, in an order in which they can run; a value is held until its last reader has run.
      backbone: whose graph it is, for the message.

    Raises:
      UsageError: it is one; the message says where, and how much.
    """
    steps, memory = list(steps), memory_of_this_machine() or math.inf
    last = {key: place for place, step in enumerate(steps) for key in step.reads}
    held: dict[Hashable, int] = {}
    total = 0
    for place, step in enumerate(steps):
        total += sum(size - held.get(key, 0) for key, size in step.gives.items())
        held.update(step.gives)
        if total > memory:
            height, width = backbone.size
            raise UsageError(
                f"{backbone.name} cannot be run on images of {height} x {width} px: at {step.name} it holds "
                f"{total / 1e9:,.1f} GB for one image; this machine has {memory / 1e9:.1f} GB"
            )
        total -= sum(held.pop(key, 0) for key in {*step.reads, *step.gives} if last.get(key, place) <= place)

"""`CompareCanaries`: whether all processes of a run compute the same, and what the manifest says of it."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from transforms.core.errors import RunError
from transforms.embed.canary import Canary, Computed, difference

Distinct = dict[tuple[Any, ...], Computed]
"""What processes computed, each once that is the same to the last bit."""


class CompareCanaries(beam.CombineFn):
    """Compare the canaries of all processes: Computed -> {'canary': CanaryEntry or None, 'workers': [WorkerEntry]}.

    The canary is that of the collection's first run, else of this one.

    Args:
      precision: numbers that the embeddings are computed in.
      expected: what the collection's first run computed; None in a first run.

    Raises:
      RunError: two processes compute different embeddings; in one line that says by how much.
    """

    def __init__(self, precision: str, expected: Canary | None = None):
        super().__init__()
        self._precision, self._expected = precision, expected

    def create_accumulator(self) -> Distinct:
        return {}

    def add_input(self, distinct: Distinct, computed: Computed) -> Distinct:
        canary, worker = computed.canary, dataclasses.astuple(computed.worker)
        return {**distinct, (*worker, canary.decoding, canary.vectors.tobytes()): computed}

    def merge_accumulators(self, accumulators: Iterable[Distinct]) -> Distinct:
        merged: Distinct = {}
        for distinct in accumulators:
            merged.update(distinct)
        return merged

    def extract_output(self, distinct: Distinct) -> dict[str, Any]:
        # In an order that is not that of their arrival.
        found = [distinct[key] for key in sorted(distinct)]
        for other in found[1:]:
            differs = difference(other.canary, found[0].canary, self._precision)
            if differs:
                raise RunError(
                    f"the workers of this run compute different embeddings ({differs}): {found[0].worker}, and "
                    f"{other.worker}; run it on machines of one kind"
                )
        canary = self._expected or (found[0].canary if found else None)
        workers = {computed.worker: None for computed in found}
        return {
            "canary": canary.entry() if canary else None,
            "workers": [dataclasses.asdict(worker) for worker in workers],
        }

"""Where the time of a run goes, told by the workers themselves: nobody may be there to ask them for their counters."""

import dataclasses
import os
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from transforms.core.counters import tally

STAGES = {
    "fetch": "fetch-busy-us",
    "decode": "decode-busy-us",
    "forward": "forward-busy-us",
    "write": "write-busy-us",
    "wait": "forward-waited-us",
}
"""Stages with their counters: `wait` is the time in which a ready device had no batch."""

_process = (0, "")

Times = dict[str, dict[str, int]]
"""Microseconds by process and counter."""


def _this_process() -> str:
    global _process
    # One that was forked is another.
    if _process[0] != os.getpid():
        _process = (os.getpid(), uuid.uuid4().hex)
    return _process[1]


class _Tell(beam.DoFn):
    """Gives the counters of this process at the end of each bundle, whatever is in it."""

    def process(self, element: Any) -> Iterator[Any]:
        return iter(())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        counters = tally()
        told = {_this_process(): {name: counters.get(name, 0) for name in STAGES.values()}}
        yield GlobalWindows.windowed_value_at_end_of_window(told)


class _Sum(beam.CombineFn):
    """Sum the last that each process has told: Times -> seconds by stage."""

    def create_accumulator(self) -> Times:
        return {}

    def add_input(self, times: Times, told: Times) -> Times:
        return self.merge_accumulators([times, told])

    def merge_accumulators(self, accumulators: Iterable[Times]) -> Times:
        merged: Times = {}
        for times in accumulators:
            for process, counters in times.items():
                last = merged.setdefault(process, {})
                for name, value in counters.items():
                    last[name] = max(last.get(name, 0), value)
        return merged

    def extract_output(self, times: Times) -> dict[str, float]:
        return {
            stage: round(sum(counters.get(name, 0) for counters in times.values()) / 1e6, 1)
            for stage, name in STAGES.items()
        }


@dataclasses.dataclass
class MeasureStages(beam.PTransform):
    """Sum the busy times of all threads of all processes: anything -> one {stage: seconds}.

    Apply it to what the last stage gives: a process tells what it has counted when a bundle ends.
    """

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, elements: Any) -> Any:
        return elements | "Tell" >> beam.ParDo(_Tell()) | beam.CombineGlobally(_Sum())

"""Where a run happens, judged from Beam's flags alone; importing this does not import Beam."""

import dataclasses
import enum
import importlib.util
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipelines.options.arguments import Parser
from transforms.core.errors import UsageError, did_you_mean


class Runner(enum.Enum):
    """The kinds of runner that this command treats differently."""

    LOCAL = "local"
    """Beam's in-process runner, on this machine."""
    DATAFLOW = "dataflow"
    PORTABLE = "portable"
    """Any other: its workers may be on other machines."""


_KINDS = {
    Runner.LOCAL: ("DirectRunner", "FnApiRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner"),
    Runner.DATAFLOW: ("DataflowRunner",),
    Runner.PORTABLE: ("PortableRunner", "PrismRunner", "FlinkRunner", "SparkRunner"),
}
"""Beam's runners, by kind."""

_REFUSED = {
    "DaskRunner": "it loses tagged outputs, and what a bundle gives at its end",
    "KafkaStreamsRunner": "it is being built, and does not run all of Beam",
    "InteractiveRunner": "it keeps what flows for a notebook, and so all pixels",
    "PythonRPCDirectRunner": "it is for Beam's own tests",
    "TestDirectRunner": "it is for Beam's own tests",
    "TestDataflowRunner": "it is for Beam's own tests",
}
"""Beam's runners for which nothing is promised, with the reason."""

_RUNNERS = {name: kind for kind, names in _KINDS.items() for name in names}
_BY_SHORT_NAME = {name.removesuffix("Runner").lower(): name for name in (*_RUNNERS, *_REFUSED)}
_BEAM = "apache_beam"


class NamedRunner(NamedTuple):
    """A runner that Beam's flags name: its kind, and the name of its class, with its module if it is not Beam's."""

    kind: Runner
    name: str


def runner_of(beam_args: Sequence[str]) -> Runner:
    """Return which kind of runner Beam's flags name, see `named_runner`."""
    return named_runner(beam_args).kind


def named_runner(beam_args: Sequence[str]) -> NamedRunner:
    """Return the runner that Beam's flags name, in any of the spellings that Beam takes.

    These are its class's name in any case, with or without 'Runner', and the full name: 'DirectRunner', 'direct',
    'apache_beam.runners.direct.direct_runner.DirectRunner'. Without a name it is the local one.

    Raises:
      UsageError: there is no such runner, or nothing is promised for it.
    """
    parser = Parser(prog="embed-images", add_help=False)
    parser.add_argument("--runner", default="DirectRunner")
    given = parser.parse_known_args(list(beam_args))[0].runner
    module, _, name = given.rpartition(".")
    short_name = name.lower().removesuffix("runner")
    is_beams = not module or module.lower().split(".")[0] == _BEAM
    if is_beams and short_name in _BY_SHORT_NAME:
        known = _BY_SHORT_NAME[short_name]
        if known in _REFUSED:
            raise UsageError(f"--runner {known}: {_REFUSED[known]}; use one of {', '.join(_RUNNERS)}")
        return NamedRunner(_RUNNERS[known], known)
    if not module:
        raise UsageError(f"--runner {given} is not a runner of Beam{did_you_mean(name, _RUNNERS)}")
    # Somebody's own class, whatever it is called.
    if not _can_be_found(module):
        raise UsageError(f"--runner {given}: there is no module {module} here")
    return NamedRunner(Runner.PORTABLE, given)


def has_workers(beam_args: Sequence[str]) -> bool:
    """Whether Beam's in-process runner would divide the work among several workers: --direct_running_mode."""
    parser = Parser(prog="embed-images", add_help=False)
    parser.add_argument("--direct_running_mode", default="in_memory")
    return bool(parser.parse_known_args(list(beam_args))[0].direct_running_mode != "in_memory")


def _can_be_found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


FANOUT = 16
"""Workers that combine what bundles say: one alone would get 120 GB from a run over 10**8 images."""


@dataclasses.dataclass(frozen=True)
class Where:
    """Where a run happens.

    Attributes:
      runner: kind of runner.
      resource_hints: Beam's resource hints for the steps that embed.
      has_workers: whether a local run divides its work among several workers.
      is_loopback: whether the workers of another runner are threads of this process.
      dollars_an_hour: price of all workers at most, in US dollars; 0.0 if it is not known.
    """

    runner: Runner = Runner.LOCAL
    resource_hints: Mapping[str, str] = dataclasses.field(default_factory=dict)
    has_workers: bool = False
    is_loopback: bool = False
    dollars_an_hour: float = 0.0

    @property
    def is_one_process(self) -> bool:
        """Whether one process does all of the work, one step after the other."""
        return self.runner is Runner.LOCAL and not self.has_workers

    @property
    def fanout(self) -> int | None:
        """Among how many workers what all bundles say is combined first; None for one step alone."""
        return None if self.is_one_process else FANOUT

    @property
    def embeds_here(self) -> bool:
        """Whether this machine computes the embeddings, and so must be able to."""
        return self.runner is Runner.LOCAL or self.is_loopback

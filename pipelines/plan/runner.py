"""Where a run happens, judged from Beam's flags alone; importing this does not import Beam."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence

from pipelines.options.arguments import Parser


class Runner(enum.Enum):
    """The kinds of runner that this command treats differently."""

    LOCAL = "local"
    """Beam's in-process runner, on this machine."""
    DATAFLOW = "dataflow"
    PORTABLE = "portable"
    """Any other: its workers may be on other machines."""


_LOCAL_NAMES = frozenset({"direct", "fnapi", "bundlebaseddirect", "switchingdirect"})
_BEAM = "apache_beam."


def runner_of(beam_args: Sequence[str]) -> Runner:
    """Return which kind of runner Beam's flags name, in any of the spellings that Beam takes.

    These are its class's name in any case, with or without 'Runner', and the full name: 'DirectRunner', 'direct',
    'apache_beam.runners.direct.direct_runner.DirectRunner'. Without a name it is the local one.
    """
    parser = Parser(prog="embed-images", add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", default="DirectRunner")
    full_name = parser.parse_known_args(list(beam_args))[0].runner.lower()
    if "." in full_name and not full_name.startswith(_BEAM):
        # Somebody's own class, whatever it is called.
        return Runner.PORTABLE
    name = full_name.rpartition(".")[2].removesuffix("runner")
    if name in _LOCAL_NAMES:
        return Runner.LOCAL
    return Runner.DATAFLOW if name == "dataflow" else Runner.PORTABLE


@dataclasses.dataclass(frozen=True)
class Where:
    """Where a run happens.

    Attributes:
      runner: kind of runner.
      resource_hints: Beam's resource hints for the steps that embed.
    """

    runner: Runner = Runner.LOCAL
    resource_hints: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def embeds_here(self) -> bool:
        """Whether this machine computes the embeddings, and so must be able to."""
        return self.runner is Runner.LOCAL

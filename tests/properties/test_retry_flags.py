"""The command that retries failures survives a shell, and asks for the same run with other inputs and outputs."""

import dataclasses
import shlex
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipelines.console.summary import summary_lines
from pipelines.options.command_line import parse
from pipelines.plan.plan import Target
from pipelines.plan.run_stats import RunStats
from transforms import Backbone, EmbeddingSpec
from transforms.collection.layout import FAILURES
from transforms.collection.manifest import Changes, Manifest

# What a shell passes on: anything but NUL. What begins with a dash is a flag.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
VALUES = (TEXT | st.text("'\"\\ $`!*?[{#~&|;\n\té", min_size=1, max_size=8)).filter(lambda value: value[0] != "-")
WORDS = VALUES.filter(lambda value: " " not in value)
"""For Beam's flags: argparse takes '--flag=a b' for no flag, where it does not know the flag."""
REPLACED = ("existing", "retry")

FLAGS = {
    "input": VALUES,
    "uri_column": VALUES,
    "version_column": VALUES,
    "backbone": st.sampled_from(["MobileNet", "mobilenet,ResNet50"]),
    "existing": st.sampled_from(["refuse", "replace", "update"]),
    "dry_run": st.just("false"),
    "output_format": st.sampled_from(["parquet", "parquet,tfrecord"]),
    "weights": st.just("random"),
    "backbone_kwargs": st.sampled_from(['{"alpha": 0.25}', '{"a b": "it\'s"}']),
    "layer": VALUES,
    "normalize": st.sampled_from(["", "true", "false"]),
    "image_size": st.sampled_from(["32", "32x48"]),
    "max_failure_ratio": st.sampled_from(["0.5", "1"]),
    "runner": st.just("DirectRunner"),
    "job_name": WORDS,
    "temp_location": WORDS,
}


@st.composite
def given_flags(draw: st.DrawFn) -> list[tuple[str, list[str]]]:
    """Draw flags of a command line, each with its arguments: '--flag', '--flag value' or '--flag=value'."""
    names = draw(st.lists(st.sampled_from(sorted(FLAGS)), max_size=8))
    found: list[tuple[str, list[str]]] = []
    for name in ["input", "output", *names]:
        value = draw(FLAGS.get(name, VALUES))
        forms = [[f"--{name}", value], [f"--{name}={value}"]] if value else [[f"--{name}"]]
        found.append((name, draw(st.sampled_from(forms))))
    return draw(st.permutations(found))


def retry_of(command_line: list[str]) -> list[str]:
    """Return what a shell makes of the command that a run with one failure prints."""
    spec = EmbeddingSpec(
        *("MobileNet", {}, "random", "00", "avg", None, (32, 32), (32, 32), "crop", "bilinear", "srgb-3"),
        *("float32", False, "float32", 1024),
    )
    name = FAILURES.shard_name("20261128T235642-42dbe8", 0, 1)
    manifest: Any = {
        "run_id": "20261128T235642-42dbe8",
        "counts": {"inputs": 1, "embedded": 0, "failed": 1, "skipped": 0, "duplicates": 0},
        "embedding_spec": dataclasses.asdict(spec),
        "embedding_spec_fingerprint": spec.fingerprint,
        "changes": dict.fromkeys(Changes.__annotations__, 0),
        "collection": {"rows": 0, "columns": "", "runs": []},
        "files": [{"name": name, "rows": 1, "bytes": 1}],
        "failures": {"timeout": {"count": 1, "kind": "transient", "example": "x", "message": "too slow"}},
        "health": {},
        "workers": [],
    }
    found: Manifest = manifest
    target = Target(Backbone("MobileNet", weights="random"), spec, "out")
    *_, retry = summary_lines(target, found, RunStats(1.0, 0.0, {}), parse(command_line, {})[0])
    assert retry.startswith("retry the failures:  embed-images ")
    return shlex.split(retry.partition(":")[2])[1:]


@given(given_flags())
def test_the_flags_that_a_retry_keeps_survive_a_shell(flags: list[tuple[str, list[str]]]) -> None:
    command_line = [argument for _, arguments in flags for argument in arguments]
    kept = [argument for name, arguments in flags for argument in arguments if name not in REPLACED]
    assert retry_of(command_line) == [*kept, "--existing", "update", "--retry", "all"]


@given(given_flags())
def test_a_retry_asks_for_the_same_run(flags: list[tuple[str, list[str]]]) -> None:
    command_line = [argument for _, arguments in flags for argument in arguments]
    settings, beam_args = parse(command_line)
    again, beam_args_again = parse(retry_of(command_line))
    assert beam_args_again == beam_args
    own = {"command_line", "began", "origins"}
    one, other = dataclasses.asdict(settings), dataclasses.asdict(again)
    assert {k: v for k, v in one.items() if k not in {*REPLACED, *own}} == {
        k: v for k, v in other.items() if k not in {*REPLACED, *own}
    }
    assert (again.existing, again.retry, again.dry_run) == ("update", "all", False)

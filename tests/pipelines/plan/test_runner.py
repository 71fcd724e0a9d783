"""Where a run happens, judged from Beam's flags: checked against the table by which Beam itself finds a runner."""

import re
import subprocess
import sys

import pytest
from apache_beam.runners.runner import _RUNNER_MAP

from pipelines.plan.runner import Runner, Where, has_workers, named_runner, runner_of
from transforms.core.errors import UsageError

DIRECT = "apache_beam.runners.direct.direct_runner"
FN_API = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
DATAFLOW = "apache_beam.runners.dataflow.dataflow_runner.DataflowRunner"

PORTABLE = "apache_beam.runners.portability"

KINDS = {
    f"{DIRECT}.DirectRunner": Runner.LOCAL,
    f"{DIRECT}.BundleBasedDirectRunner": Runner.LOCAL,
    f"{DIRECT}.SwitchingDirectRunner": Runner.LOCAL,
    FN_API: Runner.LOCAL,
    DATAFLOW: Runner.DATAFLOW,
    f"{PORTABLE}.portable_runner.PortableRunner": Runner.PORTABLE,
    f"{PORTABLE}.prism_runner.PrismRunner": Runner.PORTABLE,
    f"{PORTABLE}.flink_runner.FlinkRunner": Runner.PORTABLE,
    f"{PORTABLE}.spark_runner.SparkRunner": Runner.PORTABLE,
}
"""By the class that runs; for all others of Beam's nothing is promised."""


def class_of(name: str) -> str:
    """Return the full name of the class that Beam takes for a runner's name, as `create_runner` does."""
    lower = name.lower()
    return _RUNNER_MAP.get(lower, _RUNNER_MAP.get(f"{lower}runner", name))


def spellings(path: str) -> list[str]:
    name = path.rpartition(".")[2]
    short = name.removesuffix("Runner")
    return [path, name, name.lower(), name.upper(), short, short.lower(), short.upper()]


@pytest.mark.parametrize("path", sorted(set(_RUNNER_MAP.values())))
def test_every_runner_of_beam_is_judged_by_its_class_in_each_spelling_that_beam_takes(path: str) -> None:
    name = path.rpartition(".")[2]
    for spelled in spellings(path):
        assert class_of(spelled) == path, spelled
        if path in KINDS:
            assert named_runner([f"--runner={spelled}"]) == (KINDS[path], name), spelled
        else:
            with pytest.raises(UsageError, match=rf"^--runner {name}: it .*; use one of DirectRunner, .*SparkRunner$"):
                runner_of([f"--runner={spelled}"])


def test_the_classes_that_are_judged_are_runners_of_beam() -> None:
    assert set(KINDS) <= set(_RUNNER_MAP.values())


@pytest.mark.parametrize(
    ("spelled", "kind"),
    [
        ("DirectRunner", Runner.LOCAL),
        ("directrunner", Runner.LOCAL),
        ("direct", Runner.LOCAL),
        ("FnApiRunner", Runner.LOCAL),
        ("BundleBasedDirectRunner", Runner.LOCAL),
        ("SwitchingDirectRunner", Runner.LOCAL),
        (f"{DIRECT}.DirectRunner", Runner.LOCAL),
        (FN_API, Runner.LOCAL),
        # As Beam's packages give it, too.
        ("apache_beam.runners.DirectRunner", Runner.LOCAL),
        ("DataflowRunner", Runner.DATAFLOW),
        ("dataflow", Runner.DATAFLOW),
        (DATAFLOW, Runner.DATAFLOW),
        ("apache_beam.runners.DataflowRunner", Runner.DATAFLOW),
        ("PortableRunner", Runner.PORTABLE),
        ("FlinkRunner", Runner.PORTABLE),
        ("PrismRunner", Runner.PORTABLE),
        ("apache_beam.runners.portability.flink_runner.FlinkRunner", Runner.PORTABLE),
        # Somebody's own class, whatever its name.
        ("tests.fake_backbone.DirectRunner", Runner.PORTABLE),
        ("tests.fake_backbone.DataflowRunner", Runner.PORTABLE),
    ],
)
def test_a_runner_is_judged_by_its_name(spelled: str, kind: Runner) -> None:
    assert runner_of([f"--runner={spelled}"]) is kind
    assert runner_of(["--runner", spelled]) is kind


@pytest.mark.parametrize(
    ("beam_args", "kind"),
    [
        ([], Runner.LOCAL),
        (["--region=europe-west4", "--streaming"], Runner.LOCAL),
        (["--runner=DataflowRunner", "--runner=DirectRunner"], Runner.LOCAL),
        (["--runner", "DirectRunner", "--region", "r", "--runner=FlinkRunner"], Runner.PORTABLE),
        (["--runner=FlinkRunner", "--project=p", "--runner", "dataflow"], Runner.DATAFLOW),
        (["--runner_harness=DataflowRunner"], Runner.LOCAL),
    ],
)
def test_the_last_of_several_runners_counts_and_none_is_the_local_one(beam_args: list[str], kind: Runner) -> None:
    assert runner_of(beam_args) is kind


@pytest.mark.parametrize(
    ("spelled", "says"),
    [
        ("FlinkRuner", "--runner FlinkRuner is not a runner of Beam (did you mean 'FlinkRunner'?)"),
        ("flnk", "--runner flnk is not a runner of Beam"),
        ("Datafow", "--runner Datafow is not a runner of Beam (did you mean 'DataflowRunner'?)"),
        ("NoSuchRunner", "--runner NoSuchRunner is not a runner of Beam"),
        ("apache_beam.none.NoRunner", "--runner apache_beam.none.NoRunner: there is no module apache_beam.none here"),
        ("my_module.MyRunner", "--runner my_module.MyRunner: there is no module my_module here"),
        ("..MyRunner", "--runner ..MyRunner: there is no module . here"),
        ("dask", "--runner DaskRunner: it loses tagged outputs, and what a bundle gives at its end; use one of "),
    ],
)
def test_a_runner_that_cannot_be_had_or_trusted_is_refused_at_once(spelled: str, says: str) -> None:
    """With the name that was meant, where there is one near. (1j)"""
    with pytest.raises(UsageError, match=re.escape(says)):
        runner_of([f"--runner={spelled}"])


def test_a_class_of_somebodys_own_is_not_taken_for_the_one_of_beam_that_is_called_so() -> None:
    own = "tests.fake_backbone.FlinkRunner"
    assert named_runner([f"--runner={own}"]) == (Runner.PORTABLE, own)


def test_a_runner_without_a_name_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"argument --runner: expected one argument; see embed-images --help$"):
        runner_of(["--runner"])


@pytest.mark.parametrize(("runner", "here"), [(Runner.LOCAL, True), (Runner.DATAFLOW, False), (Runner.PORTABLE, False)])
def test_this_machine_embeds_where_the_runner_is_local_or_its_workers_are_here(runner: Runner, here: bool) -> None:
    assert Where(runner).embeds_here is here
    assert Where(runner, is_loopback=True).embeds_here


def test_a_place_is_this_machine_unless_it_is_said_otherwise() -> None:
    assert Where() == Where(Runner.LOCAL, {})


@pytest.mark.parametrize(
    ("beam_args", "has"),
    [
        ([], False),
        (["--direct_running_mode=in_memory", "--direct_num_workers=2"], False),
        (["--direct_num_workers", "2", "--direct_running_mode", "multi_processing"], True),
        (["--direct_running_mode=multi_threading"], True),
    ],
)
def test_beams_runner_has_workers_where_its_mode_says_so(beam_args: list[str], has: bool) -> None:
    assert has_workers(beam_args) is has


def test_one_process_does_all_where_the_runner_is_local_and_has_no_workers() -> None:
    places = [Where(), Where(has_workers=True), Where(Runner.DATAFLOW), Where(Runner.PORTABLE)]
    assert [where.is_one_process for where in places] == [True, False, False, False]


def test_judging_a_runner_imports_no_beam() -> None:
    code = (
        "import sys\nfrom pipelines.plan.runner import runner_of\n"
        f"runner_of(['--runner={DATAFLOW}'])\n"
        "print(sorted({'apache_beam', 'tensorflow', 'pyarrow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

"""What a person reads at the end, and the exit code, from manifests as they are written."""

import dataclasses
import json
import pathlib
import shlex
from typing import Any

import pytest

from pipelines.console.summary import conclude, exit_code, summary_lines
from pipelines.options.command_line import parse
from pipelines.options.settings import Settings
from pipelines.plan.plan import Plan, Target
from pipelines.plan.run_stats import RunStats
from pipelines.plan.runner import Where
from tests.pipelines.conftest import settings_of
from transforms import Backbone, EmbeddingSpec, ReadImageUris, embedding_spec
from transforms.collection.manifest import Changes
from transforms.core.errors import RunError

COMMAND = ("--input", "photos", "--output=o ut", "--weights", "random", "--uri_column", "path", "--normalize")
SETTINGS = parse(list(COMMAND), {})[0]
PARQUET = "parquet/embeddings-RUN-00000-of-00001.parquet"
RECORDS = "tfrecord/embeddings-RUN-00000-of-00001.tfrecord.gz"
FAILED = "failures/failures-RUN-00000-of-00001.jsonl"
HEALTH = {"vectors": 8, "norm_min": 0.5, "norm_max": 2.0, "norm_mean": 1.0, "nan": 0, "zero": 1, "constant_dims": 3}


STATS = RunStats(1.0, 0.0, {})


@pytest.fixture(scope="module")
def spec() -> EmbeddingSpec:
    return embedding_spec(Backbone("MobileNet", weights="random", image_size=(32, 32)))


def manifest(spec: EmbeddingSpec, embedded: int, reasons: dict[str, int], files: tuple[str, ...]) -> dict[str, Any]:
    failed = sum(reasons.values())
    seen = {r: {"count": n, "example": "a b.jpg", "message": "why", "kind": "permanent"} for r, n in reasons.items()}
    return {
        "run_id": "RUN",
        "counts": {
            "inputs": embedded + failed + 2,
            "embedded": embedded,
            "failed": failed,
            "skipped": 0,
            "duplicates": 2,
        },
        "embedding_spec": json.loads(spec.to_json()),
        "embedding_spec_fingerprint": spec.fingerprint,
        "changes": dict.fromkeys(Changes.__annotations__, 0),
        "collection": {"rows": embedded, "columns": "", "runs": []},
        "workers": [{"engine": "tensorflow", "device": device} for device in ("CPU", "GPU")] if embedded else [],
        "files": [{"name": name, "rows": 1, "bytes": 1_500_000} for name in files],
        "failures": seen,
        "health": {**HEALTH, "vectors": 30, "duplicates": 0.25},
    }


def target(folder: pathlib.Path, spec: EmbeddingSpec) -> Target:
    return Target(Backbone("MobileNet", weights="random"), spec, str(folder))


def plan(photos: pathlib.Path, targets: tuple[Target, ...], ratio: float = 1.0) -> Plan:
    settings = settings_of(photos, photos / "../out", f"--max_failure_ratio={ratio}")
    return Plan("RUN", "2026-01-01T00:00:00Z", settings, Where(), ReadImageUris([str(photos)]), targets)


def written(folder: pathlib.Path, content: dict[str, Any]) -> pathlib.Path:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def test_the_lines_say_what_became_of_the_inputs(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    reasons = {"not_found": 5, "truncated": 2, "corrupt": 1, "empty": 1}
    found = manifest(spec, 8, reasons, (FAILED, PARQUET))
    busy = {"fetch": 100_000, "decode": 1_260_000, "forward": 900_000, "write": 40_000}
    counters = {f"{stage}-busy-us": us for stage, us in busy.items()}
    stats = RunStats(2.0, 1.5, {"batches-on-cpu": 1, "forward-waited-us": 310_000, **counters})
    lines = summary_lines(target(tmp_path, spec), found, stats, SETTINGS)
    text = "\n".join(lines)
    assert 8 <= len(lines) <= 12
    assert "inputs 19 = embedded 8 + failed 9 + skipped 0 + duplicates 2" in text
    assert "5 not_found (permanent), e.g. a b.jpg: why" in text
    assert "1 empty" in text
    assert "2, 3.0 MB, run RUN" in text
    assert "norm 0.5 to 2, mean 1; 0 NaN, 1 zero, 3 constant dimensions, 25.0% duplicates" in text
    assert "4.0 img/s, 2.0 s, tensorflow in float32 on CPU" in text
    assert "start 1.5 s, fetch 0.1 s, decode 1.3 s, forward 0.9 s, write 0.0 s, wait 0.3 s" in text
    retry = shlex.split(lines[-2].partition(":")[2])
    assert retry == ["embed-images", *COMMAND, "--existing", "update", "--retry", "all"]


def test_what_was_taken_of_a_model_of_one_s_own_is_told(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    found = manifest(spec, 8, {}, (PARQUET,))
    plain = target(tmp_path, spec)
    told = summary_lines(dataclasses.replace(plain, note="the weights of encoder in it"), found, STATS, SETTINGS)
    lines = summary_lines(plain, found, STATS, SETTINGS)
    assert [line for line in told if line not in lines] == ["  model     the weights of encoder in it"]


@pytest.mark.parametrize(("vectors", "told"), [(1, False), (29, False), (30, True)])
def test_constant_dimensions_are_told_of_enough_vectors(
    vectors: int, told: bool, spec: EmbeddingSpec, tmp_path: pathlib.Path
) -> None:
    found: Any = manifest(spec, 8, {}, (PARQUET,))
    found["health"]["vectors"] = vectors
    text = "\n".join(summary_lines(target(tmp_path, spec), found, STATS, SETTINGS))
    assert ("3 constant dimensions" in text) is told
    assert "1 zero, " in text


def test_other_files_are_told_apart_and_offer_no_retry(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    found: Any = manifest(spec, 8, {"other_file": 4}, (PARQUET, FAILED))
    lines = summary_lines(target(tmp_path, spec), found, STATS, SETTINGS)
    assert "failed 4 " in lines[1]
    assert [line for line in lines if line.startswith(("  failed", "  others"))] == [
        "  others    4 of the failed are no images by their suffix, and were not fetched, e.g. a b.jpg"
    ]
    assert not any(line.startswith("retry") for line in lines)
    found = manifest(spec, 8, {"other_file": 4, "timeout": 1}, (PARQUET, FAILED))
    lines = summary_lines(target(tmp_path, spec), found, STATS, SETTINGS)
    assert "1 timeout" in lines[2]
    assert lines[-2].startswith("retry")


def test_a_run_without_failures_offers_no_retry(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    found = manifest(spec, 8, {}, (RECORDS,))
    lines = summary_lines(target(tmp_path, spec), found, RunStats(0.0, 0.0, {}), SETTINGS)
    assert "  failed    none" in lines
    assert not any(line.startswith("retry") for line in lines)
    assert "TFRecordDataset" in lines[-1]
    assert lines[-3] == "  speed     0.0 img/s, 0.0 s, tensorflow in float32 on none"


def test_a_run_that_wrote_nothing_has_the_fewest_lines(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    found = {**manifest(spec, 0, {}, ()), "health": {"vectors": 0}}
    lines = summary_lines(target(tmp_path, spec), found, RunStats(1.0, 0.0, {}), SETTINGS)
    assert len(lines) == 8
    assert "  health    no vectors" in lines


@pytest.mark.parametrize(("name", "said"), [(PARQUET, "pq.read_table("), (RECORDS, "TFRecordDataset(")])
def test_the_command_that_reads_the_result_names_the_file_where_it_lies(
    name: str, said: str, spec: EmbeddingSpec, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / 'o "ut'
    found = manifest(spec, 8, {"corrupt": 1}, (FAILED, name))
    _, *command = shlex.split(summary_lines(target(folder, spec), found, STATS, SETTINGS)[-1].partition(":")[2])
    assert command[0] == "-c"
    assert said in command[1]
    assert json.dumps(f"{folder}/{name}") in command[1]


def test_both_formats_are_read_from_parquet(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    lines = summary_lines(target(tmp_path, spec), manifest(spec, 8, {}, (RECORDS, PARQUET)), STATS, SETTINGS)
    assert PARQUET in lines[-1]
    assert sum(line.startswith("read the result:") for line in lines) == 1


def retry_of(
    typed: list[str], environ: dict[str, str], spec: EmbeddingSpec, folder: pathlib.Path
) -> tuple[list[str], Settings]:
    """Return what a shell makes of the command that a run with a failure prints, and the settings of that run."""
    found: Any = manifest(spec, 0, {"timeout": 1}, (FAILED,))
    settings = parse(typed, environ)[0]
    command, *argv = shlex.split(summary_lines(target(folder, spec), found, STATS, settings)[-1].partition(":")[2])
    assert command == "embed-images"
    return argv, settings


def test_a_retry_updates_the_same_collection(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    typed = ["--input", "a", "--existing=replace", "--output", "x", "--backbone=A,B", "--layer", "a b", "--resume="]
    assert retry_of(typed, {}, spec, tmp_path / "[1]")[0] == [
        *("--input", "a", "--output", "x", "--backbone=A,B", "--layer", "a b"),
        *("--existing", "update", "--retry", "all"),
    ]


def test_a_retry_in_another_shell_asks_for_what_variables_asked_for(
    spec: EmbeddingSpec, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "run.toml"
    file.write_text('output = "out"\nresume = "20261128T235642-42dbe8"\ntop_k = 3\n')
    environ = {
        "EMBED_IMAGES_INPUT": "a, b c",
        "EMBED_IMAGES_CONFIG": str(file),
        "EMBED_IMAGES_LAYER": "it's",
        "EMBED_IMAGES_RETRY": "none",
        "EMBED_IMAGES_NORMALIZE": "true",
    }
    argv, before = retry_of(["--normalize=false"], environ, spec, tmp_path)
    after = parse(argv, {})[0]
    assert (after.existing, after.retry, after.resume) == ("update", "all", "")
    own = {"existing", "retry", "resume", "command_line", "began", "origins"}
    for name, value in dataclasses.asdict(before).items():
        assert name in own or getattr(after, name) == value, name
    assert (after.input, after.output, after.normalize, after.top_k) == (("a", "b c"), "out", False, 3)
    # In the shell of the run, too.
    assert parse(argv, environ)[0].resume == ""


CODES = [(9, 1, 0.1, 0), (9, 1, 0.09, 3), (9, 1, 1.0, 0), (0, 3, 1.0, 3), (0, 0, 0.0, 0), (5, 0, 0.0, 0)]


@pytest.mark.parametrize(("embedded", "failed", "ratio", "code"), CODES)
def test_the_exit_code_is_3_over_the_budget_or_when_all_failed(
    embedded: int,
    failed: int,
    ratio: float,
    code: int,
    spec: EmbeddingSpec,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    found: Any = manifest(spec, embedded, {"corrupt": failed} if failed else {}, ())
    assert exit_code([found], ratio) == code
    made = target(written(tmp_path / "out", found), spec)
    assert conclude(plan(photos, (made,), ratio), STATS) == code


def test_repeated_inputs_are_no_part_of_the_ratio_and_skipped_ones_are_as_good_as_embedded(spec: EmbeddingSpec) -> None:
    found: Any = manifest(spec, 1, {"corrupt": 1}, ())
    found["counts"].update(inputs=104, duplicates=100, skipped=2)
    assert exit_code([found], 0.25) == 0
    assert exit_code([found], 0.24) == 3
    found["counts"].update(embedded=0)
    assert exit_code([found], 1.0) == 0


def test_one_backbone_over_the_budget_is_enough(spec: EmbeddingSpec) -> None:
    good, bad = manifest(spec, 9, {}, ()), manifest(spec, 1, {"inference": 8}, ())
    both: Any = [good, bad]
    assert exit_code(both, 0.5) == 3
    assert exit_code(both[:1], 0.5) == 0
    assert exit_code([], 0.0) == 0


def test_each_backbone_has_its_lines(
    spec: EmbeddingSpec, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = tuple(target(written(tmp_path / name, manifest(spec, 1, {}, ())), spec) for name in ("one", "two"))
    assert conclude(plan(photos, targets), RunStats(1.0, 0.0, {"batches-on-gpu": 3})) == 0
    printed = capsys.readouterr().out
    assert f"into {tmp_path}/one" in printed
    assert f"into {tmp_path}/two" in printed
    assert printed.count("on GPU") == 2


@pytest.mark.parametrize("there", [None, {"run_id": "ANOTHER"}])
def test_a_summary_is_never_of_another_run(
    there: dict[str, str] | None, spec: EmbeddingSpec, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """(1a)"""
    (tmp_path / "none").mkdir()
    if there:
        (tmp_path / "none" / "manifest.json").write_text(json.dumps(there))
    with pytest.raises(RunError, match=f"run RUN was committed, but {tmp_path}/none no longer holds it"):
        conclude(plan(photos, (target(tmp_path / "none", spec),)), STATS)


@pytest.mark.parametrize(
    ("changes", "rows", "line"),
    [
        ({"new": 8}, 8, None),
        ({"rows_before": 5}, 5, "nothing; rows 5 before, 5 now"),
        (
            {"rows_before": 1000, "new": 8, "gone": 3},
            1008,
            "8 new, 3 gone from the input; rows 1,000 before, 1,008 now",
        ),
        ({"new": 8, "taken_over": 6}, 8, "8 new, 6 taken over from runs that ended early; rows 0 before, 8 now"),
        (
            {"rows_before": 9, "new": 1, "changed": 2, "revised": 3, "gone": 4, "removed": 4},
            6,
            "1 new, 2 changed, 3 with another version or other columns, 4 gone from the input, 4 removed; "
            "rows 9 before, 6 now",
        ),
    ],
)
def test_a_run_that_changed_a_collection_says_what(
    changes: dict[str, int], rows: int, line: str | None, spec: EmbeddingSpec, tmp_path: pathlib.Path
) -> None:
    content = manifest(spec, 8, {}, (PARQUET,))
    content["changes"] = {**dict.fromkeys(Changes.__annotations__, 0), **changes}
    content["collection"]["rows"] = rows
    lines = summary_lines(target(tmp_path, spec), content, STATS, SETTINGS)  # type: ignore[arg-type]
    assert [said.removeprefix("  changes   ") for said in lines if said.startswith("  changes")] == [line] * bool(line)


def test_failures_of_before_that_were_not_tried_are_counted(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    content = manifest(spec, 8, {}, (PARQUET, FAILED.replace("RUN", "EARLIER")))
    content["changes"]["known_failures"] = 1200
    lines = summary_lines(target(tmp_path, spec), content, STATS, SETTINGS)  # type: ignore[arg-type]
    assert [said for said in lines if said.startswith("  failed")] == [
        "  failed    1,200 before, and not tried again; --retry all would"
    ]

"""What a person reads at the end, and the exit code, from manifests as they are written."""

import json
import pathlib
import shlex
from typing import Any

import pytest

from pipelines.console.summary import exit_code, print_summary, summary_lines
from pipelines.launch.local import RunFacts
from pipelines.plan.plan import Plan, Target
from transforms import Backbone, EmbeddingSpec, ReadImageUris, embedding_spec

COMMAND = ("--input", "photos", "--output=o ut", "--weights", "random", "--uri_column", "path", "--normalize")
HEALTH = {"vectors": 8, "norm_min": 0.5, "norm_max": 2.0, "norm_mean": 1.0, "nan": 0, "zero": 1, "constant_dims": 3}


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
        "files": [{"name": name, "rows": 1, "bytes": 1_500_000} for name in files],
        "failures": seen,
        "health": {**HEALTH, "duplicates": 0.25},
    }


def target(folder: pathlib.Path, spec: EmbeddingSpec) -> Target:
    return Target(Backbone("MobileNet", weights="random"), spec, str(folder))


def plan(photos: pathlib.Path, targets: tuple[Target, ...]) -> Plan:
    return Plan("RUN", "2026-01-01T00:00:00Z", ReadImageUris([str(photos)]), targets, COMMAND, 0.0)


def test_the_lines_say_what_became_of_the_inputs(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    reasons = {"not_found": 5, "truncated": 2, "corrupt": 1, "empty": 1}
    written = manifest(spec, 8, reasons, ("failures-RUN-00000-of-00001.jsonl", "embeddings-RUN-00000-of-00001.parquet"))
    busy = {"fetch": 100_000, "decode": 1_260_000, "forward": 900_000, "write": 40_000}
    counters = {f"{stage}-busy-us": us for stage, us in busy.items()}
    facts = RunFacts(2.0, 1.5, {"batches-on-cpu": 1, "forward-waited-us": 310_000, **counters})
    lines = summary_lines(target(tmp_path, spec), written, facts, COMMAND)
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
    assert retry == [
        *("embed-images", "--input", f"{tmp_path}/failures-RUN-*.jsonl", "--output", f"{tmp_path}-retry"),
        *("--backbone", "MobileNet", "--weights", "random", "--normalize"),
    ]


def test_a_run_without_failures_offers_no_retry(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    written = manifest(spec, 8, {}, ("embeddings-RUN-00000-of-00001.tfrecord.gz",))
    lines = summary_lines(target(tmp_path, spec), written, RunFacts(0.0, 0.0, {}), COMMAND)
    assert "  failed    none" in lines
    assert not any(line.startswith("retry") for line in lines)
    assert "TFRecordDataset" in lines[-1]
    assert lines[-3] == "  speed     0.0 img/s, 0.0 s, tensorflow in float32 on none"


def test_a_run_that_wrote_nothing_has_the_fewest_lines(spec: EmbeddingSpec, tmp_path: pathlib.Path) -> None:
    written = {**manifest(spec, 0, {}, ()), "health": {"vectors": 0}}
    lines = summary_lines(target(tmp_path, spec), written, RunFacts(1.0, 0.0, {}), COMMAND)
    assert len(lines) == 8
    assert "  health    no vectors" in lines


@pytest.mark.parametrize(
    ("embedded", "failed", "ratio", "code"),
    [(9, 1, 0.1, 0), (9, 1, 0.09, 3), (9, 1, 1.0, 0), (0, 3, 1.0, 3), (0, 0, 0.0, 0), (5, 0, 0.0, 0)],
)
def test_the_exit_code_is_3_over_the_budget_or_when_all_failed(
    embedded: int,
    failed: int,
    ratio: float,
    code: int,
    spec: EmbeddingSpec,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    written = manifest(spec, embedded, {"corrupt": failed} if failed else {}, ())
    (tmp_path / "manifest.json").write_text(json.dumps(written))
    assert exit_code(plan(photos, (target(tmp_path, spec),)), ratio) == code


def test_each_backbone_has_its_lines(
    spec: EmbeddingSpec, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest(spec, 1, {}, ())))
        targets.append(target(tmp_path / name, spec))
    print_summary(plan(photos, tuple(targets)), RunFacts(1.0, 0.0, {"batches-on-gpu": 3}))
    printed = capsys.readouterr().out
    assert f"into {tmp_path}/one" in printed
    assert f"into {tmp_path}/two" in printed
    assert printed.count("on GPU") == 2

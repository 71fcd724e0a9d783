"""What the code may import: one way from the command to the elements, and one owner for each outside library."""

import ast
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from pipelines.command import main
from pipelines.sample_images import write_sample_images

ROOT = pathlib.Path(__file__).parent.parent

OWNERS = {
    "tensorflow": {"transforms/backbones", "transforms/write/tfrecord.py"},
    "keras": {"transforms/backbones"},
    "h5py": {"transforms/backbones"},
    "openvino": {"transforms/backbones/engines/openvino.py"},
    "PIL": {"transforms/decode.py", "pipelines/sample_images.py"},
    "pillow_heif": {"transforms/decode.py"},
    "urllib3": {"transforms/fetch/http.py", "transforms/storage/gcs_download.py"},
    "google": {"transforms/storage/gcs.py", "transforms/storage/gcs_download.py"},
    "google_crc32c": {"transforms/storage/gcs_download.py"},
    "requests": {"transforms/storage/gcs.py", "transforms/storage/gcs_download.py"},
    "rich": {"pipelines/console/progress.py"},
    "argparse": {"pipelines"},
    "pyarrow": {
        "transforms/write/parquet.py",
        "transforms/read/uri_lists.py",
        "transforms/write/tfrecord.py",
        "transforms/read/uris.py",
    },
}
"""Arrow's types are the language in which tables, uris and both sinks speak of carried columns. Google's sessions are
requests', and fail with its errors and urllib3's."""

STAGES = (
    "read.uris",
    "fetch.images",
    "decode",
    "embed.images",
    "write.parquet",
    "write.tfrecord",
    "measure.health",
    "commit.commit",
)
FOUNDATION = {
    "transforms.core.counters",
    "transforms.core.elements",
    "transforms.core.errors",
    "transforms.core.failures",
    "transforms.storage.gcs",
    "transforms.storage.gcs_download",
    "transforms.commit.claims",
    "transforms.write.shards",
    "transforms.core.spec",
    "transforms.core.thread_map",
    "transforms.storage.files",
}
"""What any stage may build on; none of it knows a stage."""

OF_A_STAGE = {
    "fetch.images": {"transforms.fetch.http"},
    "embed.images": {"transforms.backbones", "transforms.embed.batches"},
    "read.uris": {"transforms.read.uri_lists"},
    "write.parquet": {"transforms.read.uri_lists"},
    "write.tfrecord": {"transforms.read.uri_lists"},
}


def sources(*folders: str) -> list[pathlib.Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: pathlib.Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield str(node.module)


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", sources("transforms", "pipelines"), ids=name_of)
def test_each_outside_library_is_imported_by_its_owners_alone(path: pathlib.Path) -> None:
    for module in imports(path):
        owners = OWNERS.get(module.partition(".")[0])
        assert owners is None or {name_of(path), *map(name_of, path.parents[: -len(ROOT.parents) - 1])} & owners, module


@pytest.mark.parametrize("path", sources("transforms"), ids=name_of)
def test_transforms_know_no_pipeline_and_no_option(path: pathlib.Path) -> None:
    assert not [module for module in imports(path) if module.split(".")[0] in ("pipelines", "tests", "argparse")]


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_know_each_other(stage: str) -> None:
    own = {
        module
        for module in imports(ROOT / "transforms" / (stage.replace(".", "/") + ".py"))
        if module.startswith("transforms")
    }
    assert own <= FOUNDATION | OF_A_STAGE.get(stage, set())


@pytest.mark.parametrize("module", sorted(FOUNDATION))
def test_the_foundation_knows_no_stage(module: str) -> None:
    path = ROOT / (module.replace(".", "/") + ".py")
    assert {name for name in imports(path) if name.startswith("transforms")} <= FOUNDATION


@pytest.mark.parametrize("path", sources("transforms", "pipelines", "templates/embed_images"), ids=name_of)
def test_nothing_that_runs_a_job_knows_how_it_is_deployed(path: pathlib.Path) -> None:
    assert not [module for module in imports(path) if module.split(".")[0] == "templates"]


def test_only_what_is_installed_with_the_project_is_imported(tmp_path: pathlib.Path) -> None:
    # pandas, which Arrow reaches for in some calls, comes with the tests alone.
    (tmp_path / "pandas.py").write_text("raise ModuleNotFoundError('No module named pandas')")
    command = [sys.executable, "-c", "from tests.test_architecture import embed_samples; embed_samples()"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (result.returncode, result.stderr) == (0, "")


def embed_samples() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_sample_images(f"{folder}/samples", 3)
        flags = ["--weights", "random", "--image_size", "32", "--output_format", "parquet,tfrecord"]
        sys.exit(main(["--input", f"{folder}/samples", "--output", f"{folder}/out", *flags]))

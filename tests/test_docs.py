"""The docs: their code runs, their links lead somewhere, the README stays short."""

import ast
import importlib.util
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

import transforms
from pipelines.command import main
from pipelines.console.exit_codes import OVER_BUDGET, USAGE
from pipelines.explain.command import main as explain_image
from pipelines.options.command_line import parse
from pipelines.options.commands import explain, projector, report, similar
from pipelines.options.flags import parser
from pipelines.projector.command import main as projector_files
from pipelines.report.command import main as report_images
from pipelines.similar.command import main as similar_images
from tests.conftest import exhaustive, sample_image

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "templates" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]

NOT_RUN = {
    r"python3[.\d]* -m venv|pre-commit": "installs into an environment of its own, from a package index",
    r"pip install": "likewise",
    r"\.ci/run": "runs these tests",
    r"gcloud|bq |e2e\.sh|templates\.(deploy|schedule)|DataflowRunner": "needs Google; other tests speak its protocols",
    r"docker (build|run)": "needs Docker",
    r"terraform -": "needs Terraform and Google Cloud",
    r"-m sphinx": "`test_the_pages_build_without_a_warning` runs it",
    r"get_prism|prism": "needs Prism, which Go has to build; tests/end_to_end/test_runners.py runs the same",
    r"git (tag|push)|-m build|twine|gh release": "makes a release",
    r"embedding-atlas": "starts a server for a browser",
    r"pretrained=True|vit\.onnx": "downloads weights; tests/end_to_end/test_torch_models.py does it with random ones",
}
"""Blocks that cannot run in a test, by what they hold, with the reason."""

NOT_INSTALLED = {
    "autofaiss": "it asks for NumPy 1, and this project for NumPy 2",
    "chromadb": "it brings clients of Kubernetes and OpenTelemetry, and ONNX Runtime",
    "lancedb": "it takes 180 MB",
    "pyspark": "it takes 500 MB, and Java",
    "torch": "it installs CUDA, gigabytes of it",
}
"""Libraries that the tests do not install, with the reason: code of the docs that imports them runs where they are."""

LIGHT = ["--weights", "random", "--image_size", "32"]
"""Added to each command of the docs: ImageNet weights would have to be downloaded."""

READERS = {"similar-images": similar_images, "report-images": report_images, "projector-files": projector_files}
"""Commands that read a collection."""

BEAM = {
    "runner",
    "project",
    "region",
    "temp_location",
    "sdk_container_image",
    "dataflow_service_options",
    "experiments",
}
BEAM |= {"machine_type", "setup_file", "resource_hint", "flexrs_goal", "disk_size_gb", "max_num_workers", "subnetwork"}
BEAM |= {"prism_location", "job_endpoint", "environment_type", "environment_config"}
BEAM |= {"number_of_worker_harness_threads", "service_account_email", "num_workers", "network", "no_use_public_ips"}


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for number, block in enumerate(
            re.finditer(rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL), 1
        ):
            found.append((f"{page.relative_to(ROOT).as_posix()}#{number}", textwrap.dedent(block[2])))
    return found


def is_run(code: str) -> bool:
    return not any(re.search(pattern, code) for pattern in NOT_RUN)


SHELL, PYTHON = blocks("sh"), blocks("python")
SLOW = ("docs/use/consumers.md", "docs/library.md", "docs/use/models.md")
"""Pages whose Python takes longest: each block imports libraries of its own."""
TUTORIAL = "docs/tutorial.md"
"""The page whose steps build on each other."""


def alone(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, code) for name, code in found if is_run(code) and not name.startswith(TUTORIAL)]


def sampled(found: list[tuple[str, str]]) -> list[Any]:
    """Leave the snippets of one page, and a program that is also a file, to the exhaustive run, but for two."""
    kept = ("import numpy, pandas", "import duckdb")
    slow = [(name, code) for name, code in found if name.startswith(SLOW) and not code.startswith(kept)]
    return [*(block for block in found if block not in slow), *exhaustive(*slow)]


def libraries(code: str) -> set[str]:
    """Return the packages that a block of Python imports."""
    nodes = list(ast.walk(ast.parse(code)))
    imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in imported}


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A working folder as the docs have it: `photos/`, and what one run made of them in `embeddings/`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(3):
        sample_image(i).save(tmp_path / "photos" / f"{i}.jpg")
    return tmp_path


def type_in(code: str, folder: pathlib.Path) -> None:
    """Run the lines of a block as a person would; a search finds a collection."""
    lines = [line for line in code.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    for line in lines:
        command, *arguments = shlex.split(line)
        if command == "embed-images":
            assert main([*arguments, *LIGHT]) == 0, line
        elif command in READERS:
            if not (folder / "embeddings").exists():
                assert main(["--input", "photos", "--output", "embeddings", *LIGHT]) == 0
            assert READERS[command](arguments) == 0, line
        elif command == "explain-image":
            light = LIGHT if "--embeddings" not in arguments else []
            if "--embeddings" in arguments and not (folder / "embeddings").exists():
                assert main(["--input", "photos", "--output", "embeddings", *LIGHT]) == 0
            assert explain_image([*arguments, *light]) == 0, line
        else:
            assert command == "python", line
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            subprocess.run([sys.executable, *arguments], check=True, cwd=folder, env=environment)


@pytest.mark.parametrize(("name", "code"), alone(SHELL))
def test_commands_of_the_docs_run(name: str, code: str, folder: pathlib.Path) -> None:
    type_in(code, folder)
    if "--output" in code:
        assert sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet")) == 3


@pytest.fixture(scope="module", params=["list", pytest.param("fixed_size_list", marks=pytest.mark.exhaustive)])
def embeddings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What one run makes of some photos, in both formats, with vectors of each type."""
    photos, output = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("run") / "embeddings"
    for i in range(3):
        sample_image(i).save(photos / f"{i}.jpg")
    flags = ["--output_format", "parquet,tfrecord", "--vector_type", request.param]
    assert main(["--input", str(photos), "--output", str(output), *flags, *LIGHT]) == 0
    return output


@pytest.mark.parametrize(("name", "code"), sampled(alone(PYTHON)))
def test_python_of_the_docs_runs(name: str, code: str, folder: pathlib.Path, embeddings: pathlib.Path) -> None:
    for library in libraries(code) & NOT_INSTALLED.keys():
        if not importlib.util.find_spec(library):
            pytest.skip(f"{library} is not installed: {NOT_INSTALLED[library]}")
        if library == "pyspark" and not shutil.which("java"):
            pytest.skip("there is no Java, which Spark runs on")
    shutil.copytree(embeddings, folder / "embeddings")
    here = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache"), "SPARK_LOCAL_IP": "127.0.0.1"}
    environment = {**os.environ, **here, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in folder.glob("out/parquet/*.parquet"):
        assert pq.read_metadata(path).num_rows == 3


def test_the_tutorial_leads_from_no_photos_to_a_search(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = [code for name, code in SHELL if name.startswith(TUTORIAL) and is_run(code)]
    for step in steps:
        type_in(step, tmp_path)
    assert "000001.jpg" in (tmp_path / "similar.html").read_text()
    assert pq.read_table("pairs.parquet").column_names == ["uri_a", "uri_b", "cosine"]
    capfd.readouterr()
    ((_, last),) = [(name, code) for name, code in PYTHON if name.startswith(TUTORIAL)]
    subprocess.run([sys.executable, "-c", last], check=True)
    # A header, and five rows.
    assert len(capfd.readouterr().out.splitlines()) == 6
    # Tomorrow.
    (nightly,) = [step for step in steps if "--existing update" in step]
    type_in(nightly, tmp_path)
    assert "skipped 32" in capfd.readouterr().out


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_units_are_what_systemd_takes(tmp_path: pathlib.Path) -> None:
    page = (ROOT / "docs" / "operate" / "operations.md").read_text()
    units = re.findall(r"`/etc/systemd/system/(\S+)`:\n\n```ini\n(.*?)```", page, re.DOTALL)
    assert [name for name, _ in units] == ["embed-images.service", "embed-images.timer"]
    for name, unit in units:
        # The command is not installed where the page says.
        (tmp_path / name).write_text(unit.replace("/opt/embed-images/bin/embed-images", shutil.which("true")))
    paths = [tmp_path / name for name, _ in units]
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True)
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if str(tmp_path) in line]) == (0, [])


@pytest.mark.exhaustive
def test_the_pages_build_without_a_warning(tmp_path: pathlib.Path) -> None:
    build = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", ".", tmp_path / "site"]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "site" / "docs" / "api.html").read_text()
    for name in transforms.__all__:
        assert f'id="transforms.{name}"' in page or f'class="sig-name descname"><span class="pre">{name}<' in page, name


def test_the_example_is_a_program_that_ends_in_files(folder: pathlib.Path) -> None:
    (folder / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    program = ROOT / "examples" / "embed_and_write.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, program, "photos", "out"], check=True, cwd=folder, env=environment)
    (embeddings,) = folder.glob("out/parquet/*.parquet")
    assert sorted(pathlib.Path(uri).name for uri in pq.read_table(embeddings)["uri"].to_pylist()) == [
        "0.jpg",
        "1.jpg",
        "2.jpg",
    ]
    (failures,) = folder.glob("out/failures/*.jsonl")
    assert "broken.jpg" in failures.read_text()


@pytest.mark.parametrize(("name", "code"), blocks("toml"))
def test_files_of_the_docs_are_taken(name: str, code: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "run.toml").write_text(code)
    settings, _ = parse(["--config", str(tmp_path / "run.toml")])
    assert set(settings.origins.values()) == {"command line", "file", "default"}
    assert settings.input


def test_what_is_not_run_has_a_reason_that_still_holds() -> None:
    code = "\n".join(code for _, code in [*SHELL, *PYTHON])
    for pattern in NOT_RUN:
        assert re.search(pattern, code), pattern


def test_what_is_skipped_is_imported_by_the_docs_and_not_installed_for_the_tests() -> None:
    """So that no block is skipped because a library that the tests install is missing."""
    assert set().union(*(libraries(code) for _, code in PYTHON)) >= NOT_INSTALLED.keys()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert not NOT_INSTALLED.keys() & set(extras["test"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:transforms|pipelines|templates|tests|benchmarks|docs|examples)/[\w/.-]+)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_name_only_flags_that_exist(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for flags in (parser(), similar.parser(), report.parser(), explain.parser(), projector.parser()):
        known = {option.removeprefix("--") for action in flags._actions for option in action.option_strings} | BEAM
        for command in re.findall(rf"^(?:\S*/)?{flags.prog} (--.*)", text, re.MULTILINE):
            assert set(re.findall(r"--([a-z_0-9]+)", command)) <= known, command


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 700


def test_the_cron_job_gives_the_command_what_it_takes_and_knows_its_exit_codes() -> None:
    job = yaml.safe_load((ROOT / "examples" / "cronjob.yaml").read_text(encoding="utf-8"))["spec"]["jobTemplate"][
        "spec"
    ]
    (container,) = job["template"]["spec"]["containers"]
    assert container["command"] == ["embed-images"]
    settings, beam_args = parse(container["args"])
    assert (settings.existing, beam_args) == ("update", [])
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [USAGE, OVER_BUDGET]

"""The script that tries all of it on Google: run against a gcloud that keeps buckets in folders and runs jobs here."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "templates" / "e2e.sh"
METADATA = ROOT / "templates" / "embed_images" / "metadata.json"

GCLOUD = f"""
import json, os, pathlib, shutil, subprocess, sys

def local(path):
    return path.replace("gs://bucket", os.environ["FAKE_BUCKET"])

words = [word for word in sys.argv[1:] if not word.startswith("--")]
flags = dict(word[2:].partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
log = pathlib.Path(os.environ["FAKE_BUCKET"], "log")
with log.open("a") as f:
    f.write(" ".join(words[:3]) + "\\n")
if words[:2] == ["storage", "cp"]:
    source, to = words[2], pathlib.Path(local(words[3]))
    if "recursive" in flags:
        shutil.copytree(source, to / pathlib.Path(source).name)
    else:
        shutil.copy(source, to)
elif words[:2] == ["storage", "cat"]:
    print(pathlib.Path(local(words[2])).read_text())
elif words[:2] == ["storage", "rm"]:
    shutil.rmtree(local(words[2]))
elif words[:3] == ["dataflow", "flex-template", "run"]:
    parameters = dict(pair.split("=", 1) for pair in flags["parameters"].split(","))
    assert flags["template-file-gcs-location"] == "gs://bucket/templates/embed_images.json"
    assert parameters.keys() <= {{one["name"] for one in json.load(open({str(METADATA)!r}))["parameters"]}}
    # This machine has no GPU, as a worker whose driver is missing has none.
    parameters.pop("gpu", None)
    light = ["--image_size=32", '--backbone_kwargs={{"alpha": 0.35}}']
    command = [sys.executable, "-m", "pipelines.command", *(f"--{{k}}={{local(v)}}" for k, v in parameters.items())]
    subprocess.run([*command, *light], check=True, stdout=subprocess.DEVNULL)
    print("job-" + words[3])
elif words[:3] == ["dataflow", "jobs", "describe"]:
    # It is asked for twice.
    print("JOB_STATE_DONE" if log.read_text().count("jobs describe") % 2 == 0 else "JOB_STATE_RUNNING")
else:
    sys.exit(f"no such command here: {{sys.argv}}")
"""
PYTHON = f"""#!/bin/sh
if [ "$2" = templates.deploy ]; then echo "deployed $*"; else exec {sys.executable} "$@"; fi
"""


def run(folder: pathlib.Path, gpu: str) -> subprocess.CompletedProcess[str]:
    """Run the script with programs that stand for Google's."""
    programs = folder / "bin"
    programs.mkdir()
    for name, text in {"gcloud": f"#!{sys.executable}\n{GCLOUD}", "python": PYTHON}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (folder / "bucket").mkdir()
    google = {"PROJECT": "project", "REGION": "europe-west4", "BUCKET": "bucket", "GPU": gpu, "POLL": "0"}
    environment = {**os.environ, **google, "FAKE_BUCKET": str(folder / "bucket")}
    environment |= {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "EMBED_IMAGES_CACHE": str(folder),
    }
    return subprocess.run(["sh", SCRIPT], capture_output=True, text=True, env=environment, cwd=ROOT)


@pytest.mark.exhaustive
def test_the_script_prints_what_it_says_that_it_prints_and_tears_down(tmp_path: pathlib.Path) -> None:
    ended = run(tmp_path, gpu="")
    assert ended.returncode == 0, ended.stderr
    deployed, *said = ended.stdout.splitlines()
    assert deployed.startswith("deployed -m templates.deploy --project project --region europe-west4 --bucket bucket")
    promised = [line.removeprefix("#     ") for line in SCRIPT.read_text().splitlines() if line.startswith("#     ")]
    assert said == [line for line in promised[1:] if "nvidia" not in line]
    assert [path.name for path in (tmp_path / "bucket").iterdir()] == ["log"]


@pytest.mark.exhaustive
def test_a_gpu_that_is_not_used_ends_the_script_and_leaves_what_was_written(tmp_path: pathlib.Path) -> None:
    ended = run(tmp_path, gpu="nvidia-l4")
    assert ended.returncode == 1
    assert (
        "it should be: 20 embedded, 0 skipped, 0 failed on GPU; look at gs://bucket/embed-images-e2e-" in ended.stderr
    )
    (there,) = (tmp_path / "bucket").glob("embed-images-e2e-*")
    assert json.loads((there / "gpu" / "manifest.json").read_text())["counts"]["embedded"] == 20


def test_the_project_has_to_be_named(tmp_path: pathlib.Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PROJECT"}
    ended = subprocess.run(["sh", SCRIPT], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert ended.returncode == 2
    assert "the project" in ended.stderr

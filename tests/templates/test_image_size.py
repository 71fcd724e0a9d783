"""The image before it is built: what is pinned, that it fits together, and how large it becomes."""

import importlib.metadata
import json
import pathlib
import re
import subprocess
import tomllib

import pytest
import tensorflow as tf
from packaging.requirements import Requirement
from packaging.version import Version

from pipelines.options.gpus import GPUS
from templates.image_size import (
    BUDGET_MB,
    CPU_BUDGET_MB,
    CUDA,
    ON_GPUS,
    RECORDED,
    REQUIREMENTS,
    layers,
    main,
    pins,
    report,
)

ROOT = pathlib.Path(__file__).parents[2]
PINS = pins(REQUIREMENTS.read_text(encoding="utf-8"))
DOCKERFILE = (REQUIREMENTS.parent / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ONNX_RUNTIME_CODES = {"1.26.0": ("60", "70", "75", "80", "86", "90")}
"""What libonnxruntime_providers_cuda.so has machine code for, by version: read from its fat binaries, 2026-11."""
RECORD = json.loads(RECORDED.read_text(encoding="utf-8"))


def required() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    of_extras = [text for name in ("gcp", "gpu", "heif", "openvino", "onnx", "onnx-gpu") for text in extras[name]]
    found = [Requirement(text) for text in (*PROJECT["dependencies"], *of_extras)]
    # An extra may name others.
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


def cuda_of_tensorflow() -> list[Requirement]:
    found = [Requirement(text) for text in importlib.metadata.requires("tensorflow") or []]
    return [r for r in found if r.marker and r.marker.evaluate({"extra": "and-cuda"}) and r.name.startswith("nvidia-")]


@pytest.mark.parametrize("requirement", required(), ids=str)
def test_each_pin_is_in_the_range_that_the_project_allows(requirement: Requirement) -> None:
    assert requirement.specifier.contains(PINS[requirement.name]), (
        "compile requirements.txt anew: its second line says how"
    )


def test_cuda_is_what_tensorflow_was_built_for() -> None:
    assert PINS["tensorflow"] == importlib.metadata.version("tensorflow")
    libraries = cuda_of_tensorflow()
    assert len(libraries) > 5
    for library in libraries:
        assert library.specifier.contains(PINS[library.name]), library
    built = tf.sysconfig.get_build_info()
    cuda, cudnn = (PINS[f"nvidia-{name}-cu12"].split(".") for name in ("cuda-runtime", "cudnn"))
    assert (cuda[0], cudnn[0]) == (built["cuda_version"].split(".")[0], built["cudnn_version"].split(".")[0])
    assert [int(part) for part in cuda[:2]] >= [int(part) for part in built["cuda_version"].split(".")[:2]]


@pytest.mark.parametrize("name", GPUS)
def test_the_pinned_cuda_has_code_for_each_gpu_on_offer(name: str) -> None:
    """Else a job rents GPUs on which the first convolution fails."""
    # https://docs.nvidia.com/deeplearning/cudnn/backend/v9.11.0/reference/support-matrix.html, and the one of 9.10.
    oldest = (7, 5) if Version(PINS["nvidia-cudnn-cu12"]) >= Version("9.11") else (5, 0)
    assert GPUS[name].compute_capability >= oldest
    # Machine code runs on the same major version, from its minor version on: CUDA C++ Programming Guide, 3.1.2.
    built = [str(code).rpartition("_")[2] for code in tf.sysconfig.get_build_info()["cuda_compute_capabilities"]]
    major, minor = GPUS[name].compute_capability
    for codes in (built, ONNX_RUNTIME_CODES[PINS["onnxruntime-gpu"]]):
        assert any(int(code[:-1]) == major and int(code[-1]) <= minor for code in codes)


def test_onnx_runtime_is_of_the_same_cuda() -> None:
    # What libonnxruntime_providers_cuda.so of 1.26.0 needs, besides libcudnn.so.9: libcublas.so.12, libcufft.so.11,
    # libcurand.so.10, libcudart.so.12. With the pinned ones all of its symbols are found.
    majors = {"cublas": "12", "cuda-runtime": "12", "cuda-nvrtc": "12", "cufft": "11", "curand": "10", "cudnn": "9"}
    assert {name: PINS[f"nvidia-{name}-cu12"].partition(".")[0] for name in majors} == majors


def test_launcher_worker_and_packages_are_of_one_python_and_one_beam() -> None:
    assert f"FROM apache/beam_python3.11_sdk:{PINS['apache-beam']} AS beam" in DOCKERFILE
    assert set(re.findall(r"python:?(3\.?\d+)", DOCKERFILE)) == {"3.11", "311"}
    assert "--python-version 3.11" in REQUIREMENTS.read_text(encoding="utf-8")


def test_the_images_install_nothing_and_so_have_no_compiler_and_one_has_no_cuda() -> None:
    *_, without_gpu, with_gpu = DOCKERFILE.split("\nFROM ")
    assert without_gpu.startswith("python:3.11-slim-bookworm AS without_gpu\n")
    assert without_gpu.rstrip().endswith('ENTRYPOINT ["/opt/apache/beam/boot"]')
    assert with_gpu.startswith("without_gpu AS with_gpu\n")
    for stage in (without_gpu, with_gpu):
        assert not re.search(r"apt|gcc|g\+\+|pip install|make ", stage)
    assert ("cuda" in without_gpu.lower(), "COPY --from=cuda /cuda /usr/local" in with_gpu) == (False, True)


def test_all_that_is_copied_is_there() -> None:
    lines = [line.split() for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--)", line)]
    copied = [name for line in lines for name in line[1:-1]]
    assert "pipelines" in copied
    for name in copied:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("cuda", [False, True])
def test_each_stage_installs_its_packages_by_their_hashes(cuda: bool, tmp_path: pathlib.Path) -> None:
    (program,) = re.findall(rf"RUN (awk '.*' requirements.txt) > {'cuda' if cuda else 'others'}\.txt", DOCKERFILE)
    (tmp_path / "requirements.txt").write_text(REQUIREMENTS.read_text(encoding="utf-8"))
    found = subprocess.run(program, shell=True, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert pins(found) == {name: version for name, version in PINS.items() if name.startswith(ON_GPUS) is cuda}
    entries = re.split(r"\n(?=[a-z])", found.strip())
    assert len(entries) == len(pins(found))
    for entry in entries:
        assert re.fullmatch(r"[a-z][\w.-]*==[\w.!+]+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry
    assert DOCKERFILE.count("--no-deps --require-hashes") == 2


def test_the_recorded_sizes_are_of_what_is_pinned() -> None:
    assert {name: package["version"] for name, package in RECORD["packages"].items()} == PINS, (
        "run: python -m templates.image_size --record"
    )


def test_the_image_is_within_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {name: package["bytes"] for name, package in RECORD["packages"].items()}
    by_layer = layers(sizes)
    assert 2000 < sum(by_layer.values()) <= BUDGET_MB
    assert 500 < sum(by_layer.values()) - by_layer[CUDA] <= CPU_BUDGET_MB
    assert main([]) == 0
    assert f"the budget is {BUDGET_MB:,} MB" in capsys.readouterr().out


def test_the_report_names_layers_and_the_largest_packages() -> None:
    packages = {"nvidia-a": {"bytes": 2_000_000_000}, "b": {"bytes": 500_000_000}}
    lines = list(report({"date": "2026-11-24", "packages": packages}))
    assert lines[0].endswith("of 2026-11-24")
    assert "     2,000 MB  CUDA's libraries and ONNX Runtime" in lines
    assert "       500 MB  the other packages" in lines
    assert "       611 MB  without CUDA's libraries, for all others; the budget is 1,200 MB" in lines
    assert lines[-1] == "       500 MB  b"

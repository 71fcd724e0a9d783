"""ONNX Runtime: only on GPUs, in whole float32, and refused in one line where it cannot be; no GPU is needed here."""

import ctypes
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as library
import pytest
from onnx import TensorProto, helper, save

from pipelines.command import main
from tests.conftest import sample_image
from tests.transforms.backbones.own.conftest import network, saved
from transforms.backbones.engines import OutOfMemoryError, device_of, onnxruntime, open_engine, prepare_engine
from transforms.core.errors import UsageError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
GIB = 1 << 30
SESSION = library.InferenceSession


@pytest.fixture
def graph(tmp_path: pathlib.Path) -> str:
    """The folder of a graph that gives the mean of each channel."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["means"], axes=[1, 2], keepdims=0),
    ]
    taken = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["B", 4, 4, 3])
    given = helper.make_tensor_value_info("means", TensorProto.FLOAT, ["B", 3])
    model = helper.make_model(
        helper.make_graph(nodes, "means", [taken], [given]), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    save(model, str(tmp_path / "model.onnx"))
    return str(tmp_path)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A machine with two GPUs, for which the processor stands in; the options that each session was asked for."""
    asked: list[dict[str, Any]] = []

    def opened(path: str, providers: list[tuple[str, dict[str, Any]]], **arguments: Any) -> Any:
        ((name, options),) = providers
        asked.append({"provider": name, **options, **arguments})
        return SESSION(path, providers=["CPUExecutionProvider"], **arguments)

    monkeypatch.setattr(library, "InferenceSession", opened)
    monkeypatch.setattr(library, "get_available_providers", lambda: [onnxruntime.PROVIDER, "CPUExecutionProvider"])
    monkeypatch.setattr(SESSION, "get_providers", lambda self: [onnxruntime.PROVIDER, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "_load_libraries", lambda: None)
    monkeypatch.setattr(onnxruntime, "gpu_memories", lambda: [24 * GIB, 16 * GIB])
    return asked


def test_each_gpu_computes_batches_in_whole_float32(graph: str, two_gpus: list[dict[str, Any]]) -> None:
    prepare_engine("onnxruntime", "float32")
    engine = open_engine("onnxruntime", graph, "float32")
    assert (engine.device, engine.devices, engine.device_memory, engine.batches_in_flight) == ("GPU", 2, 24 * GIB, 1)
    assert device_of("onnxruntime") == "GPU"
    assert [(one["provider"], one["device_id"], one["use_tf32"]) for one in two_gpus] == [
        ("CUDAExecutionProvider", 0, 0),
        ("CUDAExecutionProvider", 1, 0),
    ]
    assert not any(one["enable_fallback"] for one in two_gpus)
    expected = PIXELS.mean(axis=(1, 2))
    for index in (0, 1):
        vectors = engine(PIXELS, index)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, expected, rtol=1e-6)
    np.testing.assert_allclose(engine(PIXELS[:, ::-1, :, ::-1]), expected[:, ::-1], rtol=1e-6)
    assert engine.smallest_batch(64) == 64


def test_the_command_runs_it_and_openvino_goes_on_with_the_same_numbers(
    two_gpus: list[dict[str, Any]], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to what only a GPU can show; the canary compares the engines."""
    monkeypatch.setattr("transforms.backbones.engines.has_gpu", lambda: True)
    (tmp_path / "images").mkdir()
    flags = ["--input", str(tmp_path / "images"), "--output", str(tmp_path / "out"), "--existing", "update"]
    flags += ["--model", str(saved(network(), tmp_path / "a.onnx")), "--preprocess", "torch", "--batch_size", "4"]
    for engine, device in (("auto", "GPU"), ("openvino", "CPU")):
        sample_image(len(engine), 64, 64).save(tmp_path / "images" / f"{engine}.png")
        assert main([*flags, "--engine", engine]) == 0
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        (worker,) = manifest["workers"]
        assert (worker["engine"], worker["device"]) == ("openvino" if device == "CPU" else "onnxruntime", device)
        assert manifest["counts"]["embedded"] == 1
    assert len(two_gpus) == 2


@pytest.mark.parametrize(
    "said",
    [
        "Failed to allocate memory for requested buffer of size 205520896",
        "/onnxruntime_src/bfc_arena.cc:376 Available memory of 7 is smaller than requested bytes of 4096",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=x",
        "CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
    ],
)
def test_a_lack_of_memory_is_known_by_what_is_said_of_it(said: str) -> None:
    class Full:
        def get_inputs(self) -> list[Any]:
            return [helper.make_tensor_value_info("pixels", TensorProto.UINT8, None)]

        def run(self, *_: object) -> None:
            raise RuntimeError(f"Non-zero status code returned\nwhile running Conv node. {said}")

    with pytest.raises(OutOfMemoryError, match="returned while running Conv node"):
        onnxruntime.OnnxRuntimeEngine([Full()], [GIB])(PIXELS)


def test_another_failure_stays_what_it_is(graph: str, two_gpus: list[dict[str, Any]]) -> None:
    engine = open_engine("onnxruntime", graph, "float32")
    with pytest.raises(Exception, match="Got invalid dimensions") as error:
        engine(np.zeros((1, 8, 8, 3), np.uint8))
    assert not isinstance(error.value, OutOfMemoryError)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_reduced_precision_is_refused(precision: str, two_gpus: list[dict[str, Any]]) -> None:
    with pytest.raises(UsageError, match=f"^--engine onnxruntime computes in float32; .* not {precision}$"):
        prepare_engine("onnxruntime", precision)


def refusal(call: Callable[..., Any], *arguments: str) -> str:
    """Return why ONNX Runtime cannot use the GPU."""
    with pytest.raises(UsageError, match=r"^ONNX Runtime cannot use the GPU: ") as error:
        call("onnxruntime", *arguments)
    assert "\n" not in str(error.value)
    return str(error.value).partition(": ")[2]


def test_the_package_for_processors_is_told_from_the_one_for_gpus() -> None:
    """It is what the tests install."""
    said = refusal(prepare_engine, "float32")
    assert said.startswith("the onnxruntime that is installed is for processors; pip install 'onnxruntime-gpu")


def test_a_machine_without_a_gpu_is_refused(two_gpus: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "gpu_memories", list)
    assert refusal(prepare_engine, "float32") == "NVIDIA's driver finds none; check nvidia-smi"


def test_a_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(library, "get_available_providers", lambda: [onnxruntime.PROVIDER])
    # The package for processors has none of them.
    said = refusal(prepare_engine, "float32")
    assert "libonnxruntime_providers_" in said
    assert said.endswith("; pip install 'tensorflow[and-cuda]'")
    assert capsys.readouterr() == ("", "")


def test_a_library_looks_among_its_own_before_those_of_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow has stand-ins for CUDA's functions, which answer 302 where it has not found CUDA itself."""
    loaded: list[tuple[str, int]] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda path, mode=0: loaded.append((pathlib.Path(path).name, mode)))
    monkeypatch.setattr(library, "preload_dlls", lambda directory: loaded.append(("CUDA", 0)))
    onnxruntime._load_libraries()
    names = ["CUDA", "libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"]
    assert [name for name, _ in loaded] == names
    # RTLD_DEEPBIND, as Linux has it.
    assert loaded[-1][1] & 8


def test_a_session_that_would_compute_on_the_processor_is_refused(
    graph: str, two_gpus: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SESSION, "get_providers", lambda self: ["CPUExecutionProvider"])
    said = refusal(open_engine, graph, "float32")
    assert said == "it gives CPUExecutionProvider instead of CUDAExecutionProvider"


def test_what_cuda_says_is_told_without_what_is_around_it(
    graph: str, two_gpus: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        # As onnxruntime-gpu 1.26 does on a machine without a driver.
        raise RuntimeError(
            "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc:60 [ONNXRuntimeError] : 1"
            ' : FAIL : provider_options_utils.h:187 Failed to parse provider option "device_id": CUDA failure 35: '
            "CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=vm ; file=/onnxruntime"
        )

    monkeypatch.setattr(library, "InferenceSession", failing)
    said = refusal(open_engine, graph, "float32")
    assert said == "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version"

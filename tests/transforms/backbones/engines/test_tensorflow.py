"""TensorFlow: batches divided and in order, one precision a process, several devices, and what it refuses."""

import concurrent.futures
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from transforms import Backbone
from transforms.backbones import load_backbone
from transforms.backbones.engines import OutOfMemoryError, prepare_engine
from transforms.backbones.engines.tensorflow import IMAGES_A_CALL, TensorFlowEngine, use_precision
from transforms.core.errors import UsageError


class Means:
    """A graph that has memory for a few images."""

    def __init__(self, memory: int):
        self.memory, self.calls = memory, []

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.calls.append(len(pixels))
        if len(pixels) > self.memory:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\na tensor")
        return pixels.mean(axis=(1, 2)).astype(np.float32)

    def warm_up(self) -> None:
        pass


def test_batches_at_the_same_time_keep_their_numbers() -> None:
    loaded = load_backbone(Backbone("MobileNet", weights="random", image_size=(48, 48)))
    batches = np.random.default_rng(0).integers(0, 256, (12, 8, 48, 48, 3), np.uint8)
    expected = [loaded(batch) for batch in batches]
    assert loaded.batches_in_flight == 2
    with concurrent.futures.ThreadPoolExecutor(loaded.batches_in_flight) as threads:
        for found, vectors in zip(threads.map(loaded, batches), expected, strict=True):
            np.testing.assert_allclose(found, vectors, rtol=1e-5, atol=vectors.max() * 1e-6)


def test_a_batch_is_divided_and_keeps_its_order() -> None:
    loaded = load_backbone(Backbone("MobileNet", weights="random", image_size=(32, 32)))
    pixels = np.random.default_rng(0).integers(0, 256, (37, 32, 32, 3), np.uint8)
    one_by_one = np.concatenate([loaded(pixels[i : i + 1]) for i in range(len(pixels))])
    np.testing.assert_allclose(loaded(pixels), one_by_one, rtol=1e-3, atol=one_by_one.max() * 1e-5)


def test_a_call_on_a_processor_has_a_few_images() -> None:
    graph = Means(memory=1000)
    pixels = np.random.default_rng(0).integers(0, 256, (37, 4, 4, 3), np.uint8)
    np.testing.assert_array_equal(TensorFlowEngine([graph])(pixels), pixels.mean(axis=(1, 2)).astype(np.float32))
    assert sorted(graph.calls) == [5, IMAGES_A_CALL, IMAGES_A_CALL]


@pytest.mark.parametrize("images", [8, 20])
def test_a_batch_that_there_is_no_memory_for_is_one_line(images: int) -> None:
    with pytest.raises(OutOfMemoryError, match="OOM when allocating a tensor"):
        TensorFlowEngine([Means(memory=2)])(np.zeros((images, 4, 4, 3), np.uint8))


def test_a_second_precision_in_one_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.backbones.engines.tensorflow.processor_flags", lambda: {"amx_bf16"})
    prepare_engine("tensorflow", "float32")
    with pytest.raises(UsageError, match="one precision a process, and this one in float32"):
        prepare_engine("tensorflow", "bfloat16")


def test_a_precision_that_the_processor_lacks_is_refused() -> None:
    prepare_engine("tensorflow", "float32")
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        flags = set(f.read().split())
    with pytest.raises(UsageError, match="no fast float16"):
        prepare_engine("tensorflow", "float16")
    if not flags & {"avx512_bf16", "amx_bf16"}:
        with pytest.raises(UsageError, match="no fast bfloat16"):
            prepare_engine("tensorflow", "bfloat16")


def test_on_a_gpu_each_graph_has_its_own_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.backbones.engines.tensorflow.device", lambda: "GPU")
    for precision in ("float32", "bfloat16", "float16"):
        use_precision(precision)


@pytest.mark.exhaustive
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the wheels for other processors have another library")
@pytest.mark.parametrize(("given", "enabled"), [({}, "True"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "False")])
def test_tensorflow_computes_by_onednn_unless_it_is_told_not_to(given: dict[str, str], enabled: str) -> None:
    code = """if True:
        import transforms.core.tensorflow_setup
        from tensorflow.python.util import _pywrap_util_port
        print(_pywrap_util_port.IsMklEnabled())
    """
    environment = {key: value for key, value in os.environ.items() if key != "TF_ENABLE_ONEDNN_OPTS"} | given
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout.strip() == enabled, result.stderr[-2000:]


@pytest.mark.exhaustive
def test_several_devices_give_the_same_numbers() -> None:
    code = """if True:
        import numpy as np, tempfile, tensorflow as tf
        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
        from transforms import Backbone
        from transforms.backbones.engines import tensorflow
        from transforms.backbones.graph.graph import build_graph
        graph = build_graph(Backbone("MobileNet", weights="random", image_size=(32, 32)))
        tensorflow.gpu_names = lambda: ["/CPU:0", "/CPU:1"]
        used, warmed = [], []
        call = tensorflow.DeviceGraph.__call__
        def noted(graph, pixels):
            devices = {variable.device[-5:] for variable in graph._loaded.weights}
            (used if pixels.any() else warmed).append(devices)
            return call(graph, pixels)
        tensorflow.DeviceGraph.__call__ = noted
        with tempfile.TemporaryDirectory() as folder:
            graph.save(folder)
            engine = tensorflow.TensorFlowEngine(tensorflow.read_graphs(folder))
        pixels = np.arange(2 * 32 * 32 * 3, dtype=np.uint8).reshape(2, 32, 32, 3)
        first, second, third = (engine(pixels, index) for index in (0, 1, 0))
        assert used == [{"CPU:0"}, {"CPU:1"}, {"CPU:0"}], used
        assert first.max() > 0
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-5 * first.max())
        np.testing.assert_allclose(first, third, rtol=1e-5, atol=1e-5 * first.max())
        engine._threads.shutdown()
        assert sorted(map(min, warmed)) == ["CPU:0", "CPU:1"], warmed
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]

"""Engines: the same numbers, one seam; choosing them, and what they refuse."""

import concurrent.futures
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from transforms import Backbone
from transforms.backbones import choose_engine, engines, load_backbone
from transforms.backbones.engines import check_engine
from transforms.backbones.engines.openvino import OpenVinoEngine
from transforms.core.errors import UsageError

ONE_OF_EACH_FAMILY = (
    "VGG16",
    "Xception",
    "ResNet50V2",
    "InceptionV3",
    "InceptionResNetV2",
    "MobileNetV3Small",
    "DenseNet121",
    "NASNetMobile",
    "EfficientNetB0",
    "ConvNeXtTiny",
)
SIZES = {"NASNetMobile": (224, 224)}


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_openvino_gives_the_numbers_of_tensorflow(name: str) -> None:
    size = SIZES.get(name, (128, 96))
    pixels = np.random.default_rng(0).integers(0, 256, (3, *size, 3), np.uint8)
    expected, found = (
        load_backbone(Backbone(name, weights="random", image_size=size, engine=engine))(pixels).astype(np.float64)
        for engine in ("tensorflow", "openvino")
    )
    assert found.shape == expected.shape
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() >= 0.999999
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1), rtol=1e-4)


def test_openvino_takes_batches_of_any_size() -> None:
    loaded = load_backbone(Backbone("MobileNet", weights="random", image_size=(32, 32), engine="openvino"))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    whole = loaded(pixels)
    for n in (1, 4, 8, 1):
        np.testing.assert_allclose(loaded(pixels[:n]), whole[:n], rtol=1e-3, atol=whole.max() * 1e-5)
    assert isinstance(loaded, OpenVinoEngine)
    assert (loaded.device, loaded.device_memory) == ("CPU", 0)


def test_openvino_divides_a_batch_among_the_cores_into_few_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.backbones.engines.openvino.BYTES_AN_IMAGE", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    loaded = load_backbone(Backbone("MobileNet", weights="random", image_size=(40, 40), engine="openvino"))
    assert isinstance(loaded, OpenVinoEngine)
    pixels = np.random.default_rng(0).integers(0, 256, (128, 40, 40, 3), np.uint8)
    one_by_one = np.concatenate([loaded(pixels[i : i + 1]) for i in range(len(pixels))])
    for n, graphs in ((64, {1, 8}), (37, {1, 8}), (16, {1, 8}), (128, {1, 8, 16}), (64, {1, 8, 16}), (24, {1, 8, 16})):
        np.testing.assert_allclose(loaded(pixels[:n]), one_by_one[:n], rtol=1e-3, atol=one_by_one.max() * 1e-5)
        assert loaded._compiled.keys() == graphs


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_batches_at_the_same_time_keep_their_numbers(engine: str) -> None:
    loaded = load_backbone(Backbone("MobileNet", weights="random", image_size=(48, 48), engine=engine))
    batches = np.random.default_rng(0).integers(0, 256, (12, 8, 48, 48, 3), np.uint8)
    expected = [loaded(batch) for batch in batches]
    assert loaded.batches == 2
    with concurrent.futures.ThreadPoolExecutor(loaded.batches) as threads:
        for found, vectors in zip(threads.map(loaded, batches), expected, strict=True):
            np.testing.assert_allclose(found, vectors, rtol=1e-5, atol=vectors.max() * 1e-6)


def test_tensorflow_divides_a_batch_and_keeps_its_order() -> None:
    loaded = load_backbone(Backbone("MobileNet", weights="random", image_size=(32, 32)))
    pixels = np.random.default_rng(0).integers(0, 256, (37, 32, 32, 3), np.uint8)
    one_by_one = np.concatenate([loaded(pixels[i : i + 1]) for i in range(len(pixels))])
    np.testing.assert_allclose(loaded(pixels), one_by_one, rtol=1e-3, atol=one_by_one.max() * 1e-5)


def test_the_spec_says_which_engine_and_precision_it_was() -> None:
    from transforms import embedding_spec

    specs = [
        embedding_spec(Backbone("MobileNet", weights="random", image_size=(32, 32), engine=engine))
        for engine in ("tensorflow", "openvino")
    ]
    assert [(spec.engine, spec.precision) for spec in specs] == [("tensorflow", "float32"), ("openvino", "float32")]
    assert specs[0].weights_sha256 == specs[1].weights_sha256
    assert specs[0].fingerprint != specs[1].fingerprint


@pytest.mark.parametrize(
    ("installed", "gpu", "chosen"),
    [(True, False, "openvino"), (True, True, "tensorflow"), (False, False, "tensorflow"), (False, True, "tensorflow")],
)
def test_auto_is_openvino_where_it_is_installed_and_there_is_no_gpu(
    installed: bool, gpu: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(engines, "has_gpu", lambda: gpu)
    assert choose_engine("auto") == chosen
    assert choose_engine("tensorflow") == "tensorflow"


def test_an_engine_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UsageError, match=r"pip install 'beam-image-embeddings\[openvino\]'"):
        check_engine("openvino", "float32")


def test_a_second_precision_in_one_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.backbones.engines.tensorflow.processor_flags", lambda: {"amx_bf16"})
    check_engine("tensorflow", "float32")
    with pytest.raises(UsageError, match="one precision a process, and this one in float32"):
        check_engine("tensorflow", "bfloat16")


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_a_precision_that_the_processor_lacks_is_refused(engine: str) -> None:
    check_engine(engine, "float32")
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        flags = set(f.read().split())
    if engine == "tensorflow" or (platform.machine() == "x86_64" and "amx_fp16" not in flags):
        with pytest.raises(UsageError, match="no fast float16"):
            check_engine(engine, "float16")
    if not flags & {"avx512_bf16", "amx_bf16"}:
        with pytest.raises(UsageError, match="no fast bfloat16"):
            check_engine(engine, "bfloat16")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the wheels for other processors have another library")
@pytest.mark.parametrize(("given", "enabled"), [({}, "True"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "False")])
def test_tensorflow_computes_by_onednn_unless_it_is_told_not_to(given: dict[str, str], enabled: str) -> None:
    code = """if True:
        import transforms.backbones.graph.tensorflow_setup
        from tensorflow.python.util import _pywrap_util_port
        print(_pywrap_util_port.IsMklEnabled())
    """
    environment = {key: value for key, value in os.environ.items() if key != "TF_ENABLE_ONEDNN_OPTS"} | given
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout.strip() == enabled, result.stderr[-2000:]


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="--engine must be one of tensorflow, openvino"):
        Backbone("MobileNet", engine="onnx")


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
        np.testing.assert_allclose(first, second, atol=1e-5)
        np.testing.assert_allclose(first, third, atol=1e-5)
        engine._threads.shutdown()
        assert sorted(map(min, warmed)) == ["CPU:0", "CPU:1"], warmed
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]

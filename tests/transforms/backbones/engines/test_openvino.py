"""OpenVINO: the numbers of TensorFlow, in few graphs, without TensorFlow."""

import concurrent.futures
import pathlib
import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import exhaustive
from tests.transforms.backbones.conftest import PIXELS, SMALL
from transforms import Backbone
from transforms.backbones import load_backbone
from transforms.backbones.engines import open_engine, prepare_engine
from transforms.backbones.engines.openvino import OpenVinoEngine
from transforms.backbones.graph.graph import build_graph
from transforms.core.errors import UsageError
from transforms.storage.seals import is_intact

FAST = ("MobileNetV3Small",)
SLOW = (
    "Xception",
    "ResNet50V2",
    "EfficientNetB0",
    "VGG16",
    "InceptionV3",
    "InceptionResNetV2",
    "DenseNet121",
    "NASNetMobile",
    "ConvNeXtTiny",
)
ONE_OF_EACH_FAMILY = (*FAST, *exhaustive(*SLOW))
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


@pytest.mark.parametrize("batch_size", [64, 16, 3])
def test_a_small_batch_can_have_the_shape_of_large_ones(batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.backbones.engines.openvino.BYTES_AN_IMAGE", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    side = 56 + batch_size
    loaded = load_backbone(Backbone("MobileNet", weights="random", image_size=(side, side), engine="openvino"))
    assert isinstance(loaded, OpenVinoEngine)
    pixels = np.random.default_rng(0).integers(0, 256, (batch_size, side, side, 3), np.uint8)
    images = loaded.smallest_batch(batch_size)
    first = loaded(pixels[:images])
    np.testing.assert_allclose(loaded(pixels)[:images], first, rtol=1e-3, atol=first.max() * 1e-5)
    assert loaded._compiled.keys() == {images}


def test_batches_at_the_same_time_keep_their_numbers() -> None:
    loaded = load_backbone(Backbone("MobileNet", weights="random", image_size=(48, 48), engine="openvino"))
    batches = np.random.default_rng(0).integers(0, 256, (12, 8, 48, 48, 3), np.uint8)
    expected = [loaded(batch) for batch in batches]
    assert loaded.batches_in_flight == 2
    with concurrent.futures.ThreadPoolExecutor(loaded.batches_in_flight) as threads:
        for found, vectors in zip(threads.map(loaded, batches), expected, strict=True):
            np.testing.assert_allclose(found, vectors, rtol=1e-5, atol=vectors.max() * 1e-6)


def test_pixels_that_are_a_view_of_others_are_read_as_they_look() -> None:
    loaded = load_backbone(Backbone(weights="random", engine="openvino", **SMALL))
    np.testing.assert_array_equal(loaded(PIXELS[:, ::-1]), loaded(PIXELS[:, ::-1].copy()))


def test_what_was_compiled_is_kept_beside_the_graph_and_needs_no_tensorflow(tmp_path: pathlib.Path) -> None:
    build_graph(Backbone(weights="random", engine="openvino", **SMALL)).save(str(tmp_path / "graph"))
    expected = open_engine("openvino", str(tmp_path / "graph"), "float32")(PIXELS)
    (compiled,) = tmp_path.glob("compiled-*")
    assert sorted(path.suffix for path in compiled.iterdir()) == ["", ".blob"]
    np.save(tmp_path / "pixels.npy", PIXELS)
    code = """if True:
        import sys
        import numpy as np
        from transforms.backbones.engines import open_engine
        folder = sys.argv[1]
        engine = open_engine("openvino", f"{folder}/graph", "float32")
        np.save(f"{folder}/found.npy", engine(np.load(f"{folder}/pixels.npy")))
        sys.exit(bool({"tensorflow", "keras"} & sys.modules.keys()))
    """
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), expected)


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_what_was_compiled_and_is_damaged_is_compiled_again(damage: str, tmp_path: pathlib.Path) -> None:
    """(3g) It holds the weights too, and gives other vectors once its bytes have changed."""
    build_graph(Backbone(weights="random", engine="openvino", **SMALL)).save(str(tmp_path / "graph"))
    expected = open_engine("openvino", str(tmp_path / "graph"), "float32")(PIXELS)
    (blob,) = tmp_path.glob("compiled-*/*.blob")
    content = bytearray(blob.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 128] = bytes(255 - byte for byte in content[middle : middle + 128])
    blob.write_bytes(content if damage == "flipped" else content[:middle])
    found = open_engine("openvino", str(tmp_path / "graph"), "float32")(PIXELS)
    np.testing.assert_array_equal(found, expected)
    (compiled,) = tmp_path.glob("compiled-*")
    assert is_intact(str(compiled))


def test_what_cannot_be_kept_is_compiled_each_time(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_graph(Backbone(weights="random", engine="openvino", **SMALL)).save(str(tmp_path / "graph"))
    expected = open_engine("openvino", str(tmp_path / "graph"), "float32")(PIXELS)
    (compiled,) = tmp_path.glob("compiled-*")
    shutil.rmtree(compiled)

    def refused(**_: object) -> str:
        raise PermissionError("of another user")

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    engine = open_engine("openvino", str(tmp_path / "graph"), "float32")
    np.testing.assert_array_equal(engine(PIXELS), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_a_precision_that_the_processor_lacks_is_refused() -> None:
    prepare_engine("openvino", "float32")
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        flags = set(f.read().split())
    if platform.machine() == "x86_64" and "amx_fp16" not in flags:
        with pytest.raises(UsageError, match="no fast float16"):
            prepare_engine("openvino", "float16")
    if not flags & {"avx512_bf16", "amx_bf16"}:
        with pytest.raises(UsageError, match="no fast bfloat16"):
            prepare_engine("openvino", "bfloat16")

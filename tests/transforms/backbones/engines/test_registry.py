"""The registry: each engine is one module and one line, named and chosen without importing any."""

import inspect
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import types

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from pipelines.command import main
from pipelines.sample_images import sample_pixels
from tests.conftest import sample_image
from tests.transforms.backbones.conftest import KERAS_ENGINES, PIXELS, SMALL, assert_same, plain
from transforms import Backbone, embedding_spec
from transforms.backbones import choose_engine, engines, load_backbone
from transforms.backbones.engines import (
    ENGINES,
    ONNX_MODELS,
    SAVED_MODELS,
    EngineEntry,
    EngineModule,
    device_of,
    dtype_policy,
    engine_for,
    open_engine,
    prepare_engine,
)
from transforms.backbones.graph.graph import build_graph
from transforms.core.errors import UsageError

FUNCTIONS = {name: value for name, value in vars(EngineModule).items() if inspect.isfunction(value) and name[0] != "_"}


@pytest.mark.parametrize(
    "module", ["transforms.backbones.engines", "transforms.core.spec", "transforms.collection.layout"]
)
def test_what_flags_take_their_choices_from_imports_no_library(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps([*sys.modules]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(json.loads(result.stdout))
    assert module in imported
    assert imported.isdisjoint({"apache_beam", "keras", "numpy", "openvino", "pyarrow", "tensorflow"})


def test_the_functions_of_an_engine_s_module_are_these() -> None:
    assert sorted(FUNCTIONS) == ["device", "open_graph", "use_precision"]


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_has_a_module_with_the_functions_of_one(name: str) -> None:
    module = sys.modules.get(f"{engines.__name__}.{name}") or __import__(f"{engines.__name__}.{name}", fromlist=["x"])
    for function, declared in FUNCTIONS.items():
        _, *parameters = inspect.signature(declared).parameters
        assert list(inspect.signature(getattr(module, function)).parameters) == parameters
    assert module.device() in ("CPU", "GPU")


@pytest.mark.parametrize("name", KERAS_ENGINES)
def test_what_an_engine_opens_says_where_it_runs(name: str, tmp_path: pathlib.Path) -> None:
    graph = build_graph(Backbone(weights="random", engine=name, **SMALL))
    graph.save(str(tmp_path / "graph"))
    engine = open_engine(name, str(tmp_path / "graph"), "float32")
    assert engine.device == device_of(name)
    assert engine.devices >= 1
    assert engine.batches_in_flight == (2 if engine.device == "CPU" else 1)
    assert (engine.device_memory > 0) == (engine.device == "GPU")
    vectors = engine(PIXELS)
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(PIXELS), 256))
    assert_same(vectors, graph.function(tf.constant(PIXELS)), rtol=1e-3)


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


@pytest.mark.parametrize(
    ("library", "uses_gpus", "gpu", "chosen"),
    [
        ("rich", False, False, "abacus"),
        ("rich", False, True, "tensorflow"),
        ("rich", True, True, "abacus"),
        ("no_such_library", True, False, "openvino"),
    ],
    ids=["runs", "leaves a GPU idle", "uses it", "not installed"],
)
def test_auto_is_the_last_engine_that_runs_here(
    library: str, uses_gpus: bool, gpu: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "abacus", EngineEntry(library, runs_on=("CPU", "GPU") if uses_gpus else ("CPU",)))
    monkeypatch.setattr(engines, "has_gpu", lambda: gpu)
    assert choose_engine("auto") == chosen


@pytest.mark.parametrize(
    ("installed", "gpu", "chosen"),
    [
        ({"openvino", "onnxruntime"}, False, "openvino"),
        ({"openvino", "onnxruntime"}, True, "onnxruntime"),
        ({"onnxruntime"}, True, "onnxruntime"),
    ],
)
def test_auto_is_the_engine_of_the_device_for_onnx(
    installed: set[str], gpu: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {"openvino", "onnxruntime"} - installed:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(engines, "has_gpu", lambda: gpu)
    assert choose_engine("auto", ONNX_MODELS) == chosen


@pytest.mark.parametrize(
    ("gpu", "said"),
    [
        (False, "ONNX is computed on a CPU by openvino, which is not installed; pip install openvino"),
        (
            True,
            "ONNX is computed on a GPU by onnxruntime, which is not installed; "
            "pip install 'onnxruntime-gpu>=1.26,<1.27', or leave the GPU idle with --engine openvino",
        ),
    ],
)
def test_what_onnx_needs_is_told(gpu: bool, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(engines, "has_gpu", lambda: gpu)
    with pytest.raises(UsageError) as error:
        choose_engine("auto", ONNX_MODELS)
    assert str(error.value) == said


def test_onnxruntime_computes_nothing_but_onnx() -> None:
    with pytest.raises(UsageError) as error:
        Backbone(engine="onnxruntime").for_this_machine()
    assert str(error.value) == (
        "--engine onnxruntime does not read models of Keras and TensorFlow; use --engine tensorflow or openvino"
    )


@pytest.mark.parametrize("name", ENGINES)
def test_the_versions_of_an_engine_are_those_of_its_extra(name: str) -> None:
    """Told where it is missing; an index may have newer ones, which are built for another CUDA."""
    project = tomllib.loads((pathlib.Path(__file__).parents[4] / "pyproject.toml").read_text("utf-8"))["project"]
    declared = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    entry = ENGINES[name]
    found = [text for text in declared if re.match(rf"{entry.installed_as}[<>=]", text)]
    assert found
    if entry.versions:
        assert found == [entry.installed_as + entry.versions]


@pytest.mark.parametrize(
    ("what", "device", "engine"),
    [
        (SAVED_MODELS, "CPU", "tensorflow"),
        (SAVED_MODELS, "GPU", "tensorflow"),
        (ONNX_MODELS, "CPU", "openvino"),
        (ONNX_MODELS, "GPU", "onnxruntime"),
    ],
)
def test_there_is_an_engine_for_everything_on_every_device(what: str, device: str, engine: str) -> None:
    assert engine_for(what, device) == engine


def test_an_engine_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UsageError, match="pip install openvino"):
        prepare_engine("openvino", "float32")


@pytest.mark.parametrize(
    ("engine", "precision", "on_cpu", "on_gpu"),
    [
        ("tensorflow", "float32", "float32", "float32"),
        ("tensorflow", "bfloat16", "float32", "mixed_bfloat16"),
        ("tensorflow", "float16", "float32", "mixed_float16"),
        ("openvino", "bfloat16", "float32", "float32"),
    ],
)
def test_a_graph_is_of_a_reduced_precision_where_a_gpu_computes_it(
    engine: str, precision: str, on_cpu: str, on_gpu: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for device, policy in (("CPU", on_cpu), ("GPU", on_gpu)):
        monkeypatch.setattr("transforms.backbones.engines.tensorflow.device", lambda device=device: device)
        assert dtype_policy(engine, precision) == policy


class Abacus:
    """A third engine: reads a SavedModel, and computes its images one after the other."""

    device = "CPU"
    device_memory = 0
    devices = 1
    batches_in_flight = 2

    def __init__(self, path: str):
        self._loaded = tf.saved_model.load(path)
        self.images = 0

    def smallest_batch(self, batch_size: int) -> int:
        return 1

    def __call__(self, pixels: np.ndarray, index: int = 0) -> np.ndarray:
        self.images += len(pixels)
        embed = self._loaded.signatures["serving_default"]
        return np.concatenate([embed(tf.constant(image[None]))["output_0"].numpy() for image in pixels])


@pytest.fixture
def abacus(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The third engine's module, and its line in the registry."""
    module = types.ModuleType("transforms.backbones.engines.abacus")
    module.precisions, module.opened = [], []

    def open_graph(path: str, precision: str) -> Abacus:
        module.opened.append(Abacus(path))
        return module.opened[-1]

    module.device, module.use_precision, module.open_graph = lambda: "CPU", module.precisions.append, open_graph
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(ENGINES, "abacus", EngineEntry("rich"))
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    return module


def random_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.applications.MobileNet(
        alpha=0.25, weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3)
    )


def test_a_third_engine_is_one_module_and_one_line(abacus: types.ModuleType, own_cache: pathlib.Path) -> None:
    backbone = Backbone(weights="random", engine="abacus", **SMALL)
    found = load_backbone(backbone)
    assert isinstance(found, Abacus)
    assert_same(found(PIXELS), plain(random_model()))
    assert set(abacus.precisions) == {"float32"}
    assert len(list(own_cache.iterdir())) == 1
    specs = [
        embedding_spec(Backbone(weights="random", **SMALL, engine=engine)) for engine in (*KERAS_ENGINES, "abacus")
    ]
    assert specs == [specs[0]] * 3


@pytest.mark.exhaustive
def test_the_command_runs_a_third_engine(abacus: types.ModuleType, tmp_path: pathlib.Path) -> None:
    sample_image(3, 64, 64).save(tmp_path / "image.png")
    flags = ["--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--weights", "random"]
    flags += ["--image_size", "64", "--pooling", "max", "--input", str(tmp_path / "image.png")]
    for engine in ("auto", "abacus"):
        output = tmp_path / engine
        assert main([*flags, "--engine", engine, "--output", str(output)]) == 0
        assert json.loads((output / "manifest.json").read_text())["workers"][0]["engine"] == "abacus"
        (shard,) = output.glob("parquet/*.parquet")
        (vector,) = pq.read_table(shard)["embedding"].to_pylist()
        whole = random_model()
        maps = plain(keras.Model(whole.input, whole.layers[-2].output), sample_pixels(3, 64, 64, grain=0)[None])
        assert_same(vector, maps.max(axis=(1, 2))[0], rtol=1e-3)
    # Each run embeds one image, after the reference images.
    assert sum(engine.images for engine in abacus.opened) == 2 * (8 + 1)


RECORDER = """if True:
    import socket
    def recorded(look_up):
        def record(host, *arguments, **named):
            with open(HOSTS, "a") as f:
                print(host, file=f)
            return look_up(host, *arguments, **named)
        return record
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "getfqdn"):
        setattr(socket, name, recorded(getattr(socket, name)))
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["openvino", "tensorflow"])
def test_no_engine_talks_to_anyone(name: str, tmp_path: pathlib.Path) -> None:
    """(4g) Nobody learns from a run that it happened: OpenVINO would report each import to its makers."""
    hosts = tmp_path / "hosts"
    (tmp_path / "sitecustomize.py").write_text(f"HOSTS = {str(hosts)!r}\n{RECORDER}")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "EMBED_IMAGES_CACHE": str(tmp_path / "cache")}
    sample_image(1, 64, 64).save(tmp_path / "image.png")
    flags = {"--input": "image.png", "--output": "out", "--weights": "random", "--image_size": "64", "--engine": name}
    run = [sys.executable, "-m", "pipelines.command", *itertools.chain(*flags.items())]
    look_up = [sys.executable, "-c", "import socket; socket.gethostbyname('localhost')"]
    for command, expected in ((run, ""), (look_up, "localhost\n")):
        subprocess.run(command, check=True, cwd=tmp_path, env=environment, capture_output=True)
        assert (hosts.read_text() if hosts.exists() else "") == expected

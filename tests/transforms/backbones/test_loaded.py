"""Backbones that are ready: loaded once a process, from what was kept, and never with other weights than they say."""

import concurrent.futures
import dataclasses
import pathlib
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from tests.conftest import answer, exhaustive
from tests.transforms.backbones.conftest import PIXELS, SMALL
from transforms import Backbone
from transforms.backbones import load_backbone, loaded
from transforms.backbones.backbone import WeightsFacts
from transforms.backbones.engines import Engine
from transforms.backbones.graph.graph import Graph
from transforms.backbones.kept import graphs
from transforms.backbones.kept.graphs import name_of
from transforms.core.errors import UsageError


def small(**arguments: object) -> Backbone:
    return Backbone("MobileNet", weights="random", image_size=(32, 32), backbone_kwargs={"alpha": 0.25}, **arguments)


def test_one_load_a_process_and_one_trace_for_any_number_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load_backbone(Backbone(weights="random", **SMALL))
    assert load_backbone(Backbone(weights="random", **SMALL)) is engine
    traced: list[object] = []
    begin = FuncGraph.__init__

    def noted(graph: FuncGraph, *arguments: object, **named: object) -> None:
        traced.append(graph)
        begin(graph, *arguments, **named)

    monkeypatch.setattr(FuncGraph, "__init__", noted)
    for n in (1, 2, 3, 1):
        assert engine(PIXELS[:n]).shape == (n, 256)
    assert traced == []
    tf.function(tf.identity)(1)
    assert len(traced) == 1


def test_threads_that_ask_at_once_share_one_load(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    open_engine, together = loaded.open_engine, threading.Barrier(4)

    def noted(engine: str, path: str, precision: str) -> Engine:
        opened.append(path)
        return open_engine(engine, path, precision)

    def ask(_: int) -> loaded.LoadedBackbone:
        together.wait()
        return loaded.get(small(pooling="max"))

    monkeypatch.setattr(loaded, "open_engine", noted)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(ask, range(4))
    assert len(opened) == 1
    assert all(other is first for other in others)


def test_the_facts_are_those_of_what_is_loaded() -> None:
    facts = loaded.facts_of(small())
    assert facts.dim == 256
    assert loaded.get(small()).facts == facts


def test_a_graph_from_the_cache_gives_the_same_numbers(
    own_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    first = loaded._load(small())
    # Nothing is built the second time.
    monkeypatch.delattr("transforms.backbones.graph.graph.build_graph")
    second = loaded._load(small())
    assert len(list(own_cache.iterdir())) == 1
    np.testing.assert_array_equal(first.engine(pixels), second.engine(pixels))
    assert first.facts == second.facts


@pytest.mark.parametrize("engine", ["openvino", *exhaustive("tensorflow")])
@pytest.mark.parametrize("pattern", ["saved_model.pb", *exhaustive("variables/*.data*")])
def test_a_graph_whose_bytes_have_changed_is_built_again(
    pattern: str, engine: str, own_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(3g) It is neither used, which gives vectors at a cosine of 0.08 to the right ones, nor a reason to stop."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    # Large weights are variables only.
    backbone = dataclasses.replace(small(engine=engine), backbone_kwargs={"alpha": 0.5})
    expected = loaded._load(backbone).engine(pixels)
    (file,) = own_cache.glob(f"*/graph/{pattern}")
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 128] = bytes(255 - byte for byte in content[middle : middle + 128])
    file.write_bytes(content)
    built: list[str] = []
    build = loaded._built
    monkeypatch.setattr(loaded, "_built", lambda *arguments: built.append("again") or build(*arguments))
    np.testing.assert_array_equal(loaded._load(backbone).engine(pixels), expected)
    np.testing.assert_array_equal(loaded._load(backbone).engine(pixels), expected)
    assert built == ["again"]


@pytest.mark.exhaustive
def test_weights_that_are_replaced_while_they_load_are_not_taken_for_the_new_ones(
    own_cache: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "mine.weights.h5"
    shape = {"alpha": 0.25, "input_shape": (32, 32, 3), "include_top": False, "weights": None}
    keras.applications.MobileNet(**shape).save_weights(weights)
    backbone = dataclasses.replace(small(), weights=str(weights))
    save = Graph.save

    def replaced(graph: Graph, folder: str) -> None:
        keras.applications.MobileNet(**shape).save_weights(weights)
        save(graph, folder)

    monkeypatch.setattr(Graph, "save", replaced)
    old = loaded._load(backbone)
    assert graphs.find(name_of(backbone)) is None
    assert loaded._load(backbone).facts.weights_sha256 != old.facts.weights_sha256


def test_weights_that_keras_has_just_downloaded_are_kept_as_theirs(
    serve: object, own_cache: pathlib.Path, own_keras_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = own_keras_home / "made.h5"
    keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3)).save(made)
    file = made.read_bytes()
    module = sys.modules[keras.applications.MobileNet.__module__]
    monkeypatch.setattr(module, "BASE_WEIGHT_PATH", serve(lambda request: answer(request, 200, file)) + "/")
    backbone = Backbone(pooling="flatten", **SMALL)
    first = loaded._load(backbone)
    kept = graphs.find(name_of(backbone))
    assert kept is not None
    assert kept.facts == first.facts


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_a_graph_that_cannot_be_opened_is_one_line(engine: str, own_cache: pathlib.Path) -> None:
    def save(graph: str) -> None:
        pathlib.Path(graph).mkdir()
        pathlib.Path(graph, "saved_model.pb").write_bytes(b"a graph")

    backbone = small(engine=engine)
    kept = graphs.keep(name_of(backbone), save, WeightsFacts(4, "ab"))
    message = f"{engine} cannot open the graph of MobileNet: .*; delete {kept.folder} and try again, or choose another"
    with pytest.raises(UsageError, match=message) as error:
        loaded._load(backbone)
    assert "\n" not in str(error.value)


def test_the_second_start_imports_neither_tensorflow_nor_keras(own_cache: pathlib.Path) -> None:
    code = (
        "import sys; from transforms import Backbone, embedding_spec; "
        "embedding_spec(Backbone('MobileNet', weights='random', image_size=(32, 32), engine='openvino')); "
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    printed = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert printed == [["True", "True"], ["False", "False"]]

"""Graphs kept for the next start: found again, never for other weights, and gone when there are too many."""

import dataclasses
import errno
import os
import pathlib
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from transforms import Backbone
from transforms.backbones.backbone import Facts
from transforms.backbones.graph.graph import Graph, build_graph
from transforms.backbones.kept import graphs as cache
from transforms.backbones.kept.graphs import name_of
from transforms.backbones.loaded import _load
from transforms.core.errors import UsageError

FACTS = Facts(4, "ab")


def save(graph: str) -> None:
    os.mkdir(graph)
    pathlib.Path(graph, "saved_model.pb").write_bytes(b"a graph")


@pytest.fixture
def root(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def small(**arguments: object) -> Backbone:
    return Backbone("MobileNet", weights="random", image_size=(32, 32), backbone_kwargs={"alpha": 0.25}, **arguments)


def test_what_was_stored_is_found_until_it_is_broken(root: pathlib.Path) -> None:
    backbone = small()
    assert cache.find(name_of(backbone)) is None
    kept = cache.keep(name_of(backbone), save, FACTS)
    assert cache.find(name_of(backbone)) == kept
    assert pathlib.Path(kept.graph, "saved_model.pb").read_bytes() == b"a graph"
    assert pathlib.Path(kept.folder).parent == root
    pathlib.Path(kept.graph, "saved_model.pb").write_bytes(b"short")
    assert cache.find(name_of(backbone)) is None
    assert cache.keep(name_of(backbone), save, FACTS) == kept
    assert cache.find(name_of(backbone)) == kept


def test_what_another_process_has_kept_meanwhile_stays(root: pathlib.Path) -> None:
    kept = cache.keep(name_of(small()), save, FACTS)
    inode = os.stat(kept.graph).st_ino
    assert cache.keep(name_of(small()), save, FACTS) == kept
    assert os.stat(kept.graph).st_ino == inode
    assert len(os.listdir(root)) == 1


@pytest.mark.parametrize(
    "other", [small(normalize=True), small(engine="openvino"), small(precision="bfloat16"), small(layer="conv_pw_5")]
)
def test_another_backbone_is_another_entry(other: Backbone, root: pathlib.Path) -> None:
    cache.keep(name_of(small()), save, FACTS)
    assert cache.find(name_of(other)) is None


def test_other_weights_in_the_same_file_are_another_entry(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    weights = tmp_path / "mine.weights.h5"
    weights.write_bytes(b"one")
    backbone = Backbone("MobileNet", weights=str(weights))
    cache.keep(name_of(backbone), save, FACTS)
    assert cache.find(name_of(backbone))
    weights.write_bytes(b"two")
    assert cache.find(name_of(backbone)) is None


def test_weights_that_keras_downloads_anew_are_another_entry(
    root: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    weights = tmp_path / "models" / "mobilenet.h5"
    weights.write_bytes(b"one")
    cache.keep(name_of(Backbone("MobileNet")), save, FACTS)
    assert cache.find(name_of(Backbone("MobileNet")))
    weights.write_bytes(b"longer")
    assert cache.find(name_of(Backbone("MobileNet"))) is None


def test_without_a_cache_a_graph_lives_as_long_as_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", "")
    kept = cache.keep(name_of(small()), save, FACTS)
    assert pathlib.Path(kept.graph, "saved_model.pb").read_bytes() == b"a graph"
    assert cache.find(name_of(small())) is None


def test_a_cache_that_cannot_be_written_to_is_none(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / "file" / "cache"))
    assert os.path.isfile(os.path.join(cache.keep(name_of(small()), save, FACTS).graph, "saved_model.pb"))
    assert cache.find(name_of(small())) is None


def test_a_graph_that_there_is_no_room_for_is_refused(root: pathlib.Path) -> None:
    def full(graph: str) -> None:
        save(graph)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UsageError, match=r"cannot write a graph to .*No space left on device"):
        cache.keep(name_of(small()), full, FACTS)
    assert os.listdir(root) == []


def test_the_entries_that_were_not_used_for_longest_go(tmp_path: pathlib.Path) -> None:
    now = time.time()
    for age, name in enumerate(("new", "older", "oldest")):
        (tmp_path / name).mkdir()
        save(str(tmp_path / name / "graph"))
        (tmp_path / name / "graph" / "variables").write_bytes(bytes(93))
        os.utime(tmp_path / name, (now - age, now - age))
    (tmp_path / ".incoming-dead").mkdir()
    os.utime(tmp_path / ".incoming-dead", (0, 0))
    cache.trim(str(tmp_path), 250)
    assert sorted(os.listdir(tmp_path)) == ["new", "older"]


def test_only_a_graph_of_a_reduced_precision_is_another_on_a_gpu(
    root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbones = [small(), small(precision="bfloat16"), small(precision="bfloat16", engine="openvino")]
    names, halves = {}, {}
    for device in ("CPU", "GPU"):
        monkeypatch.setattr("transforms.backbones.engines.tensorflow.device", lambda device=device: device)
        names[device] = [name_of(backbone) for backbone in backbones]
        graphs = [build_graph(backbone).function.graph for backbone in backbones]
        types = [{x.dtype for node in graph.get_operations() for x in node.outputs} for graph in graphs]
        halves[device] = [tf.bfloat16 in found for found in types]
    assert [a == b for a, b in zip(names["CPU"], names["GPU"], strict=True)] == [True, False, True]
    assert halves == {"CPU": [False] * 3, "GPU": [False, True, False]}


def test_a_graph_from_the_cache_gives_the_same_numbers(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    first = _load(small())
    # Nothing is built the second time.
    monkeypatch.delattr("transforms.backbones.graph.graph.build_graph")
    second = _load(small())
    assert len(list(root.iterdir())) == 1
    np.testing.assert_array_equal(first.engine(pixels), second.engine(pixels))
    assert first.facts == second.facts


def test_weights_that_are_replaced_while_they_load_are_not_taken_for_the_new_ones(
    root: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
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
    old = _load(backbone)
    assert cache.find(name_of(backbone)) is None
    assert _load(backbone).facts.weights_sha256 != old.facts.weights_sha256


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_a_graph_that_cannot_be_opened_is_one_line(engine: str, root: pathlib.Path) -> None:
    backbone = small(engine=engine)
    kept = cache.keep(name_of(backbone), save, FACTS)
    with pytest.raises(UsageError, match=f"{engine} cannot open MobileNet's graph: .*delete {kept.folder}") as error:
        _load(backbone)
    assert "\n" not in str(error.value)


def test_the_second_start_imports_neither_tensorflow_nor_keras(root: pathlib.Path) -> None:
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

"""Graphs kept for the next start: found again, and never for another backbone, other weights or other libraries."""

import errno
import importlib.metadata
import os
import pathlib

import pytest
import tensorflow as tf

from transforms import Backbone
from transforms.backbones.backbone import WeightsFacts
from transforms.backbones.graph.graph import build_graph
from transforms.backbones.kept import graphs
from transforms.backbones.kept.graphs import name_of
from transforms.core.errors import UsageError
from transforms.storage import seals

FACTS = WeightsFacts(4, "ab")


def save(graph: str) -> None:
    os.mkdir(graph)
    pathlib.Path(graph, "saved_model.pb").write_bytes(b"a graph")


def small(**arguments: object) -> Backbone:
    return Backbone("MobileNet", weights="random", image_size=(32, 32), backbone_kwargs={"alpha": 0.25}, **arguments)


def test_what_was_stored_is_found_until_it_is_broken(own_cache: pathlib.Path) -> None:
    backbone = small()
    assert graphs.find(name_of(backbone)) is None
    kept = graphs.keep(name_of(backbone), save, FACTS)
    assert graphs.find(name_of(backbone)) == kept
    assert pathlib.Path(kept.graph, "saved_model.pb").read_bytes() == b"a graph"
    assert pathlib.Path(kept.folder).parent == own_cache
    # Of the same size.
    pathlib.Path(kept.graph, "saved_model.pb").write_bytes(b"A graph")
    assert graphs.find(name_of(backbone)) is None
    assert graphs.keep(name_of(backbone), save, FACTS) == kept
    assert graphs.find(name_of(backbone)) == kept


def test_what_was_just_written_is_not_read_back(own_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be hashed again, while the start waits."""
    monkeypatch.setattr(graphs, "is_intact", None)
    assert pathlib.Path(graphs.keep(name_of(small()), save, FACTS).folder).parent == own_cache


def test_what_another_process_has_kept_meanwhile_stays(own_cache: pathlib.Path) -> None:
    kept = graphs.keep(name_of(small()), save, FACTS)
    inode = os.stat(kept.graph).st_ino
    assert graphs.keep(name_of(small()), save, FACTS) == kept
    assert os.stat(kept.graph).st_ino == inode
    assert len(os.listdir(own_cache)) == 1


@pytest.mark.parametrize(
    "other",
    [
        small(normalize=True),
        small(engine="openvino"),
        small(precision="bfloat16"),
        small(layer="conv_pw_5"),
        small(rewrites=False),
    ],
)
def test_another_backbone_is_another_entry(other: Backbone, own_cache: pathlib.Path) -> None:
    graphs.keep(name_of(small()), save, FACTS)
    assert graphs.find(name_of(other)) is None


def test_other_weights_in_the_same_file_are_another_entry(own_cache: pathlib.Path, tmp_path: pathlib.Path) -> None:
    weights = tmp_path / "mine.weights.h5"
    weights.write_bytes(b"one")
    backbone = Backbone("MobileNet", weights=str(weights))
    graphs.keep(name_of(backbone), save, FACTS)
    assert graphs.find(name_of(backbone))
    weights.write_bytes(b"two")
    assert graphs.find(name_of(backbone)) is None


def test_weights_that_keras_downloads_anew_are_another_entry(
    own_cache: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    weights = tmp_path / "models" / "mobilenet.h5"
    weights.write_bytes(b"one")
    graphs.keep(name_of(Backbone("MobileNet")), save, FACTS)
    assert graphs.find(name_of(Backbone("MobileNet")))
    weights.write_bytes(b"longer")
    assert graphs.find(name_of(Backbone("MobileNet"))) is None


def test_without_a_cache_a_graph_lives_as_long_as_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", "")
    kept = graphs.keep(name_of(small()), save, FACTS)
    assert pathlib.Path(kept.graph, "saved_model.pb").read_bytes() == b"a graph"
    assert graphs.find(name_of(small())) is None


def test_a_cache_that_cannot_be_written_to_is_none(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / "file" / "cache"))
    assert os.path.isfile(os.path.join(graphs.keep(name_of(small()), save, FACTS).graph, "saved_model.pb"))
    assert graphs.find(name_of(small())) is None


def test_a_graph_in_a_cache_that_others_may_write_to_is_not_used(own_cache: pathlib.Path) -> None:
    """(3g) It may be of anyone's making, with a seal that holds."""
    kept = graphs.keep(name_of(small()), save, FACTS)
    name = name_of(small())
    own_cache.chmod(0o777)
    assert name_of(small()) is None
    assert graphs.find(name) is None
    own = graphs.keep(name, save, FACTS)
    assert pathlib.Path(own.folder).parent != own_cache
    assert os.stat(own.folder).st_mode & 0o077 == 0
    own_cache.chmod(0o700)
    assert graphs.find(name) == kept


def test_a_graph_that_there_is_no_room_for_is_refused(own_cache: pathlib.Path) -> None:
    def full(graph: str) -> None:
        save(graph)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UsageError, match=r"cannot write a graph to .*No space left on device"):
        graphs.keep(name_of(small()), full, FACTS)
    assert os.listdir(own_cache) == []


def test_a_graph_that_is_found_was_used_now(own_cache: pathlib.Path) -> None:
    kept = graphs.keep(name_of(small()), save, FACTS)
    os.utime(kept.folder, (1, 1))
    assert graphs.find(name_of(small())) == kept
    assert os.stat(kept.folder).st_mtime > 1


@pytest.mark.parametrize("file", ["saved_model.pb", "facts.json", "SHA256SUMS"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "removed"])
def test_what_is_damaged_is_no_graph(damage: str, file: str, own_cache: pathlib.Path) -> None:
    """(3g) A graph of which bytes have changed gives wrong vectors under a right fingerprint."""
    kept = graphs.keep(name_of(small()), save, FACTS)
    path = pathlib.Path(kept.graph, file)
    content = path.read_bytes()
    flipped = bytes([content[0] ^ 1]) + content[1:]
    path.write_bytes({"flipped": flipped, "cut": content[:-1], "empty": b"", "removed": b""}[damage])
    if damage == "removed":
        path.unlink()
    assert graphs.find(name_of(small())) is None
    assert graphs.keep(name_of(small()), save, FACTS) == kept
    assert graphs.find(name_of(small())) == kept


@pytest.mark.parametrize("written", ["[]", "{}", '{"dim": 4, "weights_sha256": "ab", "x": 1}'])
def test_facts_of_another_version_are_no_graph(written: str, own_cache: pathlib.Path) -> None:
    kept = graphs.keep(name_of(small()), save, FACTS)
    pathlib.Path(kept.graph, "facts.json").write_text(written)
    pathlib.Path(kept.graph, seals.SEAL).unlink()
    seals.seal(kept.graph)
    assert graphs.find(name_of(small())) is None


def test_a_graph_seems_kept_until_it_is_read(own_cache: pathlib.Path) -> None:
    assert not graphs.seems_kept(None)
    assert not graphs.seems_kept(name_of(small()))
    kept = graphs.keep(name_of(small()), save, FACTS)
    assert graphs.seems_kept(name_of(small()))
    pathlib.Path(kept.graph, "saved_model.pb").write_bytes(b"A graph")
    assert graphs.seems_kept(name_of(small()))


@pytest.mark.parametrize("library", ["tensorflow", "keras", "openvino"])
def test_another_version_of_a_library_is_another_entry(
    library: str, own_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(5b) An upgrade never gives vectors of a graph that the library before it built."""
    backbones = [small(), small(engine="openvino")]
    before = [name_of(backbone) for backbone in backbones]
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0" if name == library else version(name))
    changed = [name_of(backbone) != name for backbone, name in zip(backbones, before, strict=True)]
    # TensorFlow does not read what OpenVINO compiles.
    assert changed == ([False, True] if library == "openvino" else [True, True])


@pytest.mark.exhaustive
def test_only_a_graph_of_a_reduced_precision_is_another_on_a_gpu(
    own_cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbones = [small(), small(precision="bfloat16"), small(precision="bfloat16", engine="openvino")]
    names, halves = {}, {}
    for device in ("CPU", "GPU"):
        monkeypatch.setattr("transforms.backbones.engines.tensorflow.device", lambda device=device: device)
        names[device] = [name_of(backbone) for backbone in backbones]
        built = [build_graph(backbone).function.graph for backbone in backbones]
        types = [{x.dtype for node in graph.get_operations() for x in node.outputs} for graph in built]
        halves[device] = [tf.bfloat16 in found for found in types]
    assert [a == b for a, b in zip(names["CPU"], names["GPU"], strict=True)] == [True, False, True]
    assert halves == {"CPU": [False] * 3, "GPU": [False, True, False]}

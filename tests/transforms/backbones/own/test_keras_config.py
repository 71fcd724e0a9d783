"""Configs of hostile `.keras` files: refused by name, before any of it is built, with nothing run and nothing read."""

import pathlib
import zipfile
from collections.abc import Callable
from typing import Any

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transforms.backbones.own.conftest import SIDE, refused, rewritten
from transforms.backbones import own_backbone
from transforms.backbones.own.keras_config import MAX_CONFIG_BYTES
from transforms.core.errors import UsageError

layers = keras.layers


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), layers.Rescaling(0.1), layers.Conv2D(2, 3), layers.Flatten()]
    )
    model.save(tmp_path / "mine.keras")
    return tmp_path / "mine.keras"


def instead_of_flatten(layer: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Return what puts a layer in the place of the last one."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1] = layer

    return change


def activated_by(activation: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][-2]["config"]["activation"] = activation

    return change


def of(name: str, module: str | None = "keras.layers", registered: str | None = None, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


HOSTILE = {
    "Lambda": of("Lambda", function={"class_name": "__lambda__", "config": {"code": "x"}}),
    "TFSMLayer": of("TFSMLayer", filepath="/tmp/program"),
    "TorchModuleWrapper": of("TorchModuleWrapper", module="gASV"),
    "JaxLayer": of("JaxLayer", call_fn="x"),
    "StringLookup": of("StringLookup", vocabulary="/etc/passwd"),
    "TextVectorization": of("TextVectorization", vocabulary="/etc/passwd"),
    "MyLayer": of("MyLayer", "mine", "Custom>MyLayer"),
    "Popen": of("Popen", "subprocess", args="id"),
    "system": of("function", "os", config="system"),
    "src.utils.file_utils.get_file": of("src.utils.file_utils.get_file", "keras"),
    "utils.get_file": of("utils.get_file", "keras"),
    "get_file": of("get_file", "keras.utils", fname="x", origin="http://127.0.0.1/x"),
    "load_model": of("load_model", "keras.models.x"),
    "Flatten": of("Flatten", None),
}
"""Layers by the name that the refusal says."""


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_keras_own_or_runs_code_or_reads_files_is_refused_by_name(name: str, path: pathlib.Path) -> None:
    said = refused(rewritten(path, instead_of_flatten(HOSTILE[name])))
    assert f"holds {name}, which " in said or f"holds {name}, which" in said.replace("function", name)
    assert said.endswith("export it as a SavedModel, model.export(FOLDER), and give that with --trust_model")


@pytest.mark.parametrize(
    "activation",
    [
        {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}},
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "function"},
        {"module": "builtins", "class_name": "function", "config": "os.system", "registered_name": "function"},
        {"module": "keras", "class_name": "function", "config": "utils.get_file", "registered_name": "function"},
    ],
)
def test_functions_are_those_of_keras(activation: Any, path: pathlib.Path) -> None:
    assert "--model" in refused(rewritten(path, activated_by(activation)))


def test_nothing_of_a_hostile_file_is_imported(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path.parent / "evil.py").write_text(
        "import pathlib; pathlib.Path(__file__).with_name('ran').touch()\nclass Layer: pass"
    )
    monkeypatch.syspath_prepend(str(path.parent))
    for layer in (of("Layer", "evil"), of("Layer", "evil", "evil>Layer"), of("Layer", "keras.src.ops/../../evil")):
        refused(rewritten(path, instead_of_flatten(layer)))
    assert not (path.parent / "ran").exists()


def test_a_class_that_is_the_model_is_refused(path: pathlib.Path) -> None:
    def subclass(config: dict[str, Any]) -> None:
        config.update({"class_name": "Mine", "module": "mine", "registered_name": "Custom>Mine"})

    assert "holds Mine, which is not one of Keras' own layers (Custom>Mine) and could run code" in refused(
        rewritten(path, subclass)
    )
    assert "is a Dense, not a Sequential or functional model" in refused(
        rewritten(path, lambda config: config.update(of("Dense", units=3)))
    )


def test_lies_about_sizes_cost_no_memory(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    bomb = tmp_path / "bomb.keras"
    for packing, said in (
        (zipfile.ZIP_STORED, f"has a config of {MAX_CONFIG_BYTES + 1} bytes, which no model has"),
        (zipfile.ZIP_DEFLATED, f"would inflate to {MAX_CONFIG_BYTES + 1} bytes, which no model does"),
    ):
        with zipfile.ZipFile(bomb, "w", packing) as archive:
            archive.writestr("config.json", b" " * (MAX_CONFIG_BYTES + 1))
            archive.writestr("model.weights.h5", b"")
        assert said in refused(bomb)

    def nest(config: dict[str, Any]) -> None:
        inner: Any = {}
        for _ in range(500):
            inner = {"a": inner}
        config["config"]["x"] = inner

    nested = tmp_path / "nested.keras"
    nested.write_bytes(path.read_bytes())
    assert "has a config of more than 100 levels" in refused(rewritten(nested, nest))

    def widen(config: dict[str, Any]) -> None:
        config["config"]["layers"][0]["config"]["batch_shape"] = [None, 10**6, 10**6, 3]

    assert "the longest side may have 8192" in refused(rewritten(path, widen))


def test_a_directory_that_lies_about_sizes_is_not_believed(path: pathlib.Path) -> None:
    """The size of the weights bounds the architecture, so it is bounded itself by the file's."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("model.weights.h5").file_size
    # In the central directory, which has the last mention.
    place = content.rindex(size.to_bytes(4, "little"))
    content[place : place + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    assert "would inflate to 21" in refused(path)


@pytest.mark.parametrize("shape", [5, "x", [None, "a", 3, 3], [None, 32.5, 32, 3], {}])
def test_a_shape_that_is_none_is_told(shape: Any, path: pathlib.Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][0]["config"]["batch_shape"] = shape

    assert "--model" in refused(rewritten(path, change))


def test_what_is_no_model_is_told(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name, content in (("junk", b"junk"), ("empty", b"")):
        (tmp_path / f"{name}.keras").write_bytes(content)
        assert "is not a .keras file" in refused(tmp_path / f"{name}.keras")
    for content in (
        b"[]",
        b"3",
        b"{}",
        b'{"config": {"layers": 3}, "class_name": "Sequential"}',
        b"{" * 100_000,
        b"\xff",
    ):
        with zipfile.ZipFile(tmp_path / "odd.keras", "w") as archive:
            archive.writestr("config.json", content)
            archive.writestr("model.weights.h5", b"")
        assert "--model" in refused(tmp_path / "odd.keras")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(st.sampled_from(["class_name", "module", "config", "layers", "batch_shape", "name"]), values)
    ),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layer=JSON, place=st.sampled_from([0, 1, 2, 3]))
def test_no_config_ends_in_a_traceback(layer: Any, place: int, path: pathlib.Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][place] = layer

    try:
        own_backbone(str(rewritten(path, change)))
    except UsageError as e:
        lines = str(e).splitlines()
    else:
        lines = [""]
    assert len(lines) == 1

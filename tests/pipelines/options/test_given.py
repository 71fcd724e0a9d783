"""What is given for a flag: the command line counts first, then its variable, then the file, then the default."""

import json
import pathlib
import re
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given as each
from hypothesis import strategies as st

from pipelines.options.arguments import Parser
from pipelines.options.commands import report, similar
from pipelines.options.flags import parser
from pipelines.options.given import NO_FLAGS, PREFIX, given, is_setting, peeked, variable_of
from transforms.core.errors import UsageError

ROOT = pathlib.Path(__file__).parents[3]

VALUES: dict[str, list[Any]] = {
    "batch_size": [1, 2, 3],
    "layer": ["a", "b c", "d=e"],
    "normalize": [True, False],
    "max_failure_ratio": [0.25, 0.5, 1.0],
    "pooling": ["avg", "max", "flatten"],
}
"""Flags with values that each layer may give."""
LAYERS = ("command line", "environment", "file")


def as_typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@each(
    st.dictionaries(
        st.tuples(st.sampled_from(sorted(VALUES)), st.sampled_from(LAYERS)), st.integers(min_value=0, max_value=100)
    )
)
def test_the_first_layer_that_gives_a_value_counts(chosen: dict[tuple[str, str], int]) -> None:
    layers: dict[str, dict[str, Any]] = {layer: {} for layer in LAYERS}
    for (name, layer), number in chosen.items():
        layers[layer][name] = VALUES[name][number % len(VALUES[name])]
    typed = [f"--{name}={as_typed(value)}" for name, value in layers["command line"].items()]
    environ = {f"EMBED_IMAGES_{name.upper()}": as_typed(value) for name, value in layers["environment"].items()}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "run.toml"
        file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in layers["file"].items()))
        found = given([*typed, "--config", str(file)], environ)
    defaults = vars(parser().parse_args([]))
    for name in VALUES:
        layer = next((layer for layer in LAYERS if name in layers[layer]), "default")
        assert found.origins[name] == layer
        assert found.values[name] == layers.get(layer, defaults)[name]


@pytest.mark.parametrize("name", sorted(action.dest for action in parser()._actions if is_setting(action)))
def test_every_setting_has_a_variable(name: str) -> None:
    action = next(action for action in parser()._actions if action.dest == name)
    value = {"backbone_kwargs": "{}", "gpu": "nvidia-l4", "output_format": "tfrecord"}.get(name, "1")
    value = action.choices[-1] if action.choices else "true" if action.nargs == "?" else value
    if name != "config":
        assert given([], {f"EMBED_IMAGES_{name.upper()}": value}).origins[name] == "environment"


def test_a_list_of_a_higher_layer_stands_for_that_of_a_lower_one(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run.toml").write_text(
        'input = ["a,b", "c"]\nallowed_prefix = ["/a", "/b"]\nbackbone = ["VGG16", "VGG19"]'
    )
    config = ["--config", str(tmp_path / "run.toml")]
    found = given(config, {})
    assert (found.values["input"], found.values["allowed_prefix"]) == (["a,b", "c"], ["/a", "/b"])
    assert found.values["backbone"] == ("VGG16", "VGG19")
    assert given(config, {"EMBED_IMAGES_INPUT": "d, e,"}).values["input"] == ["d", "e"]
    assert given([*config, "--input=f,g", "--input=h"], {"EMBED_IMAGES_INPUT": "d"}).values["input"] == ["f,g", "h"]


def test_a_variable_may_name_the_file_by_a_tilde(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run.toml").write_text('output = "~/out"')
    found = given([], {"EMBED_IMAGES_CONFIG": "~/run.toml"})
    assert found.values["output"] == f"{tmp_path}/out"
    assert found.command_line == ("--config=~/run.toml",)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        (
            {"EMBED_IMAGES_BATCHSIZE": "1"},
            "variable EMBED_IMAGES_BATCHSIZE (did you mean 'EMBED_IMAGES_BATCH_SIZE'?)",
        ),
        ({"EMBED_IMAGES_CASHE": "1"}, "unknown variable EMBED_IMAGES_CASHE (did you mean 'EMBED_IMAGES_CACHE'?)"),
        ({"EMBED_IMAGES_QQQ": ""}, "unknown variable EMBED_IMAGES_QQQ; see"),
        ({"EMBED_IMAGES_SHOW_CONFIG": "true"}, "unknown variable EMBED_IMAGES_SHOW_CONFIG"),
        ({"EMBED_IMAGES_OVERWRITE": "true"}, "EMBED_IMAGES_OVERWRITE: --overwrite is no longer a flag; use --existing"),
        ({"EMBED_IMAGES_BATCH_SIZE": "0"}, "EMBED_IMAGES_BATCH_SIZE: argument --batch_size: must be a whole number"),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        given([], environ)
    assert says in str(refused.value)


@pytest.mark.parametrize("parser_of", [parser, similar.parser, report.parser], ids=lambda of: of().prog)
def test_each_command_has_its_own_variables_and_reads_a_file(
    parser_of: Callable[[], Parser], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "run.toml").write_text('fetch_threads = 3\nfetch_timeout = 4\nallowed_prefix = ["/a", "/b"]')
    prefix = parser_of().prog.upper().replace("-", "_") + "_"
    others = {f"{other}_IMAGES_QQQ": "1" for other in ("EMBED", "SIMILAR", "REPORT") if not prefix.startswith(other)}
    environ = {f"{prefix}FETCH_TIMEOUT": "5", f"{prefix}CONFIG": str(tmp_path / "run.toml"), **others}
    found = given([], environ, parser_of)
    assert [found.values[name] for name in ("fetch_threads", "fetch_timeout", "allowed_prefix")] == [3, 5, ["/a", "/b"]]
    assert (found.origins["fetch_threads"], found.origins["fetch_timeout"]) == ("file", "environment")
    for environ in ({f"{prefix}QQQ": "1"}, {f"{prefix}CONFIG": str(tmp_path / "wrong.toml")}):
        (tmp_path / "wrong.toml").write_text("qqq = 1")
        with pytest.raises(UsageError, match=rf"; see {parser_of().prog} --help$"):
            given([], environ, parser_of)


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        ([], {}, ""),
        ([], {"REPORT_IMAGES_LOG_FORMAT": "json", "EMBED_IMAGES_LOG_FORMAT": "text"}, "json"),
        (["--log_format", "text"], {"REPORT_IMAGES_LOG_FORMAT": "json"}, "text"),
        (["--log_format=text", "--log_format=json", "--wrong"], {}, "json"),
        (["--log_format"], {}, ""),
    ],
)
def test_a_flag_is_peeked_at_before_all_is_parsed(argv: list[str], environ: dict[str, str], expected: str) -> None:
    assert peeked("log_format", argv, environ, "REPORT_IMAGES_") == expected


def test_what_is_none_of_ours_is_let_be() -> None:
    # Kubernetes sets the last two for a service of the command's name.
    environ = {"PATH": "x", "embed_images_x": "1", "EMBED_IMAGES_LAYER": "", "EMBED_IMAGES_SERVICE_HOST": "10.0.0.1"}
    found = given([], {**environ, "EMBED_IMAGES_PORT_80_TCP": "tcp://10.0.0.1:80"})
    assert set(found.origins.values()) == {"default"}
    assert found.command_line == ()


@pytest.mark.parametrize("flag", ["--version", "--list_backbones"])
def test_what_only_prints_answers_in_any_environment(flag: str) -> None:
    assert given([flag], {"EMBED_IMAGES_QQQ": "1"}).values[flag.removeprefix("--")] is True


def test_each_variable_that_is_read_elsewhere_is_known_to_be_no_flag() -> None:
    settings = {variable_of(action.dest) for action in parser()._actions}
    folders = ("pipelines", "transforms", "templates", "examples", "tests/conftest.py")
    paths = [path for folder in folders for path in [ROOT / folder, *(ROOT / folder).rglob("*")] if path.is_file()]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    named = {name for text in texts for name in re.findall(r"EMBED_IMAGES_[A-Z_]*[A-Z]\b", text)}
    assert named - settings == {PREFIX + name for name in NO_FLAGS}


def test_a_command_beside_it_takes_what_is_for_its_own_flags(tmp_path: pathlib.Path) -> None:
    def own() -> Parser:
        p = Parser(prog="beside")
        p.add_argument("--pooling", default="avg")
        p.add_argument("--depth", default="1")
        return p

    (tmp_path / "run.toml").write_text('pooling = "max"\nbatch_size = 3\n')
    variables = {"EMBED_IMAGES_CONFIG": str(tmp_path / "run.toml"), "EMBED_IMAGES_RETRY": "all"}
    found = given(["--depth", "2"], variables, own, parser)
    assert found.values == {"pooling": "max", "depth": "2"}
    assert found.origins == {"pooling": "file", "depth": "command line"}

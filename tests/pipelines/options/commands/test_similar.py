"""The flags of `similar-images`: what they are without being given, what contradicts what, what is shared."""

import pytest

from pipelines.options import flags
from pipelines.options.commands.similar import parse, parser
from transforms.core.errors import UsageError

HERE = ["--embeddings", "out"]


def test_the_defaults_are_those_that_the_help_says() -> None:
    settings, beam_args = parse([*HERE, "--to", "a.jpg", "--to", "b.jpg"])
    assert (settings.embeddings, settings.to, settings.top, settings.above) == ("out", ("a.jpg", "b.jpg"), None, None)
    assert (settings.out, settings.weights, settings.engine, beam_args) == ("", "", "auto", [])


def test_what_is_fetched_and_decoded_is_bounded_by_the_flags_of_the_other_command() -> None:
    ours = {action.dest: action for action in parser()._actions}
    theirs = {action.dest: action for action in flags.parser()._actions}
    shared = ours.keys() & theirs.keys() - {"help", "weights", "trust_model"}
    assert {"max_image_bytes", "max_image_pixels", "fetch_timeout", "allowed_prefix", "engine"} <= shared
    for name in shared:
        assert (ours[name].help, ours[name].default) == (theirs[name].help, theirs[name].default)


def test_flags_for_beam_are_left_over() -> None:
    settings, beam_args = parse([*HERE, "--pairs", "--above=-0.5", "--runner=PrismRunner"])
    assert (settings.pairs, settings.above, beam_args) == (True, -0.5, ["--runner=PrismRunner"])


def test_the_home_folder_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    settings, _ = parse(["--embeddings=~/out", "--to=~/a.jpg", "--out=~/b.jsonl", "--weights=~/w.h5"])
    found = (settings.embeddings, settings.to, settings.out, settings.weights)
    assert found == ("/home/me/out", ("/home/me/a.jpg",), "/home/me/b.jsonl", "/home/me/w.h5")


def test_a_variable_stands_for_a_flag_and_what_only_prints_needs_none() -> None:
    settings, _ = parse(["--pairs"], {"SIMILAR_IMAGES_EMBEDDINGS": "out", "EMBED_IMAGES_QQQ": "1"})
    assert (settings.embeddings, settings.origins["embeddings"]) == ("out", "environment")
    assert parse(["--version"], {"SIMILAR_IMAGES_QQQ": "1"})[0].only_prints
    assert parse(["--show_config"], {})[0].only_prints


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--pairs"], "--embeddings is missing"),
        (HERE, "give --to or --pairs"),
        ([*HERE, "--to", "a.jpg", "--pairs"], "--to and --pairs ask for different things; give one of them"),
        ([*HERE, "--pairs", "--top", "3"], "--top is for --to"),
        ([*HERE, "--to", "a.jpg", "--above", "0.5"], "--above is for --pairs"),
        ([*HERE, "--to", "a.jpg", "--top", "0"], "argument --top: must be a whole number of at least 1, is '0'"),
        ([*HERE, "--pairs", "--above", "1.01"], "argument --above: must be a cosine, from -1 to 1, is '1.01'"),
        ([*HERE, "--pairs", "--above", "-2"], "argument --above: must be a cosine, from -1 to 1, is '-2'"),
        ([*HERE, "--pairs", "--above", "nan"], "argument --above: must be a cosine, from -1 to 1, is 'nan'"),
        ([*HERE, "--pairs", "--above", "high"], "argument --above: must be a cosine, from -1 to 1, is 'high'"),
        ([*HERE, "--pairs", "--out", "a.html"], r"--out a.html must end in .parquet, .jsonl"),
        ([*HERE, "--to", "a.jpg", "--out", "a.csv"], r"--out a.csv must end in .parquet, .jsonl, .html"),
        (["out", "--pairs"], "unexpected 'out': each value needs its flag, as in --embeddings out"),
        ([*HERE, "--pair"], "unknown flag --pair (did you mean '--pairs'?)"),
        ([*HERE, "--to", "a.jpg", "--engine", "torch"], "argument --engine: invalid choice: 'torch'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_that_says_what_to_do(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(arguments)
    assert str(error.value).startswith(says)
    assert str(error.value).endswith("; see similar-images --help")
    assert "\n" not in str(error.value)

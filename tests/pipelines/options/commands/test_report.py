"""The flags of `report-images`: defaults, what is missing, what is shared."""

import pytest

from pipelines.options import flags
from pipelines.options.commands.report import parse, parser
from transforms.core.errors import UsageError

HERE = ["--embeddings", "out"]


def test_the_defaults_are_those_that_the_help_says() -> None:
    settings = parse(HERE, {})
    assert (settings.embeddings, settings.out, settings.above) == ("out", "report.html", 0.95)
    assert (settings.allowed_prefix, settings.is_verbose) == ((), False)


def test_what_is_fetched_and_decoded_is_bounded_by_the_flags_of_the_other_command() -> None:
    ours = {action.dest: action for action in parser()._actions}
    theirs = {action.dest: action for action in flags.parser()._actions}
    shared = ours.keys() & theirs.keys() - {"help"}
    assert {"max_image_bytes", "max_image_pixels", "fetch_timeout", "allowed_prefix", "config", "version"} <= shared
    for name in shared:
        assert (ours[name].help, ours[name].default) == (theirs[name].help, theirs[name].default)


def test_the_home_folder_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    settings = parse(["--embeddings=~/out", "--out=~/report.html"], {})
    assert (settings.embeddings, settings.out) == ("/home/me/out", "/home/me/report.html")


def test_a_variable_stands_for_a_flag_and_what_only_prints_needs_none() -> None:
    settings = parse([], {"REPORT_IMAGES_EMBEDDINGS": "out", "EMBED_IMAGES_QQQ": "1"})
    assert (settings.embeddings, settings.origins["embeddings"]) == ("out", "environment")
    assert parse(["--version"], {"REPORT_IMAGES_QQQ": "1"}).only_prints
    assert parse(["--show_config"], {}).only_prints


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "report.html"], "--embeddings is missing"),
        ([*HERE, "--out", "report.pdf"], "--out report.pdf must end in .html"),
        ([*HERE, "--above", "2"], "argument --above: must be a cosine, from -1 to 1, is '2'"),
        ([*HERE, "--runner=direct"], "unknown flag --runner"),
        (["--embedings", "out"], "unknown flag --embedings (did you mean '--embeddings'?)"),
        (["out"], "unexpected 'out': each value needs its flag, as in --embeddings out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_that_says_what_to_do(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(arguments, {})
    assert str(error.value) == f"{says}; see report-images --help"

"""The flags of `projector-files`: what they are without being given, what is refused, what is shared."""

import os

import pytest

from pipelines.options import flags
from pipelines.options.commands.projector import parse, parser
from transforms.core.errors import UsageError

HERE = ["--embeddings", "made", "--out", "shown"]


def test_the_defaults_are_those_that_the_help_says() -> None:
    settings = parse(HERE)
    assert (settings.embeddings, settings.out, settings.limit, settings.no_pictures) == ("made", "shown", 10_000, False)
    assert settings.allowed_prefix == ()


def test_the_home_folder_may_be_named_as_in_a_shell() -> None:
    settings = parse(["--embeddings=~/made", "--out=~/shown"])
    assert (settings.embeddings, settings.out) == tuple(map(os.path.expanduser, ("~/made", "~/shown")))


def test_flags_of_other_commands_mean_the_same_here() -> None:
    ours = {action.dest: action for action in parser()._actions}
    theirs = {action.dest: action for action in flags.parser()._actions}
    shared = ours.keys() & theirs.keys() - {"help"}
    assert {"max_image_bytes", "max_image_pixels", "fetch_timeout", "allowed_prefix", "log_level", "version"} <= shared
    for name in shared:
        assert (ours[name].help, ours[name].default, ours[name].type) == (
            theirs[name].help,
            theirs[name].default,
            theirs[name].type,
        )


def test_the_version_is_told_without_anything_else() -> None:
    assert parse(["--version"]).version


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "shown"], "--embeddings is missing"),
        (["--embeddings", "made"], "--out is missing"),
        ([*HERE, "--limit", "0"], "argument --limit: must be a whole number from 1 to 100000, is '0'"),
        ([*HERE, "--limit", "100001"], "argument --limit: must be a whole number from 1 to 100000, is '100001'"),
        ([*HERE, "--limit", "all"], "argument --limit: must be a whole number from 1 to 100000, is 'all'"),
        ([*HERE, "--limt", "5"], "unknown flag --limt (did you mean '--limit'?)"),
        ([*HERE, "--runner=DirectRunner"], "unknown flag --runner"),
        (["made", *HERE], "unexpected 'made': each value needs its flag, as in --embeddings made"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_that_says_what_to_do(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(arguments)
    assert str(error.value).startswith(says)
    assert str(error.value).endswith("; see projector-files --help")
    assert "\n" not in str(error.value)

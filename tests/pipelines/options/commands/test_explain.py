"""The flags of `explain-image`: those of a run that decide an embedding, from all that can give them, and its own."""

import dataclasses
import os
import pathlib

import pytest

from pipelines.options import flags
from pipelines.options.command_line import parse as parse_run
from pipelines.options.commands.explain import parse, parser
from pipelines.options.settings import HowToEmbed, Limits
from transforms.core.errors import UsageError

HERE = ["--input", "a.jpg"]
OTHERS = ["--backbone=VGG16", "--pooling=max", "--image_size=64x32", "--resize=pad", "--max_image_bytes=9", "--top_k=3"]
OTHERS += ["--allowed_prefix=/a,/b", "--precision=bfloat16", "--normalize"]


def test_each_flag_that_decides_an_embedding_is_the_one_of_a_run() -> None:
    ours = {action.dest: action for action in parser()._actions}
    theirs = {action.dest: action for action in flags.parser()._actions}
    names = [field.name for kind in (HowToEmbed, Limits) for field in dataclasses.fields(kind)]
    for name in (*names, "log_level", "log_format", "config", "version"):
        assert (ours[name].help, ours[name].type) == (theirs[name].help, theirs[name].type)
        assert (ours[name].default, ours[name].choices) == (theirs[name].default, theirs[name].choices)


def test_the_same_flags_are_the_same_values() -> None:
    run, _ = parse_run([*HERE, "--output=out", *OTHERS], {})
    ours = parse([*HERE, *OTHERS], {})
    for kind in (HowToEmbed, Limits):
        for field in dataclasses.fields(kind):
            assert getattr(ours, field.name) == getattr(run, field.name)


def test_variables_and_files_of_runs_count_but_for_their_images(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run.toml").write_text('input = "photos"\noutput = "out"\nbackbone = "VGG16"\npooling = "max"\n')
    variables = {"EMBED_IMAGES_CONFIG": str(tmp_path / "run.toml"), "EMBED_IMAGES_POOLING": "flatten"}
    found = parse(HERE, variables)
    assert (found.input, found.backbone, found.pooling) == ("a.jpg", ("VGG16",), "flatten")
    assert parse([*HERE, "--pooling=avg"], variables).pooling == "avg"
    with pytest.raises(UsageError, match=r"^--input is missing"):
        parse([], {**variables, "EMBED_IMAGES_INPUT": "b.jpg"})
    with pytest.raises(UsageError, match=r"^unknown variable EMBED_IMAGES_POLING"):
        parse(HERE, {"EMBED_IMAGES_POLING": "max"})


def test_a_collection_is_not_contradicted_by_what_was_not_typed() -> None:
    assert parse([*HERE, "--embeddings=out"], {"EMBED_IMAGES_BACKBONE": "VGG16,VGG19"}).embeddings == "out"


def test_the_home_folder_is_named_by_a_tilde_also_behind_an_equals_sign() -> None:
    found = parse(["--input=~/a.jpg", "--embeddings=~/out", "--out=~/a.png"], {})
    home = os.path.expanduser("~")
    assert (found.input, found.embeddings, found.out) == (f"{home}/a.jpg", f"{home}/out", f"{home}/a.png")


def test_the_version_needs_nothing_else() -> None:
    assert parse(["--version"], {"EMBED_IMAGES_POLING": "max"}).version


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--input is missing"),
        (["--inptu", "a.jpg"], "unknown flag --inptu (did you mean '--input'?)"),
        ([*HERE, "--output", "out"], "unknown flag --output (did you mean '--out'?)"),
        (["a.jpg"], "unexpected 'a.jpg': each value needs its flag, as in --input a.jpg"),
        ([*HERE, "b.jpg"], "unexpected 'b.jpg' after --input a.jpg: quote what has blanks or is a glob"),
        ([*HERE, "--input", "b.jpg"], "--input b.jpg is a second image; explain one at a time"),
        ([*HERE, "--out", "a.jpg"], "--out a.jpg must end in .png"),
        ([*HERE, "--top", "3"], "--top is for --embeddings"),
        ([*HERE, "--backbone", "VGG16,VGG19"], "explain one --backbone at a time"),
        (
            [*HERE, "--embeddings", "out", "--model", "m", "--weights", "w"],
            "--weights and --model are two ways to name",
        ),
        ([*HERE, "--model", "m", "--weights", "w"], "--model is a backbone with its weights; drop --weights"),
        (
            [*HERE, "--central_fraction=0.9", "--resize=pad"],
            "--central_fraction is for --resize crop, not pad; drop one of them",
        ),
        (
            [*HERE, "--embeddings", "out", "--central_fraction", "0.9"],
            "--central_fraction is decided by the collection in --embeddings;",
        ),
        ([*HERE, "--embeddings", "out", "--pooling", "max"], "--pooling is decided by the collection in --embeddings;"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_that_says_what_to_do(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(arguments, {})
    assert str(error.value).startswith(says)
    assert str(error.value).endswith("; see explain-image --help")
    assert "\n" not in str(error.value)

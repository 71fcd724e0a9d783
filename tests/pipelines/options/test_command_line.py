"""A command line: checked when it is parsed, Beam's own flags let through, mistakes named."""

import time

import pytest

from pipelines.options.command_line import check_beam_flags, parse
from pipelines.options.flags import NEEDED as REQUIRED
from transforms.core.errors import UsageError
from transforms.core.spec import RESIZES

NEEDED = ["--input", "photos", "--output", "out"]


def test_the_defaults_are_what_the_contract_says() -> None:
    settings, beam_args = parse(NEEDED)
    assert beam_args == []
    assert (settings.input, settings.output, settings.uri_column, settings.version_column) == (
        ("photos",),
        "out",
        "uri",
        "",
    )
    assert (settings.backbone, settings.weights, settings.pooling) == (("MobileNetV2",), "imagenet", "avg")
    assert (settings.resize, settings.output_format, settings.embedding_dtype) == ("crop", ("parquet",), "float32")
    assert (settings.max_image_bytes, settings.max_image_pixels) == (64 * 1024**2, 100_000_000)
    assert settings.max_failure_ratio == 1.0


def test_inputs_add_up_and_lists_are_comma_separated() -> None:
    settings, _ = parse(
        [*NEEDED, "--input", "more", "--backbone", "VGG16, ResNet50,VGG16", "--output_format=tfrecord,parquet"]
    )
    assert settings.input == ("photos", "more")
    assert settings.backbone == ("VGG16", "ResNet50")
    assert settings.output_format == ("tfrecord", "parquet")


def test_allowed_prefixes_add_up_and_an_empty_one_does_not_allow_everything() -> None:
    """(4f): a template hands over one text, and a slip in it must not open what was to be closed."""
    settings, _ = parse([*NEEDED, "--allowed_prefix=gs://a,gs://b/c", "--allowed_prefix", "/photos"])
    assert settings.allowed_prefix == ("gs://a", "gs://b/c", "/photos")
    with pytest.raises(UsageError, match="argument --allowed_prefix: must be uris or paths"):
        parse([*NEEDED, "--allowed_prefix="])


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--batch_size", "0"], "must be a whole number of at least 1, is '0'"),
        (["--batch_size", "many"], "must be a whole number of at least 1, is 'many'"),
        (["--fetch_timeout", "nan"], "must be a positive number of seconds, is 'nan'"),
        (["--fetch_timeout", "inf"], "must be a positive number of seconds, is 'inf'"),
        (["--max_failure_ratio", "1.5"], "must be a number from 0 to 1, is '1.5'"),
        (["--central_fraction", "0"], "must be a number from 0.01 to 1, is '0'"),
        (["--central_fraction", "0.9", "--resize", "pad"], "is for --resize crop, not pad; drop one of them"),
        (["--central_fraction=.875", "--resize=stretch"], "is for --resize crop, not stretch; drop one of them"),
        (["--normalize=yes"], "must be true or false, is 'yes'"),
        (["--image_size", "1x2x3"], "must be a side such as 224"),
        (["--backbone_kwargs", "[1]"], "must be a JSON object"),
        (["--output_format", "parket"], "did you mean 'parquet'?"),
        (["--backbone", ","], "--backbone is empty"),
        (["--backbone", "VGG16,VGG19", "--weights", "w.h5"], "a weights file is for one --backbone"),
        (["--weights_sha256", "ab"], "--weights_sha256 is for a file"),
        (["--vector_type", "fixed_size_list", "--output_format", "tfrecord"], "is for --output_format parquet"),
        (["--vector_type", "list", "--output_format", "tfrecord"], "is for --output_format parquet"),
        (["--vector_type", "array"], "invalid choice: 'array'"),
        (["--input"], "expected one argument"),
    ],
)
def test_a_wrong_value_has_one_line_that_names_the_flag(flags: list[str], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse([*NEEDED, *flags])
    assert says in str(refused.value)
    assert flags[0].partition("=")[0] in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("resize", RESIZES)
def test_the_whole_is_a_fraction_that_any_resize_takes(resize: str) -> None:
    assert parse([*NEEDED, "--central_fraction=1", f"--resize={resize}"])[0].central_fraction == 1.0
    assert parse(NEEDED)[0].central_fraction == 1.0


@pytest.mark.parametrize("missing", ["--input", "--output"])
def test_what_a_run_needs_is_asked_for(missing: str) -> None:
    at = NEEDED.index(missing)
    with pytest.raises(UsageError, match=f"{missing} is missing"):
        parse(NEEDED[:at] + NEEDED[at + 2 :])
    assert missing.removeprefix("--") in REQUIRED


def test_the_list_of_backbones_needs_nothing_else() -> None:
    assert parse(["--list_backbones"])[0].list_backbones


def test_beams_flags_pass_through_untouched() -> None:
    flags = ["--runner=DataflowRunner", "--region", "europe-west4", "--experiments=use_runner_v2", "--experiments=x"]
    _, beam_args = parse([*NEEDED, *flags])
    assert beam_args == flags
    check_beam_flags(beam_args)


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--runer=DirectRunner", "unknown flag --runer (did you mean '--runner'?)"),
        ("--uri_colum", "unknown flag --uri_colum (did you mean '--uri_column'?)"),
        ("photos", "unexpected 'photos'"),
    ],
)
def test_a_flag_that_nobody_knows_is_refused_with_the_nearest(flag: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_beam_flags(parse([*NEEDED, flag])[1])
    assert says in str(refused.value)


def test_the_command_line_is_kept_as_it_was_typed_and_so_is_the_time() -> None:
    typed = [*NEEDED, "--backbone", "VGG16, VGG19", "--normalize", "--region", "europe-west4"]
    before = time.monotonic()
    settings, _ = parse(typed)
    assert settings.command_line == tuple(typed)
    assert before <= settings.began <= time.monotonic()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--inptu", "x", "--output", "out"], "unknown flag --inptu (did you mean '--input'?)"),
        (["--qqqq=1"], "unknown flag --qqqq; see"),
        (["--runner=PortableRunner", "--ouptut=x", "--input", "x"], "unknown flag --ouptut (did you mean '--output'?)"),
        (["--runner=FlinkRunner", "--qqqq=1", "--input", "x"], "--output is missing"),
        (["--project=mine"], "--input is missing"),
    ],
)
def test_an_unknown_flag_is_named_before_a_missing_one(argv: list[str], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(argv)
    assert says in str(refused.value)


def test_a_tilde_is_the_home_folder_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    flags = ["--input=~/a", "--input", "~/b", "--output=~", "--weights=~/w.h5", "--allowed_prefix=~/a,~/b,gs://b/~"]
    settings, _ = parse(flags)
    assert settings.input == ("/home/me/a", "/home/me/b")
    assert (settings.output, settings.weights) == ("/home/me", "/home/me/w.h5")
    assert settings.allowed_prefix == ("/home/me/a", "/home/me/b", "gs://b/~")
    assert parse(["--input", "a~", "--output", "./~/x"])[0].output == "./~/x"

"""Bare values that no flag takes are refused with what to type."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.options.commands import report
from pipelines.options.flags import parser
from pipelines.options.strays import refuse_strays, refuse_unknown
from transforms.core.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("--input my photos --output out", "unexpected 'photos' after --input my: quote what has blanks or is a glob"),
        ("--input my photos --output out", "as in --input 'my photos', or repeat --input before each; see"),
        ("--input=a.jpg b.jpg c.jpg d.jpg e.jpg", "as in --input 'a.jpg b.jpg', or repeat --input"),
        ("--output my out --input a", "as in --output 'my out'; see"),
        ("photos --output out", "unexpected 'photos': each value needs its flag, as in --input photos;"),
    ],
)
def test_the_line_says_what_to_type(typed: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        refuse_strays(parser(), shlex.split(typed))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "typed", ["", "--input a --input b", "--normalize --input a", "--normalize true", "--experiments a b --region c d"]
)
def test_values_of_flags_of_ours_and_what_is_for_beam_pass(typed: str) -> None:
    refuse_strays(parser(), shlex.split(typed))


def test_a_value_without_a_flag_is_told_the_first_flag_of_its_command() -> None:
    with pytest.raises(UsageError, match=r"as in --embeddings out; see report-images --help$"):
        refuse_strays(report.parser(), ["out"])


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--abve=1", "unknown flag --abve (did you mean '--above'?)"),
        ("--regoin", "unknown flag --regoin (did you mean '--region'?)"),
        ("--qqq=secret", "unknown flag --qqq"),
        ("stray", "unexpected 'stray'"),
    ],
)
def test_an_argument_that_nobody_takes_is_named_with_the_nearest_flag(argument: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        refuse_unknown(report.parser(), argument, ["--region"])
    assert str(refused.value) == f"{says}; see report-images --help"


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), min_size=2, max_size=4))
def test_the_quoted_value_is_the_one_that_was_meant(words: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        refuse_strays(parser(), ["--output", *words])
    assert shlex.split(str(refused.value).partition("as in ")[2].partition(";")[0]) == ["--output", " ".join(words)]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--inptu=a", "unknown flag --inptu (did you mean '--input'?); see embed-images --help"),
        ("--xyzzy", "unknown flag --xyzzy; see embed-images --help"),
        ("a", "unexpected 'a'; see embed-images --help"),
    ],
)
def test_what_nobody_takes_is_refused_with_the_nearest_flag(argument: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        refuse_unknown(parser(), argument, parser()._option_string_actions)
    assert str(refused.value) == says

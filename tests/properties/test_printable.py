"""Whatever a stranger writes, what is printed of it is one line of plain text without their secrets."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from transforms.core.errors import one_line
from transforms.core.printable import printable

ODD = st.text("\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\u200f\u2028\u202e\u2066\ufeff\udcffa[31m;?&=#@:/ ", max_size=30)
TEXT = st.text(st.characters(), max_size=30) | ODD
SECRET = st.from_regex(r"[A-Za-z0-9%_.~+/-]{12,24}", fullmatch=True)
NAMES = st.from_regex(r"s[A-Za-z%_.\[\]-]{0,10}", fullmatch=True) | st.sampled_from(["X-Goog-Signature", "Auth%54oken"])
# Cc, Cf, Cs, Co, Cn, Zl and Zp, by the ranges that terminals know: an oracle of its own.
ACTED_UPON = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


@given(TEXT)
@example("\u202e\x1b]0;title\x07")
def test_no_character_comes_out_that_a_terminal_acts_upon(text: str) -> None:
    """(4e)"""
    for shown in (printable(text), one_line(ValueError(text))):
        assert not ACTED_UPON.search(shown)
        assert shown.isprintable()


@given(TEXT)
def test_what_is_printable_stays_so(text: str) -> None:
    once = printable(text)
    assert printable(once) == once


@given(TEXT, NAMES, SECRET, TEXT)
def test_no_secret_of_a_query_comes_out_whatever_stands_around_it(
    before: str, name: str, secret: str, after: str
) -> None:
    """(4e)"""
    text = f"{before} https://h/a.jpg?w=1&{name}={secret}& {after}"
    assert secret not in printable(text) or secret in before + after


@given(TEXT, SECRET, TEXT)
def test_no_password_comes_out_whatever_stands_around_it(before: str, secret: str, after: str) -> None:
    """(4e)"""
    secret = secret.replace("/", "_")
    text = f"{before} http://me:{secret}@h/a.jpg {after}"
    assert secret not in printable(text) or secret in before + after

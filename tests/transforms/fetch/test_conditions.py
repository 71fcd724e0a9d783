"""Servers are asked for what is newer than a known version, in headers that are always ones."""

import http.client

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transforms.fetch.conditions import condition_on, version_told

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("known", "condition"),
    [
        ('etag:"a-1"', {"If-None-Match": '"a-1"'}),
        ('etag:W/"a:b,c"', {"If-None-Match": 'W/"a:b,c"'}),
        ('etag:""', {"If-None-Match": '""'}),
        ('etag:"\xe4"', {"If-None-Match": '"\xe4"'}),
        (f"last-modified:{DATE}", {"If-Modified-Since": DATE}),
        ("etag:*", {}),
        ("etag:a-1", {}),
        ('etag:"a\r\nHost: elsewhere"', {}),
        ('etag:"ā"', {}),
        (f"last-modified:{DATE}\r\nHost: elsewhere", {}),
        ("last-modified:", {}),
        ("generation:17", {}),
        ("mtime:1,size:2", {}),
        ('listed:"a-1"', {}),
        ("", {}),
    ],
)
def test_a_server_is_asked_for_what_it_once_told(known: str, condition: dict[str, str]) -> None:
    assert condition_on(known) == condition


@given(st.sampled_from(["etag:", "last-modified:"]), st.text() | st.text('"W/*\r\n\0 a\x80\xff').map('"{}"'.format))
@example("etag:", '"\udcfc"')
def test_any_known_version_is_asked_for_in_a_header_or_not_at_all(kind: str, text: str) -> None:
    connection = http.client.HTTPConnection("h")
    connection.putrequest("GET", "/")
    for name, value in condition_on(kind + text).items():
        connection.putheader(name, value)
        assert value == text != "*"


def test_an_answer_tells_its_version_by_its_etag_or_else_its_date() -> None:
    assert version_told({"ETag": 'W/"1"', "Last-Modified": DATE}) == 'etag:W/"1"'
    assert version_told({"Last-Modified": DATE}) == f"last-modified:{DATE}"
    assert version_told({"Date": DATE}) == ""

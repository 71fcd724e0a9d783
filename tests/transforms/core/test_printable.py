"""What is printed of a stranger's text: none of its secrets, and nothing that a terminal would act upon."""

import json

import pytest

from transforms.core.printable import escaped, printable


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:pass@h/a.jpg", "https://***@h/a.jpg"),
        ("https://me:p@ss@h/a@2x.jpg", "https://***@h/a@2x.jpg"),
        ("s3://KEY:SECRET@bucket/a.jpg", "s3://***@bucket/a.jpg"),
        ("https://token@h", "https://***@h"),
        ("https://h/a.jpg?X-Goog-Signature=ab12", "https://h/a.jpg?X-Goog-Signature=***"),
        ("https://h/a?w=1&X-Amz-Signature=ab&X-Amz-Date=2", "https://h/a?w=1&X-Amz-Signature=***&X-Amz-Date=2"),
        ("https://h/a?X-Amz-Security-Token=a%2Fb%3D", "https://h/a?X-Amz-Security-Token=***"),
        ("https://h/a?X-Amz-Credential=AKIA/2026", "https://h/a?X-Amz-Credential=***"),
        ("https://h/a?sv=2022&sr=b&sig=a%2B=&se=9", "https://h/a?sv=2022&sr=b&sig=***&se=9"),
        ("https://h/a?Key-Pair-Id=K&Policy=ey;Signature=x~", "https://h/a?Key-Pair-Id=***&Policy=***;Signature=***"),
        ("https://h/a?x%2Damz%2dsi%67nature=ab", "https://h/a?x%2Damz%2dsi%67nature=***"),
        ("https://h/a?api_key=1&apikey=2&access_token=3", "https://h/a?api_key=***&apikey=***&access_token=***"),
        ("https://h/a?PASSWORD=1&pwd=2&client_secret=3", "https://h/a?PASSWORD=***&pwd=***&client_secret=***"),
        ("https://h/a?token=ab?cd&w=1", "https://h/a?token=***&w=1"),
        ("https://h/?from=https://me:pw@g/?sig=ab", "https://h/?from=https://***@g/?sig=***"),
        ("https://h/a#access_token=ab", "https://h/a#access_token=***"),
        ("https://h/a.jpg?w=100&design=2&keys", "https://h/a.jpg?w=100&design=2&keys"),
        ("/photos/a@b?.jpg", "/photos/a@b?.jpg"),
        ("gs://bucket/a b#1%.jpg", "gs://bucket/a b#1%.jpg"),
    ],
)
def test_what_grants_access_is_masked_and_all_else_stays(uri: str, shown: str) -> None:
    """(4e): a summary in a log would give its readers the uri's password, or the signature that reads the image."""
    assert printable(uri) == shown


@pytest.mark.parametrize("form", ["no such file: {}", "{}: no answer", "url '{}' (attempt 1)", '"{}", twice'])
def test_a_uri_is_masked_wherever_it_stands_in_a_sentence(form: str) -> None:
    """(4e)"""
    assert printable(form.format("https://me:pw@h/a?sig=ab")) == form.format("https://***@h/a?sig=***")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2Jgone", r"\u001b[2Jgone"),
        ("\x9b2J\x7f\x00", r"\u009b2J\u007f\u0000"),
        ("a\u202egpj.exe", r"a\u202egpj.exe"),
        ("\u2028\u2066\ufeff\U000e0041", r"\u2028\u2066\ufeff\udb40\udc41"),
        ("\udcfc.jpg", r"\udcfc.jpg"),
        ("Käse 图 é 😀 \\n.jpg", "Käse 图 é 😀 \\n.jpg"),
    ],
)
def test_what_a_terminal_would_act_upon_is_spelled_out(text: str, shown: str) -> None:
    """(4e): a name could clear the screen, forge a line of the summary, or show as another name."""
    assert printable(text) == shown


def test_json_with_unprintable_text_stays_the_same_json() -> None:
    value = {"a\x1b\x7f\x9b\u202e😀\U000e0041\n": 'ü"\\'}
    text = escaped(json.dumps(value, ensure_ascii=False))
    assert text.isprintable()
    assert json.loads(text) == value

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
        ("https://h/?from=https://me:pw@g/?sig=ab", "https://h/?from=***"),
        ("https://h/?w=1&url=https%3A%2F%2Fu%3Apw%40g%3Fsig%3Dab&h=2", "https://h/?w=1&url=***&h=2"),
        ("https://h/a?sign=ab&s=cd&md5=ef&hm=gh&sk=ij", "https://h/a?sign=***&s=***&md5=***&hm=***&sk=***"),
        (
            "https://h/a?bearer=ab&ticket=cd&sig%20=ef&sig[]=gh",
            "https://h/a?bearer=***&ticket=***&sig%20=***&sig[]=***",
        ),
        ("https://h/a?sig=ab;cd&ef", "https://h/a?sig=***"),
        ("https://h/a?sig=ab cd%2F ef=&w=1", "https://h/a?sig=***&w=1"),
        ("https://h/a? sig=ab", "https://h/a? sig=***"),
        ("https://h/a;jsessionid=ab?w=1", "https://h/a;jsessionid=***"),
        ("https://h/a?w=100?sig=ab", "https://h/a?w=***"),
        ("https://h/a?id=1aB_longer-than-any-number-in-a-shop", "https://h/a?id=***"),
        ("https://h/__token__exp=1~acl=/*~hmac=ab/a.jpg", "https://h/__token__exp=***~acl=/*~hmac=***/a.jpg"),
        ("redirected to //u:pw@h/a.jpg", "redirected to //***@h/a.jpg"),
        ("https://h/a#access_token=ab", "https://h/a#access_token=***"),
        ("https://h/a.jpg?w=100&ID=7&V=2.1#top", "https://h/a.jpg?w=100&ID=7&V=2.1#top"),
        (
            "https://h/a?X-Amz-Date=20261128T120000Z&X-Goog-Expires=60",
            "https://h/a?X-Amz-Date=20261128T120000Z&X-Goog-Expires=60",
        ),
        ("gs://b/key=3/author=tolkien/what?.jpg", "gs://b/key=3/author=tolkien/what?.jpg"),
        ("/photos/list.csv#row=7", "/photos/list.csv#row=7"),
        ("check it; x=3 or a&b, c = d?", "check it; x=3 or a&b, c = d?"),
        ("/photos/a@b?.jpg", "/photos/a@b?.jpg"),
        ("gs://bucket/a b#1%.jpg", "gs://bucket/a b#1%.jpg"),
    ],
)
def test_what_grants_access_is_masked_and_all_else_stays(uri: str, shown: str) -> None:
    """(4e): a summary in a log would give its readers the uri's password, or the signature that reads the image."""
    assert printable(uri) == shown


def test_a_uri_of_a_mebibyte_takes_no_time() -> None:
    """(4e)"""
    for piece in ("/token", "&sig", "?a=b", "; ", "//", "?? ", "~a%=", "#&;", "'a ", "=@"):
        printable("https://h/" + piece * (1_000_000 // len(piece)))
        printable("https://h/?x=" + piece * (1_000_000 // len(piece)))


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

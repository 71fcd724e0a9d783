"""The page: pictures with words for who cannot see them, nothing that runs or loads, strangers' text as text."""

import html.parser

from pipelines.similar.page import page_of
from pipelines.similar.tables import Match
from pipelines.similar.thumbnails import Thumbnail

PICTURE = Thumbnail("data:image/jpeg;base64,AAAA", (160, 200))
HOSTILE = 'https://me:secret@host/<script>alert("1")</script>.jpg?sig=secret'
VOID = {"meta", "img", "br"}
CLOSED_BY_THE_END = {"html"}


class Elements(html.parser.HTMLParser):
    """The elements of a page, its text, and whether each that is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", list[str]()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID | CLOSED_BY_THE_END:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page() -> str:
    matches = {
        "/a.jpg": [Match("/a.jpg", 1, HOSTILE, 0.98765), Match("/a.jpg", 2, "/gone.jpg", 0.5)],
        "/b.jpg": [],
    }
    lack = Thumbnail("", (160, 200), 'not_found: no such file: "<b>"')
    pictures = {"/a.jpg": PICTURE, "/b.jpg": PICTURE, HOSTILE: PICTURE, "/gone.jpg": lack}
    return page_of(matches, pictures, "among 2 images")


def test_each_picture_has_its_words() -> None:
    found = Elements(page())
    assert found.open == []
    assert [one["alt"] for one in found.all("img")] == [
        "a.jpg, asked for",
        "script>.jpg?sig=***, cosine 0.9877",
        "b.jpg, asked for",
    ]
    assert 'no picture: not_found: no such file: "<b>"' in found.text
    assert "cosine 0.5000" in found.text
    assert "among 2 images" in found.text
    assert found.all("html") == [{"lang": "en"}]


def test_nothing_in_it_runs_or_loads() -> None:
    found = Elements(page())
    assert {tag for tag, _ in found.found}.isdisjoint({"script", "link", "iframe", "object", "embed", "a", "base"})
    for _, attributes in found.found:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "srcset")]
    assert all(str(one["src"]).startswith("data:image/") for one in found.all("img"))
    (policy,) = [one["content"] for one in found.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert "url(" not in page()
    assert "secret" not in page()


def test_it_is_light_or_dark_as_its_reader_wants() -> None:
    (scheme,) = [one["content"] for one in Elements(page()).all("meta") if one.get("name") == "color-scheme"]
    assert scheme == "light dark"
    assert "background: Canvas; color: CanvasText" in page()

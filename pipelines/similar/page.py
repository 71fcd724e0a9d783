"""A page of pictures: each image that was asked for, and beside it what resembles it. Nothing in it runs or loads."""

import html
from collections.abc import Iterator, Mapping, Sequence

from pipelines.similar.tables import Match
from pipelines.similar.thumbnails import Thumbnail
from transforms.core.printable import printable

HEAD = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Similar images</title>
<style>
  :root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
  body { margin: 1.5rem; background: Canvas; color: CanvasText; }
  h1 { font-size: 1.3rem; }
  h2 { font-size: 1rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
  ol { display: flex; flex-wrap: wrap; gap: 1rem; margin: 0; padding: 0; list-style: none; }
  figure { margin: 0; }
  img, .lack { display: block; border-radius: 4px; }
  .lack { box-sizing: border-box; padding: .75rem; overflow: auto; border: 1px dashed GrayText; color: GrayText; }
  .asked img, .asked .lack { outline: 3px solid Highlight; outline-offset: 2px; }
  figcaption { margin-top: .35rem; overflow-wrap: anywhere; }
</style>
"""


def page_of(matches: Mapping[str, Sequence[Match]], pictures: Mapping[str, Thumbnail], subtitle: str) -> str:
    """Return the page, in HTML.

    Args:
      matches: what resembles each image that was asked for, nearest first.
      pictures: a thumbnail for each uri.
      subtitle: what was searched, in words.
    """
    return HEAD + "\n".join(_body(matches, pictures, subtitle)) + "\n"


def _body(matches: Mapping[str, Sequence[Match]], pictures: Mapping[str, Thumbnail], subtitle: str) -> Iterator[str]:
    yield f"<h1>Similar images</h1>\n<p>{_text(subtitle)}</p>"
    for uri, found in matches.items():
        yield f"<h2>{_text(uri)}</h2>\n<ol>"
        yield _item(uri, pictures[uri], "asked for", "asked")
        for match in found:
            yield _item(match.uri, pictures[match.uri], f"cosine {match.cosine:.4f}")
        yield "</ol>"


def _item(uri: str, picture: Thumbnail, caption: str, kind: str = "") -> str:
    name, (height, width) = _text(printable(uri).rpartition("/")[2]), picture.size
    if picture.data_uri:
        shown = f'<img src="{picture.data_uri}" alt="{name}, {caption}" width="{width}" height="{height}">'
    else:
        shown = f'<div class="lack" style="width:{width}px;height:{height}px">no picture: {_text(picture.lack)}</div>'
    opened = f'<li class="{kind}">' if kind else "<li>"
    return (
        f'{opened}<figure style="width:{width}px" title="{_text(uri)}">{shown}'
        f"<figcaption>{caption}<br>{name}</figcaption></figure></li>"
    )


def _text(text: str) -> str:
    """Return text of unknown origin as text of the page."""
    return html.escape(printable(text))

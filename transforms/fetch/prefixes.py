"""Which uris may be fetched, compared with prefixes component by component: `gs://b/pub` is no prefix of `gs://b/public`.

A server may read a path otherwise than it is sent: it may decode `%2e%2e`, take a backslash for a slash, or two slashes
for one. So a path is read as it is sent and as the most liberal server would, and must be below the prefix both times.
"""

import dataclasses
import functools
import os
import urllib.parse
from typing import NamedTuple

from urllib3.connection import port_by_scheme
from urllib3.util import Url, parse_url

from transforms.core.errors import ImageError, one_line
from transforms.storage.paths import local_path, scheme_of, with_slashes
from transforms.storage.schemes import WEB

Components = tuple[str, ...]


class Place(NamedTuple):
    """Where a uri points, in components from the scheme on: as it is sent, and as a liberal server reads it."""

    sent: Components
    liberal: Components

    def is_below(self, other: "Place") -> bool:
        """Whether this is the other place or one below it, in both readings."""
        return all(own[: len(others)] == others for own, others in zip(self, other, strict=True))


def place_of(uri: str) -> Place:
    """Return where a uri points; a local path through all of its links, http by urllib3, whose parser also dials.

    Raises:
      ValueError: the uri is not well-formed.
    """
    scheme = scheme_of(uri)
    if scheme in ("", "file"):
        real = os.path.realpath(local_path(uri) if scheme else uri)
        parts = ("", *filter(None, with_slashes(real).split("/")))
        return Place(parts, parts)
    if scheme in WEB:
        url = parse_url(uri)
        root: Components = origin(url) if url.host else (scheme,)
        path = url.path or ""
    else:
        authority, _, path = uri.partition("://")[2].partition("/")
        root = (scheme, authority) if authority else (scheme,)
    sent = path.removeprefix("/").removesuffix("/")
    return Place((*root, *(sent.split("/") if sent else ())), (*root, *_resolved(path)))


def origin(url: Url) -> Components:
    """Return a url's scheme, host and port, the scheme's own where the url names none."""
    scheme = url.scheme or ""
    return scheme, url.host or "", str(url.port or port_by_scheme.get(scheme, 0))


def _resolved(path: str) -> list[str]:
    found: list[str] = []
    for part in urllib.parse.unquote(path).replace("\\", "/").split("/"):
        if part == "..":
            del found[-1:]
        elif part not in ("", "."):
            found.append(part)
    return found


@dataclasses.dataclass(frozen=True)
class AllowedPrefixes:
    """The places below which uris may be fetched.

    Args:
      prefixes: uris, absolute paths, or a scheme alone, e.g. 'gs://'; without any, everything is allowed.
    """

    prefixes: tuple[str, ...] = ()

    def check(self, uri: str) -> None:
        """Raise ImageError unless a uri is below one of the prefixes."""
        if not self.prefixes:
            return
        try:
            place = place_of(uri)
        except ValueError as e:
            raise ImageError("bad_uri", one_line(e)) from e
        if not any(place.is_below(prefix) for prefix in _places(self.prefixes)):
            raise ImageError("forbidden_prefix", f"below no --allowed_prefix: {uri}")


EVERYWHERE = AllowedPrefixes()
"""No limit."""


@functools.cache
def _places(prefixes: tuple[str, ...]) -> tuple[Place, ...]:
    return tuple(map(place_of, prefixes))

"""Which uris may be fetched, compared with prefixes component by component: `gs://b/pub` is no prefix of `gs://b/public`.

A server may read a path otherwise than it is sent: may decode `%2e%2e`, take a backslash for a slash, or cut `..;` at
its semicolon. So a path must be below the prefix as it is sent, and may go up in no reading.
"""

import dataclasses
import functools
import os
import re
import urllib.parse

from urllib3.connection import port_by_scheme
from urllib3.util import Url, parse_url

from transforms.core.errors import ImageError, one_line
from transforms.storage.paths import local_path, scheme_of, with_slashes
from transforms.storage.schemes import WEB

Components = tuple[str, ...]
"""Where a uri points, from its scheme on."""

DECODINGS = 8
"""How often a path is decoded before it passes for one that hides something: a proxy and a server make two."""

_OVERLONG = re.compile(rb"(?:\xc0|\xe0\x80|\xf0\x80\x80|\xf8\x80{3}|\xfc\x80{4})(.)|\xc1(.)", re.DOTALL)
"""ASCII in more bytes than UTF-8 allows, which careless decoders accept, whatever the upper bits of the last one."""
_DOTS = re.compile(rb"(?:^|[/\\])\s*\.\.?\s*(?:$|[/\\;?#\0])")
"""A component that is `.` or `..` to some server: those cut it at these characters."""


def place_of(uri: str) -> Components:
    """Return where a uri points; a local path through all of its links, http by urllib3, whose parser also dials.

    Raises:
      ValueError: the uri is not well-formed.
    """
    scheme = scheme_of(uri)
    if scheme in ("", "file"):
        real = os.path.realpath(local_path(uri) if scheme else uri)
        return ("", *filter(None, with_slashes(real).split("/")))
    if scheme in WEB:
        url = parse_url(uri)
        root: Components = origin(url) if url.host else (scheme,)
        path = url.path or ""
    else:
        authority, _, path = uri.partition("://")[2].partition("/")
        root = (scheme, authority) if authority else (scheme,)
    path = path.removeprefix("/").removesuffix("/")
    return (*root, *(path.split("/") if path else ()))


def place_of_prefix(prefix: str) -> Components:
    """Return where a prefix points.

    Raises:
      ValueError: the prefix is not well-formed, or says more than where: a user, a query or a fragment.
    """
    url = parse_url(prefix) if scheme_of(prefix) in WEB else Url()
    if any(part is not None for part in (url.auth, url.query, url.fragment)):
        raise ValueError(f"{prefix} has a user, a query or a fragment, which are not compared; leave them out")
    return place_of(prefix)


def origin(url: Url) -> Components:
    """Return a url's scheme, host and port, the scheme's own where the url names none."""
    scheme = url.scheme or ""
    return scheme, url.host or "", str(url.port or port_by_scheme.get(scheme, 0))


def may_go_up(component: str) -> bool:
    """Whether some server may read a component of a path as `.`, as `..`, or as several with one of these."""
    name = component.encode("utf-8", "surrogateescape")
    for _ in range(DECODINGS):
        if _DOTS.search(_OVERLONG.sub(_as_ascii, name)):
            return True
        decoded = urllib.parse.unquote_to_bytes(name)
        if decoded == name:
            return False
        name = decoded
    return True


def _as_ascii(overlong: re.Match[bytes]) -> bytes:
    low, high = overlong.groups()
    return bytes([low[0] & 0x3F if low else 0x40 | high[0] & 0x3F])


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
            is_below = any(place[: len(prefix)] == prefix for prefix in _places(self.prefixes))
            is_below = is_below and not any(map(may_go_up, place))
        except ValueError as e:
            raise ImageError("bad_uri", one_line(e)) from e
        if not is_below:
            raise ImageError("forbidden_prefix", f"below no --allowed_prefix: {uri}")


EVERYWHERE = AllowedPrefixes()
"""No limit."""


@functools.cache
def _places(prefixes: tuple[str, ...]) -> tuple[Components, ...]:
    return tuple(map(place_of_prefix, prefixes))

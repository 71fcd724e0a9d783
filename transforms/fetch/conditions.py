"""Conditional requests of http: what version an answer tells, and how to ask for the body of another one alone."""

import re
from collections.abc import Mapping

from transforms.core.image_versions import ETAG, LAST_MODIFIED, answer_version, told_by

_ENTITY_TAG = re.compile(r'(W/)?"[!#-~\x80-\xff]*"')
_DATE = re.compile("[ -~]+")


def condition_on(known: str) -> dict[str, str]:
    """Return the header after which a server answers 304 if it still has the known version; see RFC 9110, 13.1.

    What is no entity tag is not asked for: `*` would be any version, and a line break another header.
    """
    if _ENTITY_TAG.fullmatch(etag := told_by(known, ETAG)):
        return {"If-None-Match": etag}
    date = told_by(known, LAST_MODIFIED)
    return {"If-Modified-Since": date} if _DATE.fullmatch(date) else {}


def version_told(headers: Mapping[str, str]) -> str:
    """Return the version that an answer tells, '' if it tells none."""
    return answer_version(headers.get("ETag", ""), headers.get("Last-Modified", ""))

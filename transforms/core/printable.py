"""Text of unknown origin, made fit for a terminal, a log and the manifest: without secrets, and unable to do anything.

A uri may hold a password, or the signature that lets its holder read the image; and any text may hold characters that
move the cursor, start a line or turn the direction of writing. Only the outputs' uri column and the failures file have
uris as they are.
"""

import json
import re

MASK = "***"

_USER = re.compile(r"(?<=//)[^/?#]*@")
_CLOSING = "]'\",:;)"
"""What ends a uri in a sentence, if a blank follows; a value that nothing ends goes on behind its blanks."""
_SHOWN = (
    r"(?:w|h|q|v|id|fm|se|sr|sv|alt|dpr|fit|row|size|page|crop|width|height|format|quality|version|generation|project"
    r"|expires|x-(?:amz|goog)-(?:algorithm|date|expires|signedheaders))=[\w.,:-]{0,32}(?![^&;#\s'\",)])"
)
"""Parameters that tell images apart or explain a refusal, with values that are too plain and short for a secret."""
_PARAMETER = re.compile(
    rf"((?:;|[?&#]\s?)(?!{_SHOWN})[^=?&;#\s]*=)((?:(?![&;#]\s?[^=&;#\s]*=)(?:\S|(?<![{_CLOSING}])\s))*)",
    re.IGNORECASE,
)
"""Any other parameter: so many names grant access somewhere that no list of them is ever whole."""
_PART_OF_PATH = re.compile(r"([/~][\w%.-]*=)([^/~?&;#\s]*)")
_TOKEN = re.compile("token|hmac|signature|hdne[at]|hdnts", re.IGNORECASE)
"""Names in a path that grant access; others, as in `label=cat/`, are of folders."""


def printable(text: str, limit: int | None = None) -> str:
    """Return text in one line, with the secrets of its uris masked and unprintable characters as JSON escapes them.

    Printable text stays as it is; so does the result, made printable again.

    Args:
      limit: maximum length in characters; a longer text is cut, and ends with '…'.
    """
    text = _masked(escaped(text))
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def escaped(text: str) -> str:
    """Return text in one line, with unprintable characters as JSON escapes them: JSON stays the same JSON."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def _masked(text: str) -> str:
    text = _PARAMETER.sub(_mask, _USER.sub(f"{MASK}@", text))
    return _PART_OF_PATH.sub(lambda part: _mask(part) if _TOKEN.search(part[1]) else part[0], text)


def _mask(found: re.Match[str]) -> str:
    name, value = found.groups()
    return f"{name}{MASK}{value[len(value.rstrip(_CLOSING)) :]}"

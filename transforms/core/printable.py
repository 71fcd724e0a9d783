"""Text of unknown origin, made fit for a terminal, a log and the manifest: without secrets, and unable to do anything.

A uri may hold a password, or the signature that lets its holder read the image; and any text may hold characters that
move the cursor, start a line or turn the direction of writing. Only the outputs' uri column and the failures file have
uris as they are.
"""

import json
import re
import urllib.parse

MASK = "***"

_USER = re.compile(r"(?<=://)[^/?#]*@")
_SEPARATOR = re.compile(r"([?&;#\s])")
_SECRET = re.compile(
    r"signature|credential|token|secret|passw|pwd|key|auth|hmac|jwt|session|^(sig|sas|pass|policy|code|hdnea|hdnts)$"
)
"""Names of query parameters that grant access: those of Amazon, Google, Azure, CloudFront and Akamai, and the usual."""


def printable(text: str, limit: int | None = None) -> str:
    """Return text in one line, with the secrets of its uris masked and unprintable characters as JSON escapes them.

    Printable text stays as it is; so does the result, made printable again.

    Args:
      limit: maximum length in characters; a longer text is cut, and ends with '…'.
    """
    text = escaped(_masked(text))
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def escaped(text: str) -> str:
    """Return text in one line, with unprintable characters as JSON escapes them: JSON stays the same JSON."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def _masked(text: str) -> str:
    parts, hidden = _SEPARATOR.split(_USER.sub(f"{MASK}@", text)), False
    shown = parts[:1]
    for separator, part in zip(parts[1::2], parts[2::2], strict=True):
        if hidden and separator == "?":
            # A question mark within a value.
            continue
        name, equals, value = part.partition("=")
        hidden = bool(equals) and not separator.isspace() and _grants_access(name)
        # In a sentence, punctuation may follow a uri.
        end = value[len(value.rstrip("'\",:)")) :]
        shown.append(separator + (f"{name}={MASK}{end}" if hidden else part))
    return "".join(shown)


def _grants_access(name: str) -> bool:
    return bool(_SECRET.search(urllib.parse.unquote(name).lower()))

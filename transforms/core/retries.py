"""When and how often a fetch over a network is tried again: the same for http and for Cloud Storage."""

import contextlib
import datetime
import email.utils

TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which another attempt may succeed."""

REFUSALS = frozenset({429, 503})
"""HTTP statuses with which Cloud Storage asks for fewer requests; they pass, so they are not counted as attempts."""

ATTEMPTS = 4
"""Maximum attempts at one image, including the first."""

TIMEOUT = 60.0
"""Seconds for one image, including all attempts and redirects."""

PAUSE = 0.5
"""Seconds before the second attempt; doubled before each further one."""

LONGEST_PAUSE = 30.0
"""Maximum seconds between two attempts, even if a server asks for more."""

CHUNK = 1 << 16
"""Bytes read from a connection at a time."""


def seconds_until(retry_after: str) -> float:
    """Return the pause that a Retry-After asks for, in seconds from 0 to LONGEST_PAUSE; 0 if it names none.

    Args:
      retry_after: value of the header: seconds, also with a fraction, or a date of HTTP; see RFC 9110.
    """
    seconds = 0.0
    with contextlib.suppress(ValueError, OverflowError):
        seconds = _seconds(retry_after)
    # In this order, since a comparison with NaN is false.
    return min(max(0.0, seconds), LONGEST_PAUSE)


def _seconds(retry_after: str) -> float:
    try:
        return float(retry_after)
    except ValueError:
        date = email.utils.parsedate_to_datetime(retry_after)
    # One without a zone is in UTC, as all dates of HTTP are.
    return (date.replace(tzinfo=date.tzinfo or datetime.UTC) - datetime.datetime.now(datetime.UTC)).total_seconds()

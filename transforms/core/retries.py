"""When and how often a fetch over a network is tried again: the same for http and for Cloud Storage."""

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

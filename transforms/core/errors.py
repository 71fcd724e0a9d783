"""Errors that a person can act upon, each one line."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """An argument, file or setting that cannot be worked with; the message says what to do."""


class RunError(Exception):
    """A run that began and failed; the message says why."""


class ImageError(Exception):
    """One image cannot be worked with; the others can."""

    def __init__(self, reason: str, message: str, *, transient: bool = False, error: str = "", attempts: int = 1):
        # A path that is no UTF-8 has surrogates, which no output could hold.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())
        self.reason, self.transient, self.error, self.attempts = reason, transient, error, attempts


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the known word nearest to `word`, any case: ' (did you mean X?)', or '' where none is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""


def one_line(error: BaseException, limit: int = 300) -> str:
    """Say an exception in one line of at most `limit` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"

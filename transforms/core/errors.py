"""Every exception of this project, and how to print one in a line.

    Exception
    ├── UsageError (a ValueError)         an argument, file or setting cannot work: exit 2, before any work
    ├── RunError                          a run began and failed: exit 1
    ├── ImageError                        one image is lost, the others are not: becomes a Failure
    ├── DownloadError (an OSError)        storage.gcs_download could not copy an object
    ├── NotAFileError (an OSError)        storage.hashing: a path has no end to be read to; becomes an ImageError
    ├── UnchangedError                    core.image_versions: an image has its known version; FetchImages tags it
    ├── LostRaceError (a RuntimeError)    storage.gcs: another run wrote the file first; a RunError names it
    ├── AccountingError (a RuntimeError)  commit.accounting: outcomes and inputs do not add up; fails the run
    ├── TooLongError (a ValueError)       read.formats.text_lines: a row has too many characters; a bad_row
    ├── ForbiddenAddressError             fetch.connections: the host is not public; becomes an ImageError
    └── OutOfMemoryError                  backbones.engines: the batch is too large; halves it
    KeyboardInterrupt
    └── Interrupted                       a person or the system ended the run: exit 130

Anything else that is raised is a bug or a broken machine, fails the run, and is named in its message.
"""

import difflib
from collections.abc import Iterable

from transforms.core.printable import printable


class UsageError(ValueError):
    """An argument, file or setting that cannot work; the message says what to do."""


class RunError(Exception):
    """A run that began and failed; the message says why."""


class ImageError(Exception):
    """One image that cannot be embedded.

    Args:
      reason: a key of `transforms.core.failures.REASONS`.
      message: what happened, made printable.
      transient: whether another attempt may succeed.
      error: name of the error in the failures file; by default the class of the cause.
      attempts: number of attempts made.
    """

    def __init__(self, reason: str, message: str, *, transient: bool = False, error: str = "", attempts: int = 1):
        super().__init__(printable(message))
        self.reason, self.transient, self.error, self.attempts = reason, transient, error, attempts


class Interrupted(KeyboardInterrupt):
    """A run that a signal ended; the message says what was kept and how to go on.

    Args:
      leaves_threads: whether threads are left that only the end of the process can stop.
    """

    def __init__(self, message: str, *, leaves_threads: bool = False):
        super().__init__(message)
        self.leaves_threads = leaves_threads


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the known word nearest to `word` in any case: ' (did you mean X?)', or '' if none is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""


def one_line(error: BaseException, limit: int = 300) -> str:
    """Return an exception's message in one printable line of at most `limit` characters."""
    return printable(" ".join(str(error).split()) or type(error).__name__, limit)

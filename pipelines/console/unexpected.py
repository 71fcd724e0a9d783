"""What a person reads of an exception that nothing here expected: a bug, or a broken machine."""

import traceback

from pipelines.console.lines import complain
from transforms.core.errors import one_line


def unexpected(what: str, error: Exception, *, verbose: bool) -> str:
    """Return a line about the exception that is being handled; if `verbose`, print its traceback first.

    Args:
      what: start of the line, what failed.
    """
    if verbose:
        complain(*traceback.format_exc().splitlines())
    return f"{what}: {cause(str(error)) or type(error).__name__}; --verbose shows more"


def cause(message: str) -> str:
    """Return the last line of a message, in which a traceback names its cause; '' if there is none."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return one_line(Exception(lines[-1])) if lines else ""

"""What a person reads of an exception that nothing here expected: a bug, or a broken machine."""

import re
import traceback

from pipelines.console.lines import complain
from pipelines.console.threads import died_worker
from transforms.core.errors import one_line

_RPC = re.compile(
    r'RPC that terminated with:\s*status = (\S+)\s*details = "(.*?)"\s*(?:debug_error_string|>)', re.DOTALL
)
"""How gRPC prints an error: over several lines, the last of which says nothing."""
_OURS = re.compile(r"^transforms\.core\.errors\.\w+: ")
"""How Python names the class of an exception whose message is made for a person."""
_STEP = re.compile(r" \[while running '[^']*'\]$")
"""What Beam adds to the message of an exception: the step's name, which only its makers know."""
_NO_MODULE = re.compile(r"No module named '(?:pipelines|transforms)[\w.]*'")


def unexpected(what: str, error: Exception, *, verbose: bool) -> str:
    """Return a line about the exception that is being handled; if `verbose`, print its traceback first.

    Args:
      what: start of the line, what failed.
    """
    if verbose:
        complain(*traceback.format_exc().splitlines())
    why = died_worker() or cause(str(error)) or type(error).__name__
    return f"{what}: {why}; --log_level debug shows more"


def cause(message: str) -> str:
    """Return the line of a message that names a cause, '' if there is none.

    That is the last one, as in a traceback, unless gRPC or a worker without this project says more.
    """
    if found := _NO_MODULE.search(message):
        return f"the workers do not have this project ({found[0]}): install it where they run"
    if found := _RPC.search(message):
        return cause(found[2]) or found[1]
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return one_line(Exception(_OURS.sub("", _STEP.sub("", lines[-1])))) if lines else ""

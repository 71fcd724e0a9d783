"""Print lines: the one place where the command writes text, so that none of it is more than text."""

import dataclasses
import datetime
import json
import sys

from transforms.core.printable import printable


@dataclasses.dataclass
class Stderr:
    """How lines are written to stderr.

    Attributes:
      command: name of the command that writes them.
      is_json: whether each is a JSON object.
      is_verbose: whether what the libraries say and tracebacks are shown, too.
      run_id: id of the run that they are about, '' before there is one.
    """

    command: str = "embed-images"
    is_json: bool = False
    is_verbose: bool = False
    run_id: str = ""


STDERR = Stderr()
"""That of this process; each start of the command sets it anew."""


def say(*lines: str) -> None:
    """Print lines to stdout, each made printable."""
    print(*map(printable, lines), sep="\n", flush=True)


def complain(*lines: str, level: str = "error") -> None:
    """Print lines to stderr, each made printable; where that is JSON, they are one message of a level."""
    text = "\n".join(map(printable, lines))
    write(json_line(level, text.strip().removeprefix(f"{STDERR.command}: ")) if STDERR.is_json else text)


def write(text: str) -> None:
    """Print text that is printable already to stderr as it is at the moment: a live line of progress moves aside."""
    print(text, file=sys.stderr, flush=True)


def json_line(level: str, message: str, seconds: float | None = None) -> str:
    """Return a line of JSON for a log.

    Args:
      level: debug, info, warning, error or critical.
      message: printable text.
      seconds: time of the event, in s since 1970; default: now.
    """
    now = datetime.datetime.now(datetime.UTC)
    time = now if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    told = {"time": time.isoformat(timespec="milliseconds"), "level": level, "message": message}
    return json.dumps({**told, "run_id": STDERR.run_id}, ensure_ascii=False)

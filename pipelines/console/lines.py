"""Print lines: the one place where the command writes text, so that none of it is more than text."""

import logging
import sys

from transforms.core.printable import printable


def say(*lines: str) -> None:
    """Print lines to stdout, each made printable."""
    print(*map(printable, lines), sep="\n", flush=True)


def complain(*lines: str) -> None:
    """Print lines to stderr, each made printable."""
    print(*map(printable, lines), sep="\n", file=sys.stderr, flush=True)


class PrintableFormatter(logging.Formatter):
    """Formats what is logged as lines that are printable; a traceback has several."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return "\n".join(map(printable, super().format(record).split("\n")))


def log_to_stderr(level: int, form: str) -> None:
    """Write what is logged at a level or above to stderr, in a form of the logging module's %-style."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(form))
    logging.basicConfig(level=level, handlers=[handler])

"""What is logged goes to stderr: from a level on, as text or as JSON, with the run's id, and without secrets."""

import logging
import time

from pipelines.console.lines import STDERR, json_line, write
from transforms.core.printable import printable

OURS = ("pipelines", "transforms")
"""Loggers of this project; others are heard only where everything is."""

BRIEF, DETAILED = "%(command)s: %(message)s", "%(asctime)s %(levelname)s %(run_id)s %(message)s"
"""Forms of text: for what a person should read, and for whoever looks for a cause."""


class PrintableFormatter(logging.Formatter):
    """Formats what is logged as printable lines; a traceback has several. Times are UTC; knows `command`, `run_id`."""

    converter = staticmethod(time.gmtime)
    default_time_format, default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        record.command, record.run_id = STDERR.command, STDERR.run_id or "-"
        return "\n".join(map(printable, super().format(record).split("\n")))


class JsonFormatter(PrintableFormatter):
    """Formats what is logged as JSON, an object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line of JSON."""
        return json_line(record.levelname.lower(), super().format(record), record.created)


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # Prism's logger has a level of its own, which the root's does not stop.
        if record.name.partition(".")[0] in OURS or record.levelno >= logging.getLogger().level:
            write(self.format(record))


def log_to_stderr(level: str) -> None:
    """Write what this project logs at a level or above to stderr; at debug, warnings of the libraries too."""
    text = BRIEF if level in ("warning", "error") else DETAILED
    handler = _ToStderr()
    handler.setFormatter(JsonFormatter() if STDERR.is_json else PrintableFormatter(text))
    logging.basicConfig(level=logging.WARNING if STDERR.is_verbose else logging.CRITICAL, handlers=[handler])
    logging.captureWarnings(STDERR.is_verbose)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())

"""`{date}` and `{run}` in --input and --output, filled in when a run begins: a schedule gives the same text each night.

Both come from the run's id, so that they agree with each other and with the names of its files:

    {date}  the UTC day on which the run began, e.g. 2026-11-23
    {run}   the id itself, e.g. 20261123T170102-a1b2c3, which no two runs share
"""

import re
from collections.abc import Iterable

from transforms.collection.layout import date_of
from transforms.core.errors import UsageError, did_you_mean


def filled(paths: Iterable[str], run_id: str) -> tuple[str, ...]:
    """Return the paths with the values of one run filled in."""
    return tuple(_filled(path, _values(run_id)) for path in paths)


def filled_output(output: str, run_id: str) -> str:
    """Return the output folder with the values of one run filled in.

    Raises:
      UsageError: the output has unknown names in braces, and would be the same every night.
    """
    values = _values(run_id)
    for name in re.findall(r"\{\w*\}", output):
        if name not in values:
            known = ", ".join(values)
            raise UsageError(f"--output has {name}, which is none of {known}{did_you_mean(name, list(values))}")
    return _filled(output, values)


def _values(run_id: str) -> dict[str, str]:
    return {"{date}": date_of(run_id), "{run}": run_id}


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text

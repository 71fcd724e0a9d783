"""`{date}` and `{run}` in --input and --output, filled in when a run begins: a schedule says the same every night.

Both are of the run's id, so that they agree with each other and with the names of its files:

    {date}  the day it began, UTC, as 2026-11-23
    {run}   the id itself, as 20261123T170102-a1b2c3, in which no two runs agree
"""

import argparse
import re

from transforms.core.errors import UsageError, did_you_mean


def fill_in(options: argparse.Namespace, run_id: str) -> argparse.Namespace:
    """Return the options with the inputs and the output of one run.

    Raises:
      UsageError: the output names something else in braces, and would be the same every night.
    """
    values = {"{date}": f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}", "{run}": run_id}
    for name in re.findall(r"\{\w*\}", options.output):
        if name not in values:
            known = ", ".join(values)
            raise UsageError(f"--output has {name}, which is none of {known}{did_you_mean(name, list(values))}")
    filled = argparse.Namespace(**vars(options))
    filled.output = _fill(options.output, values)
    filled.input = [_fill(path, values) for path in options.input]
    return filled


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text

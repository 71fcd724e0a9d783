"""Parse the text of an argument to its value, or say in one line what is wrong: for every command here."""

import argparse
import json
import math
import os
import re
import types
from collections.abc import Mapping
from typing import Any, NoReturn

from pipelines.options.gpus import GPUS
from transforms.collection.layout import EMBEDDINGS
from transforms.core.errors import UsageError, did_you_mean
from transforms.core.spec import LEAST_FRACTION

FORMATS = tuple(EMBEDDINGS)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are UsageErrors, and whose flags are typed whole.

    Args:
      removed: flags of earlier versions, and what says the same now.
    """

    def __init__(self, *, removed: Mapping[str, str] = types.MappingProxyType({}), **others: Any):
        super().__init__(allow_abbrev=False, **others)
        self.removed = removed

    @property
    def prefix(self) -> str:
        """What the variables of its flags begin with: EMBED_IMAGES_."""
        return prefix_of(self.prog)

    @property
    def flags(self) -> list[str]:
        """Every flag, as it is typed."""
        return [flag for action in self._actions for flag in action.option_strings]

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def prefix_of(command: str) -> str:
    """Return what the variables of a command's flags begin with."""
    return f"{command.upper().replace('-', '_')}_"


def a_path(text: str) -> str:
    """Parse a path or a uri; `~` is the home folder, also behind `=`, where shells leave it."""
    return os.path.expanduser(text)


def a_count(text: str) -> int:
    """Parse a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, is {text!r}")
    return int(text)


def some_points(text: str) -> int:
    """Parse how many points are shown: the projector takes the first 100,000, whatever there are."""
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 100000, is {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Parse a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, is {text!r}")
    return value


def a_ratio(text: str) -> float:
    """Parse a number from 0 to 1."""
    return _number(text, 0, 1, "a number from 0 to 1")


def a_fraction(text: str) -> float:
    """Parse a part of an image's sides."""
    return _number(text, LEAST_FRACTION, 1, f"a number from {LEAST_FRACTION} to 1")


def a_cosine(text: str) -> float:
    """Parse a number from -1 to 1."""
    return _number(text, -1, 1, "a cosine, from -1 to 1")


def _number(text: str, least: float, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"must be {what}, is {text!r}")
    return value


def yes_or_no(text: str) -> bool:
    """Parse the value of a switch; a template's launcher always gives one: --normalize=true."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, is {text!r}")
    return text.lower() == "true"


def a_size(text: str) -> tuple[int, int]:
    """Parse 224 or 224x320 as height and width, in px."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(f"must be a side such as 224 or HEIGHTxWIDTH such as 224x320, is {text!r}")
    return int(sides[0]), int(sides[-1])


def an_object(text: str) -> dict[str, Any]:
    """Parse a JSON object."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'must be a JSON object such as {{"alpha": 0.25}}, is {text!r}')
    return value


def some_formats(text: str) -> tuple[str, ...]:
    """Parse 'parquet', 'tfrecord' or both, comma-separated."""
    formats = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    for name in formats:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(
                f"{name!r} is not one of {', '.join(FORMATS)}{did_you_mean(name, FORMATS)}"
            )
    return formats


def some_names(text: str) -> tuple[str, ...]:
    """Parse names, comma-separated."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def some_prefixes(text: str) -> tuple[str, ...]:
    """Parse uris and paths, comma-separated; an empty one would allow everything."""
    prefixes = tuple(a_path(prefix.strip()) for prefix in text.split(","))
    if not all(prefixes):
        raise argparse.ArgumentTypeError(f"must be uris or paths, comma-separated, is {text!r}")
    return prefixes


def a_gpu(text: str) -> str:
    """Parse the name of a type of GPU."""
    if text not in GPUS:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(GPUS)}{did_you_mean(text, GPUS)}")
    return text


def a_version(text: str) -> str:
    """Parse a version, of digits, lower-case letters and dots: it becomes part of a list with other separators."""
    if not re.fullmatch(r"[0-9a-z.]+", text):
        raise argparse.ArgumentTypeError(f"must be a version such as 5xx, is {text!r}")
    return text

"""A --config file: TOML with the names of flags as its keys.

input = ["photos", "more"]
backbone = "ResNet50,VGG16"
normalize = true
backbone_kwargs = {alpha = 0.25}
"""

import argparse
import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.options.arguments import Parser, an_object
from transforms.core.errors import UsageError, did_you_mean, one_line


def is_repeatable(action: argparse.Action) -> bool:
    """Whether a flag may be given several times, and takes all of the values."""
    return isinstance(action, argparse._AppendAction)


def arguments_of_file(path: str, known: Mapping[str, argparse.Action], ours: Parser) -> Iterator[tuple[str, list[str]]]:
    """Yield each flag that a file gives, with its arguments as they would be typed: ('input', ['--input=a', ...]).

    Args:
      path: the file, on the local disk.
      known: the flags that a file may give, by their names.
      ours: the parser of the command that reads it.

    Raises:
      UsageError: the file cannot be read, a key is unknown, or a value is of a type that no flag has.
    """
    try:
        with open(path, "rb") as f:
            content = tomllib.load(f)
    except (OSError, ValueError) as e:
        raise UsageError(f"cannot read --config {path}: {one_line(e)}") from e
    for key, value in content.items():
        if instead := ours.removed.get(f"--{key}"):
            raise UsageError(f"--config {path}: {key} is no longer a flag; use {instead}")
        if key not in known:
            ours.error(f"--config {path}: unknown key {key!r}{did_you_mean(key, known)}")
        try:
            yield key, [f"--{key}={text}" for text in _texts(known[key], value)]
        except TypeError as e:
            raise UsageError(f"--config {path}: {key} {e}") from e


def _texts(action: argparse.Action, value: Any) -> list[str]:
    """Return a value as it would be typed, once or, for a flag that is repeated, several times."""
    if isinstance(value, dict) and action.type is an_object:
        return [json.dumps(value)]
    if isinstance(value, list):
        texts = list(map(_text, value))
        return texts if is_repeatable(action) else [",".join(texts)]
    text = _text(value)
    return [part.strip() for part in text.split(",") if part.strip()] if is_repeatable(action) else [text]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise TypeError(f"must be text, a number, true, false or an array of those, is {value!r}")
    return str(value)

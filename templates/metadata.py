"""Write a template's metadata from the flags: what the console offers, and what Dataflow accepts.

python -m templates.metadata > templates/embed_images/metadata.json
"""

import argparse
import json
from typing import Any

from pipelines.options import arguments
from pipelines.options.flags import NEEDED, CommandOnly, parser
from pipelines.options.gpus import GPUS
from pipelines.options.help import SUMMARY
from templates.image_size import REQUIREMENTS, pins
from transforms.backbones.engines import AUTO, ENGINES

NUMBER, TEXT, BOOLEAN, ENUM = "NUMBER", "TEXT", "BOOLEAN", "ENUM"
PARSED_BY: dict[Any, tuple[str, str]] = {
    None: (TEXT, ""),
    arguments.a_path: (TEXT, ""),
    arguments.a_count: (NUMBER, r"0*[1-9][0-9]*"),
    arguments.seconds: (NUMBER, r"[0-9]*\.?[0-9]+"),
    arguments.a_ratio: (NUMBER, r"0?\.[0-9]+|0|1(\.0+)?"),
    arguments.a_fraction: (NUMBER, r"0?\.(0[1-9]|[1-9])[0-9]*|1(\.0+)?"),
    arguments.yes_or_no: (BOOLEAN, r"[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]"),
    arguments.a_size: (TEXT, r"0*[1-9][0-9]*([xX]0*[1-9][0-9]*)?"),
    arguments.an_object: (TEXT, r"\s*\{.*\}\s*"),
    arguments.some_formats: (TEXT, f"({'|'.join(arguments.FORMATS)})(,({'|'.join(arguments.FORMATS)}))*"),
    arguments.some_names: (TEXT, r"[A-Za-z0-9_, ]+"),
    arguments.some_prefixes: (TEXT, r"[^,]*[^,\s][^,]*(,[^,]*[^,\s][^,]*)*"),
    arguments.a_gpu: (ENUM, ""),
    arguments.a_version: (TEXT, r"[0-9a-z.]+"),
}
"""Google's type of a parameter and a regex for its values, by the function that parses the flag."""

IN_THE_IMAGE = pins(REQUIREMENTS.read_text(encoding="utf-8"))
"""Packages of the images."""

PATHS = {"input": r"[a-z][a-z0-9+.-]*://.+", "output": r"gs://.+"}
"""Regexes for paths that workers can read. Google's own path types might be looked up with {date} still in them."""


def metadata() -> dict[str, Any]:
    """Return the metadata, in the form of Google's TemplateMetadata."""
    p = parser()
    return {
        "name": "Image embeddings",
        "description": SUMMARY,
        "parameters": [
            parameter(action, (group.title or "").partition(",")[0])
            for group in p._action_groups
            for action in group._group_actions
            if not isinstance(action, argparse._HelpAction | CommandOnly)
        ],
    }


def parameter(action: argparse.Action, group: str) -> dict[str, Any]:
    """Return the metadata of one flag."""
    kind, regex = PARSED_BY[action.type]
    name, choices = action.dest, action.choices
    if action.type is arguments.a_gpu:
        choices = GPUS
    if name == "engine":
        choices = (AUTO, *(engine for engine, entry in ENGINES.items() if entry.installed_as in IN_THE_IMAGE))
    found: dict[str, Any] = {
        "name": name,
        "label": name.replace("_", " ").capitalize(),
        "helpText": _help(action),
        "isOptional": name not in NEEDED,
        "paramType": ENUM if choices else kind,
        "groupName": group[:1].upper() + group[1:],
    }
    if choices:
        found["enumOptions"] = [{"value": choice, "label": choice} for choice in choices]
    if regex or name in PATHS:
        found["regexes"] = [f"^({PATHS.get(name, regex)})$"]
    if default := _text(action.default):
        found["defaultValue"] = default
    return found


def _help(action: argparse.Action) -> str:
    # A parameter is given once: a uri list names many.
    return (action.help or "").replace("; repeatable", "")


def _text(value: Any) -> str:
    """Return a default as it would be typed, '' if it can only be had by leaving the flag out."""
    if isinstance(value, bool):
        return str(value).lower()
    if not value:
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    print(json.dumps(metadata(), indent=2))

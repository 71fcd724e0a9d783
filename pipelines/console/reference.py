"""Write docs/reference.md from the code: the flags, the exit codes, the reasons for failures, the backbones.

python -m pipelines.console.reference > docs/reference.md
"""

import argparse
from collections.abc import Iterator

from pipelines.command import EXIT_CODES, silence
from pipelines.options.flags import parser


def reference() -> str:
    """Return the whole page, in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    from transforms.backbones.catalog.facts import catalog
    from transforms.core.failures import REASONS

    yield from (
        "# Reference",
        "",
        "Written by `python -m pipelines.console.reference`; change the code, not this page.",
        "",
    )
    yield "## Flags"
    for group in parser()._action_groups:
        actions = [a for a in group._group_actions if not isinstance(a, argparse._HelpAction)]
        if actions:
            yield from ("", f"### {(group.title or '').capitalize()}", "", "| flag | meaning |", "|---|---|")
            yield from (f"| `{_flag(a)}` | {_cell(a.help or '')} |" for a in actions)
    yield from ("", "Beam's own flags (`--runner`, `--region`, ...) pass through.")
    yield from ("", "## Exit codes", "", "| code | meaning |", "|---|---|")
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    yield from ("", "## Reasons for failures", "", "| reason | meaning |", "|---|---|")
    yield from (f"| `{reason}` | {_cell(meaning)} |" for reason, meaning in REASONS.items())
    yield from ("", "## Backbones", "")
    yield from ("| backbone | input, px | width | parameters | preprocessing |", "|---|---|---|---|---|")
    yield from (f"| {b.name} | {b.size} | {b.dim} | {b.params:,} | {b.preprocessing} |" for b in catalog().values())


def _flag(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    flag = action.option_strings[0]
    return _cell(f"{flag}[={value}]" if action.nargs == "?" else f"{flag} {value}".rstrip())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    silence()
    print(reference(), end="")

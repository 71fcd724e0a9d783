"""Write docs/reference.md from the code: flags, variables, exit codes, reasons for failures, backbones.

python -m pipelines.console.reference > docs/reference.md
"""

import argparse
from collections.abc import Iterator

from pipelines.console.exit_codes import EXIT_CODES
from pipelines.options.commands import explain, projector, report, similar
from pipelines.options.flags import parser
from pipelines.options.given import PREFIX
from pipelines.plan.backbone_of import REWRITES
from transforms.backbones import catalog_rows
from transforms.core.failures import REASONS
from transforms.storage.cache import VARIABLE as CACHE

VARIABLES = {
    f"{PREFIX}FLAG": "any setting, e.g. EMBED_IMAGES_BATCH_SIZE=32; for the other commands SIMILAR_IMAGES_FLAG, "
    "REPORT_IMAGES_FLAG and PROJECTOR_FILES_FLAG; see [configuration](use/configuration.md)",
    CACHE: "folder of kept graphs and downloaded weights; empty: no cache (default ~/.cache/embed-images)",
    REWRITES: "0 runs each model as Keras built it: slower, to check a doubtful number",
    "KERAS_HOME": "folder of Keras' downloads (default ~/.keras)",
    "STORAGE_EMULATOR_HOST": "server for gs:// instead of Google's, used without credentials",
}
"""Environment variables with their meaning."""


COMPLETION = (
    "bash and zsh complete flags and their values after `pip install '.[completion]'` and "
    '`eval "$(register-python-argcomplete embed-images similar-images explain-image report-images projector-files)"`.'
)


def reference() -> str:
    """Return the whole page, in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from (
        "# Reference",
        "",
        "Written by `python -m pipelines.console.reference`; change the code, not this page.",
        "",
    )
    yield "## Flags"
    yield from _flags(parser())
    yield from ("", "Beam's own flags (`--runner`, `--region`, ...) pass through.")
    yield from ("", COMPLETION)
    yield from ("", "## Flags of `similar-images`")
    yield from _flags(similar.parser())
    yield from ("", "With `--pairs`, Beam's own flags pass through.")
    yield from ("", "## Flags of `explain-image`")
    yield from _flags(explain.parser(), beside=parser())
    yield from (
        "",
        "Those that decide an embedding or bound an image are the ones of `embed-images`, and so are its logs.",
    )
    yield from ("", "## Flags of `report-images`")
    yield from _flags(report.parser())
    yield from ("", "## Flags of `projector-files`")
    yield from _flags(projector.parser())
    yield from ("", "## Environment variables", "", "| variable | meaning |", "|---|---|")
    yield from (f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items())
    yield from ("", "## Exit codes", "", "| code | meaning |", "|---|---|")
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    yield from ("", "## Reasons for failures", "", "| reason | meaning |", "|---|---|")
    yield from (f"| `{reason}` | {_cell(meaning)} |" for reason, meaning in REASONS.items())
    yield from ("", "## Backbones", "")
    yield from ("Which one to choose, with speeds and prices: [backbones](use/backbones.md).", "")
    yield from ("| backbone | input, px | width | parameters | top-1, % | preprocessing |", "|---|---|---|---|---|---|")
    yield from (
        f"| {b.name} | {b.side} | {b.dim} | {b.params:,} | {b.top_1} | {b.preprocessing} |"
        for b in catalog_rows().values()
    )


def _flags(of: argparse.ArgumentParser, beside: argparse.ArgumentParser | None = None) -> Iterator[str]:
    """Yield the tables of a parser's flags, without those that another one has with the same meaning."""
    told = {(a.dest, a.help) for a in beside._actions} if beside else set()
    for group in of._action_groups:
        actions = [
            a for a in group._group_actions if not isinstance(a, argparse._HelpAction) and (a.dest, a.help) not in told
        ]
        if actions:
            yield from ("", f"### {_title(group.title or '')}", "", "| flag | meaning |", "|---|---|")
            yield from (f"| `{_flag(a)}` | {_cell(a.help or '')} |" for a in actions)


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


def _flag(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    flag = action.option_strings[0]
    return _cell(f"{flag}[={value}]" if action.nargs == "?" else f"{flag} {value}".rstrip())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")

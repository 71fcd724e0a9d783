"""What an update would do, foreseen in this process: inputs are compared with what stands, and nothing is fetched."""

import collections
import itertools
from collections.abc import Iterator

from pipelines.plan.plan import Plan
from pipelines.plan.stages import fetch_differing_of
from transforms.core.elements import ImageUri
from transforms.update.compare import COUNTED, Comparison, Settled
from transforms.update.compare_uris import AT_ONCE
from transforms.update.drops import drops_of
from transforms.update.known import Known, known_of
from transforms.update.outcomes import Outcome


def foreseen(plan: Plan) -> Iterator[str]:
    """Yield a line for each collection that a plan updates or goes on with: what is new, changed, the same and gone."""
    differing = fetch_differing_of(plan)
    if not any(differing.files):
        return
    known = [
        Known.all(known_of(number, file, {rules.format_name: rules.format}) for number, file in enumerate(files))
        for rules, files in zip(differing.rules, differing.files, strict=True)
    ]
    comparison = Comparison(differing.rules)
    found: dict[str, collections.Counter[str]] = {rules.name: collections.Counter() for rules in differing.rules}
    sources = (source for source in plan.source.rows() if source)
    while batch := list(itertools.islice(sources, AT_ONCE)):
        for one in comparison(batch, known):
            _count(found, one)
    notes = list(comparison.notes())
    for rules, stands in zip(differing.rules, known, strict=True):
        own, counts = [(note.kind, note.value) for note in notes if note.collection == rules.name], found[rules.name]
        for kind, value in own:
            if kind in COUNTED.values():
                counts[kind] += value.count
        gone = drops_of((), own, stands, remove_missing=False).gone.count
        yield (
            f"  {rules.name}: {counts['new']:,} new, {counts['changed']:,} changed or to be asked about, "
            f"{counts['skipped']:,} the same, {counts['taken over']:,} taken over, "
            f"{counts['failed']:,} failed before and not tried, {gone:,} gone"
        )


def _count(found: dict[str, collections.Counter[str]], one: ImageUri | Settled) -> None:
    if isinstance(one, Settled):
        found[one.collection][_SETTLED[one.outcome]] += 1
        return
    for name, held in (one.held or {}).items():
        found[name]["changed" if held.row or held.part else "new"] += 1


_SETTLED = {Outcome.REVISE: "skipped", Outcome.TAKE: "taken over", Outcome.FAILED: "failed", Outcome.SAME: "skipped"}

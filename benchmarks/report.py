"""The table and the chart of a comparison, with its ratios."""

from collections.abc import Sequence
from statistics import median
from typing import TypeAlias

import matplotlib

from benchmarks.measure import Measured

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Run: TypeAlias = dict[str, Measured]
"""What was measured for each way, by its name."""

OURS = "this project"
PEERS = {"a": "(a)", "b": "(b)", "b, tuned": "(b, tuned)", "c": "(c)", "e": "(e)", "f": "(f)"}


def table(title: str, timed: Sequence[Run], looked_at: Run) -> str:
    """Return Markdown: whole-process and steady figures, and the ratios to each peer and to the limit of the parts.

    Args:
      title: title of the table.
      timed: runs of all ways; each ratio compares figures of one run, since a machine's speed changes.
      looked_at: a further run, for the memory and the bytes written.
    """
    peers = peers_in(looked_at)
    columns = [f"x ({letter})" for letter in peers]
    rows = [["", "img/s, whole process", "img/s, steady", *columns, "of limit", "peak MB", "MB out"]]
    rows.append(["---"] * len(rows[0]))
    for name, memory in sorted(looked_at.items(), key=lambda way: "alone" in way[0]):
        steady, peak = median(run[name].steady for run in timed), f"{memory.peak_mb:.0f}"
        if "alone" in name:
            rows.append([name, "", f"{steady:.0f}", *[""] * len(peers), "", peak, ""])
            continue
        rate = median(run[name].rate for run in timed)
        figures = [f"{rate:.1f}", f"{steady:.1f}", *(ratio(name, peer, timed) for peer in peers.values())]
        rows.append([name, *figures, of_limit(name, timed), peak, f"{memory.written_mb:.1f}"])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"**{title}**", "", *lines, ""])


def peers_in(run: Run) -> dict[str, str]:
    """Return the letters and the names of the peers that took part."""
    return {letter: name for letter, start in PEERS.items() for name in run if name.startswith(start)}


def ratio(name: str, peer: str, timed: Sequence[Run]) -> str:
    """Return how many times as fast as a peer a way is, whole process."""
    return f"{median(run[name].rate / run[peer].rate for run in timed):.2f}"


def of_limit(name: str, timed: Sequence[Run]) -> str:
    """Return a steady speed over that of decoding alone, then the forward pass alone, each on all cores."""
    parts = ["decode alone", f"(d) forward alone, {'OpenVINO' if 'OpenVINO' in name else 'TensorFlow'}"]
    if not name.startswith(OURS) or not timed[0].keys() >= set(parts):
        return ""
    return f"{median(run[name].steady * sum(1 / run[part].steady for part in parts) for run in timed):.2f}"


def chart(title: str, timed: Sequence[Run], path: str) -> None:
    """Draw the whole-process figures as bars with their ratios to (a) and (b): a PNG."""
    names = [name for name in timed[0] if "alone" not in name]
    whole = {name: median(run[name].rate for run in timed) for name in names}
    peers = [(letter, peer) for letter, peer in peers_in(timed[0]).items() if letter in ("a", "b")]
    labels = [
        ", ".join([f"{rate:.0f}", *(f"{ratio(name, peer, timed)} x ({letter})" for letter, peer in peers)])
        for name, rate in whole.items()
    ]
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(whole) + 1.2))
    colours = ["#1a73e8" if name.startswith(OURS) else "#9aa0a6" for name in whole]
    bars = axes.barh(list(whole), list(whole.values()), color=colours)
    axes.bar_label(bars, labels, padding=3, fontsize=9)
    axes.margins(x=0.5)
    axes.invert_yaxis()
    axes.set_xlabel("images a second, whole process")
    figure.suptitle(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)

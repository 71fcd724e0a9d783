"""The table and the chart of a comparison, with the ratios that it was made for."""

import matplotlib

from benchmarks.measure import Measured

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS = "this project"
PEERS = {"a": "(a)", "b": "(b)", "b, tuned": "(b, tuned)", "c": "(c)"}


def table(title: str, medians: dict[str, Measured]) -> str:
    """Return Markdown: whole-process and steady figures, the ratios to each peer, and to the limit of the parts."""
    peers = {letter: m for letter, start in PEERS.items() for name, m in medians.items() if name.startswith(start)}
    head = [
        "",
        "img/s, whole process",
        "img/s, steady",
        *(f"x ({letter})" for letter in peers),
        "of limit",
        "peak MB",
        "MB out",
    ]
    rows = [head, ["---"] * len(head)]
    for name, m in medians.items():
        if "alone" in name:
            rows.append([name, "", f"{m.steady:.0f}", *[""] * (len(peers) + 1), f"{m.peak_mb:.0f}", ""])
            continue
        limit = limit_of(name, medians)
        rows.append(
            [
                name,
                f"{m.rate:.1f}",
                f"{m.steady:.1f}",
                *(f"{m.rate / peer.rate:.2f}" for peer in peers.values()),
                f"{m.steady / limit:.2f}" if limit else "",
                f"{m.peak_mb:.0f}",
                f"{m.written_mb:.1f}",
            ]
        )
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"**{title}**", "", *lines, ""])


def limit_of(name: str, medians: dict[str, Measured]) -> float | None:
    """Return the images a second of decoding alone and the forward pass alone, one after the other on all cores."""
    engine = "OpenVINO" if "OpenVINO" in name else "TensorFlow"
    parts = [medians.get("decode alone"), medians.get(f"(d) forward alone, {engine}")]
    if not name.startswith(OURS) or None in parts:
        return None
    return 1 / sum(1 / part.steady for part in parts if part)


def chart(title: str, medians: dict[str, Measured], path: str) -> None:
    """Draw the whole-process figures as bars: a PNG."""
    whole = {name: m.rate for name, m in medians.items() if "alone" not in name}
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(whole) + 1.2))
    colours = ["#1a73e8" if name.startswith(OURS) else "#9aa0a6" for name in whole]
    bars = axes.barh(list(whole), list(whole.values()), color=colours)
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel("images a second, whole process")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)

"""This project's command. ENGINE in the environment chooses what computes."""

import os

from benchmarks.ways import BATCH, run
from pipelines.command import main


def embed(paths: list[str], output: str, backbone: str) -> float:
    folder = os.path.dirname(paths[0])
    engine = os.environ.get("ENGINE", "tensorflow")
    flags = ["--backbone", backbone, "--engine", engine, "--weights", os.environ.get("WEIGHTS", "imagenet")]
    if main(["--input", folder, "--output", output, "--batch_size", str(BATCH), *flags]):
        raise SystemExit(1)
    from transforms.counters import when_counted

    first, last = when_counted("images-embedded") or (0.0, 0.0)
    return (len(paths) - BATCH) / (last - first)


if __name__ == "__main__":
    run(embed)

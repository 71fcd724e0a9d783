"""This project's command. ENGINE in the environment chooses what computes."""

import os
import time

from benchmarks.ways import BATCH, run
from pipelines.command import main


def embed(paths: list[str], output: str, backbone: str) -> float:
    folder = os.path.dirname(paths[0])
    engine = os.environ.get("ENGINE", "tensorflow")
    flags = ["--backbone", backbone, "--engine", engine, "--weights", os.environ.get("WEIGHTS", "imagenet")]
    if main(["--input", folder, "--output", output, "--batch_size", str(BATCH), *flags]):
        raise SystemExit(1)
    from transforms.counters import first_counted

    return (len(paths) - BATCH) / (time.monotonic() - (first_counted("images-embedded") or 0.0))


if __name__ == "__main__":
    run(embed)

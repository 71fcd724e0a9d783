"""This project's command at its defaults. ENGINE in the environment chooses the engine."""

import os

from benchmarks.ways import run
from pipelines.command import main


def embed(paths: list[str], output: str, backbone: str) -> float:
    folder = os.path.dirname(paths[0])
    engine = os.environ.get("ENGINE", "tensorflow")
    flags = ["--backbone", backbone, "--engine", engine, "--weights", os.environ.get("WEIGHTS", "imagenet")]
    if main(["--input", folder, "--output", output, *flags]):
        raise SystemExit(1)
    from transforms import Backbone, EmbedImages
    from transforms.core.counters import when_counted

    first_batch = EmbedImages(Backbone(backbone)).images_per_batch
    first, last = when_counted("batches-on-cpu") or (0.0, 0.0)
    return (len(paths) - first_batch) / (last - first)


if __name__ == "__main__":
    run(embed)

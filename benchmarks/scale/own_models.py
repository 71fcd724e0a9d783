"""Compare one network as a backbone of Keras and as each kind of whole model: the forward pass, in turns.

python -m benchmarks.scale.own_models --backbone MobileNetV2 --rounds 7
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np

from transforms.backbones import Backbone, Engine, load_backbone, own_backbone
from transforms.backbones.engines import ENGINES
from transforms.backbones.graph.keras_applications import constructor, keras, preprocess_of
from transforms.embed.batch_sizes import default_batch_size


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=6, help="in each round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        networks = {name: load() for name, load in written(arguments.backbone, pathlib.Path(folder))}
        size = Backbone(arguments.backbone).size
        pixels = np.random.default_rng(0).integers(0, 256, (default_batch_size(size), *size, 3), np.uint8)
        rates: dict[str, list[float]] = {name: [] for name in networks}
        for _ in range(arguments.rounds):
            for name, network in networks.items():
                rates[name].append(rate(network, pixels, arguments.batches))
    print(f"| {arguments.backbone} | img/s | of the backbone |\n|---|---|---|")
    for name, found in rates.items():
        of = rates[name.partition(",")[0] + ", backbone"]
        ratio = statistics.median(a / b for a, b in zip(found, of, strict=True))
        print(f"| {name} | {statistics.median(found):.0f} | {ratio:.2f} |")


def written(backbone: str, folder: pathlib.Path) -> Iterator[tuple[str, Callable[[], Engine]]]:
    """Write a network in each form; yield the name of each, with its engine, and what loads it."""
    weights = os.environ.get("WEIGHTS", "imagenet")
    base = constructor(backbone)(weights=None if weights == "random" else weights, include_top=False)
    image = keras.Input((*Backbone(backbone).size, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(base(preprocess_of(backbone)(image)))
    model = keras.Model(image, keras.layers.Dense(5, activation="softmax")(pooled))
    model.save(folder / "fine_tuned.keras")
    whole = keras.Model(image, pooled)
    whole.predict(np.zeros((1, *Backbone(backbone).size, 3), np.float32), verbose=0)
    whole.export(folder / "saved_model", verbose=False)
    whole.export(folder / "model.onnx", format="onnx", verbose=False)
    for engine in (name for name, entry in ENGINES.items() if "CPU" in entry.runs_on):
        yield f"{engine}, backbone", lambda engine=engine: load_backbone(Backbone(backbone, weights, engine=engine))
        for name in ("fine_tuned.keras", "saved_model", "model.onnx"):
            if engine == "openvino" or not name.endswith(".onnx"):
                path = str(folder / name)
                yield (
                    f"{engine}, {name}",
                    lambda path=path, engine=engine: load_backbone(
                        own_backbone(path, preprocess="raw", engine=engine, trust_model=True)
                    ),
                )


def rate(network: Engine, pixels: np.ndarray, batches: int) -> float:
    """Return images a second of a forward pass, after one that does not count."""
    network(pixels)
    started = time.perf_counter()
    for _ in range(batches):
        network(pixels)
    return batches * len(pixels) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()

"""Beam's own way: Pillow in a Map, Reshuffle, RunInference with a plain handler at its defaults, WriteToParquet.

CALL in the environment: `eager` calls the model as Beam's TensorFlow handlers do by default (they cannot load a Keras 3
model), `predict` calls Keras' predict_on_batch, as one would tune it.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from benchmarks.ways import Clock, run

CLOCK = Clock()


class Handler(ModelHandler[Any, Any, Any]):
    def __init__(self, backbone: str):
        super().__init__()
        self._backbone = backbone

    def load_model(self) -> Any:
        from benchmarks.ways.models import keras_model

        return keras_model(self._backbone)

    def run_inference(self, batch: Sequence[Any], model: Any, inference_args: Any = None) -> Iterable[Any]:
        from benchmarks.ways.models import preprocess

        pixels = np.stack([pixels for _, pixels in batch]).astype(np.float32)
        call = model.predict_on_batch if os.environ.get("CALL") == "predict" else model
        vectors = np.asarray(call(preprocess(self._backbone)(pixels)))
        CLOCK.batch(len(batch))
        return [(path, vector) for (path, _), vector in zip(batch, vectors, strict=True)]


def read(path: str) -> tuple[str, np.ndarray]:
    from benchmarks.ways.pixels import pillow_pixels

    return path, pillow_pixels(path)


def embed(paths: list[str], output: str, backbone: str) -> float:
    schema = pa.schema([("uri", pa.string()), ("embedding", pa.list_(pa.float32()))])
    with beam.Pipeline(FnApiRunner()) as root:
        _ = (
            root
            | beam.Create(paths)
            | beam.Map(read)
            | beam.Reshuffle()
            | RunInference(Handler(backbone))
            | beam.Map(lambda pair: {"uri": pair[0], "embedding": pair[1].tolist()})
            | beam.io.WriteToParquet(os.path.join(output, "embeddings"), schema, file_name_suffix=".parquet")
        )
    return CLOCK.rate()


if __name__ == "__main__":
    # Imported by its name, so that Beam pickles references and there is only one clock.
    from benchmarks.ways import plain_beam

    run(plain_beam.embed)

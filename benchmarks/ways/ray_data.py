"""Ray Data: Pillow in a map over all cores, one actor with the model and batches of 32, write_parquet."""

import time
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import ray

from benchmarks.ways import BATCH, run


def read(row: dict[str, Any]) -> dict[str, Any]:
    from benchmarks.ways.pixels import pillow_pixels

    return {"uri": row["item"], "pixels": pillow_pixels(row["item"])}


class Embed:
    def __init__(self, backbone: str):
        from benchmarks.ways.models import keras_model, preprocess

        self._model, self._preprocess = keras_model(backbone), preprocess(backbone)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        vectors = self._model.predict_on_batch(self._preprocess(batch["pixels"].astype(np.float32)))
        return {"uri": batch["uri"], "embedding": vectors, "ended": np.full(len(vectors), time.time())}


def embed(paths: list[str], output: str, backbone: str) -> float:
    ray.init(include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    images = ray.data.from_items(paths).map(read)
    compute = ray.data.ActorPoolStrategy(size=1)
    vectors = images.map_batches(Embed, fn_constructor_args=(backbone,), batch_size=BATCH, compute=compute, num_cpus=1)
    vectors.write_parquet(output)
    ended = pq.read_table(output, columns=["ended"])["ended"].to_numpy()
    return float((ended > ended.min()).sum() / (ended.max() - ended.min()))


if __name__ == "__main__":
    run(embed)

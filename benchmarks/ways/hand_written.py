"""A loop as one writes it by hand: processes decode with Pillow, OpenVINO computes in its throughput mode, one file."""

import itertools
import multiprocessing
import os
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.ways import BATCH, SIDE, Clock, run
from benchmarks.ways.pixels import pillow_pixels


def embed(paths: list[str], output: str, backbone: str) -> float:
    clock = Clock()
    # Before TensorFlow is imported, so that a fork is cheap and safe.
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        pixels = pool.imap(pillow_pixels, paths, chunksize=8)
        queue, preprocess = throughput_queue(backbone)
        vectors: dict[int, np.ndarray] = {}

        def keep(request: Any, batch: tuple[int, int]) -> None:
            number, images = batch
            vectors[number] = request.get_output_tensor(0).data[:images].copy()
            clock.batch(images)

        queue.set_callback(keep)
        for number in itertools.count():
            found = list(itertools.islice(pixels, BATCH))
            if not found:
                break
            # The last batch is filled up: the graph's batch is static, which is faster.
            batch = np.stack([*found, *[found[0]] * (BATCH - len(found))]).astype(np.float32)
            queue.start_async({0: preprocess(batch)}, (number, len(found)))
        queue.wait_all()
    rows = np.concatenate([vectors[number] for number in sorted(vectors)])
    lists = pa.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])
    pq.write_table(pa.table({"uri": paths, "embedding": lists}), os.path.join(output, "embeddings.parquet"))
    return clock.rate()


def throughput_queue(backbone: str) -> tuple[Any, Any]:
    """Compile the model for throughput; return its queue of requests, and the backbone's preprocessing."""
    import openvino
    import tensorflow as tf

    from benchmarks.ways.models import keras_model, preprocess

    spec = tf.TensorSpec((BATCH, SIDE, SIDE, 3), tf.float32)
    converted = openvino.convert_model(tf.function(keras_model(backbone)).get_concrete_function(spec))
    hints = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(converted, "CPU", hints)
    return openvino.AsyncInferQueue(compiled), preprocess(backbone)


if __name__ == "__main__":
    run(embed)

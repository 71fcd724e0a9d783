"""Keras `predict` over tf.data: decoding on all cores, two batches ahead, batches of 32, then one Parquet file.

Without AUTOTUNE, which was no faster, and whose thread at times delayed the end of the run by half a minute: the end of
an iterator may wait for that thread's next turn.
"""

import os

import keras
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.ways import BATCH, SIDE, Clock, run
from benchmarks.ways.models import keras_model, preprocess


def embed(paths: list[str], output: str, backbone: str) -> float:
    def pixels(path: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        shape = tf.cast(tf.shape(image)[:2], tf.float32)
        size = tf.cast(tf.round(shape * (SIDE / tf.reduce_min(shape))), tf.int32)
        image = tf.image.resize(image, size, antialias=True)
        return preprocess(backbone)(tf.image.resize_with_crop_or_pad(image, SIDE, SIDE))

    images = tf.data.Dataset.from_tensor_slices(paths).map(pixels, num_parallel_calls=os.cpu_count())
    batches = images.batch(BATCH).prefetch(2)
    fixed = tf.data.Options()
    fixed.autotune.enabled = False
    clock = Clock()
    ended = keras.callbacks.LambdaCallback()
    ended.on_predict_batch_end = lambda batch, logs=None: clock.batch(len(logs["outputs"]))
    vectors = keras_model(backbone).predict(batches.with_options(fixed), verbose=0, callbacks=[ended])
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    pq.write_table(pa.table({"uri": paths, "embedding": embedding}), os.path.join(output, "embeddings.parquet"))
    return clock.rate()


if __name__ == "__main__":
    run(embed)

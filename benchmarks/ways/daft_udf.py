"""Daft: download, decode and resize in Rust, one model in a class with a batch method, write_parquet.

Its resize stretches the picture: Daft has no crop that depends on the picture's own size.
"""

import daft
import numpy as np
from daft.functions import decode_image, download, resize

from benchmarks.ways import BATCH, SIDE, Clock, run

CLOCK = Clock()
PIXELS = daft.DataType.image("RGB", SIDE, SIDE)
VECTOR = daft.DataType.list(daft.DataType.float32())


@daft.cls(max_concurrency=1, use_process=False)
class Embed:
    def __init__(self, backbone: str):
        from benchmarks.ways.models import keras_model, preprocess

        self._model, self._preprocess = keras_model(backbone), preprocess(backbone)

    @daft.method.batch(return_dtype=VECTOR, batch_size=BATCH)
    def vectors(self, images: daft.Series) -> list[np.ndarray]:
        pixels = np.stack([np.asarray(image) for image in images.to_pylist()]).astype(np.float32)
        found = self._model.predict_on_batch(self._preprocess(pixels))
        CLOCK.batch(len(found))
        return list(found)


def embed(paths: list[str], output: str, backbone: str) -> float:
    rows = daft.from_pydict({"uri": paths})
    rows = rows.with_column("pixels", resize(decode_image(download(rows["uri"])), SIDE, SIDE).cast(PIXELS))
    rows = rows.select(rows["uri"], Embed(backbone).vectors(rows["pixels"]).alias("embedding"))
    rows.write_parquet(output)
    return CLOCK.rate()


if __name__ == "__main__":
    run(embed)

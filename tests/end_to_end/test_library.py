"""The transforms as a Beam user composes them, without the command."""

import json
import pathlib

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

import transforms
from transforms import (
    Backbone,
    DecodeImages,
    EmbedImages,
    FetchImages,
    ReadImageUris,
    WriteEmbeddingsToParquet,
    WriteFailures,
    embedding_spec,
)


def test_the_transforms_compose_into_a_pipeline_of_ones_own(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    backbone = Backbone("MobileNet", weights="random", image_size=(32, 48), backbone_kwargs={"alpha": 0.25})
    output = str(tmp_path / "out")
    with beam.Pipeline(FnApiRunner()) as root:
        uris, unread, _ = root | ReadImageUris([str(photos)])
        images, _, unfetched = uris | FetchImages(num_threads=0)
        pixels, undecoded = images | DecodeImages([backbone.size], num_threads=0)
        shapes = (
            pixels | beam.Map(lambda p: tuple((a.shape, str(a.dtype)) for a in p.by_size.values())) | beam.Distinct()
        )
        assert_that(shapes, equal_to([(((32, 48, 3), "uint8"),)]))
        embeddings, unembedded, _ = pixels | EmbedImages(backbone, batch_size=4)
        _ = embeddings | WriteEmbeddingsToParquet(output, "run", embedding_spec(backbone), pa.schema([]))
        _ = (unread, unfetched, undecoded, unembedded) | beam.Flatten() | WriteFailures(output, "run")
    (written,) = pathlib.Path(output).glob("parquet/*.parquet")
    table = pq.read_table(written)
    assert sorted(table["uri"].to_pylist()) == sorted(map(str, photos.rglob("[0-9].jpg")))
    assert {len(vector) for vector in table["embedding"].to_pylist()} == {256}
    (lost,) = pathlib.Path(output).glob("failures/*.jsonl")
    assert json.loads(lost.read_text())["reason"] == "truncated"


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    assert sorted(transforms.__all__) == transforms.__all__
    for name in transforms.__all__:
        assert getattr(transforms, name).__doc__

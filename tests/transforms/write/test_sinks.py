"""Each format of the output has a sink, which writes files of that kind."""

import pathlib

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.fake_backbone import spec
from transforms import Embedding, ImageFacts, ImageUri
from transforms.collection.layout import EMBEDDINGS, format_of
from transforms.core.stage import Stage
from transforms.write.embeddings import WriteEmbeddings
from transforms.write.sinks import SINKS

SPEC = spec()


def test_there_is_one_for_each_format_of_the_layout() -> None:
    assert list(SINKS) == list(EMBEDDINGS)
    assert len(set(SINKS.values())) == len(SINKS)


@pytest.mark.parametrize("format_", EMBEDDINGS)
def test_a_sink_takes_embeddings_and_its_format_names_files_of_its_kind(format_: str) -> None:
    sink = SINKS[format_]("out", "RUN", SPEC)
    assert isinstance(sink, WriteEmbeddings)
    assert isinstance(sink, Stage)
    assert sink.takes is Embedding
    assert sink.format().kind is EMBEDDINGS[format_]


@pytest.mark.parametrize("format_", EMBEDDINGS)
def test_what_a_sink_writes_is_known_to_be_of_its_format(format_: str, tmp_path: pathlib.Path) -> None:
    embedding = Embedding(ImageUri("/a.jpg"), ImageFacts(1, 1, "PNG", ""), np.zeros(2, np.float32))
    with beam.Pipeline(FnApiRunner()) as root:
        _ = root | beam.Create([embedding]) | SINKS[format_](str(tmp_path), "RUN", SPEC)
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert [format_of(name) for name in files if not name.startswith(".run-")] == [format_]

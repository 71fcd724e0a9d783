"""A stage refuses a wrong element when the pipeline is built, and says of what type its outputs are."""

import dataclasses
import pathlib
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.typehints.decorators import TypeCheckError

from tests.fake_backbone import spec
from transforms import (
    DecodeImages,
    Embedding,
    EmbedImages,
    Failure,
    FetchImages,
    Image,
    ImageUri,
    Pixels,
    ReadImageUris,
    WriteEmbeddingsToParquet,
    WriteEmbeddingsToTFRecord,
    WriteFailures,
)
from transforms.core.stage import Stage, typed
from transforms.write.shard_plan import WrittenFile

SPEC = spec()
SOURCE = ImageUri("a.jpg")


@dataclasses.dataclass
class Lengths(Stage):
    """A stage of the tests: ImageUri -> int."""

    takes = ImageUri

    def expand(self, uris: Any) -> Any:
        return uris | beam.Map(lambda source: len(source.uri))


class Anything(Stage):
    """A stage that says nothing of its elements."""

    def expand(self, values: Any) -> Any:
        return values | beam.Map(str)


def refused(element: Any, stage: Any) -> str:
    """Apply a stage to a PCollection of an element; return why that is refused before anything runs."""
    with pytest.raises(TypeCheckError) as error:
        _ = beam.Pipeline() | beam.Create([element]) | stage
    return str(error.value)


@pytest.mark.parametrize(
    ("element", "stage", "sentence"),
    [
        ("a.jpg", FetchImages(), "FetchImages takes a PCollection of ImageUri, not one of str"),
        (SOURCE, DecodeImages(), "DecodeImages takes a PCollection of Image, not one of ImageUri"),
        (Image(SOURCE, b""), EmbedImages(), "EmbedImages takes a PCollection of Pixels, not one of Image"),
        ("a.jpg", WriteFailures("out", "RUN"), "WriteFailures takes a PCollection of Failure, not one of str"),
        (
            "a.jpg",
            WriteEmbeddingsToParquet("out", "RUN", SPEC),
            "WriteEmbeddingsToParquet takes a PCollection of Embedding, not one of str",
        ),
        (
            SOURCE,
            WriteEmbeddingsToTFRecord("out", "RUN", SPEC),
            "WriteEmbeddingsToTFRecord takes a PCollection of Embedding, not one of ImageUri",
        ),
        ("a.jpg", Lengths(), "Lengths takes a PCollection of ImageUri, not one of str"),
        (None, Lengths(), "Lengths takes a PCollection of ImageUri, not one of NoneType"),
    ],
)
def test_a_wrong_element_is_refused_in_a_sentence_that_names_both_types(
    element: Any, stage: Any, sentence: str
) -> None:
    assert refused(element, stage) == sentence


def test_what_beam_itself_says_is_the_cause() -> None:
    with pytest.raises(TypeCheckError) as error:
        _ = beam.Pipeline() | beam.Create(["a.jpg"]) | Lengths()
    assert isinstance(error.value.__cause__, TypeCheckError)


def test_a_mixture_of_elements_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="Lengths takes a PCollection of ImageUri, not one of Union"):
        _ = beam.Pipeline() | beam.Create([SOURCE, "a.jpg"]) | Lengths()


def test_the_losses_of_a_stage_do_not_fit_into_the_next() -> None:
    _, unfetched = beam.Pipeline() | beam.Create([SOURCE]) | FetchImages()
    with pytest.raises(TypeCheckError, match="DecodeImages takes a PCollection of Image, not one of Failure"):
        _ = unfetched | DecodeImages()


def test_elements_of_the_right_type_and_of_no_known_type_pass() -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        known = root | "Known" >> beam.Create([SOURCE]) | "KnownLengths" >> Lengths()
        unknown = root | beam.Create(["a.jpeg"]) | beam.Map(lambda uri: ImageUri(uri)) | Lengths()
        assert_that(known, equal_to([5]), label="known")
        assert_that(unknown, equal_to([6]), label="unknown")


def test_a_person_can_switch_the_check_off() -> None:
    pipeline = beam.Pipeline(options=PipelineOptions(["--no_pipeline_type_check"]))
    _ = pipeline | beam.Create(["a.jpg"]) | Lengths()


def test_a_stage_that_says_nothing_takes_anything() -> None:
    with beam.Pipeline(FnApiRunner()) as root:
        assert_that(root | beam.Create([1, "a"]) | Anything(), equal_to(["1", "a"]))


def test_a_stage_has_the_name_of_its_class_in_the_pipeline() -> None:
    assert Lengths().label == "Lengths"


def test_typed_tells_beam_what_a_tagged_output_holds() -> None:
    outputs = (
        beam.Pipeline() | beam.Create([SOURCE]) | beam.Map(lambda source: source).with_outputs("lost", main="kept")
    )
    assert typed(outputs.kept, ImageUri) is outputs.kept
    assert outputs.kept.element_type is ImageUri


def test_each_stage_says_of_what_type_its_outputs_are(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jpg").touch()
    root = beam.Pipeline()
    uris, unread, _ = root | ReadImageUris([str(tmp_path / "a.jpg")])
    images, unfetched = uris | FetchImages()
    pixels, undecoded = images | DecodeImages()
    embeddings, unembedded = pixels | EmbedImages()
    outputs = [uris, images, pixels, embeddings]
    assert [output.element_type for output in outputs] == [ImageUri, Image, Pixels, Embedding]
    assert {lost.element_type for lost in (unread, unfetched, undecoded, unembedded)} == {Failure}
    files = [
        embeddings | WriteEmbeddingsToParquet("out", "RUN", SPEC),
        embeddings | WriteEmbeddingsToTFRecord("out", "RUN", SPEC),
        (unread, unfetched, undecoded, unembedded) | beam.Flatten() | WriteFailures("out", "RUN"),
    ]
    assert [output.element_type for output in files] == [WrittenFile] * 3

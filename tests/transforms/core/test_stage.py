"""A stage refuses a wrong element when the pipeline is built, and says of what type its outputs are."""

import dataclasses
import pathlib
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.typehints.decorators import TypeCheckError

from tests.fake_backbone import FACTS, FakeBackbone, spec
from tests.fake_backbone import pixels as fake_pixels
from transforms import (
    Backbone,
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
from transforms.core.errors import UsageError
from transforms.core.stage import Stage, check_element, check_sizes, sized, typed
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


def run() -> beam.Pipeline:
    return beam.Pipeline(FnApiRunner())


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
    _, _, unfetched = beam.Pipeline() | beam.Create([SOURCE]) | FetchImages()
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


def test_pixels_of_other_sizes_are_refused_when_the_pipeline_is_built() -> None:
    """Every image would be lost, and the run succeed (3h)."""
    pixels, _ = beam.Pipeline() | beam.Create([Image(SOURCE, b"")]) | DecodeImages()
    with pytest.raises(
        UsageError, match=r"takes 299 x 299 px, but .* at 224 x 224; .*DecodeImages\(\[backbone.size\]\)"
    ):
        _ = pixels | EmbedImages(Backbone("Xception", weights="random"))
    both, _ = beam.Pipeline() | beam.Create([Image(SOURCE, b"")]) | DecodeImages([(224, 224), (299, 299)])
    _ = both | EmbedImages(Backbone("Xception", weights="random"))


def test_pixels_whose_sizes_beam_does_not_know_fail_the_run_at_the_first() -> None:
    """A step in between hides the sizes; the run must not end well without any embedding (3h)."""
    elements = [fake_pixels(1, (4, 4)), fake_pixels(2, (4, 4))]
    with pytest.raises(UsageError, match="takes 224 x 224 px, but images are decoded at 4 x 4"), run() as root:
        _ = root | beam.Create(elements) | EmbedImages(load=lambda _: FakeBackbone())


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (FetchImages(num_threads=0), "fetch takes ImageUri, not the str 'a.jpg'"),
        (DecodeImages(num_threads=0), "decode takes Image, not the str 'a.jpg'"),
        (EmbedImages(load=lambda _: FakeBackbone()), "EmbedImages takes Pixels, not the str 'a.jpg'"),
    ],
)
def test_a_wrong_element_of_no_known_type_fails_the_run_in_a_sentence(stage: Any, sentence: str) -> None:
    """It failed with "'str' object has no attribute 'uri'" (3h)."""
    with pytest.raises(TypeError, match=sentence), run() as root:
        _ = root | beam.Create(["a.jpg"]) | beam.Map(lambda uri: uri).with_output_types(Any) | stage


@pytest.mark.parametrize(
    ("elements", "stage"),
    [
        ([Embedding(SOURCE, FACTS, np.zeros(2, np.float32))], WriteEmbeddingsToParquet("out", "RUN", SPEC)),
        ([Embedding(SOURCE, FACTS, np.zeros(2, np.float32))], WriteEmbeddingsToTFRecord("out", "RUN", SPEC)),
        ([Failure(SOURCE, "fetch", "timeout", "transient", "TimeoutError", "late")], WriteFailures("out", "RUN")),
    ],
)
def test_windows_are_refused_by_what_writes_files_when_the_pipeline_is_built(elements: list[Any], stage: Any) -> None:
    """The run failed half-way, with "Cannot convert GlobalWindow" (3h)."""
    windows = beam.Pipeline() | beam.Create(elements) | beam.WindowInto(beam.window.FixedWindows(60))
    with pytest.raises(UsageError, match="once all elements are there, not for each window"):
        _ = windows | stage


def test_what_is_of_the_right_type_and_size_passes() -> None:
    check_element(SOURCE, ImageUri, "fetch")
    check_sizes(fake_pixels(1, (4, 4)), (4, 4))
    values = beam.Pipeline() | beam.Create([1])
    check_sizes(values, (4, 4))
    assert sized(values, [(2, 2), (4, 4)]) is values
    check_sizes(values, (4, 4))


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
    images, unchanged, unfetched = uris | FetchImages()
    pixels, undecoded = images | DecodeImages()
    embeddings, unembedded, _ = pixels | EmbedImages()
    outputs = [uris, images, unchanged, pixels, embeddings]
    assert [output.element_type for output in outputs] == [ImageUri, Image, ImageUri, Pixels, Embedding]
    assert {lost.element_type for lost in (unread, unfetched, undecoded, unembedded)} == {Failure}
    files = [
        embeddings | WriteEmbeddingsToParquet("out", "RUN", SPEC),
        embeddings | WriteEmbeddingsToTFRecord("out", "RUN", SPEC),
        (unread, unfetched, undecoded, unembedded) | beam.Flatten() | WriteFailures("out", "RUN"),
    ]
    assert [output.element_type for output in files] == [WrittenFile] * 3

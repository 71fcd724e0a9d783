"""What can be said of the speed without a clock: stages fused, models loaded once, few shapes, bounded memory."""

import collections
import pathlib
import threading
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.embed_images import build
from pipelines.options.command_line import parse
from pipelines.plan.plan import make_plan
from pipelines.plan.runner import Where
from tests.fake_backbone import FakeBackbone
from transforms import Backbone, DecodeImages, EmbedImages, Image, ImageUri, Pixels
from transforms.core.counters import reset_tally, tally

LOADED: list[str] = []
AHEAD: list[int] = []
SHAPES: collections.Counter[tuple[int, ...]] = collections.Counter()


class Noting(FakeBackbone):
    """Notes the shapes of its batches."""

    def __call__(self, batch: np.ndarray, index: int = 0) -> np.ndarray:
        SHAPES[batch.shape] += 1
        return super().__call__(batch)


def fake_load(backbone: Backbone) -> FakeBackbone:
    LOADED.append(backbone.name)
    return Noting()


def jpeg(folder: pathlib.Path) -> bytes:
    return next(folder.rglob("*.jpg")).read_bytes()


@pytest.mark.exhaustive
def test_from_fetch_to_embedding_is_one_fused_stage_so_that_no_pixel_crosses(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = ["--weights", "random", "--backbone", "MobileNet,MobileNetV2", "--output_format", "parquet,tfrecord"]
    settings, _ = parse(["--input", str(photos), "--output", str(tmp_path / "out"), *flags])
    root = beam.Pipeline(FnApiRunner())
    build(root, make_plan(settings, Where()))
    _, stages = FnApiRunner().create_stages(root.to_runner_api())
    holding = [
        {transform.unique_name for transform in stage.transforms}
        for stage in stages
        if any("DecodeImages" in transform.unique_name for transform in stage.transforms)
    ]
    (fused,) = holding
    for step in ("FetchDiffering/Fetch", "DecodeImages", "MobileNet/Embed/", "MobileNetV2/Embed/", "WriteParts"):
        assert any(step in name for name in fused), (step, fused)


def test_one_load_a_process_and_few_shapes_for_any_number_of_images(photos: pathlib.Path) -> None:
    LOADED.clear()
    SHAPES.clear()
    images = [Image(ImageUri(str(i)), jpeg(photos)) for i in range(203)]
    with beam.Pipeline(FnApiRunner()) as root:
        pixels = root | beam.Create(images, reshuffle=False) | DecodeImages([(8, 8)])
        embed = EmbedImages(Backbone("MobileNet", image_size=(8, 8)), batch_size=16, load=fake_load)
        _ = pixels.pixels | embed
    assert LOADED == ["MobileNet"]
    assert sum(shape[0] * n for shape, n in SHAPES.items()) >= 203
    assert {shape[0] for shape in SHAPES} <= {1, 2, 4, 8, 16}


class Slow(beam.DoFn):
    """Notes how many images were decoded ahead of it."""

    def process(self, pixels: Pixels) -> Any:
        # Gives the decoders the time to run as far ahead as they may.
        threading.Event().wait(0.002)
        AHEAD.append(tally()["images-decoded"])
        yield pixels


def test_decoded_images_in_flight_are_bounded(photos: pathlib.Path) -> None:
    AHEAD.clear()
    reset_tally()
    images = [Image(ImageUri(str(i)), jpeg(photos)) for i in range(120)]
    with beam.Pipeline(FnApiRunner()) as root:
        decode = DecodeImages([(8, 8)], num_threads=4, lookahead=10)
        _ = (root | beam.Create(images, reshuffle=False) | decode).pixels | beam.ParDo(Slow())
    in_flight = [decoded - consumed for consumed, decoded in enumerate(AHEAD)]
    assert len(in_flight) == 120
    assert max(in_flight) <= 10 + 1
    assert max(in_flight) > 1

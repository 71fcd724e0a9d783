"""What is said of a stage's decisions, against files whose facts the test chose itself."""

import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

from pipelines.explain import decisions
from tests.conftest import sample_image
from tests.fake_backbone import FACTS, spec
from transforms import Backbone
from transforms.core.elements import Embedding, Image, ImageUri
from transforms.core.failures import REASONS, Failure
from transforms.decode.images import Decode
from transforms.embed.canary import Worker


def encoded(image: PIL.Image.Image, format_: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def turned(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return exif


def decided(data: bytes, **changes: Any) -> list[str]:
    values = {
        "sizes": ((32, 32),),
        "resize": "crop",
        "max_image_pixels": 100_000_000,
        "resize_filter": "bilinear",
        "color_profile": "ignore",
        "central_fraction": 1.0,
    }
    return list(decisions.decoded(data, Decode(**{**values, **changes})))


def test_the_bytes_and_their_version_are_told() -> None:
    told = decisions.fetched(Image(ImageUri("a", version="generation:7"), b"x" * 1234))
    assert told == "1,234 bytes, version generation:7"
    assert decisions.fetched(Image(ImageUri("a"), b"")) == "0 bytes, version unknown"


def test_a_small_image_is_only_resized() -> None:
    data = encoded(sample_image(1, 60, 40).convert("RGBA"), "PNG")
    assert decided(data, resize="pad", resize_filter="area", sizes=((32, 48), (8, 8))) == [
        "PNG of 60 x 40 px, mode RGBA",
        "pad to 48 x 32 px, area",
        "pad to 8 x 8 px, area",
    ]


@pytest.mark.parametrize(("orientation", "size"), [(3, "80 x 60"), (6, "60 x 80"), (5, "60 x 80")])
def test_a_large_jpeg_is_reduced_and_turned(orientation: int, size: str) -> None:
    """640 px are reduced eight times, to no less than twice 32 px on the short side, which is 60 there."""
    data = encoded(sample_image(1, 640, 512), "JPEG", exif=turned(orientation))
    size = size.replace("60", "64")
    assert decided(data) == [
        "JPEG of 640 x 512 px, mode RGB",
        "decoded at 80 x 64 px, reduced by its own transform",
        f"turned to {size} px, EXIF orientation {orientation}",
        "crop to 32 x 32 px, bilinear",
    ]


def test_what_is_cut_off_is_told_for_each_size_by_the_one_that_the_whole_image_would_have() -> None:
    """640 px are reduced four times: eight times, 80 px were less than twice the 45 of 32 / 0.7."""
    data = encoded(sample_image(1, 640, 512), "JPEG", exif=turned(6))
    assert decided(data, central_fraction=0.7, sizes=((32, 32), (20, 10)))[1:] == [
        "decoded at 160 x 128 px, reduced by its own transform",
        "turned to 128 x 160 px, EXIF orientation 6",
        "scaled to 45 x 56 px, --central_fraction 0.7",
        "crop to 32 x 32 px, bilinear",
        "scaled to 22 x 28 px, --central_fraction 0.7",
        "crop to 10 x 20 px, bilinear",
    ]


def test_a_profile_is_told_with_what_is_made_of_it() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(sample_image(1, 40, 40), "PNG", icc_profile=profile)
    assert decided(data, color_profile="apply")[1] == "an ICC profile, --color_profile apply"


def test_a_header_is_told_also_of_what_ends_early_and_nothing_of_what_is_no_image() -> None:
    data = encoded(sample_image(1, 100, 80), "JPEG")
    assert decided(data[: len(data) // 2])[0] == "JPEG of 100 x 80 px, mode RGB"
    assert decided(b"no image") == []


def test_what_computes_is_told() -> None:
    worker = Worker("openvino", "2026.1", "CPU", "a processor", rewrites=False)
    assert list(decisions.loaded(Backbone("vgg16", weights="random", pooling="max"), worker)) == [
        "VGG16, random weights, output max, in float32",
        "openvino 2026.1 on a processor without rewrites",
    ]


@pytest.mark.parametrize(("preprocess", "said"), [("backbone", "to -1..1"), ("clip", "clip")])
def test_what_the_backbone_takes_and_gives_is_told(preprocess: str, said: str) -> None:
    of = spec(preprocess=preprocess, image_size=(32, 48))
    vector = np.zeros(2, np.float16)
    assert list(decisions.embedded(Embedding(ImageUri("a"), FACTS, vector), of)) == [
        f"uint8 [1, 32, 48, 3] -> float16 [2]; preprocessing: {said}",
        f"fingerprint {of.fingerprint}",
    ]


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ([3, 4, 0], "norm 5, numbers from 0 to 4, 1 zero"),
        ([np.nan, -3, 4, np.inf], "norm 5, numbers from -3 to 4, 0 zero, 2 not finite"),
        ([np.nan], "no number is finite, of 1"),
    ],
)
def test_a_vector_is_measured(vector: list[float], said: str) -> None:
    assert decisions.measured(np.array(vector, np.float32)) == said


@pytest.mark.parametrize(
    ("reason", "attempts", "tries", "meaning"),
    [("corrupt", 1, "", "corrupt"), ("http_503", 4, " after 4 attempts", "http_NNN")],
)
def test_a_failure_is_told_with_the_meaning_of_its_reason(reason: str, attempts: int, tries: str, meaning: str) -> None:
    failure = Failure(ImageUri("a"), "fetch", reason, "transient", "HTTPError", "busy", attempts)
    assert list(decisions.failed(failure)) == [
        f"failed{tries}: {reason} (transient), HTTPError: busy",
        f"which means: {REASONS[meaning]}",
    ]

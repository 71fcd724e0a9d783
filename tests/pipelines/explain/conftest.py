"""A collection of photos, of which two failed, and one is large and lies on its side."""

import pytest

from pipelines.command import main as embed_images
from tests.conftest import sample_image
from tests.pipelines.conftest import LIGHT
from tests.pipelines.similar.conftest import Made

SIDEWAYS = 6
"""An EXIF orientation: turned clockwise to be upright."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The collection, which no test changes."""
    folder = tmp_path_factory.mktemp("explain")
    photos = folder / "photos"
    photos.mkdir()
    for i in range(4):
        sample_image(i).save(photos / f"{i}.jpg", quality=92)
    large = sample_image(9, 640, 480)
    exif = large.getexif()
    exif[0x0112] = SIDEWAYS
    large.save(photos / "large.jpg", quality=92, exif=exif)
    (photos / "notes.jpg").write_text("no image")
    (photos / "short.jpg").write_bytes((photos / "0.jpg").read_bytes()[:3000])
    assert embed_images(["--input", str(photos), "--output", str(folder / "out"), *LIGHT]) == 0
    return Made(photos, folder / "out")

"""Compressions that libtiff may lack."""

import pytest

from tests.transforms.decode.formats.tiff.writing import samples_of, written
from transforms import ImageError
from transforms.decode import decode_image
from transforms.decode.formats.tiff import compressions
from transforms.decode.formats.tiff.compressions import is_decoded


def test_the_usual_compressions_are_decoded() -> None:
    assert all(map(is_decoded, (1, 2, 3, 4, 5, 7, 8, 32773, 32946)))
    assert not any(map(is_decoded, (0, 9, 34712, 34892, 52546)))


@pytest.mark.parametrize(("name", "number"), [("zstd", 50000), ("lzma", 34925), ("webp", 50001)])
def test_a_compression_that_libtiff_lacks_is_named(name: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TIFF of WebP was said to be corrupt (3b)."""
    data = written("rgb", samples_of("rgb", "uint8"), compression=name)
    if is_decoded(number):
        assert decode_image(data, [(8, 8)])[0].format == "TIFF"
    monkeypatch.setattr(compressions, "_decodes_a_pixel", lambda _: False)
    with pytest.raises(ImageError, match=f"compression {number}") as error:
        decode_image(data, [(8, 8)])
    assert error.value.reason == "unsupported_compression"

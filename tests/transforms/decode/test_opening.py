"""Only accepted formats are opened; for anything else the message says what it is."""

import PIL.Image
import pytest

from tests.conftest import sample_image
from tests.transforms.decode.encoding import encoded, reason_of
from transforms import ImageError
from transforms.decode import FORMATS, decode_image
from transforms.decode.deadline import TimedFile
from transforms.decode.opening import open_image, opened_formats, unidentified


def test_heic_without_its_package_is_lost_until_that_is_installed() -> None:
    """A retry once pillow-heif is there would have skipped it (3d)."""
    error = unidentified(b"\0\0\0\x18ftypheic" + bytes(50))
    missing = "HEIF" not in opened_formats()
    assert (error.reason, error.transient) == ("unsupported_heif" if missing else "not_an_image", missing)
    assert "HEIF" in opened_formats() or str(error) == "HEIF; pip install pillow-heif"


def test_what_is_known_is_named_and_all_is_listed() -> None:
    with pytest.raises(ImageError, match="an HTML page, in none of the formats JPEG, PNG") as error:
        decode_image(b"<html>404</html>", [(8, 8)])
    assert (error.value.reason, error.value.transient) == ("not_an_image", False)
    assert str(unidentified(b"what is this")).startswith("in none of the formats JPEG, PNG")


def test_a_broken_header_of_an_accepted_format_is_corrupt() -> None:
    """ "In none of the formats ..., PNG" was said of a PNG (3d)."""
    png = encoded(sample_image(1), "PNG")
    assert reason_of(png[:20] + b"\xff" + png[21:]) == "corrupt"


def test_formats_that_are_not_listed_are_not_opened() -> None:
    for file_format in ("JPEG2000", "TGA", "PCX", "ICNS", "DDS", "SGI"):
        assert reason_of(encoded(PIL.Image.new("RGB", (16, 16)), file_format)) == "not_an_image", file_format


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_listed_format_is_opened_without_being_decoded(file_format: str) -> None:
    image = open_image(TimedFile(encoded(PIL.Image.new("RGB", (16, 16)), file_format)))
    assert (image.format, image.size) == (file_format, (16, 16))
    assert not {"xmp", "XML:com.adobe.xmp"} & set(image.info)

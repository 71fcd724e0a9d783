"""Bytes are named by how they begin, and nothing else is."""

import io

import PIL.Image
import pytest

from tests.transforms.decode.encoding import encoded
from transforms.decode.signatures import signature_of

NAMES = {
    b"<!DOCTYPE html><html><body>404": "an HTML page",
    b"\n  <HTML lang=en>": "an HTML page",
    b"\xef\xbb\xbf<html>": "an HTML page",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:": "a Git LFS pointer",
    b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg xmlns=': "an SVG drawing",
    b"<svg width=": "an SVG drawing",
    b'<?xml version="1.0"?><Error><Code>AccessDenied': "an XML document",
    b"%PDF-1.7": "a PDF document",
    b"8BPS\0\1": "a Photoshop document",
    b"\xff\x0a\xfa\x7f": "JPEG XL",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b\x08": "a compressed file",
    b'{"error": "not found"}': "JSON",
    b"\0\0\0\x18ftypheic\0\0\0\0": "HEIF",
    b"\0\0\0\x18ftypmif1\0\0\0\0": "HEIF",
    b"\0\0\0\x18ftypmp42\0\0\0\0": "a video",
    b"\0\0\0\x18ftypcrx \0\0\0\0": "a camera's raw photo",
}


@pytest.mark.parametrize(("data", "name"), NAMES.items())
def test_what_a_web_server_or_a_camera_gives_is_named(data: bytes, name: str) -> None:
    """ "In none of the formats" does not say that the download was an error page (3d)."""
    signature = signature_of(data)
    assert signature is not None
    assert signature.name.startswith(name)
    assert not signature.accepted


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "AVIF"])
def test_formats_that_are_opened_are_known_as_such(file_format: str) -> None:
    signature = signature_of(encoded(PIL.Image.new("RGB", (8, 8)), file_format))
    assert signature is not None
    assert signature.accepted
    assert signature.name.upper() == file_format


def test_jpeg_2000_as_pillow_writes_it_is_named() -> None:
    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(file, "JPEG2000")
    assert signature_of(file.getvalue()).name == "JPEG 2000"


@pytest.mark.parametrize("data", [b"", b"no image", b"\0" * 50, b"BM", b"RIFF1234WAVE", b"<", b"\xff\xd8"])
def test_anything_else_has_no_name(data: bytes) -> None:
    assert signature_of(data) is None

"""Name what bytes are that no decoder opens, by how they begin."""

import re
from typing import NamedTuple

_HEIF = rb"hei[cfmsvx]|hev[cmsx]|mif1|msf1"


class Signature(NamedTuple):
    """What bytes are: `name` in words; `package` decodes them if it is installed; `accepted` formats are opened."""

    name: str
    package: str = ""
    accepted: bool = False


_SIGNATURES = (
    (rb"\xff\xd8\xff", Signature("JPEG", accepted=True)),
    (rb"\x89PNG\r\n\x1a\n", Signature("PNG", accepted=True)),
    (rb"GIF8[79]a", Signature("GIF", accepted=True)),
    (rb"BM.{12}[\x0c-\x80]\0\0\0", Signature("BMP", accepted=True)),
    (rb"RIFF.{4}WEBPVP8", Signature("WebP", accepted=True)),
    (rb".{4}ftypavi[fs]", Signature("AVIF", accepted=True)),
    (rb".{4}ftyp(?:%s)" % _HEIF, Signature("HEIF", package="pillow-heif")),
    (rb"version https://git-lfs\.github\.com/", Signature("a Git LFS pointer, not the file itself: run git lfs pull")),
    (rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body)", Signature("an HTML page")),
    (rb"\s*(?:<\?xml.*?\?>\s*)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE svg.*?>\s*)?<svg", Signature("an SVG drawing")),
    (rb"\s*<\?xml", Signature("an XML document")),
    (rb"%PDF-", Signature("a PDF document")),
    (rb"%!PS|\xc5\xd0\xd3\xc6", Signature("PostScript")),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", Signature("JPEG 2000")),
    (rb"\0\0\0\x0cJXL |\xff\x0a", Signature("JPEG XL")),
    (rb"II\xbc", Signature("JPEG XR")),
    (rb"8BPS", Signature("a Photoshop document")),
    (rb"\x76\x2f\x31\x01", Signature("OpenEXR")),
    (rb"#\?RADIANCE|#\?RGBE", Signature("Radiance HDR")),
    (rb"FUJIFILMCCD-RAW|IIRO|IIRS|IIU\0", Signature("a camera's raw photo")),
    (rb".{4}ftypcrx ", Signature("a camera's raw photo")),
    (rb".{4}ftyp|\x1aE\xdf\xa3", Signature("a video")),
    (rb"PK\x03\x04", Signature("a ZIP archive")),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", Signature("a compressed file")),
    (rb"PAR1", Signature("a Parquet file")),
    (rb"\s*[\[{]\s*[\"\[{]", Signature("JSON")),
)
_COMPILED = [(re.compile(pattern, re.DOTALL | re.IGNORECASE), signature) for pattern, signature in _SIGNATURES]
_LOOKED_AT = 1024


def signature_of(data: bytes) -> Signature | None:
    """Return what bytes are by how they begin; None if that is not known."""
    start = data[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf")
    return next((signature for pattern, signature in _COMPILED if pattern.match(start)), None)

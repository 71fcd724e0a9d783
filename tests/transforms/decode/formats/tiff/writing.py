"""TIFFs of known pictures, written by tifffile or byte by byte."""

import io
import struct
from typing import Any

import numpy as np
import tifffile

from transforms.decode import decode_image

HEIGHT, WIDTH = 37, 53
BANDS = {"rgb": 3, "rgba": 4, "rgba premultiplied": 4, "grey alpha": 2, "cmyk": 4}


def unit(bands: int) -> np.ndarray:
    """Return a smooth picture that differs in every band: float [H, W, bands], 0 to 1."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([[[HEIGHT]], [[WIDTH]]])
    return np.stack([(x * (1 + b) + y * (3 - b)) % 1 for b in range(bands)], axis=2)


def samples_of(layout: str, type_: str) -> np.ndarray:
    """Return the samples of a layout's picture in a type's whole range: [H, W, bands], or [H, W]."""
    picture = unit(BANDS.get(layout, 1))
    if layout == "rgba premultiplied":
        picture[..., :3] *= picture[..., 3:]
    top = 1 if type_.startswith("float") else np.iinfo(type_).max
    scaled = (picture * top).astype(type_)
    return scaled if scaled.shape[2] > 1 else scaled[..., 0]


def rgb_of(layout: str, values: np.ndarray) -> np.ndarray:
    """Return the picture that samples of 0 to 1 stand for, on white: float [H, W, 3], 0 to 255."""
    values = values if values.ndim == 3 else values[..., None]
    color, alpha = values, np.ones_like(values[..., :1])
    if layout == "miniswhite":
        color = 1 - values
    elif layout == "cmyk":
        color = (1 - values[..., :3]) * (1 - values[..., 3:])
    elif layout in ("rgba", "rgba premultiplied", "grey alpha"):
        color, alpha = values[..., :-1], values[..., -1:]
    color = color + 1 - alpha if layout == "rgba premultiplied" else color * alpha + 1 - alpha
    return np.broadcast_to(color * 255, (*values.shape[:2], 3))


def written(layout: str, samples: np.ndarray, planar: bool = False, **options: Any) -> bytes:
    """Write a TIFF by tifffile."""
    extra = {"rgba": ["unassalpha"], "rgba premultiplied": ["assocalpha"], "grey alpha": ["unassalpha"]}.get(layout)
    photometric = {"cmyk": "separated", "grey alpha": "minisblack"}.get(layout, layout.split()[0][:3])
    photometric = layout if layout.startswith("minis") else photometric
    data = np.moveaxis(samples, 2, 0) if planar and samples.ndim == 3 else samples
    if samples.ndim == 3:
        options["planarconfig"] = "separate" if planar else "contig"
    file = io.BytesIO()
    tifffile.imwrite(file, data, photometric=photometric, extrasamples=extra, metadata=None, **options)
    return file.getvalue()


def tiff(order: str, tags: dict[int, int], strip: bytes) -> bytes:
    """Return a TIFF of one strip: tifffile writes no 12 bits that it can read in the other byte order."""
    tags = dict(sorted({**tags, 273: 8, 279: len(strip)}.items()))
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return (
        mark
        + struct.pack(f"{order}I", 8 + len(strip))
        + strip
        + struct.pack(f"{order}H", len(tags))
        + entries
        + bytes(4)
    )


def decoded(data: bytes) -> np.ndarray:
    (pixels,) = decode_image(data, [(HEIGHT, WIDTH)], "stretch")[1].values()
    return pixels


def difference(data: bytes, expected: np.ndarray) -> float:
    return float(np.abs(decoded(data) - expected).mean())

"""The canary: what a process makes of known images before it takes others, and whether that is what it must be.

Vectors are compared after subtracting their mean: what all images share would hide how they differ. Float32 agrees to
1e-9 over engines, processors and rewrites of the graph; bfloat16 differs from it by 5e-5 or more, and so do other
weights.
"""

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from transforms.core.errors import RunError

LEAST_COSINE = {"float32": 0.99999, "bfloat16": 0.99, "float16": 0.99}
"""Least cosine of the vectors of an image, by the precision that they are computed in."""
ROUNDING = {"float32": 2.0**-19, "bfloat16": 2.0**-7, "float16": 2.0**-9}
"""What rounding may change of a vector, of its length: vectors whose differences are no more than that are alike."""
MOST_DIMS = 4096
"""Numbers of a vector that are kept, evenly spaced: the manifest holds them."""

REMEDY = "use the machines and versions that made it, or --existing replace"


@dataclasses.dataclass(frozen=True)
class Worker:
    """What computes in a process: a fact of the run, which changes no embedding.

    Attributes:
      engine: library that computes.
      version: its version.
      device: kind of device, 'CPU' or 'GPU'.
      processor: model of the processor or the GPU.
      rewrites: whether the graph is rewritten for speed.
    """

    engine: str
    version: str
    device: str
    processor: str
    rewrites: bool

    def __str__(self) -> str:
        return f"{self.engine} {self.version} on {self.processor}{'' if self.rewrites else ' without rewrites'}"


@dataclasses.dataclass(frozen=True, eq=False)
class Canary:
    """What is made of known images.

    Attributes:
      vectors: those of `reference_images`, float32 [8, D], see `thinned`.
      decoding: hash of the pixels that are decoded from known files, in hex; '' if nobody asked.
    """

    vectors: np.ndarray
    decoding: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Canary":
        """Return the canary that a manifest's entry says."""
        vectors = np.frombuffer(base64.b64decode(entry["vectors"]), "<f4").reshape(entry["shape"])
        return cls(vectors, entry["decoding"])

    def entry(self) -> dict[str, Any]:
        """Return the manifest's entry."""
        data = np.ascontiguousarray(self.vectors, "<f4").tobytes()
        return {
            "vectors": base64.b64encode(data).decode(),
            "shape": list(self.vectors.shape),
            "decoding": self.decoding,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Computed:
    """The canary of a process, and what computed it."""

    canary: Canary
    worker: Worker


def thinned(vectors: np.ndarray) -> np.ndarray:
    """Return at most MOST_DIMS dimensions, evenly spaced: float32 [N, D] -> float32 [N, min(D, MOST_DIMS)]."""
    dims = vectors.shape[1]
    return vectors if dims <= MOST_DIMS else vectors[:, np.arange(MOST_DIMS) * dims // MOST_DIMS]


def least_cosine(found: np.ndarray, expected: np.ndarray, precision: str) -> float:
    """Return the least cosine of the vectors of one image: float32 [N, D] twice -> -1 to 1."""
    if found.shape != expected.shape:
        return -1.0
    a, b = _centred(found, precision), _centred(expected, precision)
    return float(((a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))).min())


def _centred(vectors: np.ndarray, precision: str) -> np.ndarray:
    """Subtract the mean: float32 [N, D] -> float64 [N, D + 1].

    The new dimension is the same for all: small beside what tells images apart, large beside what rounding leaves of
    vectors that are all the same, which so are equal to others that are.
    """
    # A number that is not finite would make the cosine none.
    finite = np.where(np.isfinite(vectors), vectors, 0).astype(np.float64)
    longest = np.linalg.norm(finite, axis=1).max() + 1e-60
    tolerated = np.full((len(finite), 1), ROUNDING[precision] * longest / np.sqrt(1 - LEAST_COSINE[precision]))
    return np.concatenate([finite - finite.mean(axis=0), tolerated], axis=1)


def difference(found: Canary, expected: Canary, precision: str) -> str:
    """Say by how much two canaries differ; '' if they agree."""
    if found.decoding and expected.decoding and found.decoding != expected.decoding:
        return "images decode to other pixels, as of another version of Pillow"
    least, cosine = LEAST_COSINE[precision], least_cosine(found.vectors, expected.vectors, precision)
    return f"cosine {cosine:.7g}, at least {least} is needed" if cosine < least else ""


def check(computed: Computed, expected: Canary | None, precision: str) -> None:
    """Refuse a process that computes otherwise than the collection's first run.

    Raises:
      RunError: in one line that says by how much.
    """
    differs = difference(computed.canary, expected, precision) if expected else ""
    if differs:
        raise RunError(
            f"this worker computes other embeddings than the collection's first run did ({differs}): "
            f"{computed.worker}; {REMEDY}"
        )

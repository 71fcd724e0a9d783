"""All that decides the numbers of an embedding, and its fingerprint."""

import dataclasses
import hashlib
import json
from typing import Any

PIXELS_POLICY = "srgb-1"
"""Version of the rules for colour and EXIF in `transforms.decode`; it changes when their pixels do."""


@dataclasses.dataclass(frozen=True)
class EmbeddingSpec:
    """Say how a vector was made; two files with the same fingerprint can be mixed, others never.

    `decoded_for` is the largest [height, width] of the run: large JPEGs are reduced towards it while they are decoded.
    """

    backbone: str
    backbone_kwargs: dict[str, Any]
    weights: str
    weights_sha256: str
    output: str
    classifier_activation: str | None
    image_size: tuple[int, int]
    decoded_for: tuple[int, int]
    resize: str
    resize_filter: str
    pixels_policy: str
    precision: str
    engine: str
    normalize: bool
    embedding_dtype: str
    dim: int

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def fingerprint(self) -> str:
        """Return 16 hex digits of the sha256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

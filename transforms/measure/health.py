"""The health of a set of vectors: NaN, zeros, norms, constant dimensions, duplicates."""

import hashlib
import math
from collections.abc import Iterable

import apache_beam as beam
import numpy as np

from transforms.collection.manifest import Health
from transforms.core.elements import Embedding

BLOCK = 256
"""Vectors measured at a time."""
SAMPLE = 16384
"""Distinct vectors among which duplicates are counted."""


class VectorHealth:
    """Statistics of vectors [D] that can be merged, in memory that does not grow with their number.

    Duplicates are counted among the vectors with the smallest hashes: a fair sample of the distinct vectors (Bar-Yossef
    et al., "Counting distinct elements in a data stream", 2002), exact below 16,384 of them.
    """

    def __init__(self) -> None:
        self.vectors = self.nan = self.zero = 0
        self.norm_min, self.norm_max, self.norm_sum = math.inf, 0.0, 0.0
        self.low: np.ndarray | None = None
        self.high: np.ndarray | None = None
        self.sample: dict[bytes, int] = {}
        self._threshold = b"\xff" * 8
        self._waiting: list[np.ndarray] = []

    def add(self, vector: np.ndarray) -> None:
        """Add one vector: float [D]."""
        self._waiting.append(vector)
        if len(self._waiting) >= BLOCK:
            self.settle()

    def settle(self) -> None:
        """Measure the vectors that wait for others, and keep none of them."""
        if not self._waiting:
            return
        block = np.stack(self._waiting).astype(np.float32)
        for row in self._waiting:
            self._sample(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), 1)
        self._waiting = []
        finite = block[np.isfinite(block).all(axis=1)]
        self.vectors += len(block)
        self.nan += len(block) - len(finite)
        if len(finite):
            norms = np.linalg.norm(finite.astype(np.float64), axis=1)
            self.zero += int((norms == 0).sum())
            self._widen(float(norms.min()), float(norms.max()), finite.min(axis=0), finite.max(axis=0))
            self.norm_sum += float(norms.sum())

    def _widen(self, norm_min: float, norm_max: float, low: np.ndarray, high: np.ndarray) -> None:
        self.norm_min, self.norm_max = min(self.norm_min, norm_min), max(self.norm_max, norm_max)
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)

    def _sample(self, key: bytes, n: int) -> None:
        if key > self._threshold:
            return
        self.sample[key] = self.sample.get(key, 0) + n
        if len(self.sample) > 2 * SAMPLE:
            kept = sorted(self.sample)[:SAMPLE]
            self._threshold = kept[-1]
            self.sample = {k: self.sample[k] for k in kept}

    def merge(self, other: "VectorHealth") -> None:
        """Add the vectors of another one."""
        self.settle()
        other.settle()
        self.vectors += other.vectors
        self.nan += other.nan
        self.zero += other.zero
        self.norm_sum += other.norm_sum
        if other.low is not None and other.high is not None:
            self._widen(other.norm_min, other.norm_max, other.low, other.high)
        self._threshold = min(self._threshold, other._threshold)
        self.sample = {k: n for k, n in self.sample.items() if k <= self._threshold}
        for key, n in other.sample.items():
            self._sample(key, n)

    def report(self) -> Health:
        """Return the statistics; `duplicates` is the share of vectors that equal an earlier one."""
        self.settle()
        finite = self.vectors - self.nan
        constant = int((self.low == self.high).sum()) if self.low is not None and finite > 1 else 0
        sampled = sum(self.sample.values())
        return {
            "vectors": self.vectors,
            "nan": self.nan,
            "zero": self.zero,
            "norm_min": self.norm_min if finite else None,
            "norm_mean": self.norm_sum / finite if finite else None,
            "norm_max": self.norm_max if finite else None,
            "constant_dims": constant,
            "duplicates": 1 - len(self.sample) / sampled if sampled else 0.0,
        }


class MeasureHealth(beam.CombineFn):
    """Measure the health of all vectors: Embedding -> Health."""

    def create_accumulator(self) -> VectorHealth:
        return VectorHealth()

    def add_input(self, health: VectorHealth, embedding: Embedding) -> VectorHealth:
        health.add(embedding.embedding)
        return health

    def merge_accumulators(self, accumulators: Iterable[VectorHealth]) -> VectorHealth:
        merged = VectorHealth()
        for health in accumulators:
            merged.merge(health)
        return merged

    def compact(self, health: VectorHealth) -> VectorHealth:
        # Vectors that wait would be sent with it: up to 1.3 MB a bundle, all to one worker.
        health.settle()
        return health

    def extract_output(self, health: VectorHealth) -> Health:
        return health.report()

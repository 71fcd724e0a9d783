"""The rows of files of embeddings as sorted arrays of hashes: 52 bytes a row, so that a process can hold many millions.

Hashes of 16 bytes stand for uris: two of 10**9 uris share one with a probability of 10**-21. Versions, carried columns
and the bytes of images are compared by 8 bytes each, and only for the same uri.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from transforms.core.uri_sum import HASH_BYTES

ABSENT = -1


def hash8(text: str) -> int:
    """Return the first 8 bytes of the hash of a text as a number."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


@dataclasses.dataclass(frozen=True)
class UriHashes:
    """The `uri_hash`es of some uris, sorted.

    Attributes:
      high: first half of each: uint64 [N].
      low: second half: uint64 [N].
    """

    high: np.ndarray
    low: np.ndarray

    @classmethod
    def of(cls, hashes: Sequence[bytes]) -> "UriHashes":
        """Sort the hashes of some uris: bytes [N][16] -> UriHashes."""
        high, low = _halves(hashes)
        order = np.lexsort((low, high))
        return cls(high[order], low[order])

    def __len__(self) -> int:
        return len(self.high)

    def find(self, hashes: Sequence[bytes]) -> np.ndarray:
        """Return the positions of some hashes: bytes [M][16] -> int64 [M], ABSENT for one that is not there."""
        found = np.full(len(hashes), ABSENT, np.int64)
        if not len(self) or not hashes:
            return found
        high, low = _halves(hashes)
        at, left = np.searchsorted(self.high, high), np.arange(len(hashes))
        # Two uris whose hashes begin alike are neighbours.
        while len(left := left[at[left] < len(self)]) and len(left := left[self.high[at[left]] == high[left]]):
            equal = self.low[at[left]] == low[left]
            found[left[equal]] = at[left[equal]]
            left = left[~equal]
            at[left] += 1
        return found

    def at(self, positions: np.ndarray) -> list[bytes]:
        """Return the hashes at some positions: int64 [M] -> bytes [M][16]."""
        pairs = np.stack([self.high[positions], self.low[positions]], axis=1).astype(">u8").tobytes()
        return [pairs[i : i + HASH_BYTES] for i in range(0, len(pairs), HASH_BYTES)]

    def all(self) -> list[bytes]:
        """Return all hashes: bytes [N][16]."""
        return self.at(np.arange(len(self)))


def _halves(hashes: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.frombuffer(b"".join(hashes), ">u8").reshape(-1, 2).astype(np.uint64)
    return pairs[:, 0], pairs[:, 1]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows in the order of their uris' hashes, each uri once.

    Attributes:
      uris: hashes of the uris.
      version: hash of each row's version: uint64 [N].
      carried: hash of each row's carried columns: uint64 [N].
      sha256: first 8 bytes of the image's sha256: uint64 [N].
      file: number of each row's file: uint32 [N].
      asked: version as text where storage has to be asked whether it is still the present one, else '': object [N].
    """

    uris: UriHashes
    version: np.ndarray
    carried: np.ndarray
    sha256: np.ndarray
    file: np.ndarray
    asked: np.ndarray

    def __len__(self) -> int:
        return len(self.uris)

    def are_same(self, positions: np.ndarray, version: np.ndarray, carried: np.ndarray) -> np.ndarray:
        """Whether rows have these versions and carried columns: int64 [M], uint64 [M], uint64 [M] -> bool [M].

        Args:
          positions: of the rows, ABSENT for one that is not there.
          version: hash of each version.
          carried: hash of each row's carried columns.
        """
        same: np.ndarray = positions != ABSENT
        at = positions[same]
        same[same] = (self.version[at] == version[same]) & (self.carried[at] == carried[same])
        return same


VALUES = {"version": np.uint64, "carried": np.uint64, "sha256": np.uint64, "file": np.uint32, "asked": object}
"""Types of a row's values, by their names in `Rows`."""


def rows_of(hashes: Sequence[bytes], values: Mapping[str, Any]) -> Rows:
    """Return rows from the hashes of their uris and all VALUES, in any order; of the same uri the first."""
    high, low = _halves(hashes)
    return _sorted(high, low, {name: np.array(values[name], dtype) for name, dtype in VALUES.items()})


def merged(parts: Iterable[Rows]) -> Rows:
    """Return all rows of several `Rows`; of the same uri the first."""
    found = list(parts)
    if not found:
        return rows_of([], dict.fromkeys(VALUES, ()))
    high, low = (np.concatenate([getattr(part.uris, half) for part in found]) for half in ("high", "low"))
    return _sorted(high, low, {name: np.concatenate([getattr(part, name) for part in found]) for name in VALUES})


def _sorted(high: np.ndarray, low: np.ndarray, values: dict[str, np.ndarray]) -> Rows:
    order = np.lexsort((low, high))
    same = (np.diff(high[order]) == 0) & (np.diff(low[order]) == 0)
    order = order[np.append(np.ones(min(1, len(order)), bool), ~same)]
    return Rows(UriHashes(high[order], low[order]), **{name: value[order] for name, value in values.items()})

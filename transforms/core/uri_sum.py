"""Hashes of uris, and the two numbers that tell one set of uris from another."""

import dataclasses
import hashlib
from collections.abc import Iterable

HASH_BYTES = 16


def uri_hash(uri: str) -> bytes:
    """Return the hash that stands for a uri where whole uris would take too much memory: bytes [16]."""
    return hashlib.blake2b(uri.encode(errors="surrogatepass"), digest_size=HASH_BYTES).digest()


@dataclasses.dataclass(frozen=True)
class UriSum:
    """How many uris there are, and the sum of their 64-bit hashes, the first halves of their `uri_hash`es.

    Sums are equal if the uris are the same; otherwise they differ, but for one case in 2**64.
    """

    count: int = 0
    hashes: int = 0

    @classmethod
    def of(cls, uris: Iterable[str]) -> "UriSum":
        """Return the sum of some uris, each as often as it occurs."""
        return cls.of_hashes(map(uri_hash, uris))

    @classmethod
    def of_hashes(cls, hashes: Iterable[bytes]) -> "UriSum":
        """Return the sum of the uris that have these `uri_hash`es."""
        count = total = 0
        for found in hashes:
            count += 1
            total += int.from_bytes(found[:8], "big")
        return cls(count, total % 2**64)

    def __add__(self, other: "UriSum") -> "UriSum":
        return UriSum(self.count + other.count, (self.hashes + other.hashes) % 2**64)

    def __sub__(self, other: "UriSum") -> "UriSum":
        return UriSum(self.count - other.count, (self.hashes - other.hashes) % 2**64)

    @classmethod
    def total(cls, sums: Iterable["UriSum"]) -> "UriSum":
        """Return the sum of sums."""
        return sum(sums, cls())

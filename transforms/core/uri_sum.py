"""Tell one set of uris from another by two numbers."""

import dataclasses
import hashlib
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class UriSum:
    """How many uris there are, and the sum of their 64-bit hashes.

    Sums are equal if the uris are the same; otherwise they differ, but for one case in 2**64.
    """

    count: int = 0
    hashes: int = 0

    @classmethod
    def of(cls, uris: Iterable[str]) -> "UriSum":
        """Return the sum of some uris, each as often as it occurs."""
        hashes = [hashlib.blake2b(uri.encode(errors="surrogatepass"), digest_size=8).digest() for uri in uris]
        return cls(len(hashes), sum(int.from_bytes(h, "big") for h in hashes) % 2**64)

    def __add__(self, other: "UriSum") -> "UriSum":
        return UriSum(self.count + other.count, (self.hashes + other.hashes) % 2**64)

    @classmethod
    def total(cls, sums: Iterable["UriSum"]) -> "UriSum":
        """Return the sum of sums."""
        return sum(sums, cls())

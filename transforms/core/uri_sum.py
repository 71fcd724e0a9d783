"""Tell one set of uris from another by two numbers, and one uri from another by 16 bytes."""

import dataclasses
import hashlib
from collections.abc import Iterable


def uri_digest(uri: str) -> bytes:
    """Return the 16 bytes that stand for a uri where many are compared: no two uris of one run share them."""
    return hashlib.blake2b(uri.encode(errors="surrogatepass"), digest_size=16).digest()


@dataclasses.dataclass(frozen=True)
class UriSum:
    """How many uris there are, and the sum of their 64-bit hashes, the first half of their digests.

    Sums are equal if the uris are the same; otherwise they differ, but for one case in 2**64.
    """

    count: int = 0
    hashes: int = 0

    @classmethod
    def of(cls, uris: Iterable[str]) -> "UriSum":
        """Return the sum of some uris, each as often as it occurs."""
        return cls.of_digests(map(uri_digest, uris))

    @classmethod
    def of_digests(cls, digests: Iterable[bytes]) -> "UriSum":
        """Return the sum of the uris that have these digests."""
        count = hashes = 0
        for digest in digests:
            count += 1
            hashes += int.from_bytes(digest[:8], "big")
        return cls(count, hashes % 2**64)

    def __add__(self, other: "UriSum") -> "UriSum":
        return UriSum(self.count + other.count, (self.hashes + other.hashes) % 2**64)

    @classmethod
    def total(cls, sums: Iterable["UriSum"]) -> "UriSum":
        """Return the sum of sums."""
        return sum(sums, cls())

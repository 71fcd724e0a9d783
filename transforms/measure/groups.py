"""Groups of what is alike: the connected components of pairs."""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T", str, int)


class Groups(Generic[T]):
    """Components that grow with each pair, in memory for what is in any pair (union-find, Tarjan 1975)."""

    def __init__(self, pairs: Iterable[tuple[T, T]] = ()) -> None:
        self._parents: dict[T, T] = {}
        for a, b in pairs:
            self.join(a, b)

    def join(self, a: T, b: T) -> None:
        """Put two into one group."""
        first, second = self._root(a), self._root(b)
        self._parents[max(first, second)] = min(first, second)

    def _root(self, one: T) -> T:
        parent = self._parents.setdefault(one, one)
        while parent != one:
            # Halves the path, so that the next walk is shorter.
            self._parents[one] = above = self._parents[parent]
            one, parent = above, self._parents[above]
        return one

    def found(self) -> list[list[T]]:
        """Return the groups, the largest first, of equal ones that with the first member; members are sorted."""
        members: dict[T, list[T]] = {}
        for one in sorted(self._parents):
            members.setdefault(self._root(one), []).append(one)
        return sorted(members.values(), key=lambda group: (-len(group), group[0]))

"""Bytes → decisions.

What a target needs besides its data (where to cut, which options) comes from the first bytes of its input.
Where those run out, every decision is 0: any bytes are an input.
"""

from itertools import pairwise


class Choices:
    """An input, read from its front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return max(0, len(self._data) - self._at)

    def byte(self) -> int:
        """The next byte."""
        taken = self.take(1)
        return taken[0] if taken else 0

    def below(self, bound: int) -> int:
        """A number from 0 to less than `bound`, which is 256 at the most."""
        return self.byte() % bound

    def number(self) -> int:
        """A number of two bytes."""
        return self.byte() << 8 | self.byte()

    def take(self, size: int) -> bytes:
        """The next `size` bytes, or what there is of them."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    """`data` cut at `places`, of which any may lie beyond its end; some pieces may be empty."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]

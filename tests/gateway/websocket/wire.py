"""An encoder of frames for these tests: it writes whatever it is told to, right or wrong."""

from dataclasses import dataclass
from itertools import pairwise

KEY = b"\x37\xfa\x21\x3d"
"""The masking key of RFC 6455 section 5.7."""


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A frame to be sent; `form` is the least number of bytes that its length is written in (0, 2 or 8)."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    key: bytes | None = KEY
    form: int = 0

    @property
    def header(self) -> bytes:
        """The header as RFC 6455 section 5.2 draws it."""
        size = len(self.payload)
        mask = 0 if self.key is None else 0x80
        first = bytes([self.fin << 7 | self.rsv << 4 | self.opcode])
        if size > 0xFFFF or self.form == 8:
            length = bytes([mask | 127]) + size.to_bytes(8, "big")
        elif size > 125 or self.form == 2:
            length = bytes([mask | 126]) + size.to_bytes(2, "big")
        else:
            length = bytes([mask | size])
        return first + length + (self.key or b"")

    @property
    def body(self) -> bytes:
        """The payload as it goes over the wire."""
        if self.key is None:
            return self.payload
        return bytes(byte ^ self.key[place % 4] for place, byte in enumerate(self.payload))

    @property
    def data(self) -> bytes:
        """The frame as it goes over the wire."""
        return self.header + self.body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at `places` (of which any may lie beyond its end)."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]

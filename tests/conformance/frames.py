"""Frames to bytes and back (RFC 6455 section 5.2), good ones and bad ones.

It shares no code with the gateway's decoder, so that a misunderstanding there is none here.
"""

from dataclasses import dataclass, field
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_NAMES: Final = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}

KEY: Final = bytes.fromhex("37fa213d")
"""The masking key of the examples in section 5.7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame to be sent."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    """The three reserved bits as a number: 4 is RSV1."""
    length_bytes: int = 0
    """How many bytes the extended length takes (2 or 8); 0: as few as possible."""
    claims: int | None = None
    """A length other than the payload's."""
    against_mask: bool = False
    """Whether it is masked where it must not be, or not masked where it must."""

    def encode(self, *, masked: bool) -> bytes:
        """The frame on the wire, `masked` where its sender is a client."""
        masked ^= self.against_mask
        length = len(self.payload) if self.claims is None else self.claims
        extended = self.length_bytes or (0 if length < 126 else 2 if length < 65536 else 8)
        short = {0: length, 2: 126, 8: 127}[extended]
        head = bytearray([self.fin << 7 | self.rsv << 4 | self.opcode, masked << 7 | short])
        if extended:
            head += length.to_bytes(extended, "big")
        if masked:
            return bytes(head) + KEY + mask(self.payload, KEY)
        return bytes(head) + self.payload


def mask(payload: bytes, key: bytes) -> bytes:
    """Mask or unmask (section 5.3)."""
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def closing(code: int | None = None, reason: bytes = b"") -> Frame:
    """A Close frame; without a code, it is empty."""
    return Frame(opcode=CLOSE, payload=b"" if code is None else code.to_bytes(2, "big") + reason)


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame as it has come: the bytes of its header but for the masking key, and what was masked."""

    head: bytes
    payload: bytes

    @property
    def opcode(self) -> int:
        """What kind of frame it is."""
        return self.head[0] & 0x0F

    @property
    def code(self) -> int | None:
        """The code of a Close frame that has one."""
        return int.from_bytes(self.payload[:2], "big") if self.opcode == CLOSE and self.payload else None

    def __str__(self) -> str:
        words = [_NAMES.get(self.opcode, f"opcode {self.opcode}")]
        if not self.head[0] & 0x80:
            words.append("(more)")
        if self.head[0] & 0x70:
            words.append(f"rsv {self.head[0] >> 4 & 7}")
        content = self.payload
        if self.code is not None:
            words.append(str(self.code))
            content = content[2:]
        if content:
            words.append(f"{content!r}" if len(content) <= 24 else f"of {len(content)} bytes")
        return " ".join(words)


@dataclass(slots=True)
class Reader:
    """Reads frames from bytes that come in any pieces."""

    frames: list[Seen] = field(default_factory=list)
    rest: bytearray = field(default_factory=bytearray)
    """The beginning of a frame that is not whole."""
    _wanted: int = 2

    def feed(self, data: bytes) -> None:
        """Take `data`; whole frames are in `frames` then."""
        self.rest += data
        while len(self.rest) >= self._wanted and self._step():
            pass

    def _step(self) -> bool:
        """Read one frame from the rest, if it is whole."""
        rest = self.rest
        short = rest[1] & 0x7F
        start = {126: 4, 127: 10}.get(short, 2)
        if len(rest) < start:
            self._wanted = start
            return False
        size = short if start == 2 else int.from_bytes(rest[2:start], "big")
        body = start + (4 if rest[1] & 0x80 else 0)
        self._wanted = body + size
        if len(rest) < self._wanted:
            return False
        payload = bytes(rest[body : self._wanted])
        if rest[1] & 0x80:
            payload = mask(payload, bytes(rest[start:body]))
        self.frames.append(Seen(bytes(rest[:start]), payload))
        del rest[: self._wanted]
        self._wanted = 2
        return True

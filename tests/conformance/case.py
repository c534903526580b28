"""What a case is, and the ways to cut its bytes up."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import cycle
from typing import Final, Literal

from tests.conformance.frames import BINARY, CONTINUATION, PING, PONG, TEXT, Frame

_SINGLY: Final = 300
"""Bytes up to which a turn is cut into single ones."""

_SIZES: Final = (1, 2, 13, 500, 997, 4096, 60_000)
"""Into what a longer one is cut."""

Goodbye = Literal["close", "end", "reset", "silence"]
"""How the player leaves when its turns are over: by a close handshake; by FIN, without a Close frame; by RST;
or not at all, until the peer ends the connection."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Frames that are sent, and how many have to come back before the next turn.

    Where more than one order of answers is right, they are waited for one by one: else it would not be the
    gateway that makes the difference.
    """

    frames: tuple[Frame, ...]
    answers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is sent to a peer that echoes.

    The turns end as soon as the peer has said Close; a Close frame of the peer is answered, and where there
    has been none, the player begins the close handshake.
    """

    name: str
    what: str
    turns: tuple[Turn, ...]
    goodbye: Goodbye = "close"
    extensions: str = ""
    """The Sec-WebSocket-Extensions that a client offers; a server answers with what `agreed` says."""
    agreed: str = ""

    @property
    def section(self) -> int:
        """The first part of its number."""
        return int(self.name.split(".")[0])


class Delivery(Enum):
    """How the bytes of a turn are cut up."""

    WHOLE = "whole"
    """Each turn is one write."""
    FRAMES = "frames"
    """Each frame is one write."""
    CHOPPED = "chopped"
    """In small pieces, single bytes where there are not too many."""
    GLUED = "glued"
    """The first turn is one write with the opening handshake, or with the 101."""

    def pieces(self, frames: Sequence[bytes]) -> Iterator[bytes]:
        """The writes of a turn."""
        whole = b"".join(frames)
        if self is Delivery.FRAMES:
            yield from frames
        elif self is Delivery.CHOPPED:
            sizes = cycle([1] if len(whole) <= _SINGLY else _SIZES)
            at = 0
            while at < len(whole):
                size = next(sizes)
                yield whole[at : at + size]
                at += size
        elif whole:
            yield whole


def text(content: bytes | str) -> Frame:
    """A text message."""
    return Frame(opcode=TEXT, payload=content.encode() if isinstance(content, str) else content)


def binary(content: bytes) -> Frame:
    """A binary message."""
    return Frame(opcode=BINARY, payload=content)


def ping(payload: bytes = b"") -> Frame:
    """A ping."""
    return Frame(opcode=PING, payload=payload)


def pong(payload: bytes = b"") -> Frame:
    """A pong."""
    return Frame(opcode=PONG, payload=payload)


def fragments(first: Frame, *pieces: bytes) -> tuple[Frame, ...]:
    """A message like `first`, in as many frames as there are `pieces`."""
    opcodes = [first.opcode] + [CONTINUATION] * (len(pieces) - 1)
    return tuple(
        replace(first, opcode=opcode, payload=piece, fin=number == len(pieces), rsv=first.rsv * (number == 1))
        for number, (opcode, piece) in enumerate(zip(opcodes, pieces, strict=True), 1)
    )


def cut(content: bytes, size: int) -> list[bytes]:
    """`content` in pieces of `size` bytes."""
    return [content[at : at + size] for at in range(0, len(content), size)] or [b""]


def one(name: str, what: str, *frames: Frame, answers: int = 1) -> Case:
    """A case of one turn."""
    return Case(name=name, what=what, turns=(Turn(frames, answers),))

"""What the ends of a tunnel do, all of it out of one number: the seed."""

import random
from dataclasses import dataclass
from typing import Literal

from tests.gateway.proxy.raw import frame

How = Literal["fin", "reset"]
"""How an end leaves."""


@dataclass(kw_only=True)
class Script:
    """What one end does."""

    pieces: list[bytes]
    pauses: list[float]
    """Before each of them, in seconds."""
    lazy: float
    """How long it waits between two reads, in seconds."""
    glued: bool
    """Whether its first piece is sent with its head of the opening handshake."""
    how: How = "fin"
    early: bool = False
    """Whether it resets in the midst of what it sends, instead of behind its end."""
    waits: bool = False
    """Whether it ends only when it has got all that the other end sends."""
    stays: bool = False
    """Whether it ends only after the other end."""

    @property
    def data(self) -> bytes:
        """All that it means to send."""
        return b"".join(self.pieces)


@dataclass(kw_only=True)
class Plan:
    """A tunnel."""

    seed: int
    tls: bool
    client: Script
    upstream: Script

    @property
    def path(self) -> str:
        """What the client asks for."""
        return f"/{'tls' if self.tls else 'plain'}/{self.seed}"

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """The plan that `seed` stands for."""
        dice = random.Random(seed)
        tls = dice.random() < 0.4
        ends = [_script(dice, masked=masked) for masked in (True, False)]
        first, second = dice.sample(ends, 2)
        if dice.random() < 0.3:
            first.how, first.early = "reset", dice.random() < 0.7
        if tls:
            first.waits, second.stays = dice.random() < 0.7, True
        return cls(seed=seed, tls=tls, client=ends[0], upstream=ends[1])


def _script(dice: random.Random, *, masked: bool) -> Script:
    data = b"".join(_said(dice, masked=masked) for _ in range(dice.choice((0, 1, 3, 10, 40))))
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((0, 1, 5, 30))))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
    hurry = dice.random() < 0.5
    return Script(
        pieces=pieces,
        pauses=[0.0 if hurry else dice.choice((0.0, 0.0, 0.001, 0.005)) for _ in pieces],
        lazy=dice.choice((0.0, 0.0, 0.002)),
        glued=dice.random() < 0.3,
    )


def _said(dice: random.Random, *, masked: bool) -> bytes:
    """A frame, something like one, or noise."""
    payload = dice.randbytes(dice.choice((0, 1, 5, 125, 126, 130, 1000, 1000, 70_000, 300_000)))
    match dice.randrange(10):
        case 0:
            return dice.randbytes(dice.randrange(1, 40))
        case 1:
            return frame(payload, opcode=dice.randrange(16), rsv=dice.randrange(8), fin=dice.random() < 0.5)
        case 2:
            return frame(payload[:100], masked=masked, length=dice.choice((3, 200, 1 << 17, 1 << 63)))
        case 3:
            return frame(payload[:100], masked=masked) * dice.randrange(1, 60)
    return frame(payload, opcode=dice.choice((0, 1, 2, 9, 10)), masked=masked, fin=dice.random() < 0.8)

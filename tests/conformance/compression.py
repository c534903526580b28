"""Cases 12 and 13: permessage-deflate, its parameters, and what may not be sent with it (RFC 7692)."""

import random
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tests.conformance.case import Case, Turn, binary, cut, fragments, one, ping, text
from tests.conformance.frames import Frame

_TAIL: Final = b"\x00\x00\xff\xff"

_OFFERS: Final = (
    ("permessage-deflate", "permessage-deflate"),
    (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ),
    (
        "permessage-deflate; client_max_window_bits; server_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
    ),
    (
        "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15",
        "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15",
    ),
    (
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
    ),
    (
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=9",
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=9",
    ),
    (
        "permessage-deflate; server_max_window_bits=9; server_no_context_takeover, permessage-deflate",
        "permessage-deflate; server_max_window_bits=9; server_no_context_takeover",
    ),
)
"""What a client offers, and what a server answers: 13.1 to 13.7."""

_SIZES: Final = (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)


class _Deflater:
    """Compresses messages; nine bits of window are inside of any that may have been agreed."""

    def __init__(self, *, takeover: bool = True) -> None:
        self._takeover = takeover
        self._context = self._fresh()

    def __call__(self, message: Frame) -> Frame:
        """`message`, compressed."""
        if not self._takeover:
            self._context = self._fresh()
        data = self._context.compress(message.payload) + self._context.flush(zlib.Z_SYNC_FLUSH)
        return replace(message, payload=data.removesuffix(_TAIL), rsv=4)

    @staticmethod
    def _fresh() -> "zlib._Compress":
        return zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -9)


def cases(*, long: bool) -> Iterator[Case]:
    """All of them; without `long`, those that take a moment."""
    yield from _contents(long=long)
    yield from _parameters(long=long)
    yield from _oddities()


def _case(name: str, what: str, turns: tuple[Turn, ...], offer: int = 0) -> Case:
    extensions, agreed = _OFFERS[offer]
    return Case(name=name, what=what, turns=turns, extensions=extensions, agreed=agreed)


def _repeated(message: Frame, count: int, *, takeover: bool = True) -> tuple[Turn, ...]:
    """`message`, compressed, `count` times; from the second time on, it may lean on the last."""
    deflate = _Deflater(takeover=takeover)
    first, again = Turn((deflate(message),), 1), Turn((deflate(message),), 1)
    return (first, *[again] * (count - 1))


def _contents(*, long: bool) -> Iterator[Case]:
    """12: messages that compress well, badly and not at all, of ten sizes."""
    for group, (what, content) in enumerate(_texts(), 1):
        for number, size in enumerate(_SIZES, 1):
            message = (text if group < 4 else binary)(content[:size])
            if long or size in {16, 4096, 65536}:
                yield _case(f"12.{group}.{number}", f"3 times {what}, {size} bytes", _repeated(message, 3))
            if long:
                turns = _repeated(message, 100)
                yield _case(f"12.{group}.{number}m", f"100 times {what}, {size} bytes", turns)


def _parameters(*, long: bool) -> Iterator[Case]:
    """13: the same with the parameters that there are."""
    content = dict(_texts())["words"]
    for group, (offer, _) in enumerate(_OFFERS, 1):
        takeover = "client_no_context_takeover" not in offer
        for number, size in enumerate(_SIZES, 1):
            if long or size in {256, 8192}:
                turns = _repeated(text(content[:size]), 5, takeover=takeover)
                yield _case(f"13.{group}.{number}", f"5 messages of {size} bytes", turns, group - 1)


def _oddities() -> Iterator[Case]:
    """What Autobahn has not: fragments, mixtures, and what is not allowed."""
    deflate = _Deflater()
    whole = deflate(text("a text in fragments, " * 20))
    parts = fragments(whole, *cut(whole.payload, 7))
    yield _case("13.8.1", "a compressed message in fragments", (Turn(parts, 1),))
    yield _case("13.8.2", "and a ping in it", (Turn((parts[0], ping(b"x"), *parts[1:]), 2),))
    yield _case("13.8.3", "a message that is not compressed", (Turn((text("plain"),), 1), Turn((whole,), 1)))
    yield _case("13.8.4", "a compressed message that is empty", (Turn((_Deflater()(text("")),), 1),))
    bad = replace(text(b"\xff\xff\xff\xff no deflate data"), rsv=4)
    yield _case("13.9.1", "what does not inflate", (Turn((bad, ping()), 1),))
    yield _case("13.9.2", "a compressed ping", (Turn((replace(ping(b"x"), rsv=4), ping()), 1),))
    marked = (parts[0], replace(parts[1], rsv=4), *parts[2:])
    yield _case("13.9.3", "a continuation marked as compressed", (Turn((*marked, ping()), 1),))
    yield _case("13.9.4", "RSV2 beside RSV1", (Turn((replace(whole, rsv=6), ping()), 1),))
    yield _case("13.9.5", "text that is not UTF-8", (Turn((_Deflater()(text(b"\xed\xa0\x80")),), 1),))
    yield one("13.9.6", "a compressed message, agreed by nobody", _Deflater()(text("Hello")), ping())


def _texts() -> list[tuple[str, bytes]]:
    dice = random.Random(12)
    longest = _SIZES[-1]
    words = " ".join(dice.choice(("alpha", "beta", "gamma", "delta", "omega")) for _ in range(longest // 4))
    row = '{"id": %d, "name": "station %d", "open": true}, '
    table = "".join(row % (number, number % 97) for number in range(longest // 40))
    return [
        ("words", words.encode()),
        ("one letter", b"*" * longest),
        ("JSON", table.encode()),
        ("bytes of two values", bytes(dice.choices((0, 255), k=longest))),
        ("noise", dice.randbytes(longest)),
    ]

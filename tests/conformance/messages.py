"""Cases 1 to 5: framing, pings and pongs, reserved bits and opcodes, fragments."""

from collections.abc import Iterator
from dataclasses import replace

from tests.conformance.case import Case, Turn, binary, cut, fragments, one, ping, pong, text
from tests.conformance.frames import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, closing

_SIZES = (0, 125, 126, 127, 128, 65535, 65536)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _framing()
    yield from _pings()
    yield from _reserved_bits()
    yield from _opcodes()
    yield from _fragments()
    yield from _broken_fragments()


def _framing() -> Iterator[Case]:
    for group, make, byte in ((1, text, b"*"), (2, binary, b"\xfe")):
        for number, size in enumerate(_SIZES, 1):
            yield one(f"1.{group}.{number}", f"a message of {size} bytes", make(byte * size))
        whole = make(byte * 65536)
        yield one(
            f"1.{group}.8", "65536 bytes in fragments of 997", *fragments(whole, *cut(whole.payload, 997))
        )
    # Autobahn has none of these; each is a way to confuse somebody who walks over headers.
    yield one("1.3.1", "a length of 5 in two bytes", replace(text("Hello"), length_bytes=2))
    yield one("1.3.2", "a length of 5 in eight bytes", replace(text("Hello"), length_bytes=8))
    endless = replace(text("Hello"), claims=1 << 63)
    yield Case(name="1.3.3", what="a length with its top bit set", turns=(Turn((endless,)),), goodbye="end")
    yield one("1.3.4", "a mask where none belongs, or none", replace(text("Hello"), against_mask=True))


def _pings() -> Iterator[Case]:
    yield one("2.1", "a ping without payload", ping())
    yield one("2.2", "a ping of text", ping(b"Hello, world!"))
    yield one("2.3", "a ping of bytes", ping(bytes([0, 255, 254, 253, 252, 251, 0, 255])))
    yield one("2.4", "a ping of 125 bytes", ping(b"\xfe" * 125))
    yield one("2.5", "a ping of 126 bytes", ping(b"\xfe" * 126))
    yield one("2.6", "a ping of 125 bytes, which is often cut", *[ping(b"\xfe" * 125)] * 2, answers=2)
    yield one("2.7", "an unasked pong without payload", pong(), answers=0)
    yield one("2.8", "an unasked pong with payload", pong(b"unsolicited pong payload"), answers=0)
    yield one("2.9", "an unasked pong, then a ping", pong(b"unsolicited pong payload"), ping(b"ping payload"))
    ten = [ping(b"payload-%d" % number) for number in range(10)]
    yield one("2.10", "ten pings", *ten, answers=10)
    yield Case(name="2.11", what="ten pings in ten turns", turns=tuple(Turn((each,), 1) for each in ten))


def _reserved_bits() -> Iterator[Case]:
    hello = text("Hello, world!")
    yield one("3.1", "a text with RSV3", replace(hello, rsv=1), ping())
    for number, rsv in ((2, 2), (3, 3), (4, 4)):
        yield Case(
            name=f"3.{number}",
            what=f"a text, one with the reserved bits {rsv:03b}, a ping",
            turns=(Turn((hello,), 1), Turn((replace(hello, rsv=rsv), ping()), 1)),
        )
    yield one("3.5", "bytes with the reserved bits 101", replace(binary(bytes([0, 255, 1])), rsv=5), ping())
    yield one("3.6", "a ping with the reserved bits 110", replace(ping(b"Hello"), rsv=6), ping())
    yield one("3.7", "a Close frame with all reserved bits", replace(closing(1000), rsv=7))


def _opcodes() -> Iterator[Case]:
    hello = text("Hello, world!")
    for group, opcodes in ((1, range(3, 8)), (2, range(11, 16))):
        for number, opcode in enumerate(opcodes, 1):
            payload = b"reserved opcode payload" * (number % 2 == 0)
            before = [Turn((hello,), 1)] * (number > 2)
            turns = (*before, Turn((Frame(opcode=opcode, payload=payload), ping()), 1))
            yield Case(name=f"4.{group}.{number}", what=f"the reserved opcode {opcode}", turns=turns)


def _fragments() -> Iterator[Case]:
    yield one("5.1", "a ping in two fragments", *fragments(ping(), b"fragment1", b"fragment2"))
    yield one("5.2", "a pong in two fragments", *fragments(pong(), b"fragment1", b"fragment2"), ping())
    parts = fragments(text(""), b"fragment1", b"fragment2")
    yield one("5.3", "a text in two fragments", *parts)
    yield Case(name="5.4", what="a text in two turns", turns=(Turn(parts[:1]), Turn(parts[1:], 1)))
    yield one("5.5", "bytes in two fragments", *fragments(binary(b""), b"fragment1", b"fragment2"))
    inside = ping(b"ping payload")
    yield one("5.6", "a ping between two fragments", parts[0], inside, parts[1], answers=2)
    yield Case(
        name="5.7",
        what="a ping between two fragments, in turns",
        turns=(Turn((parts[0], inside), 1), Turn(parts[1:], 1)),
    )
    yield one("5.8", "two pings between two fragments", parts[0], inside, inside, parts[1], answers=3)
    five = fragments(text(""), *(b"fragment%d" % number for number in range(1, 6)))
    yield Case(
        name="5.19",
        what="five fragments, pings between them, and a pause",
        turns=(
            Turn((*five[:2], ping(b"pongme 1!")), 1),
            Turn((*five[2:4], ping(b"pongme 2!")), 1),
            Turn(five[4:], 1),
        ),
    )
    yield one(
        "5.20",
        "five fragments, pings between them, no pause",
        *(*five[:2], ping(b"pongme 1!"), *five[2:4], ping(b"pongme 2!"), five[4]),
        answers=3,
    )


def _broken_fragments() -> Iterator[Case]:
    hello = text("Hello, world!")
    for numbers, fin in (((9, 10, 11), True), ((12, 13, 14), False)):
        stray = Frame(opcode=CONTINUATION, payload=b"non-continuation payload", fin=fin)
        yield one(f"5.{numbers[0]}", "a continuation of nothing, then a text", stray, hello)
        yield one(f"5.{numbers[1]}", "a continuation of nothing, then a ping", stray, ping())
        yield Case(
            name=f"5.{numbers[2]}",
            what="a continuation of nothing behind a text",
            turns=(Turn((hello,), 1), Turn((stray, ping()), 1)),
        )
    whole = fragments(text(""), b"fragment1", b"fragment2")
    stray = Frame(opcode=CONTINUATION, payload=b"fragment3", fin=False)
    yield Case(
        name="5.15",
        what="a continuation of nothing behind a message in fragments",
        turns=(Turn(whole, 1), Turn((stray, text("fragment4")), 1)),
    )
    for number, fin in ((16, False), (17, True)):
        pair = (Frame(opcode=CONTINUATION, payload=b"fragment1", fin=fin), text("fragment2"))
        yield one(f"5.{number}", "a continuation of nothing, twice", *pair, *pair)
    opened = Frame(opcode=TEXT, payload=b"fragment1", fin=False)
    yield one("5.18", "a message inside of a message", opened, text("fragment2"))
    yield one("5.21", "another type inside of a message", opened, Frame(opcode=BINARY, payload=b"\x00"))
    yield one("5.22", "a reserved bit in a continuation", opened, replace(whole[1], rsv=4))
    yield one("5.23", "a long ping inside of a message", opened, Frame(opcode=PING, payload=bytes(126)))
    yield one("5.24", "a cut pong inside of a message", opened, Frame(opcode=PONG, fin=False), ping())

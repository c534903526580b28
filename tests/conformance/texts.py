"""Cases 6: text that is UTF-8 and text that is not, in one piece and in many (RFC 6455 section 8.1).

The sequences are those of Markus Kuhn's stress test for UTF-8 decoders, in Autobahn's order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from tests.conformance.case import Case, Turn, cut, fragments, one, ping, text

_KOSME: Final = "κόσμε".encode()
_GREETING: Final = "Hello-µ@ßöäüàá-UTF-8!!".encode()
_SURROGATE: Final = b"\xed\xa0\x80"
_BROKEN: Final = _KOSME + _SURROGATE + b"edited"
"""Autobahn's example of a text that is not UTF-8: a surrogate in the middle."""
_TOO_HIGH: Final = b"\xf4\x90\x80\x80"


def cases() -> Iterator[Case]:
    """All of them."""
    yield one("6.1.1", "an empty text", text(b""))
    yield one("6.1.2", "three empty fragments", *fragments(text(b""), b"", b"", b""))
    yield one("6.1.3", "a fragment between two empty ones", *fragments(text(b""), b"", b"middle frame", b""))
    yield one("6.2.1", "a text", text(_GREETING))
    yield one("6.2.2", "cut between two characters", *fragments(text(b""), _GREETING[:9], _GREETING[9:]))
    yield one("6.2.3", "cut into single bytes", *fragments(text(b""), *cut(_GREETING, 1)))
    yield one("6.2.4", "Greek in single bytes", *fragments(text(b""), *cut(_KOSME, 1)))
    yield one("6.3.1", "a surrogate", text(_BROKEN))
    yield one("6.3.2", "a surrogate, in single bytes", *fragments(text(b""), *cut(_BROKEN, 1)))
    yield from _early()
    for group, (what, sequences) in enumerate(_SEQUENCES, 5):
        for number, sequence in enumerate(sequences, 1):
            yield one(f"6.{group}.{number}", f"{what}: {sequence[:12].hex(' ')}", text(sequence))


def _early() -> Iterator[Case]:
    """What a peer may refuse before it has all of it; a ping shows whether it has."""
    for number, bad in enumerate((_TOO_HIGH, _TOO_HIGH[:2], _SURROGATE, b"\xff"), 1):
        parts = fragments(text(b""), _KOSME, bad, b"edited")
        yield Case(
            name=f"6.4.{number}",
            what=f"to be refused early: {bad.hex(' ')}",
            turns=(Turn(parts[:1]), Turn((parts[1], ping(b"still there?")), 1), Turn(parts[2:], 1)),
        )
    yield one("6.4.5", "to be refused early, in one frame", text(_KOSME + _TOO_HIGH + bytes(400)))
    unfinished = replace(text(_KOSME + _TOO_HIGH), fin=False)
    yield one("6.4.6", "to be refused early, and never finished", unfinished, ping(b"still there?"))


def _prefixes(content: bytes) -> list[bytes]:
    return [content[:size] for size in range(1, len(content) + 1)]


def _starts(first: int, last: int) -> bytes:
    return b"".join(bytes([byte, 0x20]) for byte in range(first, last + 1))


def _plain(numbers: Sequence[int]) -> list[bytes]:
    """Code points as if each could be encoded."""
    return [chr(number).encode("utf-8", "surrogatepass") for number in numbers]


def _hex(*sequences: str) -> list[bytes]:
    return [bytes.fromhex(each) for each in sequences]


_CUT: Final = _hex(
    "c0", "e0 80", "f0 80 80", "f8 80 80 80", "fc 80 80 80 80", "df", "ef bf", "f7 bf bf", "fb bf bf bf",
    "fd bf bf bf bf",
)  # fmt: skip

_HIGH: Final = (0xD800, 0xDB7F, 0xDB80, 0xDBFF)
_LOW: Final = (0xDC00, 0xDF80, 0xDFFF)

_SEQUENCES: Final[tuple[tuple[str, list[bytes]], ...]] = (
    (
        "text",
        [word.encode() for word in ("hello$world", "hello¢world", "hello€world", "hello𤭢world")] + [_KOSME],
    ),
    ("the beginning of a text", _prefixes(_KOSME)),
    ("the first of its length", _hex("00", "c2 80", "e0 a0 80", "f0 90 80 80")),
    ("the first of a length that is none", _hex("f8 88 80 80 80", "fc 84 80 80 80 80")),
    ("the last of its length", _hex("7f", "df bf", "ef bf bf", "f4 8f bf bf")),
    ("the last of a length that is none", _hex("f7 bf bf bf", "fb bf bf bf bf", "fd bf bf bf bf bf")),
    ("a boundary", _hex("ed 9f bf", "ee 80 80", "ef bf bd", "f4 8f bf bf", "f4 90 80 80")),
    (
        "continuation bytes alone",
        [*_hex("80", "bf"), *((b"\x80\xbf" * 3)[:size] for size in range(2, 7)), bytes(range(0x80, 0xC0))],
    ),
    (
        "start bytes alone",
        [_starts(*each) for each in ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD))],
    ),
    ("its last byte is missing", _CUT),
    ("the last bytes of ten are missing", [b"".join(_CUT)]),
    ("impossible bytes", _hex("fe", "ff", "fe fe ff ff")),
    (
        "a long form of a slash",
        _hex("c0 af", "e0 80 af", "f0 80 80 af", "f8 80 80 80 af", "fc 80 80 80 80 af"),
    ),
    (
        "the last long form",
        _hex("c1 bf", "e0 9f bf", "f0 8f bf bf", "f8 87 bf bf bf", "fc 83 bf bf bf bf"),
    ),
    ("a long form of NUL", _hex("c0 80", "e0 80 80", "f0 80 80 80", "f8 80 80 80 80", "fc 80 80 80 80 80")),
    ("a surrogate", _plain([*_HIGH, *_LOW])),
    ("a pair of surrogates", [a + b for a in _plain(_HIGH) for b in _plain((_LOW[0], _LOW[-1]))]),
    (
        "no character, and yet UTF-8",
        _plain([plane << 16 | end for plane in range(17) for end in (0xFFFE, 0xFFFF)]),
    ),
    ("the replacement character", _plain([0xFFFD])),
)

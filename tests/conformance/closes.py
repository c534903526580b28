"""Cases 7: close handshakes with all codes; and cases 8, which Autobahn has not: to leave without one."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tests.conformance.case import Case, Goodbye, Turn, fragments, one, ping, text
from tests.conformance.frames import CLOSE, Frame, closing

_VALID: Final = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
_UNASSIGNED: Final = (1012, 1013, 1014)
"""Registered after RFC 6455; peers differ."""
_INVALID: Final = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _handshakes()
    yield from _contents()
    yield from _codes()
    yield from _goodbyes()


def _handshakes() -> Iterator[Case]:
    hello, bye = text("Hello World!"), closing(1000)
    yield Case(name="7.1.1", what="a text, then Close", turns=(Turn((hello,), 1), Turn((bye,), 1)))
    yield one("7.1.2", "Close twice", bye, bye)
    yield one("7.1.3", "Close, then a ping", bye, ping())
    yield one("7.1.4", "Close, then a text", bye, hello)
    parts = fragments(hello, b"fragment1", b"fragment2")
    yield one("7.1.5", "Close inside of a message", parts[0], bye, parts[1])
    yield Case(
        name="7.1.6",
        what="a message of 256 KiB, then Close and a ping",
        turns=(Turn((text(b"BAsd7&jh23" * 26_214),), 1), Turn((bye, ping()), 1)),
    )
    yield one("7.1.7", "Close, then 256 KiB that nobody wants", bye, text(b"BAsd7&jh23" * 26_214))


def _contents() -> Iterator[Case]:
    reason = b"this is ok"
    yield one("7.3.1", "Close without a code", closing())
    yield one("7.3.2", "Close with half a code", Frame(opcode=CLOSE, payload=b"a"))
    yield one("7.3.3", "Close with a code", closing(1000))
    yield one("7.3.4", "Close with a reason", closing(1000, reason))
    yield one("7.3.5", "Close with the longest reason", closing(1000, b"*" * 123))
    yield one("7.3.6", "Close with a reason too long", closing(1000, b"*" * 124))
    yield one("7.3.7", "Close with a reason of 64 KiB", closing(1000, b"*" * 65536))
    yield one("7.3.8", "Close in two fragments", replace(closing(1000), fin=False), closing(1000))
    yield one("7.5.1", "Close with a reason that is not UTF-8", closing(1000, b"\xce\xba\xed\xa0\x80edited"))
    yield one("7.5.2", "Close with a reason cut inside of a character", closing(1000, b"*" * 122 + b"\xce"))


def _codes() -> Iterator[Case]:
    for group, what, codes in (
        (7, "a valid code", _VALID),
        (8, "a code registered later", _UNASSIGNED),
        (9, "an invalid code", _INVALID),
    ):
        for number, code in enumerate(codes, 1):
            yield one(f"7.{group}.{number}", f"Close with {what}: {code}", closing(code))
            yield one(
                f"7.{group}.{number}r", f"Close with {what} and a reason: {code}", closing(code, b"why")
            )


def _goodbyes() -> Iterator[Case]:
    """To leave between two frames, inside of one, and with the peer's Close frame unanswered."""
    hello = text("Hello")
    inside = replace(hello, claims=100)
    bad = replace(hello, rsv=2)
    goodbyes: tuple[tuple[Goodbye, str], ...] = (("end", "FIN"), ("reset", "RST"))
    for number, (goodbye, what) in enumerate(goodbyes, 1):
        for letter, where, turns in (
            ("", "behind a message", (Turn((hello,), 1),)),
            ("i", "inside of a frame", (Turn((hello,), 1), Turn((inside,)))),
            ("f", "inside of a message", (Turn((replace(hello, fin=False), ping()), 1),)),
            ("c", "behind a Close frame", (Turn((hello,), 1), Turn((closing(1000),), 1))),
            ("b", "behind an error", (Turn((bad,), 1),)),
        ):
            if goodbye == "reset" and letter == "c":
                continue  # the peer's FIN may come first
            yield Case(name=f"8.{number}{letter}", what=f"{what} {where}", turns=turns, goodbye=goodbye)
    yield Case(name="8.3", what="silence behind Close", turns=(Turn((closing(1000),), 1),), goodbye="silence")
    yield Case(name="8.4", what="silence behind an error", turns=(Turn((bad,), 1),), goodbye="silence")

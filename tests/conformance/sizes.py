"""Cases 9 and 10: large messages, many fragments, many small messages."""

from collections.abc import Iterator

from tests.conformance.case import Case, Turn, binary, cut, fragments, one, text

_KIB = 1024
_MIB = 1024 * _KIB

_KINDS = ((0, text, b"*"), (1, binary, b"\xfe"))


def cases(*, long: bool) -> Iterator[Case]:
    """All of them; without `long`, those that take a moment."""
    yield one("10.1.1", "64 KiB in fragments of 1300", *fragments(text(b""), *cut(b"*" * 64 * _KIB, 1300)))
    yield from _quick()
    if long:
        yield from _long()


def _quick() -> Iterator[Case]:
    for offset, make, byte in _KINDS:
        for number, size in enumerate((64 * _KIB, 256 * _KIB), 1):
            yield one(f"9.{1 + offset}.{number}", f"{size} bytes", make(byte * size))
        pieces = cut(byte * 64 * _KIB, 64)
        yield one(f"9.{3 + offset}.10", "64 KiB in fragments of 64", *fragments(make(b""), *pieces))
        yield Case(
            name=f"9.{7 + offset}.7",
            what="50 messages of 0 to 4900 bytes, each with its answer",
            turns=tuple(Turn((make(byte * 100 * number),), 1) for number in range(50)),
        )
        yield one(f"9.{7 + offset}.8", "200 messages of 16 bytes", *[make(byte * 16)] * 200, answers=200)


def _long() -> Iterator[Case]:
    for offset, make, byte in _KINDS:
        for number, size in enumerate((_MIB, 4 * _MIB, 8 * _MIB, 16 * _MIB), 3):
            yield one(f"9.{1 + offset}.{number}", f"{size} bytes", make(byte * size))
        for number, size in enumerate((64, 256, _KIB, 4 * _KIB, 16 * _KIB, 64 * _KIB, 256 * _KIB, _MIB), 1):
            pieces = cut(byte * 4 * _MIB, size)
            what = f"4 MiB in fragments of {size} bytes"
            yield one(f"9.{3 + offset}.{number}", what, *fragments(make(b""), *pieces))
        for number, size in enumerate((0, 16, 64, 256, _KIB, 4 * _KIB), 1):
            messages = [make(byte * size)] * 1000
            what = f"1000 messages of {size} bytes"
            yield one(f"9.{7 + offset}.{number}", what, *messages, answers=1000)

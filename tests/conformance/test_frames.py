"""The frames that cases are made of, beside those of `websockets`."""

from dataclasses import replace

import pytest
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode
from websockets.streams import StreamReader

from tests.conformance.case import fragments, text
from tests.conformance.frames import Frame, Reader, closing, mask

SIZES = (0, 1, 125, 126, 127, 65535, 65536)


@pytest.mark.parametrize("masked", [True, False])
def test_encoded_frames_are_read_by_another(*, masked: bool) -> None:
    """Frames of all lengths, with all bits."""
    for size in SIZES:
        for opcode, fin, rsv in ((1, True, 0), (2, False, 4), (0, True, 0)):
            frame = Frame(opcode=opcode, payload=bytes(range(256)) * 257, fin=fin, rsv=rsv)
            frame = replace(frame, payload=frame.payload[:size])
            theirs = _read(frame.encode(masked=masked), masked=masked, rsv=rsv)
            assert (theirs.opcode, theirs.data, theirs.fin) == (opcode, frame.payload, fin)
            assert theirs.rsv1 == (rsv == 4)


def _read(data: bytes, *, masked: bool, rsv: int) -> TheirFrame:
    class Bits:
        """An extension that lets RSV1 pass."""

        def decode(self, frame: TheirFrame, *, max_size: int | None = None) -> TheirFrame:
            del max_size
            rsv1.append(frame.rsv1)
            return replace(frame, rsv1=False)

    rsv1: list[bool] = []
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    parsing = TheirFrame.parse(reader.read_exact, mask=masked, extensions=[Bits()] if rsv else [])  # type: ignore[list-item]  # the one method that is called
    try:
        next(parsing)
    except StopIteration as done:
        found: TheirFrame = done.value
        return replace(found, rsv1=bool(rsv1 and rsv1[0]))
    raise AssertionError("not a whole frame")


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_the_frames_of_another_are_read(piece: int) -> None:
    """In any pieces; what is not whole stays."""
    theirs = [TheirFrame(opcode, bytes(size)) for size in SIZES for opcode in (Opcode.TEXT, Opcode.BINARY)]
    data = b"".join(frame.serialize(mask=number % 2 == 0) for number, frame in enumerate(theirs))
    reader = Reader()
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    assert [(each.opcode, each.payload) for each in reader.frames] == [
        (each.opcode, each.data) for each in theirs
    ]
    reader.feed(b"\x81\x05Hel")
    assert bytes(reader.rest) == b"\x81\x05Hel"


def test_frames_by_hand() -> None:
    """The examples of RFC 6455 section 5.7, and frames that are wrong on purpose."""
    assert text("Hello").encode(masked=True).hex() == "818537fa213d7f9f4d5158"
    assert text("Hello").encode(masked=False) == b"\x81\x05Hello"
    assert [each.encode(masked=False) for each in fragments(text(""), b"Hel", b"lo")] == [
        b"\x01\x03Hel",
        b"\x80\x02lo",
    ]
    assert replace(text("Hello"), length_bytes=2).encode(masked=False) == b"\x81\x7e\x00\x05Hello"
    assert replace(text("Hello"), claims=9).encode(masked=False) == b"\x81\x09Hello"
    assert replace(text("Hello"), against_mask=True).encode(masked=True) == b"\x81\x05Hello"
    assert closing(1002, b"no").encode(masked=False) == b"\x88\x04\x03\xeano"
    assert mask(mask(b"any bytes", b"\x01\x02\x03\x04"), b"\x01\x02\x03\x04") == b"any bytes"

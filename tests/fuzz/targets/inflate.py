"""Previews of compressed payloads.

Oracle: a naive inflater, which reads all of a context from its start for each fragment, through zlib's own
end of stream if need be, tells what is true.  What the product shows is the beginning of that, and all of
it where it says so; it says so wherever nothing stands in the way; it gives up only for a reason; a message
never becomes more than its bound; and a preview is never an error.
"""

import zlib
from contextlib import suppress
from typing import Final

from gateway.websocket.frames import Decoder, SeenFrame
from gateway.websocket.inflate import INFLATE_MESSAGE, Inflater, Previewer
from gateway.websocket.wire import CONTINUATION
from tests.fuzz.choices import Choices
from tests.gateway.websocket.wire import Wire

TOKENS: Final = (
    b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
    b"\xf2\x00\x11\x00\x00",
    b"\x00\x00\xff\xff",
    b"\x01\x00\x00\xff\xff",
    b"\xc1\x07",
    b"\x41\x03",
    b"\x80\x04",
)

_TAIL: Final = b"\x00\x00\xff\xff"
_WINDOW: Final = 1 << 15


class Truth:
    """What one direction's compressed messages are."""

    def __init__(self, *, takeover: bool) -> None:
        self._takeover = takeover
        self._context = b""
        self._said = 0
        self.broken = False
        """Whether this context has met what is no deflate data."""
        self.ended = False
        """Whether a last block has ended zlib's stream in this context."""

    def begin(self) -> None:
        """A message begins."""
        if not self._takeover:
            self._context = b""
            self._said = 0
            self.broken = self.ended = False

    def add(self, payload: bytes, *, final: bool) -> bytes:
        """What the next fragment becomes."""
        self._context += payload + (_TAIL if final else b"")
        whole = self._inflated()
        own = whole[self._said :]
        self._said = len(whole)
        return own

    def _inflated(self) -> bytes:
        """All of the context so far, up to its first fault."""
        out, rest = b"", self._context
        while rest:
            window = out[-_WINDOW:]
            stream = zlib.decompressobj(-15, zdict=window) if window else zlib.decompressobj(-15)
            try:
                out += stream.decompress(rest)
            except zlib.error:
                self.broken = True
                return out + _before_fault(rest, window)
            if not stream.eof:
                break
            self.ended = True
            rest = stream.unused_data
        return out


def _before_fault(data: bytes, window: bytes) -> bytes:
    """What the sound beginning of `data` becomes."""
    stream = zlib.decompressobj(-15, zdict=window) if window else zlib.decompressobj(-15)
    out = b""
    with suppress(zlib.error):
        for at in range(len(data)):
            out += stream.decompress(data[at : at + 1])
    return out


class Maker:
    """Makes payloads as a sender would, or would not."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(9, zlib.DEFLATED, -15)

    def payload(self, how: int, data: bytes) -> bytes:
        """As it stands; compressed, by itself or leaning on those before; ended by a last block; a bomb."""
        match how:
            case 1:
                return self._flushed(self._stream, data)
            case 2:
                return self._flushed(zlib.compressobj(1, zlib.DEFLATED, -9), data)
            case 3:
                stream = zlib.compressobj(9, zlib.DEFLATED, -15)
                return stream.compress(data) + stream.flush()
            case 4:
                return self._flushed(zlib.compressobj(9, zlib.DEFLATED, -15), data * 3000)
        return data

    @staticmethod
    def _flushed(stream: "zlib._Compress", data: bytes) -> bytes:
        return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)


def check(data: bytes) -> None:
    """Send compressed messages, and look at each frame."""
    choices = Choices(data)
    options = choices.byte()
    takeover = bool(options & 1)
    limit = (0, 16, 64, 1 << 20)[options >> 1 & 3]
    decoder = Decoder("upstream", preview=limit, deflate=True)
    inflater, previewer = Inflater(takeover=takeover), Previewer(limit, Inflater(takeover=takeover))
    maker, truth = Maker(), Truth(takeover=takeover)
    reason = False  # for whoever gives up
    total = 0
    while choices.left:
        head, how = choices.byte(), choices.byte()
        payload = maker.payload(how & 7, choices.take(choices.byte()))
        wire = Wire(opcode=head & 3, fin=head >= 0x80, rsv=head >> 4 & 7, payload=payload, key=None)
        for frame in decoder.receive_data(wire.data, 0, how >> 6 != 3):
            preview = previewer.show(frame)
            assert (preview.text is None) != (preview.hex is None)
            shown = preview.hex if preview.text is None else preview.text.encode().hex()
            assert len(shown or "") // 2 <= min(limit, INFLATE_MESSAGE + 1) + 3
            if not frame.compressed:
                continue
            if frame.opcode != CONTINUATION:
                truth.begin()
                total = 0
                reason &= takeover
            reason |= frame.context_lost
            size, reason = _compare(inflater, frame, truth, total, reason=reason)
            total += size
            assert total <= INFLATE_MESSAGE + 1


def _compare(
    inflater: Inflater, frame: SeenFrame, truth: Truth, total: int, *, reason: bool
) -> tuple[int, bool]:
    """See one fragment; return the bytes it became, and whether from now on there is a reason to give up."""
    ended = truth.ended
    true = truth.add(frame.payload, final=frame.fin)
    lost = frame.context_lost
    try:
        told = inflater.inflate(frame)
    except zlib.error:
        assert truth.broken or lost
        return 0, True
    if told is None:
        assert reason, "nothing was wrong before"
        return 0, True
    inflated, complete = told
    assert not ended, "the context ended before"
    if not lost:
        assert true[: len(inflated)] == inflated
        if complete:
            assert inflated == true
            assert total + len(inflated) <= INFLATE_MESSAGE
        elif not truth.broken and not truth.ended:
            assert total + len(true) > INFLATE_MESSAGE, "all of it was there"
    return len(inflated), reason or not complete or truth.ended

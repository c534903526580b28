"""What a reader sees of a payload: unmasked, inflated, as text or as hexadecimal digits.  Pure.

Strategy
    One `Previewer` follows one direction of a tunnel.  It is shown the recorded frames in their order
    and keeps what one frame has to know of the last: the deflate context (RFC 7692 section 7) and the
    beginning of a character that a fragment cut in two.

Rules
    * At most `INFLATE_MESSAGE` bytes are inflated of a message, whatever it would become.
    * A context is only as good as the bytes that made it.  Where one is taken over from message to
      message, a frame that was left out of the log, or a message that outgrew the bound, spoils it for
      good; later compressed payloads are then shown as they were on the wire.
    * A preview never damages text: a character that is cut at its end is left out.
"""

import codecs
import zlib
from dataclasses import dataclass
from typing import Final

from gateway.websocket.frames import SeenFrame
from gateway.websocket.rules import DOES_NOT_INFLATE, TEXT_NOT_UTF8, Rule
from gateway.websocket.wire import CONTINUATION, PING, PONG, TEXT

INFLATE_MESSAGE: Final = 64 * 1024
"""Bytes that are inflated of one message at the most."""

_TAIL: Final = b"\x00\x00\xff\xff"
"""What the sender of a compressed message takes off its end (RFC 7692 section 7.2.1)."""

_utf8 = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The beginning of a payload, as `text` or else as `hex`, and what showed while reading it."""

    text: str | None
    hex: str | None
    truncated: bool
    inflated: bool
    rules: tuple[Rule, ...] = ()


class Inflater:
    """One direction's deflate context; `takeover` says whether it lives on from message to message."""

    def __init__(self, *, takeover: bool) -> None:
        self._takeover = takeover
        self._context = zlib.decompressobj(-zlib.MAX_WBITS)
        self._spoilt = False
        self._budget = 0

    def inflate(self, frame: SeenFrame) -> tuple[bytes, bool] | None:
        """The inflated payload and whether it is all of it; None where the context is spoilt.

        A decoder with the largest window reads what was written with any (RFC 7692 section 7.1.2), so
        the negotiated window sizes do not matter here.  Raises zlib.error for what is no deflate data.
        """
        if frame.opcode != CONTINUATION:
            self._budget = INFLATE_MESSAGE
            if not self._takeover:
                self._context = zlib.decompressobj(-zlib.MAX_WBITS)
                self._spoilt = False
        if frame.context_lost and (self._takeover or frame.opcode == CONTINUATION):
            self._spoilt = True
        if self._spoilt:
            return None
        payload = frame.payload
        whole = len(payload) == frame.length
        if whole and frame.fin:
            payload += _TAIL
        # zlib takes a bound of 0 for none; one byte more than the budget shows that it was outgrown.
        try:
            inflated = self._context.decompress(payload, self._budget + 1)
        except zlib.error:
            self._spoilt = True
            raise
        complete = whole and len(inflated) <= self._budget and not self._context.unconsumed_tail
        if self._context.eof:
            # A block marked as the last one (BFINAL) ends zlib's stream, and with it the context that it
            # kept.  An empty block behind it is usual (RFC 7692 section 7.2.3.4), more of them is not.
            complete &= self._context.unused_data.removesuffix(_TAIL) in {b"", b"\x00"}
        self._budget -= len(inflated)
        self._spoilt = not complete or self._context.eof
        return inflated, complete


class Previewer:
    """Makes the previews of one direction, `limit` bytes of the readable payload at the most."""

    def __init__(self, limit: int, inflater: Inflater | None = None) -> None:
        self._limit = limit
        self._inflater = inflater
        self._carry: bytes | None = b""
        """The cut character at the end of the last fragment; None where that end was not seen."""
        self._expected = 0
        """The number of the frame that follows the last one."""

    def show(self, frame: SeenFrame) -> Preview:
        """The preview of `frame`, the next one that was recorded of this direction."""
        payload, complete, rules = frame.payload, len(frame.kept) == frame.length, tuple(frame.rules)
        inflated = False
        if frame.compressed and self._inflater is not None:
            try:
                result = self._inflater.inflate(frame)
            except zlib.error:
                result, rules = None, (*rules, DOES_NOT_INFLATE)
            if result is not None:
                inflated = True
                payload, complete = result
        shown = payload[: self._limit]
        truncated = not complete or len(shown) < len(payload)
        text: str | None = None
        if inflated or not frame.compressed:
            if frame.message == TEXT:
                text = self._text(frame, shown, truncated=truncated)
                if text is None:
                    rules = (*rules, TEXT_NOT_UTF8)
            elif frame.opcode in {PING, PONG}:
                text = _printable(shown, truncated=truncated)
        self._expected = frame.number + 1
        return Preview(
            text=text,
            hex=shown.hex() if text is None else None,
            truncated=truncated,
            inflated=inflated,
            rules=rules,
        )

    def _text(self, frame: SeenFrame, shown: bytes, *, truncated: bool) -> str | None:
        """`shown` as text; None where it is not UTF-8 (RFC 6455 section 8.1)."""
        if frame.opcode != CONTINUATION:
            carry: bytes | None = b""
        elif frame.number == self._expected:
            carry = self._carry
        else:
            carry = None
        if carry is None:
            # The character at its beginning may have begun in a fragment that was not seen.
            shown = shown[_trailing_bytes(shown) :]
            carry = b""
        decoder = _utf8()
        try:
            text = decoder.decode(carry + shown, final=frame.fin and not truncated)
        except UnicodeDecodeError:
            self._carry = None
            return None
        self._carry = None if truncated else decoder.getstate()[0]
        return text


def _trailing_bytes(data: bytes) -> int:
    """How many bytes at the start of `data` can only be the end of a UTF-8 character."""
    for count in range(min(3, len(data))):
        if data[count] & 0xC0 != 0x80:
            return count
    return min(3, len(data))


def _printable(data: bytes, *, truncated: bool) -> str | None:
    """A ping's or pong's `data` as text where a person could read it; None where it is just bytes."""
    try:
        text = _utf8().decode(data, final=not truncated)
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\t\r\n" for char in text) else None

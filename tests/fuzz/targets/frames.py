"""The frame decoder.

Oracle: a naive decoder, written below after RFC 6455 section 5 with the whole stream before it, sees the same
frames, violations and close; any split of the bytes gives the same, with the same totals after each piece;
a decoder that only steps (`preview=None`), and one driven as the tunnel does it, with room for some frames
and steps over others, count the same; `to_boundary` leads to where the naive decoder sees the next frame.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from gateway.events import Side
from gateway.websocket import rules
from gateway.websocket.frames import Decoder, SeenFrame, may_be_sent
from gateway.websocket.rules import Rule
from tests.fuzz.choices import Choices, pieces

TOKENS: Final = (
    b"\x81\x85\x37\xfa\x21\x3d",
    b"\x88\x02\x03\xe8",
    b"\x88\x82\x00\x00\x00\x00\x03\xe8",
    b"\x82\x7e\x00\x80",
    b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00",
    b"\xc1\x00",
    b"\x01\x01",
    b"\x80\x01",
    b"\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
)

_INFLATED: Final = 64 * 1024 + 1024
"""Bytes of a compressed frame that are kept."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a decoder is made."""

    sender: Side
    preview: int
    deflate: bool
    rsv_known: int

    def decoder(self, *, looking: bool = True) -> Decoder:
        """Make one; without `looking` it only steps."""
        return Decoder(
            self.sender,
            preview=self.preview if looking else None,
            deflate=self.deflate,
            rsv_known=self.rsv_known,
        )


@dataclass(kw_only=True)
class Stream:
    """What the naive decoder says of a whole stream."""

    frames: list[dict[str, object]]
    edges: list[int]
    """Where each frame begins, and where the last one ends."""
    headers: list[int]
    """Where the header of each frame ends."""
    blind_from: int | None = None
    """Where frames can no longer be told apart."""
    close: tuple[int | None, str | None] | None = None
    """Code and reason of the first Close frame, as far as it came."""


def naive(data: bytes, options: Options) -> Stream:
    """Decode `data` at once, as the RFC draws frames."""
    stream = Stream(frames=[], edges=[0], headers=[])
    message, compressed, closed = 0, False, False
    while True:
        at = stream.edges[-1]
        if at + 2 > len(data):
            return stream
        first, second = data[at], data[at + 1]
        fin, rsv, opcode = first >= 0x80, first >> 4 & 7, first & 15
        masked, short = second >= 0x80, second & 127
        extended = 2 if short == 126 else 8 if short == 127 else 0
        size = 2 + extended + 4 * masked
        if at + size > len(data):
            return stream
        length = int.from_bytes(data[at + 2 : at + 2 + extended], "big") if extended else short
        key = data[at + size - 4 : at + size] if masked else b""
        control = opcode >= 8
        marked = options.deflate and rsv & 4 != 0
        allowed = options.rsv_known >> 4 | 4 * options.deflate
        shortest = 0 if length < 126 else 2 if length < 65536 else 8
        continuation = opcode == 0
        told: list[tuple[bool, Rule]] = [
            (closed, rules.AFTER_CLOSE),
            (not masked and options.sender == "client", rules.CLIENT_UNMASKED),
            (masked and options.sender == "upstream", rules.UPSTREAM_MASKED),
            (opcode in {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}, rules.RESERVED_OPCODE),
            (rsv & ~allowed != 0, rules.RESERVED_BITS),
            (length >> 63 == 1, rules.LENGTH_TOP_BIT),
            (extended > shortest, rules.LENGTH_NOT_MINIMAL),
            (control and not fin, rules.CONTROL_FRAGMENTED),
            (control and length > 125, rules.CONTROL_LONG),
            (control and marked, rules.CONTROL_COMPRESSED),
            (continuation and message == 0, rules.CONTINUATION_ALONE),
            (continuation and marked, rules.CONTINUATION_COMPRESSED),
            (not control and not continuation and message != 0, rules.MESSAGE_INSIDE_MESSAGE),
        ]
        of, squeezed = opcode, False
        if not control:
            of, squeezed = (message, compressed) if continuation else (opcode, marked)
            message, compressed = (0, False) if fin else (of, squeezed)
        body = data[at + size : at + size + length] if length >> 63 == 0 else b""
        wanted = 125 if opcode == 8 else _INFLATED if squeezed else options.preview
        kept = body[:wanted] if length >> 63 == 0 else b""
        payload = bytes(byte ^ key[place % 4] for place, byte in enumerate(kept)) if masked else kept
        code, reason, wrong = _close(payload, whole=len(kept) == length) if opcode == 8 else (None, None, [])
        if length >> 63:
            code = reason = None
            wrong = []
        if opcode == 8 and not closed:
            closed = True
            stream.close = code, reason
        stream.frames.append(
            {
                "number": len(stream.frames),
                "fin": fin,
                "rsv": rsv,
                "opcode": opcode,
                "masked": masked,
                "length": length,
                "header_length": size,
                "key": key,
                "message": of,
                "compressed": squeezed,
                "payload": payload,
                "code": code,
                "reason": reason,
                "rules": Counter([rule for broken, rule in told if broken] + wrong),
            }
        )
        stream.headers.append(at + size)
        if length >> 63:
            stream.blind_from = at + size
            return stream
        stream.edges.append(at + size + length)


def _close(payload: bytes, *, whole: bool) -> tuple[int | None, str | None, list[Rule]]:
    """Code, reason and violations of a Close frame, after section 5.5.1."""
    if len(payload) < 2:
        return None, None, [rules.CLOSE_ONE_BYTE] if whole and payload else []
    code, text = payload[0] << 8 | payload[1], payload[2:]
    wrong = [] if may_be_sent(code) else [rules.CLOSE_CODE]
    # What is not whole may end within a character: it is UTF-8 where some end makes it so.
    ends = (
        [b""]
        if whole
        else [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\xa0\x80", b"\x90\x80\x80", b"\xbf\xbf"]
    )
    for end in ends:
        try:
            (text + end).decode()
        except UnicodeDecodeError:
            continue
        return code, text.decode(errors="ignore"), wrong
    return code, text.decode(errors="replace"), [*wrong, rules.CLOSE_REASON]


def check(data: bytes) -> None:
    """See that every way of reading `data` tells the same."""
    choices = Choices(data)
    how = choices.byte()
    options = Options(
        sender="upstream" if how & 1 else "client",
        deflate=bool(how & 2),
        rsv_known=0x70 if how & 4 else 0,
        preview=(0, 1, 64, 300)[how >> 3 & 3],
    )
    room, spare = choices.below(4), choices.below(4)
    places = [choices.number() for _ in range(choices.below(8))]
    wire = choices.rest()
    expected = naive(wire, options)
    split = pieces(wire, places)
    _looking(options, expected, [wire])
    _looking(options, expected, split)
    if len(wire) < 200:
        _looking(options, expected, [wire[at : at + 1] for at in range(len(wire))])
    _stepping(options, expected, split)
    _as_the_tunnel(options, expected, split, room, spare)


def _looking(options: Options, expected: Stream, split: list[bytes]) -> None:
    """Record everything."""
    decoder = options.decoder()
    seen: list[SeenFrame] = []
    for time, piece in enumerate(split):
        seen += decoder.receive_data(piece, time, len(piece))
        _totals(decoder, expected, sum(map(len, split[: time + 1])))
    seen += decoder.receive_end()
    assert [_told(frame) for frame in seen] == expected.frames
    assert not any(frame.context_lost for frame in seen)
    times = [_arrival(split, end) for end in expected.headers]
    assert [frame.t_ns for frame in seen] == times
    gaps = [
        None if before is None else time - before for before, time in zip([None, *times], times, strict=False)
    ]
    assert [frame.gap_ns for frame in seen] == gaps
    assert decoder.omitted_frames == decoder.omitted_bytes == 0
    assert decoder.closed is (expected.close is not None)
    assert (decoder.close_code, decoder.close_reason) == (expected.close or (None, None))


def _stepping(options: Options, expected: Stream, split: list[bytes]) -> None:
    """Look at nothing: only boundaries, counts and `closed` count."""
    decoder = options.decoder(looking=False)
    for time, piece in enumerate(split):
        at = decoder.skip(piece, time) if decoder.plain else 0
        decoder.receive_data(piece[at:], time)
        _totals(decoder, expected, sum(map(len, split[: time + 1])))
    decoder.receive_end()
    assert decoder.closed is (expected.close is not None)
    assert decoder.recorded_frames == 0


def _as_the_tunnel(options: Options, expected: Stream, split: list[bytes], room: int, spare: int) -> None:
    """Record some, step over others, and ask for the boundary before each piece."""
    decoder = options.decoder()
    seen: list[SeenFrame] = []
    passed = 0
    for time, piece in enumerate(split):
        if piece:
            assert decoder.to_boundary(piece) == _way(expected, passed, len(piece)), (passed, len(piece))
        at = decoder.skip(piece, time) if decoder.plain and time % 2 else 0
        seen += decoder.receive_data(piece[at:], time, room, spare)
        passed += len(piece)
        _totals(decoder, expected, passed)
    seen += decoder.receive_end()
    assert decoder.recorded_frames == len(seen)
    for frame in seen:
        assert _told(frame) == expected.frames[frame.number]
    # A Close frame's code is wanted even where its record is not.
    assert decoder.closed is (expected.close is not None)
    assert (decoder.close_code, decoder.close_reason) == (expected.close or (None, None))


def _told(frame: SeenFrame) -> dict[str, object]:
    told: dict[str, object] = {
        name: getattr(frame, name)
        for name in [
            "number",
            "fin",
            "rsv",
            "opcode",
            "masked",
            "length",
            "header_length",
            "key",
            "message",
            "compressed",
            "payload",
            "code",
            "reason",
        ]
    }
    return told | {"rules": Counter(frame.rules)}


def _totals(decoder: Decoder, expected: Stream, passed: int) -> None:
    """What holds after the first `passed` bytes."""
    begun = sum(end <= passed for end in expected.headers)
    blind = expected.blind_from is not None and expected.blind_from <= passed
    assert decoder.frames == begun
    assert decoder.wire_bytes == passed, (decoder.wire_bytes, passed)
    assert decoder.blind is blind
    assert decoder.at_boundary is (passed in expected.edges and not blind)


def _way(expected: Stream, passed: int, arrived: int) -> int:
    """How many of the `arrived` bytes belong to the frame that is under way after `passed`."""
    if passed in expected.edges:
        return 0
    if (
        expected.blind_from is not None
        and passed + arrived >= expected.blind_from
        and passed > expected.edges[-1]
    ):
        return arrived
    return min([edge - passed for edge in expected.edges if edge > passed] + [arrived])


def _arrival(split: list[bytes], end: int) -> int:
    """Which piece brings the byte before `end`."""
    passed = 0
    for time, piece in enumerate(split):
        passed += len(piece)
        if passed >= end:
            return time
    raise AssertionError("no such byte")

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
from gateway.websocket.frames import Decoder, SeenFrame
from gateway.websocket.rules import Rule
from gateway.websocket.wire import may_be_sent
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

_OF_A_HEAD: Final = ("fin", "rsv", "opcode", "masked", "length", "key")
_TOLD: Final = (
    *_OF_A_HEAD,
    *("number", "header_length", "message", "compressed", "payload", "code", "reason"),
)
"""What both decoders tell of a frame, besides what it violates."""


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


@dataclass(frozen=True, kw_only=True)
class Head:
    """A frame header (section 5.2)."""

    fin: bool
    rsv: int
    opcode: int
    masked: bool
    length: int
    extended: int
    """Bytes of the length behind the first seven bits."""
    key: bytes

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return 2 + self.extended + len(self.key)

    @property
    def walkable(self) -> bool:
        """Whether the top bit of its length is 0."""
        return self.length < 1 << 63


def _head(data: bytes) -> Head | None:
    """The header that `data` begins with; None where it is not whole."""
    if len(data) < 2:
        return None
    first, second = data[0], data[1]
    short = second & 127
    extended = {126: 2, 127: 8}.get(short, 0)
    behind = 2 + extended
    masked = second >= 128
    if len(data) < behind + 4 * masked:
        return None
    return Head(
        fin=first >= 128,
        rsv=first >> 4 & 7,
        opcode=first & 15,
        masked=masked,
        length=int.from_bytes(data[2:behind], "big") if extended else short,
        extended=extended,
        key=data[behind : behind + 4] if masked else b"",
    )


def _broken(head: Head, options: Options, *, closed: bool, inside: bool) -> list[Rule]:
    """What a header violates behind a Close frame (`closed`), or `inside` of a message."""
    control, continuation = head.opcode >= 8, head.opcode == 0
    marked = options.deflate and head.rsv & 4 != 0
    allowed = options.rsv_known >> 4 | 4 * options.deflate
    shortest = 0 if head.length < 126 else 2 if head.length < 65536 else 8
    told = [
        (closed, rules.AFTER_CLOSE),
        (not head.masked and options.sender == "client", rules.CLIENT_UNMASKED),
        (head.masked and options.sender == "upstream", rules.UPSTREAM_MASKED),
        (head.opcode in {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}, rules.RESERVED_OPCODE),
        (head.rsv & ~allowed != 0, rules.RESERVED_BITS),
        (not head.walkable, rules.LENGTH_TOP_BIT),
        (head.extended > shortest, rules.LENGTH_NOT_MINIMAL),
        (control and not head.fin, rules.CONTROL_FRAGMENTED),
        (control and head.length > 125, rules.CONTROL_LONG),
        (control and marked, rules.CONTROL_COMPRESSED),
        (continuation and not inside, rules.CONTINUATION_ALONE),
        (continuation and marked, rules.CONTINUATION_COMPRESSED),
        (not control and not continuation and inside, rules.MESSAGE_INSIDE_MESSAGE),
    ]
    return [rule for broken, rule in told if broken]


def naive(data: bytes, options: Options) -> Stream:
    """Decode `data` at once, as the RFC draws frames."""
    stream = Stream(frames=[], edges=[0], headers=[])
    message, compressed = 0, False
    while (head := _head(data[stream.edges[-1] :])) is not None:
        begins = stream.edges[-1] + head.size
        stream.headers.append(begins)
        wrong = _broken(head, options, closed=stream.close is not None, inside=message != 0)
        of, squeezed = head.opcode, False
        if head.opcode < 8:
            marked = options.deflate and head.rsv & 4 != 0
            of, squeezed = (head.opcode, marked) if head.opcode else (message, compressed)
            message, compressed = (0, False) if head.fin else (of, squeezed)
        told: dict[str, object] = {name: getattr(head, name) for name in _OF_A_HEAD}
        told |= {
            "number": len(stream.frames),
            "header_length": head.size,
            "message": of,
            "compressed": squeezed,
        }
        wanted = 125 if head.opcode == 8 else _INFLATED if squeezed else options.preview
        body = data[begins : begins + min(head.length, wanted)] if head.walkable else b""
        payload = bytes(byte ^ head.key[at % 4] for at, byte in enumerate(body)) if head.masked else body
        code, reason = None, None
        if head.opcode == 8 and head.walkable:
            code, reason, more = _close(payload, whole=len(payload) == head.length)
            wrong += more
        if head.opcode == 8 and stream.close is None:
            stream.close = code, reason
        told |= {"payload": payload, "code": code, "reason": reason, "rules": Counter(wrong)}
        stream.frames.append(told)
        if not head.walkable:
            stream.blind_from = begins
            break
        stream.edges.append(begins + head.length)
    return stream


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
    return {name: getattr(frame, name) for name in _TOLD} | {"rules": Counter(frame.rules)}


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

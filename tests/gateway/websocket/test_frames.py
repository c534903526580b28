"""The frame decoder: whatever comes, in whatever pieces, it sees the same frames and counts them all."""

import time
import tracemalloc
from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets import frames as theirs
from websockets.exceptions import ProtocolError
from websockets.extensions import Extension

from gateway.events import Side
from gateway.websocket import rules
from gateway.websocket.frames import INFLATE_WIRE, Decoder, SeenFrame
from gateway.websocket.rules import Rule
from gateway.websocket.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_frame,
    may_be_sent,
    opcode_name,
    parse_close,
    unmask,
)
from tests.gateway.websocket.wire import KEY, Wire, cut

SIDES: tuple[Side, ...] = ("client", "upstream")
ALL = 1 << 30
"""Room for every frame."""
PREVIEW = 16
CONTROL = 125

sizes = st.one_of(
    st.integers(0, 300),
    st.sampled_from([0, 1, 124, 125, 126, 127, PREVIEW, PREVIEW + 1, 65535, 65536]),
)
payloads = st.one_of(
    st.binary(max_size=40), st.builds(lambda size: b"0123456789abcdef"[:7] * (size // 7), sizes)
)
wires = st.builds(
    Wire,
    opcode=st.integers(0, 15),
    payload=payloads,
    fin=st.booleans(),
    rsv=st.one_of(st.just(0), st.integers(0, 7)),
    key=st.one_of(st.none(), st.binary(min_size=4, max_size=4)),
    form=st.sampled_from([0, 2, 8]),
)
places = st.lists(st.integers(0, 1 << 20), max_size=12)
sides = st.sampled_from(SIDES)


def told(frame: SeenFrame) -> tuple[object, ...]:
    """Give all that is known of a frame, but for its times."""
    return (
        (frame.number, frame.fin, frame.rsv, frame.opcode, frame.masked, frame.length, frame.header_length),
        (frame.key, frame.message, frame.compressed, frame.context_lost, bytes(frame.kept)),
        (frame.code, frame.reason, tuple(frame.rules)),
    )


def counts(decoder: Decoder) -> tuple[object, ...]:
    """Give what a decoder knows at the end."""
    return (
        (decoder.frames, decoder.wire_bytes, decoder.recorded_frames, decoder.recorded_bytes),
        (decoder.closed, decoder.close_code, decoder.close_reason, decoder.blind, decoder.at_boundary),
    )


def read(decoder: Decoder, pieces: Iterable[bytes]) -> list[SeenFrame]:
    """Feed `pieces` and then the end; return every frame."""
    seen: list[SeenFrame] = []
    for piece in pieces:
        seen += decoder.receive_data(piece, 0, ALL)
    return seen + decoder.receive_end()


def bytewise(data: bytes) -> list[bytes]:
    """Give `data` one byte at a time."""
    return [data[place : place + 1] for place in range(len(data))]


def rules_of(sender: Side, sent: Iterable[Wire], **options: Any) -> list[list[Rule]]:
    """Give what each frame of `sent` violates."""
    decoder = Decoder(sender, preview=PREVIEW, **options)
    return [frame.rules for frame in read(decoder, [b"".join(wire.data for wire in sent)])]


def ours(sender: Side, opcode: int, payload: bytes = b"", **options: Any) -> Wire:
    """Build a frame that is masked as `sender` has to."""
    return Wire(opcode=opcode, payload=payload, key=KEY if sender == "client" else None, **options)


# The frames, in any split.


@given(st.lists(wires, max_size=8), sides, st.booleans())
def test_every_frame_is_seen_as_it_was_sent(sent: list[Wire], sender: Side, deflate: bool) -> None:
    """Opcodes, bits, lengths in each form, masks and payloads come out as they went in."""
    decoder = Decoder(sender, preview=PREVIEW, deflate=deflate)
    seen = read(decoder, [b"".join(wire.data for wire in sent)])
    assert len(seen) == len(sent) == decoder.frames
    assert decoder.wire_bytes == sum(len(wire.data) for wire in sent)
    for number, (frame, wire) in enumerate(zip(seen, sent, strict=True)):
        assert (frame.number, frame.fin, frame.rsv, frame.opcode) == (number, wire.fin, wire.rsv, wire.opcode)
        assert (frame.masked, frame.key) == (wire.key is not None, wire.key or b"")
        assert (frame.length, frame.header_length) == (len(wire.payload), len(wire.header))
        assert wire.payload.startswith(frame.payload)
        bound = INFLATE_WIRE if frame.compressed else CONTROL if wire.opcode == CLOSE else PREVIEW
        assert len(frame.kept) == min(bound, len(wire.payload))
    assert decoder.at_boundary


@given(
    sent=st.lists(wires, max_size=6),
    sender=sides,
    deflate=st.booleans(),
    where=places,
    trailing=st.binary(max_size=16),
    preview=st.integers(0, 200),
)
def test_any_split_gives_the_same(
    *, sent: list[Wire], sender: Side, deflate: bool, where: list[int], trailing: bytes, preview: int
) -> None:
    """Frames, violations and counts do not depend on how the bytes arrive, nor on what trails them."""
    data = b"".join(wire.data for wire in sent) + trailing
    decoders = [Decoder(sender, preview=preview, deflate=deflate) for _ in range(2)]
    whole, split = (
        [told(frame) for frame in read(decoder, pieces)]
        for decoder, pieces in zip(decoders, ([data], cut(data, where)), strict=True)
    )
    assert split == whole
    assert counts(decoders[1]) == counts(decoders[0])


@given(
    st.lists(wires.filter(lambda wire: len(wire.payload) < 200), max_size=4),
    sides,
    st.booleans(),
    st.binary(max_size=16),
)
def test_byte_by_byte_gives_the_same(sent: list[Wire], sender: Side, deflate: bool, trailing: bytes) -> None:
    """The finest split of all."""
    data = b"".join(wire.data for wire in sent) + trailing
    decoders = [Decoder(sender, preview=PREVIEW, deflate=deflate) for _ in range(2)]
    whole = [told(frame) for frame in read(decoders[0], [data])]
    assert [told(frame) for frame in read(decoders[1], bytewise(data))] == whole
    assert counts(decoders[1]) == counts(decoders[0])


def test_frames_know_their_message() -> None:
    """A continuation is what its message is, compressed or not, across control frames, and until its end."""
    sent = [
        ours("client", TEXT, fin=False, rsv=4),
        ours("client", PING),
        ours("client", CONTINUATION, fin=False),
        ours("client", CONTINUATION),
        ours("client", BINARY, fin=False),
        ours("client", CONTINUATION),
        ours("client", TEXT, fin=False, rsv=4),
        ours("client", CONTINUATION),
        ours("client", CONTINUATION),
    ]
    seen = read(Decoder("client", preview=PREVIEW, deflate=True), [b"".join(wire.data for wire in sent)])
    assert [(frame.message, frame.compressed) for frame in seen] == [
        (TEXT, True),
        (PING, False),
        (TEXT, True),
        (TEXT, True),
        (BINARY, False),
        (BINARY, False),
        (TEXT, True),
        (TEXT, True),
        (0, False),
    ]


def test_a_frame_is_told_once_its_preview_is_complete() -> None:
    """A reader need not wait for the rest of a large payload."""
    data = ours("client", BINARY, b"x" * 1000).data
    decoder = Decoder("client", preview=PREVIEW)
    assert decoder.receive_data(data[: 8 + PREVIEW - 1], 0, ALL) == []
    (frame,) = decoder.receive_data(data[8 + PREVIEW - 1 : 8 + PREVIEW], 0, ALL)
    assert frame.payload == b"x" * PREVIEW
    assert not decoder.at_boundary
    assert decoder.receive_data(data[8 + PREVIEW :], 0, ALL) == []
    assert decoder.at_boundary


def test_the_end_brings_out_a_frame_that_was_cut() -> None:
    """A connection that breaks in mid-frame has sent that frame's beginning all the same."""
    data = ours("client", TEXT, b"Hello").data
    decoder = Decoder("client", preview=PREVIEW)
    assert decoder.receive_data(data[:-2], 0, ALL) == []
    (frame,) = decoder.receive_end()
    assert (frame.length, frame.payload) == (5, b"Hel")
    assert decoder.wire_bytes == len(data) - 2
    assert decoder.receive_end() == []


def test_the_end_in_mid_header_brings_nothing() -> None:
    """Half a header is no frame, yet its bytes are counted."""
    decoder = Decoder("client", preview=PREVIEW)
    assert read(decoder, [ours("client", TEXT, b"Hello").data[:5]]) == []
    assert (decoder.frames, decoder.wire_bytes) == (0, 5)
    assert not decoder.at_boundary


def test_times_are_those_of_the_complete_header() -> None:
    """Each frame carries when its header was complete, and how long after the one before that was."""
    first, second = ours("upstream", PING).data, ours("upstream", TEXT, b"x" * 300).data
    decoder = Decoder("upstream", preview=PREVIEW)
    (ping,) = decoder.receive_data(first + second[:3], 1_000, ALL)
    (text,) = decoder.receive_data(second[3:] + first, 5_000, 1)
    assert (ping.t_ns, ping.gap_ns) == (1_000, None)
    assert (text.t_ns, text.gap_ns) == (5_000, 4_000)
    (later,) = decoder.receive_data(first, 9_000, ALL)
    assert later.gap_ns == 4_000, "a frame that was left out counts as the previous one"


# Against an encoder and a parser that nobody here wrote.


class Bits(Extension):
    """An extension that sets reserved bits and does nothing else."""

    def __init__(self, rsv: int) -> None:
        self._rsv = rsv

    def encode(self, frame: theirs.Frame) -> theirs.Frame:
        """Set the bits of a frame that is to be sent."""
        rsv = self._rsv
        return replace(frame, rsv1=bool(rsv & 4), rsv2=bool(rsv & 2), rsv3=bool(rsv & 1))


@given(
    opcode=st.sampled_from(list(theirs.Opcode)),
    payload=payloads,
    fin=st.booleans(),
    rsv=st.integers(0, 7),
    sender=sides,
    where=places,
)
def test_frames_of_websockets_are_read(
    *, opcode: theirs.Opcode, payload: bytes, fin: bool, rsv: int, sender: Side, where: list[int]
) -> None:
    """What the websockets library writes is read as what it meant."""
    if opcode in theirs.CTRL_OPCODES:
        payload, fin = payload[:CONTROL], True  # the library writes no others
    data = theirs.Frame(opcode, payload, fin).serialize(mask=sender == "client", extensions=[Bits(rsv)])
    (seen,) = read(Decoder(sender, preview=len(payload)), cut(data, where))
    assert (seen.fin, seen.rsv, seen.opcode, seen.length) == (fin, rsv, opcode, len(payload))
    assert seen.header_length == len(data) - len(payload)
    assert (seen.masked, seen.payload) == (sender == "client", payload)


HEADER_RULES = {
    rules.CLIENT_UNMASKED,
    rules.UPSTREAM_MASKED,
    rules.RESERVED_BITS,
    rules.RESERVED_OPCODE,
    rules.CONTROL_FRAGMENTED,
    rules.CONTROL_LONG,
}


@given(wires, sides)
def test_websockets_refuses_what_is_called_a_violation(wire: Wire, sender: Side) -> None:
    """A header is a violation exactly where the websockets library refuses to read it."""
    (rules,) = rules_of(sender, [wire])
    assert bool(HEADER_RULES.intersection(rules)) == _refused(wire.data, sender)


def _refused(data: bytes, sender: Side) -> bool:
    """Tell whether the websockets library refuses the frame `data`."""
    place = 0

    def read_exact(size: int) -> Generator[None, None, bytes]:
        nonlocal place
        yield from ()
        place += size
        return data[place - size : place]

    parsing = theirs.Frame.parse(read_exact, mask=sender == "client", max_size=None)
    try:
        next(parsing)
    except StopIteration:
        return False
    except ProtocolError:
        return True
    raise AssertionError("the library waits for nothing")


# What may be stepped over without a look.


BEFORE: Final = {
    "nothing": b"",
    "a message under way": b"\x01\x00",
    "a compressed one": b"\x41\x00",
    "a Close": b"\x88\x00",
}
"""What may have come before a frame, but for the masking that its sender owes."""


SECONDS: Final = [mask | length for mask in (0, 0x80) for length in (0, 1, 2, 64, 124, 125, 126, 127)]
"""Each kind of byte 1, and some lengths."""


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("sender", SIDES)
def test_what_is_skipped_is_sound(sender: Side, before: str) -> None:
    """For every byte 0 and each kind of byte 1: stepped over is what the decoder sees nothing wrong in."""
    begun = BEFORE[before]
    if begun and sender == "client":
        begun = bytes([begun[0], 0x80]) + KEY
    longer = {126: (200).to_bytes(2, "big") + bytes(200), 127: (1 << 16).to_bytes(8, "big") + bytes(1 << 16)}
    for first in range(256):
        for second in SECONDS:
            length = second & 0x7F
            data = (
                bytes([first, second]) + longer.get(length, bytes(length)) + bytes(4 if second & 0x80 else 0)
            )
            looking, judging, stepping = (Decoder(sender, preview=0, deflate=True) for _ in range(3))
            for decoder in (looking, judging, stepping):
                decoder.receive_data(begun, 0, ALL)
            (frame,) = looking.receive_data(data, 0, 1)
            close = frame.opcode == CLOSE
            sound = not (frame.rules or close)
            which = f"{first:#04x} {second:#04x}"
            assert judging.skip(data, 0) == (len(data) if sound else 0), which
            stepped = not close or before == "a Close"
            assert stepping.skip(data, 0, judge=False) == (len(data) if stepped else 0), which
            then = after(looking)
            for decoder, omitted in ((judging, sound), (stepping, stepped)):
                assert decoder.omitted_frames == omitted
                assert not omitted or after(decoder) == then, which


def after(decoder: Decoder) -> list[tuple[object, ...]]:
    """What a decoder makes of each kind of data frame by now."""
    kinds = (b"\x80\x00", b"\xc1\x00", b"\x00\x00", b"\x80\x00")
    seen = [frame for kind in kinds for frame in decoder.receive_data(kind, 0, 1)]
    return [(frame.message, frame.compressed, frame.rules) for frame in seen]


FLOODS: Final = {
    "fragments": b"\x01\x00" + b"\x00\x01x" * 998 + b"\x80\x00",
    "compressed messages": b"\xc1\x01x" * 1000,
    "fragments of compressed ones": (b"\x41\x01x" + b"\x80\x01x") * 500,
    "pings between": b"\x01\x00" + b"\x00\x01x\x89\x00" * 499 + b"\x80\x00",
    "broken frames": b"\xb3\x01x\x09\x00\x83\x00\x80\x00" * 250,
    "masked ones": b"\x81\x80abcd\xc1\x81abcdx" * 500,
}


@pytest.mark.parametrize("flood", FLOODS)
def test_frames_that_nobody_records_get_no_look(flood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are: a look takes so long that a flood would keep its own Close, and others, waiting."""
    decoder = Decoder("upstream", preview=PREVIEW, deflate=True)

    def look(*_: object) -> None:
        raise AssertionError("a frame was looked at")

    monkeypatch.setattr(Decoder, "_begin", look)
    assert decoder.receive_data(FLOODS[flood], 0) == []
    assert (decoder.frames, decoder.at_boundary, decoder.wire_bytes) == (1000, True, len(FLOODS[flood]))


@given(st.lists(wires, max_size=12), sides, places, st.booleans(), st.booleans())
def test_of_a_flood_only_what_is_wrong_is_recorded(
    sent: list[Wire], sender: Side, where: list[int], deflate: bool, room: bool
) -> None:
    """Where there is room for nothing else, and not even that where there is none at all."""
    data = b"".join(wire.data for wire in sent)
    whole, decoder = (Decoder(sender, preview=PREVIEW, deflate=deflate) for _ in range(2))
    expected = [frame for frame in read(whole, [data]) if room and (frame.rules or frame.opcode == CLOSE)]
    seen = [
        frame for piece in cut(data, where) for frame in decoder.receive_data(piece, 0, 0, ALL if room else 0)
    ]
    seen += decoder.receive_end()
    assert [told(frame) for frame in seen] == [told(frame) for frame in expected]
    assert (decoder.frames, decoder.wire_bytes) == (whole.frames, whole.wire_bytes)
    assert (decoder.closed, decoder.close_code, decoder.close_reason) == (
        whole.closed,
        whole.close_code,
        whole.close_reason,
    )


@pytest.mark.parametrize(
    ("form", "length", "skipped"),
    [
        (2, 0, 0),
        (2, 125, 0),
        (2, 126, 1),
        (2, 127, 1),
        (2, 65535, 1),
        (8, 125, 0),
        (8, 65535, 0),
        (8, 65536, 1),
    ],
)
@pytest.mark.parametrize("sender", SIDES)
def test_longer_frames_are_skipped_too(sender: Side, form: int, length: int, skipped: int) -> None:
    """Where the form of their length is the right one, and their header is whole."""
    wire = ours(sender, TEXT, bytes(length), form=form)
    data, header = wire.data, len(wire.data) - length
    for rest in (b"", b"\x81", b"\x82\xfe\x01"):
        decoder = Decoder(sender, preview=PREVIEW)
        assert decoder.skip(data + rest, 0) == skipped * len(data)
        assert (decoder.omitted_frames, decoder.omitted_bytes) == (skipped, skipped * len(data))
    for end in range(1, header):
        assert Decoder(sender, preview=PREVIEW).skip(data[:end], 0) == 0


@pytest.mark.parametrize("sender", SIDES)
@pytest.mark.parametrize("length", [1, 125, 126, 1 << 16])
def test_what_has_begun_is_skipped_to_its_end(sender: Side, length: int) -> None:
    """A frame whose header is whole needs no look any more, however its payload comes."""
    data = ours(sender, TEXT, bytes(length)).data
    header = len(data) - length
    for end in {header, header + length // 2, len(data)}:
        decoder = Decoder(sender, preview=PREVIEW)
        assert decoder.skip(data[:end], 7) == end
        assert (decoder.frames, decoder.wire_bytes, decoder.last_ns) == (1, end, 7)
        assert decoder.at_boundary is (end == len(data))
        assert decoder.plain
        rest = data[end:] + ours(sender, PING).data
        assert decoder.skip(rest, 8) == len(rest)
        assert (decoder.frames, decoder.at_boundary) == (2, True)


plain_wires = st.builds(
    Wire,
    opcode=st.sampled_from([TEXT, BINARY, PING]),
    payload=payloads,
    key=st.sampled_from([KEY, KEY, KEY, None]),
    form=st.sampled_from([0, 0, 0, 2]),
)


@given(
    st.lists(st.tuples(st.binary(max_size=130), st.integers(1, 30)), min_size=1, max_size=5),
    sides,
    st.booleans(),
    st.integers(0, 200),
    st.binary(max_size=3),
)
def test_runs_are_skipped_frame_by_frame(
    runs: list[tuple[bytes, int]], sender: Side, looking: bool, left: int, trailing: bytes
) -> None:
    """Many frames of one size in a row count as many, wherever the bytes end."""
    data = b"".join(ours(sender, TEXT, payload).data * times for payload, times in runs)
    data = data[: max(1, len(data) - left)] + trailing
    looked_at = Decoder(sender, preview=PREVIEW)
    looked_at.receive_data(data, 0, ALL)
    decoder = Decoder(sender, preview=PREVIEW if looking else None)
    at = decoder.skip(data, 0)
    decoder.receive_data(data[at:], 0)
    assert (decoder.frames, decoder.wire_bytes, decoder.at_boundary) == (
        looked_at.frames,
        looked_at.wire_bytes,
        looked_at.at_boundary,
    )


class Watched(bytes):
    """Bytes that know how much of them was looked at."""

    looked_at: int

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.looked_at += 1 if isinstance(found, int) else len(found)
        return found


@pytest.mark.parametrize("looking", [True, False])
@pytest.mark.parametrize("run", [1, 2, 3, 8, 9, 33, 100])
@pytest.mark.parametrize("between", [ours("upstream", TEXT, b"x"), Wire(opcode=0xB, key=None)])
def test_runs_cost_no_more_than_their_length(run: int, between: Wire, looking: bool) -> None:
    """However somebody arranges frames: a chunk is not looked at again and again."""
    data = Watched((ours("upstream", TEXT).data * run + between.data) * 300)
    data.looked_at = 0
    decoder = Decoder("upstream", preview=0 if looking else None)
    decoder.receive_data(data, 0)
    assert decoder.frames == (run + 1) * 300
    assert data.looked_at < 16 * len(data)


@given(st.lists(wires, max_size=8), sides, places, st.booleans(), st.binary(max_size=12))
def test_boundaries_without_a_look(
    sent: list[Wire], sender: Side, where: list[int], deflate: bool, trailing: bytes
) -> None:
    """Where nobody wants to know about the frames, boundaries and counts are still exact."""
    data = b"".join(wire.data for wire in sent) + trailing
    looking = Decoder(sender, preview=PREVIEW, deflate=deflate)
    looking.receive_data(data, 0)
    decoder = Decoder(sender, preview=None, deflate=deflate)
    for piece in cut(data, where):
        at = decoder.skip(piece, 0) if decoder.plain else 0
        decoder.receive_data(piece[at:], 0)
    assert (decoder.frames, decoder.wire_bytes, decoder.closed, decoder.at_boundary, decoder.blind) == (
        looking.frames,
        looking.wire_bytes,
        looking.closed,
        looking.at_boundary,
        looking.blind,
    )


@given(
    st.lists(st.one_of(plain_wires, wires), max_size=8), sides, places, st.booleans(), st.binary(max_size=6)
)
def test_skipping_changes_nothing(
    sent: list[Wire], sender: Side, where: list[int], deflate: bool, trailing: bytes
) -> None:
    """Whoever skips what can be skipped ends with the same counts and sees the same of the rest."""
    data = b"".join(wire.data for wire in sent) + trailing
    whole, skipping = (Decoder(sender, preview=PREVIEW, deflate=deflate) for _ in range(2))
    all_frames = {frame.number: told(frame) for frame in read(whole, [data])}
    seen: list[SeenFrame] = []
    for piece in cut(data, where):
        at = skipping.skip(piece, 0) if skipping.plain else 0
        seen += skipping.receive_data(piece[at:], 0, ALL)
    seen += skipping.receive_end()
    assert [told(frame) for frame in seen] == [all_frames[frame.number] for frame in seen]
    assert skipping.omitted_frames + len(seen) == len(all_frames) == skipping.frames
    assert (skipping.wire_bytes, skipping.closed, skipping.close_code, skipping.at_boundary) == (
        whole.wire_bytes,
        whole.closed,
        whole.close_code,
        whole.at_boundary,
    )


@pytest.mark.parametrize(
    ("sent", "ready"),
    [
        ([], True),
        ([ours("client", TEXT, b"x")], True),
        ([ours("client", TEXT, b"x", fin=False)], False),
        ([ours("client", TEXT, b"x", fin=False), ours("client", PING)], False),
        ([ours("client", TEXT, b"x", fin=False), ours("client", CONTINUATION)], True),
        ([ours("client", CLOSE)], False),
    ],
)
def test_where_steps_may_be_taken(sent: list[Wire], ready: bool) -> None:
    """Not inside a message, where a new one would be a violation, and not behind a Close."""
    decoder = Decoder("client", preview=PREVIEW)
    read(decoder, [b"".join(wire.data for wire in sent)])
    assert decoder.ready is ready
    decoder.receive_data(b"\x81", 0)
    assert not decoder.plain, "in mid-header"
    decoder.receive_data(b"\x82abcd\0", 0, ALL)
    assert not decoder.plain, "in the middle of a frame that is looked at"


# Boundaries.


@given(st.lists(wires, min_size=1, max_size=5), sides, st.integers(0, 1 << 20), st.integers(0, 1 << 20))
def test_the_way_to_the_boundary(sent: list[Wire], sender: Side, position: int, arrived: int) -> None:
    """At any place in the stream it is known how many of the bytes at hand belong to the frame under way."""
    data = b"".join(wire.data for wire in sent)
    position %= len(data) + 1
    rest = data[position : position + arrived % (len(data) + 1)]
    edges = [0]
    for wire in sent:
        edges.append(edges[-1] + len(wire.data))
    decoder = Decoder(sender, preview=PREVIEW)
    decoder.receive_data(data[:position], 0)
    assert decoder.at_boundary == (position in edges)
    following = min(edge for edge in edges if edge >= position)
    ahead = decoder.to_boundary(rest)
    assert ahead == min(following - position, len(rest))
    decoder.receive_data(rest[:ahead], 0)
    assert decoder.at_boundary == (position + ahead in edges)


@pytest.mark.parametrize("held", range(1, 14))
def test_the_way_to_the_boundary_from_within_the_longest_header(held: int) -> None:
    """The header may be cut anywhere; what is at hand completes it."""
    data = ours("client", BINARY, bytes(1 << 16)).data
    decoder = Decoder("client", preview=PREVIEW)
    decoder.receive_data(data[:held], 0)
    assert decoder.to_boundary(data[held:] + b"next") == len(data) - held
    assert decoder.to_boundary(data[held:14]) == 14 - held


def test_behind_a_length_that_cannot_be_walked_there_is_no_boundary() -> None:
    """All that comes belongs to that frame; it is counted, and nothing is kept."""
    header = b"\x82\xff" + (1 << 63).to_bytes(8, "big") + KEY
    for pieces in ([header + b"x" * 50], [header, b"x" * 50], bytewise(header + b"x" * 50)):
        decoder = Decoder("client", preview=PREVIEW)
        (frame,) = read(decoder, pieces)
        assert frame.rules == [rules.LENGTH_TOP_BIT]
        assert (frame.length, bytes(frame.kept)) == (1 << 63, b"")
        assert (decoder.blind, decoder.at_boundary, decoder.plain) == (True, False, False)
        assert (decoder.frames, decoder.wire_bytes) == (1, len(header) + 50)
        assert decoder.to_boundary(b"anything") == 8


def test_a_boundary_is_sought_across_a_header_that_cannot_be_walked() -> None:
    """The first bytes of such a header are known; the rest of it belongs to it, and so does all behind."""
    decoder = Decoder("client", preview=PREVIEW)
    decoder.receive_data(b"\x82\xff\xff", 0)
    assert decoder.to_boundary(bytes(7) + KEY + b"xyz") == 14


# Room and spare.


@given(
    st.lists(wires, max_size=8),
    sides,
    places,
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=13, max_size=13),
)
def test_recorded_and_left_out_make_up_what_was_sent(
    sent: list[Wire], sender: Side, where: list[int], grants: list[tuple[int, int]]
) -> None:
    """However little may be recorded, the two counts together are exact, in frames and in bytes."""
    decoder = Decoder(sender, preview=PREVIEW)
    seen: list[SeenFrame] = []
    for piece, (room, spare) in zip(cut(b"".join(wire.data for wire in sent), where), grants, strict=False):
        before = decoder.recorded_frames
        seen += decoder.receive_data(piece, 0, room, spare)
        assert decoder.recorded_frames - before <= room + spare
    seen += decoder.receive_end()
    size = sum(len(wire.data) for wire in sent)
    assert decoder.recorded_frames + decoder.omitted_frames == len(sent) == decoder.frames
    assert decoder.recorded_bytes + decoder.omitted_bytes == size == decoder.wire_bytes
    assert decoder.recorded_frames == len(seen)
    assert decoder.recorded_bytes == sum(frame.header_length + frame.length for frame in seen)
    assert all(frame.recorded for frame in seen)


def test_spare_is_for_close_frames_and_violations() -> None:
    """Where there is no room, only what is the last to go is recorded, and only as far as spare reaches."""
    ordinary, odd, close = ours("client", TEXT, b"x"), ours("client", 3), ours("client", CLOSE)
    decoder = Decoder("client", preview=PREVIEW)
    data = b"".join(wire.data for wire in (ordinary, odd, ordinary, close, close))
    seen = decoder.receive_data(data, 0, 0, 2)
    assert [frame.number for frame in seen] == [1, 3]
    assert (decoder.recorded_frames, decoder.omitted_frames) == (2, 3)


def test_spare_is_kept_while_there_is_room() -> None:
    """Close frames and violations use room first."""
    decoder = Decoder("client", preview=PREVIEW)
    data = ours("client", 3).data + ours("client", TEXT).data + ours("client", 3).data
    assert [frame.number for frame in decoder.receive_data(data, 0, 1, 1)] == [0, 2]


def test_a_close_that_is_left_out_still_tells_its_code() -> None:
    """The totals of a tunnel name code and reason, whatever the log had room for."""
    decoder = Decoder("upstream", preview=0)
    assert decoder.receive_data(ours("upstream", CLOSE, b"\x03\xe9bye").data, 7) == []
    assert (decoder.closed, decoder.close_ns) == (True, 7)
    assert (decoder.close_code, decoder.close_reason) == (1001, "bye")


def test_a_compressed_frame_that_is_left_out_loses_the_context() -> None:
    """The next compressed frame that is recorded says that something before it was not."""
    sent = [
        ours("upstream", TEXT, b"x", rsv=4),
        ours("upstream", TEXT, b"y"),
        ours("upstream", TEXT, b"z", rsv=4),
    ]
    decoder = Decoder("upstream", preview=PREVIEW, deflate=True)
    lost = [
        [frame.context_lost for frame in decoder.receive_data(wire.data, 0, room)]
        for wire, room in zip(sent * 3, (1, 1, 1, 0, 1, 1, 1, 0, 1), strict=True)
    ]
    assert lost == [[False], [False], [False], [], [True], [True], [False], [], [False]]


# Whatever comes.


@given(sides, st.booleans(), st.integers(0, 40), st.lists(st.binary(max_size=60), max_size=12))
@example("client", True, 0, [b"\xff\xff" + b"\xff" * 12, b"more"])
def test_hostile_bytes_never_raise_and_are_not_kept(
    sender: Side, deflate: bool, preview: int, pieces: list[bytes]
) -> None:
    """Random bytes are frames of some kind; of their payloads no more is held than a preview needs."""
    decoder = Decoder(sender, preview=preview, deflate=deflate)
    sent = 0
    for piece in pieces:
        sent += len(piece)
        held = decoder.receive_data(piece, 0, ALL)
        if decoder._open is not None:
            held.append(decoder._open)
        for frame in held:
            bound = INFLATE_WIRE if frame.compressed else CONTROL if frame.opcode == CLOSE else preview
            assert len(frame.kept) <= bound
        assert len(decoder._head) <= 13
        assert decoder.wire_bytes == sent
        assert decoder.to_boundary(b"x") in {0, 1}
    decoder.receive_end()


@given(st.binary(min_size=1, max_size=60), st.integers(0, 255))
def test_a_compressed_frame_keeps_what_may_be_inflated(noise: bytes, first: int) -> None:
    """The bound of what is kept of a compressed frame holds for frames of any size."""
    size = 3 * INFLATE_WIRE
    decoder = Decoder("upstream", preview=4, deflate=True)
    decoder.receive_data(bytes([first, 127]) + size.to_bytes(8, "big"), 0, ALL)
    for _ in range(3):
        decoder.receive_data(noise + bytes(INFLATE_WIRE), 0, ALL)
        assert decoder._open is None or len(decoder._open.kept) <= INFLATE_WIRE


def test_a_large_message_takes_no_memory() -> None:
    """64 MiB pass by; what stays is the preview."""
    piece = bytes(1 << 20)
    decoder = Decoder("upstream", preview=64)
    decoder.receive_data(b"\x82\x7f" + (64 << 20).to_bytes(8, "big"), 0, ALL)
    tracemalloc.start()
    try:
        for _ in range(64):
            decoder.receive_data(piece, 0, ALL)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decoder.at_boundary
    assert peak < 16 * 1024


def test_ten_thousand_tiny_frames_take_a_moment() -> None:
    """The decoder walks small frames at well over ten thousand a second, on a slow machine too."""
    data = ours("client", TEXT, b"x").data * 10_000
    decoder = Decoder("client", preview=PREVIEW)
    started = time.perf_counter()
    assert len(decoder.receive_data(data, 0, ALL)) == 10_000
    assert time.perf_counter() - started < 2


# Each rule, and a near miss.

Sent = list[Wire]
C, U = SIDES
WITH_DEFLATE = {"deflate": True}

RULES: list[tuple[Rule, Side, dict[str, Any], Sent, Sent]] = [
    (rules.CLIENT_UNMASKED, C, {}, [ours(U, TEXT)], [ours(C, TEXT)]),
    (rules.UPSTREAM_MASKED, U, {}, [ours(C, TEXT)], [ours(U, TEXT)]),
    (rules.UPSTREAM_MASKED, U, {}, [Wire(opcode=PING, key=bytes(4))], [Wire(opcode=PING, key=None)]),
    (rules.RESERVED_BITS, C, {}, [ours(C, TEXT, rsv=1)], [ours(C, TEXT)]),
    (rules.RESERVED_BITS, C, {}, [ours(C, TEXT, rsv=4)], [ours(C, TEXT)]),
    (rules.RESERVED_BITS, C, WITH_DEFLATE, [ours(C, TEXT, rsv=2)], [ours(C, TEXT, rsv=4)]),
    (rules.RESERVED_BITS, C, WITH_DEFLATE, [ours(C, TEXT, rsv=5)], [ours(C, TEXT, rsv=4)]),
    (rules.RESERVED_BITS, C, {"rsv_known": 0x20}, [ours(C, TEXT, rsv=1)], [ours(C, TEXT, rsv=2)]),
    (rules.RESERVED_BITS, C, {}, [ours(C, PING, rsv=4)], [ours(C, PING)]),
    (rules.RESERVED_OPCODE, C, {}, [ours(C, 0x3)], [ours(C, BINARY)]),
    (rules.RESERVED_OPCODE, U, {}, [ours(U, 0x7)], [ours(U, PING)]),
    (rules.RESERVED_OPCODE, U, {}, [ours(U, 0xB)], [ours(U, PONG)]),
    (rules.RESERVED_OPCODE, U, {}, [ours(U, 0xF)], [ours(U, CLOSE)]),
    (rules.LENGTH_NOT_MINIMAL, C, {}, [ours(C, TEXT, form=2)], [ours(C, TEXT)]),
    (
        rules.LENGTH_NOT_MINIMAL,
        C,
        {},
        [ours(C, TEXT, bytes(125), form=2)],
        [ours(C, TEXT, bytes(126), form=2)],
    ),
    (
        rules.LENGTH_NOT_MINIMAL,
        U,
        {},
        [ours(U, BINARY, bytes(65535), form=8)],
        [ours(U, BINARY, bytes(65536), form=8)],
    ),
    (rules.CONTROL_FRAGMENTED, C, {}, [ours(C, PING, fin=False)], [ours(C, PING)]),
    (rules.CONTROL_FRAGMENTED, U, {}, [ours(U, CLOSE, fin=False)], [ours(U, CLOSE)]),
    (rules.CONTROL_LONG, C, {}, [ours(C, PING, bytes(126))], [ours(C, PING, bytes(125))]),
    (
        rules.CONTROL_LONG,
        U,
        {},
        [ours(U, CLOSE, b"\x03\xe8" + b"x" * 124)],
        [ours(U, CLOSE, b"\x03\xe8" + b"x" * 123)],
    ),
    (rules.CONTROL_COMPRESSED, C, WITH_DEFLATE, [ours(C, PING, rsv=4)], [ours(C, PING)]),
    (
        rules.CONTINUATION_COMPRESSED,
        C,
        WITH_DEFLATE,
        [ours(C, TEXT, fin=False, rsv=4), ours(C, CONTINUATION, rsv=4)],
        [ours(C, TEXT, fin=False, rsv=4), ours(C, CONTINUATION)],
    ),
    (
        rules.CONTINUATION_ALONE,
        C,
        {},
        [ours(C, TEXT), ours(C, CONTINUATION)],
        [ours(C, TEXT, fin=False), ours(C, PING), ours(C, CONTINUATION)],
    ),
    (
        rules.MESSAGE_INSIDE_MESSAGE,
        C,
        {},
        [ours(C, TEXT, fin=False), ours(C, BINARY)],
        [ours(C, TEXT, fin=False), ours(C, CONTINUATION), ours(C, BINARY)],
    ),
    (rules.AFTER_CLOSE, C, {}, [ours(C, CLOSE), ours(C, TEXT)], [ours(C, TEXT), ours(C, CLOSE)]),
    (rules.AFTER_CLOSE, U, {}, [ours(U, CLOSE), ours(U, CLOSE)], [ours(U, PONG), ours(U, CLOSE)]),
    (rules.CLOSE_ONE_BYTE, C, {}, [ours(C, CLOSE, b"\x03")], [ours(C, CLOSE)]),
    (rules.CLOSE_CODE, C, {}, [ours(C, CLOSE, b"\x03\xed")], [ours(C, CLOSE, b"\x03\xef")]),
    (
        rules.CLOSE_REASON,
        C,
        {},
        [ours(C, CLOSE, b"\x03\xe8\xc3")],
        [ours(C, CLOSE, b"\x03\xe8\xc3\xa9")],
    ),
]


@pytest.mark.parametrize(("rule", "sender", "options", "wrong", "right"), RULES)
def test_a_rule_and_its_near_miss(
    rule: Rule, sender: Side, options: dict[str, Any], wrong: Sent, right: Sent
) -> None:
    """The last frame violates exactly this rule, those before it none, and the near miss nothing at all."""
    assert rules_of(sender, wrong, **options) == [[]] * (len(wrong) - 1) + [[rule]]
    assert rules_of(sender, right, **options) == [[]] * len(right)


def test_the_greatest_length_that_can_be_walked() -> None:
    """The near miss of a length with its top bit set: every other bit is."""
    decoder = Decoder("upstream", preview=0)
    (frame,) = decoder.receive_data(b"\x82\x7f\x7f" + b"\xff" * 7, 0, ALL)
    assert (frame.rules, frame.length, decoder.blind) == ([], (1 << 63) - 1, False)
    assert decoder.wire_bytes == 10


def test_every_rule_is_tried() -> None:
    """No rule of the decoder is missing above; those of payloads are the previews' to find."""
    known = {value for value in vars(rules).values() if isinstance(value, Rule)}
    tried = {rule for rule, *_ in RULES} | {rules.LENGTH_TOP_BIT}
    assert known - tried == {rules.TEXT_NOT_UTF8, rules.DOES_NOT_INFLATE}
    assert all(rule.rfc.startswith(("RFC 6455 section ", "RFC 7692 section ")) for rule in known)


def test_one_frame_may_break_several_rules() -> None:
    """Each is reported, in the order in which the header says it."""
    (_, broken) = rules_of(
        "client", [ours("client", CLOSE), ours("upstream", 0xC, bytes(200), fin=False, rsv=1)]
    )
    assert broken == [
        rules.AFTER_CLOSE,
        rules.CLIENT_UNMASKED,
        rules.RESERVED_OPCODE,
        rules.RESERVED_BITS,
        rules.CONTROL_FRAGMENTED,
        rules.CONTROL_LONG,
    ]


# Close frames.


def test_codes_that_may_be_sent() -> None:
    """For every code there is: the websockets library thinks the same."""

    def may_arrive(code: int) -> bool:
        try:
            theirs.Close.parse(code.to_bytes(2, "big"))
        except ProtocolError:
            return False
        return True

    assert [code for code in range(1 << 16) if may_be_sent(code) != may_arrive(code)] == []


@pytest.mark.parametrize(
    ("payload", "code", "reason", "rules"),
    [
        (b"", None, None, []),
        (b"\x03", None, None, [rules.CLOSE_ONE_BYTE]),
        (b"\x03\xe8", 1000, "", []),
        (b"\x0f\xa0see \xe2\x82\xac", 4000, "see €", []),
        (b"\x00\x00", 0, "", [rules.CLOSE_CODE]),
        (b"\x03\xe7", 999, "", [rules.CLOSE_CODE]),
        (b"\x03\xec", 1004, "", [rules.CLOSE_CODE]),
        (b"\x03\xee", 1006, "", [rules.CLOSE_CODE]),
        (b"\x03\xf7", 1015, "", [rules.CLOSE_CODE]),
        (b"\x0b\xb7", 2999, "", [rules.CLOSE_CODE]),
        (b"\x13\x88", 5000, "", [rules.CLOSE_CODE]),
        (b"\x03\xe8\xff", 1000, "\ufffd", [rules.CLOSE_REASON]),
        (b"\x03\xe8\xe2\x82", 1000, "\ufffd", [rules.CLOSE_REASON]),
        (b"\x03\xed\xff", 1005, "\ufffd", [rules.CLOSE_CODE, rules.CLOSE_REASON]),
    ],
)
def test_close_payloads(payload: bytes, code: int | None, reason: str | None, rules: list[Rule]) -> None:
    """Code and reason, and what is wrong with them, of a payload that has arrived whole."""
    assert parse_close(payload, whole=True) == (code, reason, rules)
    data = ours("client", CLOSE, payload).data
    for pieces in ([data], bytewise(data)):
        decoder = Decoder("client", preview=0)
        (frame,) = read(decoder, pieces)
        assert (frame.code, frame.reason, frame.rules) == (code, reason, rules)
        assert (decoder.close_code, decoder.close_reason) == (code, reason)


@pytest.mark.parametrize(
    ("arrived", "code", "reason", "rules"),
    [
        (0, None, None, []),
        (1, None, None, []),
        (2, 1005, "", [rules.CLOSE_CODE]),
        (3, 1005, "", [rules.CLOSE_CODE]),
        (5, 1005, "€", [rules.CLOSE_CODE]),
    ],
)
def test_a_close_that_was_cut(arrived: int, code: int | None, reason: str | None, rules: list[Rule]) -> None:
    """What has arrived of it counts; what has not is no violation, and no character is damaged."""
    data = ours("upstream", CLOSE, b"\x03\xed\xe2\x82\xac\xe2\x82\xac").data
    (frame,) = read(Decoder("upstream", preview=PREVIEW), [data[: 2 + arrived]])
    assert (frame.code, frame.reason, frame.rules) == (code, reason, rules)


def test_a_close_longer_than_it_may_be() -> None:
    """Its code and the beginning of its reason are read, up to a whole character."""
    (frame,) = read(
        Decoder("client", preview=0), [ours("client", CLOSE, b"\x03\xe8" + "€".encode() * 60).data]
    )
    assert (frame.code, frame.reason) == (1000, "€" * 41)
    assert frame.rules == [rules.CONTROL_LONG]
    assert frame.length == 182


def test_the_first_close_of_a_direction_counts() -> None:
    """What a second one says changes nothing."""
    decoder = Decoder("client", preview=0)
    read(decoder, [ours("client", CLOSE, b"\x03\xe8one").data + ours("client", CLOSE, b"\x03\xe9two").data])
    assert (decoder.close_code, decoder.close_reason) == (1000, "one")


def test_a_close_without_a_code_is_the_first_all_the_same() -> None:
    """A code that comes in a second Close is not what ended the direction."""
    decoder = Decoder("client", preview=0)
    read(decoder, [ours("client", CLOSE).data + ours("client", CLOSE, b"\x03\xe9").data])
    assert (decoder.closed, decoder.close_code, decoder.close_reason) == (True, None, None)


@pytest.mark.parametrize("key", [None, KEY])
def test_the_close_frame_that_the_gateway_writes(key: bytes | None) -> None:
    """Both readers, ours and the websockets library, read it as what it is."""
    data = close_frame(1001, key)
    sender: Side = "upstream" if key is None else "client"
    (frame,) = read(Decoder(sender, preview=PREVIEW), [data])
    assert (frame.opcode, frame.code, frame.reason, frame.rules) == (CLOSE, 1001, "", [])
    assert not _refused(data, sender)


# Small things.


@given(st.binary(max_size=50), st.binary(min_size=4, max_size=4))
def test_unmasking(data: bytes, key: bytes) -> None:
    """Each byte meets the key's byte at its place; twice gives back what there was."""
    assert unmask(data, key) == bytes(byte ^ key[place % 4] for place, byte in enumerate(data))
    assert unmask(unmask(data, key), key) == data


def test_names_of_opcodes() -> None:
    """The six that there are, and the reserved ones as digits."""
    names = ["continuation", "text", "binary", *(f"0x{number}" for number in range(3, 8))]
    names += ["close", "ping", "pong", "0xB", "0xC", "0xD", "0xE", "0xF"]
    assert [opcode_name(opcode) for opcode in range(16)] == names

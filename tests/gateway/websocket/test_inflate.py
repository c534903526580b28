"""Previews: what a reader sees of a payload, whoever compressed it, and what no payload can do."""

import time
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets import frames as theirs
from websockets.extensions.permessage_deflate import PerMessageDeflate

from gateway.websocket import inflate
from gateway.websocket.frames import INFLATE_WIRE, Decoder
from gateway.websocket.inflate import INFLATE_MESSAGE, Inflater, Preview, Previewer
from gateway.websocket.rules import DOES_NOT_INFLATE, RESERVED_BITS, TEXT_NOT_UTF8
from gateway.websocket.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from tests.gateway.websocket.wire import KEY, Wire, cut

ALL = 1 << 30
LIMIT = 64
COMPRESSED = 4
"""RSV1, alone."""


def views(
    sent: Iterable[Wire | bytes],
    *,
    limit: int = LIMIT,
    takeover: bool | None = None,
    left_out: Iterable[int] = (),
    where: list[int] | None = None,
) -> list[Preview]:
    """Give the previews of what an upstream sent.

    `takeover` says whether permessage-deflate was agreed, and how; for the frames numbered in `left_out`
    the log has no room.
    """
    decoder = Decoder("upstream", preview=limit, deflate=takeover is not None)
    previewer = Previewer(limit, None if takeover is None else Inflater(takeover=takeover))
    seen = []
    for number, wire in enumerate(sent):
        data = wire.data if isinstance(wire, Wire) else wire
        for piece in cut(data, where or []):
            seen += decoder.receive_data(piece, 0, 0 if number in left_out else ALL)
    return [previewer.show(frame) for frame in seen + decoder.receive_end()]


def unmasked(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> Wire:
    """Build an upstream's frame."""
    return Wire(opcode=opcode, payload=payload, fin=fin, rsv=rsv, key=None)


class Sender:
    """Compresses messages with zlib itself; each is one frame, or the given fragments."""

    def __init__(self, *, takeover: bool = True, wbits: int = 15) -> None:
        self._takeover = takeover
        self._wbits = wbits
        self._context = self._new()

    def _new(self) -> "zlib._Compress":
        return zlib.compressobj(wbits=-self._wbits)

    def deflate(self, message: bytes) -> bytes:
        """Compress `message` as RFC 7692 section 7.2.1 has it."""
        if not self._takeover:
            self._context = self._new()
        data = self._context.compress(message) + self._context.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(b"\x00\x00\xff\xff")

    def message(self, message: bytes, opcode: int = TEXT, *, pieces: list[int] | None = None) -> list[Wire]:
        """Build the frames of one message, whose compressed bytes are cut at `pieces`."""
        parts = cut(self.deflate(message), pieces or [])
        return [
            unmasked(
                CONTINUATION if place else opcode,
                part,
                fin=place == len(parts) - 1,
                rsv=0 if place else COMPRESSED,
            )
            for place, part in enumerate(parts)
        ]


# As text, or as hexadecimal digits.


@pytest.mark.parametrize(
    ("wire", "text", "hexed"),
    [
        (unmasked(TEXT), "", None),
        (unmasked(TEXT, "Grüße, €, 👋".encode()), "Grüße, €, 👋", None),
        (unmasked(TEXT, b"\x1b]0;title\x07\x00"), "\x1b]0;title\x07\x00", None),
        (unmasked(BINARY, b"Hello"), None, "48656c6c6f"),
        (unmasked(BINARY), None, ""),
        (unmasked(PING), "", None),
        (unmasked(PING, b"are you there?"), "are you there?", None),
        (unmasked(PONG, "ça va\t\r\n".encode()), "ça va\t\r\n", None),
        (unmasked(PING, b"\x00\x01"), None, "0001"),
        (unmasked(PING, b"\x1b[2J"), None, "1b5b324a"),
        (unmasked(PONG, b"\xff"), None, "ff"),
        (unmasked(PONG, "\u202e".encode()), None, "e280ae"),
        (unmasked(CLOSE), None, ""),
        (unmasked(CLOSE, b"\x03\xe8bye"), None, "03e8627965"),
        (unmasked(CONTINUATION, b"Hello"), None, "48656c6c6f"),
        (unmasked(0x3, b"Hello"), None, "48656c6c6f"),
        (unmasked(0xB, b"Hello"), None, "48656c6c6f"),
    ],
)
def test_the_form_of_a_preview(wire: Wire, text: str | None, hexed: str | None) -> None:
    """Text messages, and what a person can read of pings and pongs, are text; all else is digits."""
    (preview,) = views([wire])
    assert (preview.text, preview.hex) == (text, hexed)
    assert (preview.truncated, preview.inflated) == (False, False)


def test_a_masked_payload_is_shown_unmasked() -> None:
    """What the client sent is what the reader sees (the frame is RFC 6455's own, section 5.7)."""
    decoder = Decoder("client", preview=LIMIT)
    seen = decoder.receive_data(b"\x81\x85" + KEY + b"\x7f\x9f\x4d\x51\x58", 0, ALL)
    assert [Previewer(LIMIT).show(frame).text for frame in seen] == ["Hello"]


def test_continuations_are_shown_as_their_message() -> None:
    """A fragment of a text is text, one of a binary message is digits, with a ping between or without."""
    sent = [
        unmasked(TEXT, b"one", fin=False),
        unmasked(PING, b"p"),
        unmasked(CONTINUATION, b"two"),
        unmasked(BINARY, b"1", fin=False),
        unmasked(CONTINUATION, b"2"),
    ]
    assert [(preview.text, preview.hex) for preview in views(sent)] == [
        ("one", None),
        ("p", None),
        ("two", None),
        (None, "31"),
        (None, "32"),
    ]


@pytest.mark.parametrize("limit", [0, 1, 4, 5, 6])
def test_the_preview_ends_at_its_limit(limit: int) -> None:
    """Truncated says whether the payload goes on."""
    for wire in (unmasked(TEXT, b"Hello"), unmasked(BINARY, b"Hello"), unmasked(PING, b"Hello")):
        (preview,) = views([wire], limit=limit)
        shown = preview.text.encode() if preview.text is not None else bytes.fromhex(preview.hex or "")
        assert shown == b"Hello"[:limit]
        assert preview.truncated == (limit < 5)
    (close,) = views([unmasked(CLOSE, b"\x03\xe8Hi")], limit=limit)
    assert (close.hex, close.truncated) == (b"\x03\xe8Hi".hex()[: 2 * limit], limit < 4)


def test_a_frame_that_was_cut_is_truncated() -> None:
    """The connection ended before the payload did: nothing is wrong with the text that has arrived."""
    (preview,) = views([unmasked(TEXT, "12€".encode()).data[:-1]])
    assert (preview.text, preview.truncated, preview.rules) == ("12", True, ())


# Characters that are cut.


@given(st.text(), st.integers(0, 40))
def test_no_character_is_damaged_by_the_limit(text: str, limit: int) -> None:
    """A preview is a beginning of the text, with less than a character missing."""
    (preview,) = views([unmasked(TEXT, text.encode())], limit=limit)
    assert preview.text is not None
    assert text.startswith(preview.text)
    assert limit - 3 <= len(preview.text.encode()) <= limit or preview.text == text
    assert preview.truncated == (len(text.encode()) > limit)
    assert preview.rules == ()


@given(st.text(min_size=1), st.lists(st.integers(0, 200), max_size=5), st.booleans())
def test_no_character_is_damaged_by_fragments(text: str, places: list[int], compressed: bool) -> None:
    """The fragments' previews, one behind the other, are the text, wherever it was cut."""
    if compressed:
        (sent, takeover) = (Sender().message(text.encode(), pieces=places), True)
    else:
        parts = cut(text.encode(), places)
        takeover = None
        sent = [
            unmasked(CONTINUATION if place else TEXT, part, fin=place == len(parts) - 1)
            for place, part in enumerate(parts)
        ]
    seen = views(sent, limit=1000, takeover=takeover)
    assert "".join(preview.text or "" for preview in seen) == text
    assert all(preview.rules == () and not preview.truncated for preview in seen)


def test_a_fragment_behind_one_that_was_not_seen() -> None:
    """The rest of a character whose beginning is unknown is left out, whether the limit or the log hid it."""
    euro = "€".encode()
    sent = [
        unmasked(TEXT, b"a" * LIMIT + euro[:1], fin=False),
        unmasked(CONTINUATION, euro[1:] + b"b" + euro[:2], fin=False),
        unmasked(CONTINUATION, euro[2:] + b"c"),
    ]
    seen = views(sent)
    assert [preview.text for preview in seen] == ["a" * LIMIT, "b", "€c"]
    assert [preview.text for preview in views(sent, left_out=[1])] == ["a" * LIMIT, "c"]
    assert [preview.text for preview in views(sent, left_out=[0])] == ["b", "€c"]
    assert all(preview.rules == () for preview in seen)


@pytest.mark.parametrize(
    ("sent", "right"),
    [
        ([unmasked(TEXT, b"\xff")], [unmasked(BINARY, b"\xff")]),
        ([unmasked(TEXT, b"\xed\xa0\x80")], [unmasked(TEXT, "\ud7ff".encode())]),
        ([unmasked(TEXT, b"a\xc3")], [unmasked(TEXT, b"a\xc3", fin=False)]),
        (
            [unmasked(TEXT, b"a\xc3", fin=False), unmasked(CONTINUATION)],
            [unmasked(TEXT, b"a\xc3", fin=False), unmasked(CONTINUATION, b"\xa9")],
        ),
        (
            [unmasked(TEXT, b"a\xc3", fin=False), unmasked(PING), unmasked(CONTINUATION, b"b")],
            [unmasked(TEXT, b"a\xc3", fin=False), unmasked(PING), unmasked(CONTINUATION, b"\xa9")],
        ),
        ([unmasked(TEXT, b"a" * 63 + b"\xff")], [unmasked(TEXT, b"a" * 64 + b"\xff")]),
        ([unmasked(TEXT, b"a" * 62 + b"\xe2\xff\xff")], [unmasked(TEXT, b"a" * 62 + b"\xe2\x82\xff")]),
    ],
)
def test_text_that_is_not_utf8(sent: list[Wire], right: list[Wire]) -> None:
    """Is a violation of the frame in which it shows, as far as the preview reaches; the near miss is none."""
    *before, last = views(sent)
    assert (last.rules, last.text, last.hex is None) == ((TEXT_NOT_UTF8,), None, False)
    assert all(preview.rules == () for preview in [*before, *views(right)])


def test_a_violation_of_the_header_is_passed_on() -> None:
    """What the decoder found and what the payload shows are told together."""
    (preview,) = views([unmasked(TEXT, b"\xff", rsv=1)])
    assert preview.rules == (RESERVED_BITS, TEXT_NOT_UTF8)


# Compressed by the websockets library and by zlib.


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("window", range(9, 16))
def test_what_websockets_compressed(window: int, takeover: bool) -> None:
    """Every window size, contexts that live on or do not; messages, fragments and controls between."""
    extension = PerMessageDeflate(
        remote_no_context_takeover=False,
        local_no_context_takeover=not takeover,
        remote_max_window_bits=15,
        local_max_window_bits=window,
    )
    words = [f"{number} times the same words, " * 40 for number in range(30)]
    sent = [
        theirs.Frame(theirs.Opcode(TEXT), word.encode()).serialize(mask=False, extensions=[extension])
        for word in words
    ]
    seen = views(sent, limit=10_000, takeover=takeover)
    assert [preview.text for preview in seen] == words
    assert all(preview.inflated and not preview.truncated and preview.rules == () for preview in seen)
    parts = [
        ("a" * 500, False, TEXT),
        ("ping", True, PING),
        ("b" * 500, False, CONTINUATION),
        ("", True, CONTINUATION),
    ]
    sent = [
        theirs.Frame(theirs.Opcode(opcode), part.encode(), fin).serialize(mask=False, extensions=[extension])
        for part, fin, opcode in parts
    ]
    seen = views(sent, limit=10_000, takeover=takeover)
    assert "".join(preview.text or "" for preview in seen if preview.inflated) == "a" * 500 + "b" * 500
    assert [preview.inflated for preview in seen] == [True, False, True, True]
    assert all(preview.rules == () for preview in seen)


@given(
    st.lists(st.tuples(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=3)), max_size=6),
    st.booleans(),
    st.integers(9, 15),
    st.lists(st.integers(0, 400), max_size=4),
)
def test_what_zlib_compressed(
    messages: list[tuple[bytes, list[int]]], takeover: bool, wbits: int, where: list[int]
) -> None:
    """Binary messages, cut into fragments anywhere, inflate to what they were, however the bytes arrive."""
    sender = Sender(takeover=takeover, wbits=wbits)
    sent = [sender.message(message, BINARY, pieces=pieces) for message, pieces in messages]
    seen = views([wire for wires in sent for wire in wires], limit=1000, takeover=takeover, where=where)
    for wires, (message, _) in zip(sent, messages, strict=True):
        own, seen = seen[: len(wires)], seen[len(wires) :]
        assert b"".join(bytes.fromhex(preview.hex or "") for preview in own) == message
        assert all(preview.inflated and not preview.truncated for preview in own)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("f248cdc9c90700", "Hello"),
        ("000500faff48656c6c6f00", "Hello"),
        ("f348cdc9c9070000", "Hello"),
        ("f248050000" + "00ffffcac9c90700", "Hello"),
        ("00", ""),
        ("0200", ""),
        ("f348cdc9c90700", "Hello"),
        ("0300", ""),
    ],
)
def test_compressed_by_hand(payload: str, text: str) -> None:
    """RFC 7692's own examples (section 7.2.3), stored, with BFINAL, in two blocks; then empty ones."""
    (preview,) = views([unmasked(TEXT, bytes.fromhex(payload), rsv=COMPRESSED)], takeover=True)
    assert (preview.text, preview.inflated, preview.truncated, preview.rules) == (text, True, False, ())


def test_a_message_that_leans_on_the_one_before() -> None:
    """RFC 7692's own example (section 7.2.3.2): the second `Hello` is a reference to the first."""
    sent = [
        unmasked(TEXT, bytes.fromhex(payload), rsv=COMPRESSED) for payload in ("f248cdc9c90700", "f200110000")
    ]
    assert [preview.text for preview in views(sent, takeover=True)] == ["Hello", "Hello"]
    assert [preview.rules for preview in views(sent, takeover=False)] == [(), (DOES_NOT_INFLATE,)]


def test_uncompressed_messages_between_compressed_ones() -> None:
    """They leave the context alone, and are shown as they are."""
    sender = Sender()
    sent = [
        *sender.message(b"again and again"),
        unmasked(TEXT, b"plain"),
        *sender.message(b"again and again"),
    ]
    assert [(preview.text, preview.inflated) for preview in views(sent, takeover=True)] == [
        ("again and again", True),
        ("plain", False),
        ("again and again", True),
    ]


def test_a_compressed_preview_counts_readable_bytes() -> None:
    """The limit is one of the inflated payload, however short that is on the wire; the context lives on."""
    sender = Sender()
    sent = [*sender.message(b"x" * 5000), *sender.message(b"x" * 10 + b"y")]
    first, second = views(sent, takeover=True, limit=20)
    assert len(sent[0].payload) < 30
    assert (first.text, first.truncated, first.inflated) == ("x" * 20, True, True)
    assert (second.text, second.truncated, second.inflated) == ("x" * 10 + "y", False, True)


def test_a_compressed_mark_without_the_extension() -> None:
    """Where permessage-deflate was not agreed, nothing is inflated; the bit is a violation."""
    (preview,) = views(Sender().message(b"Hello"))
    assert (preview.inflated, preview.rules[0]) == (False, RESERVED_BITS)


# Contexts that are lost.


def test_a_frame_that_was_left_out_spoils_a_context_that_is_taken_over() -> None:
    """From there on compressed payloads are shown as they were on the wire, whole or truncated."""
    sender = Sender()
    sent = [wire for number in range(4) for wire in sender.message(b"message %d" % number)]
    first, *later = views(sent, takeover=True, left_out=[1])
    assert (first.text, first.inflated) == ("message 0", True)
    assert [(preview.text, preview.hex, preview.inflated) for preview in later] == [
        (None, wire.payload.hex(), False) for wire in sent[2:]
    ]
    assert all(preview.rules == () and not preview.truncated for preview in later)


def test_an_uncompressed_frame_that_was_left_out_spoils_nothing() -> None:
    """The context does not know it."""
    sender = Sender()
    sent = [*sender.message(b"again"), unmasked(TEXT, b"plain"), *sender.message(b"again")]
    assert [preview.text for preview in views(sent, takeover=True, left_out=[1])] == ["again", "again"]


def test_without_takeover_a_loss_ends_with_its_message() -> None:
    """What follows a left-out fragment cannot be read; the next message can."""
    sender = Sender(takeover=False)
    noise = bytes(range(256)) * 2
    sent = [
        *sender.message(noise, BINARY, pieces=[100, 200]),
        *sender.message(b"next"),
        *sender.message(noise, BINARY, pieces=[100]),
        *sender.message(b"last"),
    ]
    seen = views(sent, limit=1000, takeover=False, left_out=[1, 4])
    assert [preview.inflated for preview in seen] == [True, False, True, False, True]
    assert [seen[2].text, seen[4].text] == ["next", "last"]
    assert all(preview.rules == () for preview in seen)


@pytest.mark.parametrize("takeover", [True, False])
def test_the_bound_of_a_message(takeover: bool) -> None:
    """64 KiB of a message are inflated; one more byte is too much, and costs a context that is taken over."""
    for size, fits in ((INFLATE_MESSAGE, True), (INFLATE_MESSAGE + 1, False)):
        sender = Sender(takeover=takeover)
        sent = [*sender.message(b"x" * size), *sender.message(b"next")]
        first, second = views(sent, limit=1 << 20, takeover=takeover)
        assert first.text is not None
        assert first.truncated is not fits
        assert len(first.text) in {size, INFLATE_MESSAGE + 1}
        assert second.inflated is (fits or not takeover)
        assert first.rules == second.rules == ()


def test_the_bound_holds_for_all_fragments_together() -> None:
    """It is one of the message, not one of each frame; noise does not shrink and reaches it on the wire."""
    sender = Sender(takeover=False)
    sent = sender.message(b"x" * 200_000, pieces=[50, 100, 150])
    seen = views(sent, limit=1 << 20, takeover=False)
    assert sum(len(preview.text or "") for preview in seen) <= INFLATE_MESSAGE + 1
    assert not seen[-1].inflated
    noise = zlib.compress(bytes(range(256)))[2:-4] * 400
    (stored,) = views(sender.message(noise, BINARY), limit=1 << 20, takeover=False)
    assert stored.truncated
    assert INFLATE_MESSAGE - 1024 <= len(stored.hex or "") // 2 <= INFLATE_MESSAGE + 1


def test_a_message_cut_off_by_the_end() -> None:
    """What had arrived is shown, and nothing is called a violation."""
    (wire,) = Sender().message(bytes(range(256)), BINARY)
    (preview,) = views([wire.data[:-30]], limit=1000, takeover=True)
    assert (preview.inflated, preview.truncated, preview.rules) == (True, True, ())
    assert bytes(range(256)).startswith(bytes.fromhex(preview.hex or ""))


# What cannot be inflated.


@pytest.mark.parametrize("takeover", [True, False])
def test_garbage_is_a_violation(takeover: bool) -> None:
    """It is shown as it was on the wire, and so is what leans on it."""
    sender = Sender(takeover=takeover)
    sent = [unmasked(TEXT, b"\xff\xff\xff", rsv=COMPRESSED), *sender.message(b"next")]
    first, second = views(sent, takeover=takeover)
    assert (first.text, first.hex, first.inflated) == (None, "ffffff", False)
    assert first.rules == (DOES_NOT_INFLATE,)
    assert (second.inflated, second.rules) == (not takeover, ())


def test_a_reference_to_what_never_was_is_a_violation() -> None:
    """A sender that takes its context over, though it was agreed that it would not, cannot be read."""
    sender = Sender(takeover=True)
    sent = sender.message(b"again and again and again") + sender.message(b"again and again and again")
    first, second = views(sent, takeover=False)
    assert (first.text, first.rules) == ("again and again and again", ())
    assert (second.inflated, second.rules) == (False, (DOES_NOT_INFLATE,))


@pytest.mark.parametrize("takeover", [True, False])
def test_a_last_block_ends_what_can_be_read(takeover: bool) -> None:
    """BFINAL ends the context; blocks behind it are not shown, and the preview says that there is more."""
    final = zlib.compressobj(wbits=-15)
    block = final.compress(b"final") + final.flush(zlib.Z_FINISH)
    sender = Sender(takeover=takeover)
    sent = [unmasked(TEXT, block + b"\x00", rsv=COMPRESSED), *sender.message(b"next")]
    first, second = views(sent, takeover=takeover)
    assert (first.text, first.truncated, first.inflated) == ("final", False, True)
    assert (second.inflated, second.rules) == (not takeover, ())
    more = unmasked(TEXT, block + Sender().deflate(b"and more"), rsv=COMPRESSED)
    (preview,) = views([more], takeover=takeover)
    assert (preview.text, preview.truncated, preview.rules) == ("final", True, ())


def test_a_compressed_fragment_behind_a_last_block() -> None:
    """Cannot be read, and is not passed off as the end of the message."""
    final = zlib.compressobj(wbits=-15)
    block = final.compress(b"final") + final.flush(zlib.Z_FINISH)
    sent = [
        unmasked(TEXT, block, fin=False, rsv=COMPRESSED),
        unmasked(CONTINUATION, Sender().deflate(b"more")),
    ]
    first, second = views(sent, takeover=False)
    assert (first.text, first.inflated) == ("final", True)
    assert (second.text, second.inflated) == (None, False)


# Whatever comes.


@given(
    st.lists(
        st.builds(
            Wire,
            opcode=st.sampled_from([TEXT, TEXT, BINARY, CONTINUATION, CONTINUATION, PING, CLOSE, 0x5]),
            payload=st.one_of(
                st.binary(max_size=80),
                st.builds(lambda data: Sender().deflate(data * 500), st.binary(max_size=300)),
            ),
            fin=st.booleans(),
            rsv=st.sampled_from([0, COMPRESSED, COMPRESSED, 7]),
            key=st.none(),
        ),
        max_size=8,
    ),
    st.booleans(),
    st.sets(st.integers(0, 7), max_size=3),
    st.one_of(st.integers(0, 100), st.just(1 << 20)),
)
@example([unmasked(TEXT, b"", rsv=COMPRESSED), unmasked(TEXT, b"", rsv=COMPRESSED)], True, set(), 0)
def test_hostile_payloads_never_raise_and_never_swell(
    sent: list[Wire], takeover: bool, left_out: set[int], limit: int
) -> None:
    """Any bytes as payload, compressed or not: one preview for each frame, within the bounds."""
    seen = views(sent, limit=limit, takeover=takeover, left_out=left_out)
    assert len(seen) == len([wire for number, wire in enumerate(sent) if number not in left_out])
    for preview in seen:
        assert (preview.text is None) != (preview.hex is None)
        size = len(preview.text.encode()) if preview.text is not None else len(preview.hex or "") // 2
        assert size <= min(limit, INFLATE_MESSAGE + 1) + 3, "and what a fragment owes of the character before"


@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=6), st.booleans())
def test_a_message_never_inflates_beyond_the_bound(parts: list[tuple[bytes, bool]], takeover: bool) -> None:
    """However many fragments it has, and whatever they are."""
    decoder = Decoder("upstream", preview=0, deflate=True)
    inflater = Inflater(takeover=takeover)
    total = 0
    for place, (part, bomb) in enumerate(parts):
        payload = Sender().deflate(bytes(100_000)) if bomb else part
        wire = unmasked(CONTINUATION if place else TEXT, payload, fin=False, rsv=0 if place else COMPRESSED)
        for frame in decoder.receive_data(wire.data, 0, ALL):
            try:
                inflated, _ = inflater.inflate(frame) or (b"", False)
            except zlib.error:
                inflated = b""
            total += len(inflated)
    assert total <= INFLATE_MESSAGE + 1


def test_a_bomb_costs_little() -> None:
    """64 MiB of zeros in 64 KiB, and a thousand times as much in one frame, cost a moment and 1 MiB."""
    bomb = zlib.compressobj(9, wbits=-15)
    payload = bomb.compress(bytes(64 << 20)) + bomb.flush(zlib.Z_SYNC_FLUSH)
    assert len(payload) < INFLATE_WIRE + 1024
    header = bytes([0x80 | 0x40 | BINARY, 127]) + (1000 * len(payload)).to_bytes(8, "big")
    decoder = Decoder("upstream", preview=64, deflate=True)
    previewer = Previewer(64, Inflater(takeover=True))
    tracemalloc.start()
    try:
        started = time.perf_counter()
        seen = decoder.receive_data(unmasked(BINARY, payload, rsv=COMPRESSED).data, 0, ALL)
        seen += decoder.receive_data(header + payload, 0, ALL)
        for _ in range(999):
            seen += decoder.receive_data(payload, 0, ALL)
        first, second = (previewer.show(frame) for frame in seen)
        took = time.perf_counter() - started
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (first.hex, first.truncated, first.inflated) == ("00" * 64, True, True)
    assert (second.truncated, second.inflated) == (True, False)
    assert decoder.at_boundary
    assert took < 0.5
    assert peak < 1 << 20


def test_what_is_kept_is_what_can_be_inflated() -> None:
    """64 KiB that do not shrink fit into what the decoder keeps of a compressed frame."""
    stored = zlib.compressobj(0, wbits=-15)
    payload = stored.compress(bytes(range(256)) * 256) + stored.flush(zlib.Z_SYNC_FLUSH)
    assert inflate.INFLATE_MESSAGE == 256 * 256
    (preview,) = views([unmasked(BINARY, payload[:-4], rsv=COMPRESSED)], limit=1 << 20, takeover=True)
    assert (preview.hex, preview.truncated) == ((bytes(range(256)) * 256).hex(), False)

"""The incremental frame decoder: bytes of one direction in, frames out (RFC 6455 section 5).

Strategy
    The decoder is a spectator.  The bytes have been forwarded before it sees them, so it may never
    refuse anything: what breaks the protocol is noted as a violation, and the walk over the frame
    headers goes on.  Only a payload length with its top bit set cannot be walked; from there on bytes
    are counted and frames are not.

    Most traffic is sound frames that nobody has room to record.  `skip` steps over them with a look-up each
    in a table of the module `steps`.  Which frames are sound depends on what came before them, and so does
    the table.  Where there is no room for what is wrong either, everything but the first Close is stepped
    over, so that a flood of broken frames costs no more than any other.  Where nobody wants to know about
    the frames at all, that is always so.

    Whoever forwards the bytes calls `skip` while `plain` holds and nothing is to be recorded, and hands the
    rest to `receive_data`.  While `ready` holds, it may look up whole messages in `steps` by itself.

Rules
    * Any split of the bytes gives the same frames, violations and counts.
    * Counts are exact and cover what is recorded and what is left out.
    * Of a payload nothing is kept but what its preview needs: the first `preview` bytes, or, of a
      compressed message, what may have to be inflated to show them (at most `INFLATE_WIRE`).
    * "Need more bytes" is no event and no error: the decoder waits.
"""

from dataclasses import dataclass, field
from typing import Final

from gateway.events import Side
from gateway.websocket.rules import (
    AFTER_CLOSE,
    CLIENT_UNMASKED,
    CONTINUATION_ALONE,
    CONTINUATION_COMPRESSED,
    CONTROL_COMPRESSED,
    CONTROL_FRAGMENTED,
    CONTROL_LONG,
    LENGTH_NOT_MINIMAL,
    LENGTH_TOP_BIT,
    MESSAGE_INSIDE_MESSAGE,
    RESERVED_BITS,
    RESERVED_OPCODE,
    UPSTREAM_MASKED,
    Rule,
)
from gateway.websocket.steps import CHANGING, WORTH_IT, Steps, marked_length, run_length, tables
from gateway.websocket.wire import (
    CLOSE,
    CONTINUATION,
    CONTROL_PAYLOAD,
    FIN,
    MASK,
    MASKED_HEADER,
    OPCODE_NAMES,
    RSV,
    RSV1,
    UNWALKABLE,
    has_header,
    header_length,
    parse_close,
    payload_length,
    unmask,
)

INFLATE_WIRE: Final = 64 * 1024 + 1024
"""Bytes of a compressed frame that are kept to be inflated: 64 KiB that do not shrink, and their overhead."""


@dataclass(slots=True, kw_only=True)
class SeenFrame:
    """A frame as it was on the wire, with as much of its payload as the preview needs."""

    number: int
    """Counts the frames of this direction from 0, those that were left out too."""
    t_ns: int
    """Monotonic time at which its header was complete."""
    gap_ns: int | None
    """Since the previous frame of this direction; None for the first."""
    fin: bool
    rsv: int
    opcode: int
    masked: bool
    length: int
    """Payload bytes on the wire."""
    header_length: int
    """Header bytes on the wire, masking key included."""
    key: bytes
    """The masking key; empty where the frame is not masked."""
    message: int
    """The opcode of the message that a data frame belongs to; a control frame's own opcode."""
    compressed: bool
    """Whether it belongs to a compressed message."""
    context_lost: bool
    """Whether a compressed frame before it was left out, so that no later one can lean on it."""
    wanted: int
    """How much of the payload is to be kept."""
    kept: bytearray = field(default_factory=bytearray)
    """The beginning of the payload, as on the wire."""
    recorded: bool = False
    code: int | None = None
    """A Close frame's code."""
    reason: str | None = None
    """A Close frame's reason."""
    rules: list[Rule] = field(default_factory=list)
    """What it violates."""

    @property
    def payload(self) -> bytes:
        """What was kept of the payload, unmasked."""
        return unmask(self.kept, self.key) if self.masked else bytes(self.kept)


class Decoder:
    """One direction of a tunnel, from the first byte after the opening handshake.

    Not safe for use from several threads.  `preview` is how many bytes of a payload are to be kept; None:
    nobody wants to know about the frames, so that only boundaries, counts and `closed` can be relied on.
    `rsv_known` is a mask of the RSV bits that some negotiated extension may set; `deflate` says that
    permessage-deflate was negotiated, so that RSV1 marks a compressed message (RFC 7692 section 6).
    """

    __slots__ = (
        "_compressed",
        "_context_lost",
        "_deflate",
        "_head",
        "_left",
        "_looking",
        "_message",
        "_open",
        "_preview",
        "_rsv_known",
        "_sender",
        "_tables",
        "_uncounted",
        "blind",
        "close_code",
        "close_ns",
        "close_reason",
        "closed",
        "last_ns",
        "long_header",
        "longest_short",
        "omitted_bytes",
        "omitted_frames",
        "recorded_bytes",
        "recorded_frames",
        "steps",
    )

    def __init__(
        self, sender: Side, *, preview: int | None, deflate: bool = False, rsv_known: int = 0
    ) -> None:
        self._sender: Side = sender
        self._preview = preview or 0
        self._deflate = deflate
        self._rsv_known = rsv_known | (RSV1 if deflate else 0)
        self._looking = preview is not None

        self._tables = tables(sender, deflate=deflate, rsv_known=self._rsv_known, looking=self._looking)
        self.steps = self._tables[self._looking][False][False]
        """For the first two bytes of a frame, its length on the wire, or a mark."""
        self.long_header = 8 if sender == "client" else 4
        """Bytes of the header of a frame for which `steps` has LONG."""
        self.longest_short = self.long_header + (CONTROL_PAYLOAD if self._looking else 0)
        """Such a frame has more bytes than these, or needs a look."""

        self._head = b""
        """The beginning of a frame header."""
        self._left = 0
        """Payload bytes of the current frame that are still to come."""
        self._open: SeenFrame | None = None
        """The current frame while its preview is incomplete."""
        self._message = 0
        """The opcode of the fragmented message under way; 0 where there is none."""
        self._compressed = False
        """Whether that message is compressed."""
        self._context_lost = False
        self._uncounted = 0

        self.blind = False
        """Whether frames can no longer be told apart."""

        self.closed = False
        """Whether a Close frame has passed."""
        self.close_ns: int | None = None
        """When the first Close frame began."""
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.last_ns: int | None = None
        """When the last frame began."""
        self.recorded_frames = self.recorded_bytes = 0
        self.omitted_frames = self.omitted_bytes = 0

    @property
    def frames(self) -> int:
        """All frames that have begun."""
        return self.recorded_frames + self.omitted_frames

    @property
    def wire_bytes(self) -> int:
        """All bytes that have passed."""
        return self.recorded_bytes + self.omitted_bytes - self._left + len(self._head) + self._uncounted

    @property
    def at_boundary(self) -> bool:
        """Whether the next byte begins a frame, as far as frames can be told apart."""
        return not (self._left or self._head or self.blind)

    @property
    def ready(self) -> bool:
        """Whether the next byte begins a frame that `steps` may be asked about."""
        return not self._left and self.plain and not (self._looking and (self._message or self.closed))

    @property
    def plain(self) -> bool:
        """Whether `skip` may be called: nothing that has begun needs another look."""
        return not (self._head or self.blind or self._open is not None)

    def skip(self, data: bytes, t_ns: int, start: int = 0, *, judge: bool = True) -> int:
        """Step over what needs no look from `start` on; the frames among it are left out of the record.

        Without `judge`, what is wrong with a frame is no reason to look at it.  Returns where the first frame
        begins that needs a look, or whose header is not all there; the caller gives the rest to
        `receive_data`.  Must only be called while `plain` holds.
        """
        judge = judge and self._looking
        steps = self._table(judge=judge)
        end = len(data)
        at = begun = start + self._left
        if at >= end:
            self._left = at - end
            return end
        frames = step = before = 0
        carried = -1
        tries = 2
        last = end - 1
        while at < last:
            first = data[at]
            step = steps[first][data[at + 1]]
            if step < 0:
                if step <= CHANGING and at + MASKED_HEADER <= end:
                    step = CHANGING - step
                elif not (step := marked_length(step, data, at, judge=judge)):
                    break
                if first != carried and self._looking and first & 0xF < CLOSE:
                    # The same again would change nothing more.
                    self._carry(first)
                    carried = first
                    steps = self._table(judge=judge)
            elif step == before and tries:
                # Small frames that are written together are often of one size: take those in one go.
                run = run_length(data, at, step)
                at += run * step
                frames += run
                before = 0
                tries -= run < WORTH_IT
                continue
            at += step
            frames += 1
            before = step
        if at > end and not has_header(data, at - step):
            at -= step
            frames -= 1
        if frames:
            self.omitted_frames += frames
            self.omitted_bytes += at - begun
            self.last_ns = t_ns
        self._left = max(0, at - end)
        return min(at, end)

    def _table(self, *, judge: bool) -> Steps:
        """What may be stepped over by now."""
        return self._tables[judge][self.closed][self._message != 0]

    def _carry(self, first: int) -> None:
        """Go on to the message that is under way behind a data frame with the byte 0 `first`, left out."""
        if first & 0xF != CONTINUATION:
            self._message = first & 0xF
            self._compressed = self._deflate and first & RSV1 != 0
        self._context_lost |= self._compressed
        if first & FIN:
            self._message, self._compressed = 0, False

    def to_boundary(self, data: bytes) -> int:
        """How many of the bytes in `data` belong to the frame that is under way; 0 at a boundary.

        All of them where the frame, or its header, does not end in `data`.
        """
        if self.at_boundary:
            return 0
        if self._left:
            return min(self._left, len(data))
        if self.blind:
            return len(data)
        held = len(self._head)
        head = self._head + data[:14]
        size = header_length(head)
        if size is None or len(head) < size:
            return len(data)
        return min(size - held + payload_length(head), len(data))

    def receive_data(self, data: bytes, t_ns: int, room: int = 0, spare: int = 0) -> list[SeenFrame]:
        """Take `data` and return the frames whose previews it completes.

        At most `room` frames that begin in `data` are recorded; Close frames and frames with a
        violation may use `spare` as well.  All others are counted as left out.
        """
        done: list[SeenFrame] = []
        if self.blind:
            self._uncounted += len(data)
            return done
        at = self._collect(data, 0, done)
        if self._head:
            data, self._head = self._head + data, b""
        end = len(data)
        while at < end:
            if room <= 0 and self.plain:
                stepped = self.skip(data, t_ns, at, judge=spare > 0)
                if stepped > at:
                    at = stepped
                    continue
            size = header_length(data, at)
            if size is None or end - at < size:
                self._head = data[at:]
                break
            frame = self._begin(data, at, size, t_ns)
            at += size
            if room > 0:
                room -= 1
                self._record(frame)
            elif spare > 0 and (frame.rules or frame.opcode == CLOSE):
                spare -= 1
                self._record(frame)
            else:
                self._omit(frame)
            if frame.length >= UNWALKABLE:
                self._uncounted += end - at
                at = end
            at = self._collect(data, at, done)
        return done

    def receive_end(self) -> list[SeenFrame]:
        """No more bytes will come: return the frame whose preview stayed incomplete, if there is one."""
        done: list[SeenFrame] = []
        if self._open is not None:
            self._finish(done)
        return done

    def _begin(self, data: bytes, at: int, size: int, t_ns: int) -> SeenFrame:
        """The frame whose header of `size` bytes begins at `at`."""
        first, second = data[at], data[at + 1]
        masked = bool(second & MASK)
        length = payload_length(data, at)
        frame = SeenFrame(
            number=self.frames,
            t_ns=t_ns,
            gap_ns=None if self.last_ns is None else t_ns - self.last_ns,
            fin=bool(first & FIN),
            rsv=(first & RSV) >> 4,
            opcode=first & 0xF,
            masked=masked,
            length=length,
            header_length=size,
            key=data[at + size - 4 : at + size] if masked else b"",
            message=first & 0xF,
            compressed=False,
            context_lost=self._context_lost,
            wanted=0,
        )
        self.last_ns = t_ns
        self._judge(frame, first & RSV, second & 0x7F)
        self._place(frame)
        if length >= UNWALKABLE:
            self.blind = True
            self._left = 0
        else:
            keep = INFLATE_WIRE if frame.compressed else self._preview
            frame.wanted = min(length, CONTROL_PAYLOAD if frame.opcode == CLOSE else keep)
            self._left = length
        if frame.opcode == CLOSE and not self.closed:
            self.closed = True
            self.close_ns = t_ns
        return frame

    def _judge(self, frame: SeenFrame, rsv: int, short_length: int) -> None:
        """Note what is wrong with the header by itself."""
        broken = frame.rules.append
        if self.closed:
            broken(AFTER_CLOSE)
        if frame.masked != (self._sender == "client"):
            broken(UPSTREAM_MASKED if frame.masked else CLIENT_UNMASKED)
        if frame.opcode not in OPCODE_NAMES:
            broken(RESERVED_OPCODE)
        if rsv & ~self._rsv_known:
            broken(RESERVED_BITS)
        if frame.length >= UNWALKABLE:
            broken(LENGTH_TOP_BIT)
        elif frame.length < (0, 126, 1 << 16)[max(0, short_length - 125)]:
            broken(LENGTH_NOT_MINIMAL)
        if frame.opcode >= CLOSE:
            if not frame.fin:
                broken(CONTROL_FRAGMENTED)
            if frame.length > CONTROL_PAYLOAD:
                broken(CONTROL_LONG)

    def _place(self, frame: SeenFrame) -> None:
        """Find the message that the frame belongs to (section 5.4), and whether it is compressed."""
        marked = self._deflate and bool(frame.rsv & RSV1 >> 4)
        if frame.opcode >= CLOSE:
            if marked:
                frame.rules.append(CONTROL_COMPRESSED)
            return
        if frame.opcode == CONTINUATION:
            if not self._message:
                frame.rules.append(CONTINUATION_ALONE)
            if marked:
                frame.rules.append(CONTINUATION_COMPRESSED)
            frame.message = self._message
            frame.compressed = self._compressed
        else:
            if self._message:
                frame.rules.append(MESSAGE_INSIDE_MESSAGE)
            frame.compressed = marked
        self._message = 0 if frame.fin else frame.message
        self._compressed = frame.compressed and not frame.fin

    def _record(self, frame: SeenFrame) -> None:
        self.recorded_frames += 1
        self.recorded_bytes += frame.header_length + self._left
        frame.recorded = True
        self._open = frame
        self._context_lost &= not frame.compressed

    def _omit(self, frame: SeenFrame) -> None:
        self.omitted_frames += 1
        self.omitted_bytes += frame.header_length + self._left
        # A Close frame's code is wanted even where its record is not.
        self._open = frame if frame.opcode == CLOSE else None
        self._context_lost |= frame.compressed

    def _collect(self, data: bytes, at: int, done: list[SeenFrame]) -> int:
        """Step over the payload that begins at `at`, keeping what the preview needs; return where it ends."""
        take = min(self._left, len(data) - at)
        frame = self._open
        if frame is not None:
            missing = frame.wanted - len(frame.kept)
            frame.kept += data[at : at + min(take, missing)]
            if len(frame.kept) >= frame.wanted:
                self._finish(done)
        self._left -= take
        return at + take

    def _finish(self, done: list[SeenFrame]) -> None:
        frame, self._open = self._open, None
        assert frame is not None
        if frame.opcode == CLOSE:
            self._read_close(frame)
        if frame.recorded:
            done.append(frame)

    def _read_close(self, frame: SeenFrame) -> None:
        """Take code and reason of a Close frame (section 5.5.1); the first one of a direction counts."""
        whole = len(frame.kept) == frame.length
        frame.code, frame.reason, rules = parse_close(frame.payload, whole=whole)
        frame.rules += rules
        if AFTER_CLOSE not in frame.rules:
            self.close_code, self.close_reason = frame.code, frame.reason

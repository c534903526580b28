"""The event log: records on their way from the traffic to standard output.

Strategy
    The loop only appends to a queue.  A thread of its own takes what is there, turns frames into
    previews and records into lines, and writes them; a reader that is slow or gone stops that thread
    and nothing else.  Each direction of a tunnel has a `Tap`, which says how many frames of the next
    chunk are to be recorded: none, most of the time, when traffic is heavy.

Rules
    * The queue is bounded.  Frames are refused while it is `FULL`; opens, closes, errors and the like
      until it is `CROWDED_OUT`.  What is left out is counted, and the log says so.
    * A lost or closed standard output is no error: records are dropped from then on.
    * `Tap` and `EventLog` belong to the loop's thread, but for what is marked as the writer's.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, Literal

from gateway.events import (
    Error,
    Event,
    Frame,
    Listening,
    Omitted,
    Reload,
    Side,
    Stopping,
    Violation,
    rfc3339,
)
from gateway.proxy.output import Form, Output
from gateway.proxy.sampling import Sampler
from gateway.websocket.frames import Decoder, SeenFrame
from gateway.websocket.handshake import Extensions
from gateway.websocket.inflate import Inflater, Previewer
from gateway.websocket.wire import opcode_name

Frames = Literal["off", "text", "json"]

FULL: Final = 4 * 1024 * 1024
"""About how many bytes of records may wait before frames are left out."""

CROWDED_OUT: Final = 16 * 1024 * 1024
"""About how many bytes of records may wait at all."""

FLUSH: Final = 0.5
"""Seconds that a log has for its last lines at the end."""

_RECORD_COST: Final = 600
"""About what a waiting record takes, its payload aside."""

_TURNED: Final = 200
"""Directions of which a window takes account."""

_PAUSE: Final = 0.01
"""Seconds that the writer lets records gather after it has written some."""

_NS: Final = 1_000_000_000


Wall = Callable[[int], str]
"""Turns monotonic nanoseconds into a record's `time`."""


class Tap:
    """One direction of a tunnel as the log sees it.

    The forwarding code asks `room`: where it is 0, it may step over plain frames without a call and
    count them in `decoder`; all else goes to `receive_data`.
    """

    __slots__ = ("_counted", "_log", "_previewer", "_reported", "active", "conn", "decoder", "room", "sender")

    def __init__(
        self, log: "EventLog", conn: int, sender: Side, decoder: Decoder, agreed: Extensions
    ) -> None:
        takeover = agreed.client_takeover if sender == "client" else agreed.upstream_takeover
        self._log = log
        self._previewer = Previewer(log.preview, Inflater(takeover=takeover) if agreed.deflate else None)
        self.conn = conn
        self.sender: Side = sender
        self.decoder = decoder
        self.room = 1
        """How many frames may still be recorded in this window."""
        self.active = False
        """Whether frames have been seen in this window."""
        self._counted = 0
        self._reported = (0, 0)

    def receive_data(self, data: bytes, now: int) -> None:
        """Decode `data`, which came at `now` (monotonic ns), and record what there is room for."""
        log, decoder = self._log, self.decoder
        log.keep_time(now)
        if not self.active:
            log.activate(self)
        room, spare = log.admit(self.room)
        before = decoder.recorded_frames
        seen = decoder.receive_data(data, now, room, spare)
        spent = decoder.recorded_frames - before
        if spent:
            log.sampler.spend(spent)
        self.room = max(0, min(room, self.room) - spent)
        for frame in seen:
            log.put_frame(self, frame)

    def turn(self) -> tuple[int, int]:
        """End a window: frames seen and frames left out since the last one."""
        frames, omitted = self.decoder.frames, self.decoder.omitted_frames
        demand, self._counted = frames - self._counted, frames
        left_out = omitted - self._reported[0]
        self.report_omitted()
        return demand, left_out

    def report_omitted(self) -> None:
        """Tell the log what has been left out since this was last told."""
        decoder = self.decoder
        counts = (decoder.omitted_frames, decoder.omitted_bytes)
        frames, size = (now - then for now, then in zip(counts, self._reported, strict=True))
        if frames and self._log.put(
            lambda time, t_ns: Omitted(
                time=time, t_ns=t_ns, conn=self.conn, sender=self.sender, frames=frames, bytes=size
            )
        ):
            self._reported = counts

    def finish(self) -> None:
        """The direction has ended: record what was still waiting for its preview, and what was left out."""
        for frame in self.decoder.receive_end():
            self._log.put_frame(self, frame)
        self.report_omitted()
        self._log.deactivate(self)

    def describe(self, frame: SeenFrame, wall: Wall) -> list[Event]:
        """The records of a frame.  The writer's."""
        preview = self._previewer.show(frame)
        at = wall(frame.t_ns)
        records: list[Event] = [
            Frame(
                time=at,
                t_ns=frame.t_ns,
                conn=self.conn,
                sender=self.sender,
                fin=frame.fin,
                rsv=frame.rsv,
                opcode=opcode_name(frame.opcode),
                masked=frame.masked,
                len=frame.length,
                header_len=frame.header_length,
                gap_ms=None if frame.gap_ns is None else round(frame.gap_ns / 1e6, 3),
                text=preview.text,
                hex=preview.hex,
                truncated=preview.truncated,
                inflated=preview.inflated,
                code=frame.code,
                reason=frame.reason,
            )
        ]
        records += [
            Violation(
                time=at, t_ns=frame.t_ns, conn=self.conn, sender=self.sender, what=rule.what, rfc=rule.rfc
            )
            for rule in preview.rules
        ]
        return records


Made = Callable[[str, int], Event]
"""Makes a record out of its time and t_ns."""


class EventLog:
    """Takes records and writes them to the file descriptor `output`; None where there is no output.

    `frames` says what: JSON lines, plain lines, or (`off`) plain lines of start, stop and errors alone.
    `form`, where it is given, says in which form, whatever `frames` is.
    """

    def __init__(
        self,
        output: int | None,
        frames: Frames,
        *,
        preview: int,
        frame_rate: int,
        form: Form | None = None,
    ) -> None:
        self.preview = preview
        self.watching: Final = frames != "off"
        """Whether anybody wants to know about the traffic."""
        self.sampler = Sampler(frame_rate)
        self._output = Output(output, form or ("json" if frames == "json" else "text"))
        self._queue: deque[tuple[Tap | None, SeenFrame | Made, int]] = deque()
        self._put_cost = 0
        self._written_cost = 0  # the writer's
        self._left_out = 0
        self._active: dict[Tap, None] = {}
        """The directions that send, those first whose turn comes first."""
        self._timer: asyncio.TimerHandle | None = None
        self._window_ends = 0
        """Monotonic ns."""
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._writer = threading.Thread(target=self._write_all, name="event log", daemon=True)
        self._writer.start()

    # What the loop calls.

    def put(self, make: Made) -> bool:
        """Record something other than a frame; whether there was room for it."""
        if self._waiting() > CROWDED_OUT:
            self._left_out += 1
            return False
        if self._left_out:
            count, self._left_out = self._left_out, 0
            message = f"{count} records were left out of the log: its reader is too slow"
            self._append(
                None, lambda time, t_ns: Error(time=time, t_ns=t_ns, message=message), time.monotonic_ns()
            )
        self._append(None, make, time.monotonic_ns())
        return True

    def put_frame(self, tap: Tap, frame: SeenFrame) -> None:
        """Record a frame that `admit` had room for."""
        self._append(tap, frame, frame.t_ns, len(frame.kept))

    def error(  # noqa: PLR0913 - all that an error may concern
        self,
        message: str,
        *,
        conn: int | None = None,
        client: str | None = None,
        method: str | None = None,
        path: str | None = None,
        upstream: str | None = None,
        status: int | None = None,
    ) -> None:
        """Record an error."""
        self.put(
            lambda time, t_ns: Error(
                time=time,
                t_ns=t_ns,
                message=message,
                conn=conn,
                client=client,
                method=method,
                path=path,
                upstream=upstream,
                status=status,
            )
        )

    def listening(self, addr: str, url: str) -> None:
        """Record that a listener accepts connections."""
        self.put(lambda time, t_ns: Listening(time=time, t_ns=t_ns, addr=addr, url=url))

    def reloaded(self, *, ok: bool, changes: tuple[str, ...] = (), problems: tuple[str, ...] = ()) -> None:
        """Record what became of a reload."""
        self.put(lambda time, t_ns: Reload(time=time, t_ns=t_ns, ok=ok, changes=changes, problems=problems))

    def stopping(self, signal: str, tunnels: int) -> None:
        """Record that the gateway stops, with as many WebSockets open."""
        self.put(lambda time, t_ns: Stopping(time=time, t_ns=t_ns, signal=signal, open=tunnels))

    def admit(self, room: int) -> tuple[int, int]:
        """Of `room` frames, how many may be recorded now, and how many Close frames and violations beyond."""
        waiting = self._waiting()
        if waiting > FULL:
            return 0, self.sampler.spare if waiting < CROWDED_OUT else 0
        return min(room, self.sampler.room), self.sampler.spare

    def keep_time(self, now: int) -> None:
        """See to it that the window of `now` (monotonic ns) has begun; a timer alone would be late."""
        if now >= self._window_ends:
            self._turn(now)

    def activate(self, tap: Tap) -> None:
        """`tap` has frames in this window."""
        if self._timer is None:
            self._set_timer()
        tap.active = True
        tap.room = self.sampler.share
        self._active[tap] = None

    def deactivate(self, tap: Tap) -> None:
        """`tap` has no more frames."""
        if tap.active:
            tap.active = False
            self._active.pop(tap, None)

    async def close(self, limit: float) -> bool:
        """Write what is waiting, as far as that goes within `limit` seconds; whether that was all."""
        self._ending.set()
        self._wake.set()
        await asyncio.get_running_loop().run_in_executor(None, self._writer.join, limit)
        return not self._writer.is_alive()

    def _waiting(self) -> int:
        return self._put_cost - self._written_cost

    def _append(self, tap: Tap | None, item: SeenFrame | Made, t_ns: int, size: int = 0) -> None:
        self._put_cost += _RECORD_COST + size
        self._queue.append((tap, item, t_ns))
        if not self._wake.is_set():
            self._wake.set()

    def _set_timer(self) -> None:
        left = max(0.0, (self._window_ends - time.monotonic_ns()) / _NS)
        self._timer = asyncio.get_running_loop().call_later(left, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.keep_time(time.monotonic_ns())
        if self._active:
            self._set_timer()

    def _turn(self, now: int) -> None:
        """Begin the window of `now`; a direction that sent nothing since its last turn waits until it does.

        Where very many directions send, they take turns at it, so that neither the windows nor what is told
        of each direction takes more time the more there are.
        """
        demands, omitted = [], 0
        turned = list(islice(self._active, _TURNED))
        for tap in turned:
            del self._active[tap]
            demand, left_out = tap.turn()
            omitted += left_out
            if demand:
                demands.append(demand)
                self._active[tap] = None
            else:
                tap.active = False
                tap.room = 1
        self.sampler.turn(now / _NS, demands, omitted)
        self._window_ends = int(self.sampler.end * _NS)
        for tap in turned:
            if tap.active:
                tap.room = self.sampler.share

    # What the writer does.

    def _write_all(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            ending = self._ending.is_set()
            self._write_waiting()
            if ending:
                return
            # Frames come one by one; lines are better written by the handful.
            self._ending.wait(_PAUSE)

    def _write_waiting(self) -> None:
        # The wall clock may be set while the gateway runs; monotonic time is told in today's.
        offset = time.time_ns() - time.monotonic_ns()

        def wall(t_ns: int) -> str:
            return rfc3339((t_ns + offset) / _NS)

        while self._queue:
            lines: list[bytes] = []
            cost = 0
            for _ in range(min(len(self._queue), 256)):
                tap, item, t_ns = self._queue.popleft()
                cost += _RECORD_COST + (len(item.kept) if isinstance(item, SeenFrame) else 0)
                if not self._output.lost:
                    lines += self._lines(tap, item, t_ns, wall)
            self._output.write(b"".join(lines))
            self._written_cost += cost

    def _lines(self, tap: Tap | None, item: SeenFrame | Made, t_ns: int, wall: Wall) -> list[bytes]:
        """What is written for one item of the queue."""
        try:
            if isinstance(item, SeenFrame):
                assert tap is not None
                records = tap.describe(item, wall)
            else:
                records = [item(wall(t_ns), t_ns)]
            return [self._output.line(record) for record in records if self._tells(record)]
        except Exception as error:  # noqa: BLE001 - a record that cannot be told costs its line, not the log
            message = f"a record could not be told: {type(error).__name__}: {error!a}"
            return [self._output.line(Error(time=wall(t_ns), t_ns=t_ns, message=message))]

    def _tells(self, record: Event) -> bool:
        return self.watching or isinstance(record, Listening | Reload | Stopping | Error)

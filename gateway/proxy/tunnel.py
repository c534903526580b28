"""The byte tunnel after a 101: what one side sends is written to the other, unchanged.

Strategy
    A `Leg` is what a transport talks to; a `Direction` is one way through the tunnel, from one leg's
    reads to the other's writes.  A leg's `data_received` is the `send` of a generator, `forward`, which
    writes first and looks at the bytes afterwards: no task, no queue, no object for a message.  The frame
    boundaries are always known, because a stop has to put its Close frame (RFC 6455 section 5.5.1)
    between two frames, never into one.

Rules
    * A full write buffer on one leg pauses the reads of the other.
    * The end of one direction (FIN) is passed on as such, and the other direction lives on; where a leg
      speaks TLS, which has no half-close here, it ends the tunnel once what was read is delivered.  A TLS
      peer that goes on sending behind the other side's end may lose the rest of what was sent to it:
      asyncio's TLS breaks a connection off on which more comes behind its own end.
    * A reset on one leg resets the other, behind all that came ahead of it.
    * A stop puts one Close 1001 into each direction that has none, at a boundary; behind it nothing
      follows.  A direction that cannot reach a boundary in time ends by FIN.
    * Nothing here looks at the time that passes without bytes: `sweep` does, from outside.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gateway.events import Close, How, Party, Side, SideTotals
from gateway.proxy.dial import OpeningLeg
from gateway.proxy.endings import reset, unread, unsent
from gateway.proxy.forward import forward, forward_watched
from gateway.proxy.log import EventLog, Tap
from gateway.websocket.frames import Decoder
from gateway.websocket.handshake import Extensions
from gateway.websocket.wire import close_frame

GOING_AWAY: Final = 1001
"""The code of the Close frames that a stop sends (RFC 6455 section 7.4.1)."""

_LINGER: Final = 30.0
"""Seconds for which a peer that has been told the end may go on sending ..."""

_SILENCE: Final = 2.0
"""... and after which nothing more is expected of one that sends nothing."""

_LAST_WORDS: Final = 0.25
"""Seconds to deliver what a stop's deadline finds in the buffers."""

_DELIVERY: Final = 0.01
"""Seconds until a first look at what still waits to be delivered ahead of a reset ..."""

_SELDOM: Final = 1.0
"""... and between two, in the end: a thousand slow readers are no reason to be busy."""

_STALLED: Final = 30.0
"""Seconds for which a reset waits for a peer that takes nothing more."""


class Leg(asyncio.Protocol):
    """One connection of a tunnel, as its transport sees it."""

    __slots__ = ("closing", "data_received", "ended", "full", "lost", "side", "transport", "tunnel")

    # Set on each object, where a transport looks it up: the direction's `send`.
    data_received: Callable[[bytes], None]  # type: ignore[assignment]  # an attribute, where asyncio declares a method

    def __init__(self, tunnel: "Tunnel", side: Side, transport: asyncio.Transport) -> None:
        self.tunnel = tunnel
        self.side: Side = side
        self.transport = transport
        self.ended = False
        """Whether the peer has sent its FIN."""
        self.closing = False
        """Whether the connection is closed once all is delivered."""
        self.lost = False
        """Whether the connection has gone."""
        self.full = False
        """Whether so much waits for the peer that no more should be written."""

    def eof_received(self) -> bool:
        """Pass the end of this direction on, and keep the other one open, unless it has ended already."""
        return self.tunnel.on_end(self) and not self.closing

    def connection_lost(self, exc: Exception | None) -> None:
        """End the tunnel, as abruptly as this leg has ended."""
        try:
            if not self.lost and (isinstance(exc, OSError) or not self.transport.can_write_eof()):
                # A write may have found first that the peer has gone; TLS may have kept something back.
                for data in unread(self.transport):
                    self.data_received(data)
        finally:
            self.tunnel.on_lost(self, exc)

    def pause_writing(self) -> None:
        """Stop reading what would have to be written here."""
        self.full = True
        self.tunnel.into(self).hold()

    def resume_writing(self) -> None:
        """Read again."""
        self.full = False
        self.tunnel.into(self).release()

    def close(self) -> None:
        """Deliver what is in the write buffer, then close."""
        if not (self.lost or self.closing):
            self.closing = True
            self.let_go()

    def leave(self) -> None:
        """Close, but to a peer that may still be sending: send FIN, and read on to its own end for a while.

        The system resets a connection that is closed while bytes of the peer are unread, or before more of
        them come, and what it has not delivered by then is lost.
        """
        if self.ended or not self.transport.can_write_eof():
            self.close()
        elif not (self.lost or self.closing):
            self.closing = True
            self.end()
            self.tunnel.out_of(self).listen()
            self._linger(-1, asyncio.get_running_loop().time() + _LINGER)

    def let_go(self) -> None:
        """Close, now that nothing more is to be read."""
        if not self.transport.is_closing():  # a second time, asyncio's TLS falls to pieces
            self.transport.close()

    def reset(self) -> None:
        """Close with a RST behind all that is to be delivered; give up on a peer that takes nothing more."""
        if not self.lost:
            now = asyncio.get_running_loop().time()
            self._reset_once_delivered(unsent(self.transport), now, _DELIVERY)

    def end(self) -> None:
        """Pass on that nothing more will be written here."""
        if self.lost:
            return
        if self.transport.can_write_eof():
            with suppress(OSError):  # the peer has reset the connection, which will be read in a moment
                self.transport.write_eof()
        else:
            self.close()

    def _linger(self, heard: int, until: float) -> None:
        """Read on behind our FIN as long as there is more than the `heard` bytes."""
        if self.lost:
            return
        loop = asyncio.get_running_loop()
        bytes_now = self.tunnel.out_of(self).decoder.wire_bytes
        silent = bytes_now == heard and not self.transport.get_write_buffer_size()
        if silent or loop.time() >= until:
            self.let_go()
        else:
            loop.call_later(_SILENCE, self._linger, bytes_now, until)

    def _reset_once_delivered(self, waited: int, since: float, delay: float) -> None:
        """Reset if nothing waits to be delivered, else look again after `delay`.

        What waits was `waited` bytes at `since`, when it last became less.
        """
        if self.lost:
            return
        loop = asyncio.get_running_loop()
        waiting = unsent(self.transport)
        if waiting < waited:
            since = loop.time()
        if waiting and loop.time() - since < _STALLED:
            longer = min(2 * delay, _SELDOM)
            loop.call_later(delay, self._reset_once_delivered, waiting, since, longer)
        else:
            reset(self.transport)


class Direction:
    """One way through the tunnel: read from `source`, written to `sink`."""

    __slots__ = ("decoder", "said", "sink", "source", "tap")

    def __init__(self, source: Leg, sink: Leg, decoder: Decoder, tap: Tap | None) -> None:
        self.source = source
        self.sink = sink
        self.decoder = decoder
        self.tap = tap
        self.said = False
        """Whether the gateway has put its own last word into it: a Close frame, or a FIN in its place."""

    @property
    def finished(self) -> bool:
        """Whether its source has sent a whole Close frame, or its end."""
        return self.source.ended or self.source.lost or (self.decoder.closed and self.decoder.at_boundary)

    @property
    def totals(self) -> SideTotals:
        """All that the source has sent."""
        decoder = self.decoder
        return SideTotals(
            code=decoder.close_code,
            reason=decoder.close_reason,
            frames=decoder.frames,
            bytes=decoder.wire_bytes,
        )

    def start(self) -> None:
        """Begin to forward."""
        write = self.sink.transport.write
        tap = self.tap
        forwarding = (
            forward(write, self.decoder, self._take_turns)
            if tap is None
            else forward_watched(write, tap, self._take_turns)
        )
        next(forwarding)
        self.source.data_received = forwarding.send

    def hold(self) -> None:
        """The sink takes no more for now."""
        # Behind the last word nothing is written, and what the source answers is worth reading.
        if not (self.said or self.source.lost):
            self.source.transport.pause_reading()

    def release(self) -> None:
        """The sink takes more again."""
        if not (self.said or self.source.lost):
            self.source.transport.resume_reading()

    def _take_turns(self) -> None:
        """Read on once all others have been read from: uvloop would do so up to 32 times at once.

        Not where TLS is spoken: an end that comes while reading is paused costs what has come before it.
        """
        if not self.source.lost and self.source.transport.can_write_eof():
            self.source.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if not self.sink.full:
            self.release()

    def stop(self) -> None:
        """Put a Close frame into this direction, now or at the next boundary."""
        if self.finished or self.said or self.sink.lost:
            return
        self._receive(self._drain)
        self._drain(b"")

    def listen(self) -> None:
        """The sink has gone, or is going: forward nothing more, but count what still comes."""
        if not self.source.lost:
            self._receive(self._drain)
            if not self.source.ended:
                self.source.transport.resume_reading()

    def cut(self) -> None:
        """No boundary will come, or not in time: end this direction by FIN."""
        if not (self.said or self.source.ended or (self.decoder.closed and self.decoder.at_boundary)):
            self._say(None)

    def _drain(self, data: bytes) -> None:
        """Forward up to the next boundary; there, say Close, and only listen from then on."""
        if not (self.said or self.sink.lost or self.sink.closing):
            rest = self.decoder.to_boundary(data)
            self.sink.transport.write(data[:rest])
            self._look(data[:rest])
            data = data[rest:]
            if self.decoder.blind:
                self._say(None)
            elif self.decoder.closed:
                # The frame under way was itself a Close.
                self.sink.transport.write(data)
            elif self.decoder.at_boundary:
                key = os.urandom(4) if self.sink.side == "upstream" else None
                self._say(close_frame(GOING_AWAY, key))
        self._look(data)
        self.source.tunnel.settle()

    def _receive(self, data_received: Callable[[bytes], None]) -> None:
        self.source.data_received = data_received
        # The transport may have looked it up once and for all.
        self.source.transport.set_protocol(self.source)

    def _look(self, data: bytes) -> None:
        if not data:
            return
        if self.tap is None:
            self.decoder.receive_data(data, 0)
        else:
            self.tap.receive_data(data, time.monotonic_ns())

    def _say(self, last_word: bytes | None) -> None:
        if last_word is None:
            self.sink.end()
            self.source.tunnel.note("gateway", "fin")
        else:
            self.sink.transport.write(last_word)
            self.source.tunnel.note("gateway", "close")
        self.release()
        self.said = True


class Tunnel:
    """A WebSocket through the gateway, from the 101 until both connections have gone.

    `on_closed` is called once, at the end.  `conn` is 0 where nobody watches.
    """

    __slots__ = (
        "_ends",
        "_log",
        "_on_closed",
        "_opened_ns",
        "conn",
        "down",
        "stopping",
        "to_client",
        "to_upstream",
        "up",
    )

    def __init__(  # noqa: PLR0913 - two ends, and what was agreed between them
        self,
        conn: int,
        down: asyncio.Transport,
        up: asyncio.Transport,
        *,
        agreed: Extensions,
        log: EventLog,
        on_closed: "Callable[[Tunnel], None]",
    ) -> None:
        self.conn = conn
        self.down = Leg(self, "client", down)
        self.up = Leg(self, "upstream", up)
        self.to_upstream = self._direction(self.down, self.up, agreed, log)
        self.to_client = self._direction(self.up, self.down, agreed, log)
        self._log = log
        self._on_closed = on_closed
        self._opened_ns = time.monotonic_ns()
        self.stopping = False
        """Whether Close frames have been sent, or are due."""
        self._ends: list[tuple[int, Party, How]] = []
        """What ended, when and how; the first of them ended the tunnel."""

    @property
    def over(self) -> bool:
        """Whether both connections have gone."""
        return self.down.lost and self.up.lost

    def start(
        self, head: bytes, from_client: bytes, opening: OpeningLeg, from_upstream: bytes, buffer: int
    ) -> None:
        """Take both connections over, and answer the client with `head`; nothing waits to be sent to it.

        The bytes had come glued to the handshakes.  Where more than `buffer` bytes wait for one peer, the
        other is not read.
        """
        self.up.lost = opening.lost
        for direction in (self.to_upstream, self.to_client):
            direction.start()
        self.down.transport.set_protocol(self.down)
        self.down.transport.set_write_buffer_limits(high=buffer)
        self.down.transport.write(head)
        self.down.transport.resume_reading()
        opening.hand_over(self.up, from_upstream)
        self.up.transport.set_write_buffer_limits(high=buffer)
        if self.down.full:
            self.to_client.hold()  # which the upstream's leg has not heard of
        # Only now would the upstream's leg hear that its write buffer is full.
        if from_client and not self.up.lost:
            self.down.data_received(from_client)

    def stop(self) -> None:
        """Send Close 1001 both ways, and end once both peers have answered."""
        if self.stopping:
            return
        self.stopping = True
        for direction in (self.to_upstream, self.to_client):
            direction.stop()
        self.settle()

    def time_out(self, answer: float) -> None:
        """Nothing has passed for too long: stop, with `answer` seconds for both peers to answer."""
        self.note("gateway", "timeout")
        self.stop()
        asyncio.get_running_loop().call_later(answer, self.stop_now)

    def cut_off(self) -> None:
        """A peer has taken nothing for too long: reset both connections."""
        self.note("gateway", "timeout")
        for leg in (self.down, self.up):
            if not leg.lost:
                reset(leg.transport)

    def stop_now(self) -> None:
        """The time for answers is over: deliver what can be delivered in a moment, then cut."""
        if self.over:
            return
        self.note("gateway", "timeout")
        for direction in (self.to_upstream, self.to_client):
            direction.cut()
        for leg in (self.down, self.up):
            leg.close()
        asyncio.get_running_loop().call_later(_LAST_WORDS, self.abort)

    def abort(self) -> None:
        """Cut both connections."""
        self.note("gateway", "reset")
        for leg in (self.down, self.up):
            if not leg.lost:
                leg.transport.abort()

    def note(self, by: Party, how: How) -> None:
        """Remember an end; the first one is what ended the tunnel."""
        self._ends.append((time.monotonic_ns(), by, how))

    def into(self, sink: Leg) -> Direction:
        """The direction that is written to `sink`."""
        return self.to_upstream if sink is self.up else self.to_client

    def out_of(self, source: Leg) -> Direction:
        """The direction that is read from `source`."""
        return self.to_upstream if source is self.down else self.to_client

    def on_end(self, leg: Leg) -> bool:
        """`leg` has sent its FIN.  Whether its transport is to stay open for what goes the other way."""
        leg.ended = True
        self.note(leg.side, "fin")
        direction = self.out_of(leg)
        half_close = self.down.transport.can_write_eof() and self.up.transport.can_write_eof()
        if not half_close or direction.sink.ended:
            # To leave is to pass on the end as well.
            self.down.leave()
            self.up.leave()
        elif not direction.said:
            direction.sink.end()
        self.settle()
        return half_close

    def on_lost(self, leg: Leg, exc: Exception | None) -> None:
        """`leg`'s connection has gone."""
        leg.lost = True
        if exc is not None:
            how: How = "timeout" if isinstance(exc, TimeoutError) else "reset"
            by: Party = leg.side if isinstance(exc, OSError) else "gateway"
            self.note(by, how)
        elif not leg.ended:
            self.note(leg.side, "fin")
        self.into(leg).listen()
        other = self.up if leg is self.down else self.down
        if other.lost:
            self._finish()
        elif self.stopping:
            # Its peer may still be answering the Close; what can no longer reach a boundary ends here.
            self.out_of(leg).cut()
            self.settle()
        elif other.closing:
            return  # it has been told, and lingers
        elif isinstance(exc, BrokenPipeError) and leg.transport.can_write_eof():
            # It had sent its FIN, which may not have been read yet, and then refused what was sent to it.
            # Over TLS, what came ahead of the FIN may be lost by now, and nobody is to take the rest for all.
            other.end()
            asyncio.get_running_loop().call_later(_DELIVERY, other.reset)
        elif exc is not None:
            other.reset()
        else:
            other.leave()

    def settle(self) -> None:
        """During a stop, close each connection over which both sides have said their last."""
        if not self.stopping:
            return
        for leg in (self.down, self.up):
            spoken = self.into(leg)
            if self.out_of(leg).finished and (spoken.said or spoken.finished):
                leg.close()

    def _direction(self, source: Leg, sink: Leg, agreed: Extensions, log: EventLog) -> Direction:
        decoder = Decoder(
            source.side,
            preview=log.preview if log.watching else None,
            deflate=agreed.deflate,
            rsv_known=agreed.rsv_known,
        )
        tap = Tap(log, self.conn, source.side, decoder, agreed) if log.watching else None
        return Direction(source, sink, decoder, tap)

    def _finish(self) -> None:
        for direction in (self.to_upstream, self.to_client):
            if direction.tap is not None:
                direction.tap.finish()
        if self._log.watching:
            self._report()
        self._on_closed(self)

    def _report(self) -> None:
        closes: list[tuple[int, Party, How]] = [
            (direction.decoder.close_ns, direction.source.side, "close")
            for direction in (self.to_upstream, self.to_client)
            if direction.decoder.close_ns is not None
        ]
        _, by, how = min(closes + self._ends)
        ended_by_limit = (by, how) == ("gateway", "timeout")
        if not ended_by_limit and any(end[2] == "close" for end in closes + self._ends):
            how = "close"
        client, upstream = self.to_upstream.totals, self.to_client.totals
        ms = round((time.monotonic_ns() - self._opened_ns) / 1e6, 3)
        self._log.put(
            lambda time, t_ns: Close(
                time=time, t_ns=t_ns, conn=self.conn, by=by, how=how, client=client, upstream=upstream, ms=ms
            )
        )

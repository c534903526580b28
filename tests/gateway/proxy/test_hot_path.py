"""The shape of the path that every message takes: what it calls, and what it leaves behind."""

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import cast

import pytest

from gateway.events import Side
from gateway.proxy.dial import OpeningLeg
from gateway.proxy.log import EventLog, Frames
from gateway.proxy.tunnel import Leg, Tunnel
from gateway.websocket.handshake import Extensions
from tests.gateway.proxy.raw import frame, from_client

MESSAGES = 1000
PLAIN = Extensions(deflate=False, client_takeover=False, upstream_takeover=False, rsv_known=0)


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write = self.written.append

    def can_write_eof(self) -> bool:
        """As TCP can."""
        return True

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    resume_reading = pause_reading


@asynccontextmanager
async def legs(frames: Frames, rate: int = 1) -> AsyncIterator[tuple[Leg, Leg, Wire, Wire]]:
    """Both legs of a tunnel that forwards, and what they are connected to."""
    down, up = Wire(), Wire()
    log = EventLog(None, frames, preview=64, frame_rate=rate)
    tunnel = Tunnel(
        1,
        cast(asyncio.Transport, down),
        cast(asyncio.Transport, up),
        agreed=PLAIN,
        log=log,
        on_closed=lambda _: None,
    )
    for direction in (tunnel.to_upstream, tunnel.to_client):
        direction.start()
    try:
        yield tunnel.down, tunnel.up, down, up
    finally:
        await log.close(1)


def message(sender: Side, size: int) -> bytes:
    """A message of `size` bytes in one frame."""
    return from_client(bytes(size)) if sender == "client" else frame(bytes(size))


def calls(run: Callable[[], object]) -> Counter[str]:
    """What `run` calls, in Python and in C, itself left out."""
    seen: Counter[str] = Counter()

    def see(frame: FrameType, event: str, called: object) -> None:
        if event == "call":
            seen[frame.f_code.co_name] += 1
        elif event == "c_call":
            seen[getattr(called, "__name__", str(called))] += 1

    gc.collect()
    gc.disable()  # what others have left behind is not of this message
    sys.setprofile(see)
    try:
        run()
    finally:
        sys.setprofile(None)
        gc.enable()
    del seen[run.__name__], seen["setprofile"]
    return seen


@pytest.mark.parametrize("size", [0, 16, 125, 126, 128, 4096, 65535])
@pytest.mark.parametrize("sender", ["client", "upstream"])
async def test_a_message_costs_one_write_and_nothing_else(sender: Side, size: int) -> None:
    """No task, no queue, no event: a generator resumes, writes what it was given and measures its length."""
    async with legs("off") as (down, up, to_client, to_upstream):
        source, wire = (down, to_upstream) if sender == "client" else (up, to_client)
        data = message(sender, size)

        def pass_on() -> None:
            source.data_received(data)

        assert calls(pass_on) == {"forward": 1, "send": 1, "append": 1, "len": 1}
        assert wire.written == [data]
        assert wire.written[0] is data


@pytest.mark.parametrize("size", [16, 128, 4096])
async def test_a_message_that_is_only_counted_costs_a_look_at_the_clock(size: int) -> None:
    """Where the log has no room left, counting takes no call."""
    async with legs("json") as (down, _, _, wire):
        data = message("client", size)
        direction = down.tunnel.to_upstream
        assert direction.tap is not None
        direction.tap.room = 0

        def pass_on() -> None:
            down.data_received(data)

        expected = {"forward_watched": 1, "send": 1, "append": 1, "len": 1, "monotonic_ns": 1}
        assert calls(pass_on) == expected
        assert (direction.decoder.frames, direction.decoder.wire_bytes) == (1, len(data))
        assert wire.written == [data]


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("size", [16, 128, 70_000])
async def test_messages_leave_nothing_behind(size: int, batch: int) -> None:
    """However many have passed, there is not an object more than before."""
    async with legs("off") as (down, up, *wires):
        to_upstream, to_client = message("client", size) * batch, message("upstream", size) * batch

        async def exchange(times: int) -> None:
            for _ in range(times):
                down.data_received(to_upstream)
                up.data_received(to_client)
                for wire in wires:
                    wire.written.clear()
                await asyncio.sleep(0)  # as what is read comes from the loop

        await exchange(10)
        before = sys.getallocatedblocks()
        await exchange(MESSAGES)
        assert sys.getallocatedblocks() - before < MESSAGES // 10
        assert down.tunnel.to_upstream.decoder.frames == (MESSAGES + 10) * batch


@pytest.mark.parametrize("frames", ["off", "json"])
async def test_a_large_read_is_let_go_at_once(frames: Frames) -> None:
    """It does not wait for the next one, which may never come: many tunnels would hold many."""
    async with legs(frames) as (down, _, _, wire):
        for data in (message("client", 70_000), message("client", 250_000)[:200_000], bytes(100_000)):
            before = sys.getrefcount(data)
            down.data_received(data)
            wire.written.clear()
            assert sys.getrefcount(data) == before


@pytest.mark.parametrize("frames", ["off", "json"])
@pytest.mark.parametrize("cut", [1, 3, 7, 100, 5000])
async def test_counts_are_exact_however_the_bytes_come(frames: Frames, cut: int) -> None:
    """Sampled or not, whole or in pieces: frames and bytes are those that passed."""
    async with legs(frames) as (down, _, _, wire):
        sizes = [0, 1, 125, 126, 300, 65535, 65536, 5]
        data = b"".join(message("client", size) for size in sizes)
        for at in range(0, len(data), cut):
            down.data_received(data[at : at + cut])
        decoder = down.tunnel.to_upstream.decoder
        assert (decoder.frames, decoder.wire_bytes) == (len(sizes), len(data))
        assert decoder.at_boundary
        assert b"".join(wire.written) == data


class FullWire(Wire):
    """A transport whose buffer is full after the first write, which it tells its protocol."""

    protocol: asyncio.Protocol
    paused = False

    def __init__(self) -> None:
        super().__init__()
        self.write = self._write

    def _write(self, data: bytes) -> None:
        self.written.append(data)
        self.protocol.pause_writing()

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        """As transports do."""
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int) -> None:
        """It is full after any write, whatever is wanted."""

    def pause_reading(self) -> None:
        """Remember it."""
        self.paused = True

    def resume_reading(self) -> None:
        """Forget it."""
        self.paused = False


async def test_what_came_ahead_of_the_101_can_fill_a_buffer() -> None:
    """Who sent it is not read any further, as at any later time."""
    down, up = FullWire(), FullWire()
    log = EventLog(None, "off", preview=64, frame_rate=1)
    tunnel = Tunnel(
        1,
        cast(asyncio.Transport, down),
        cast(asyncio.Transport, up),
        agreed=PLAIN,
        log=log,
        on_closed=lambda _: None,
    )
    opening = OpeningLeg()
    up.set_protocol(opening)
    opening.connection_made(cast(asyncio.Transport, up))
    try:
        tunnel.start(b"head", from_client(b"early"), opening, b"", 64 * 1024)
        assert up.written == [from_client(b"early")]
        # Each waits for the other: what was written to the client is the head of the 101.
        assert (down.written, down.paused, up.paused) == ([b"head"], True, True)
    finally:
        await log.close(1)

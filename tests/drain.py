"""What a stop does to very many WebSockets at once; `python -m tests.drain 5000` tells the figures.

Most peers answer the gateway's Close 1001 as they should.  Every tenth client never does, and has to be cut.
All clients and upstreams live in this process, on one loop; the gateway is a process, or several.
"""

import argparse
import asyncio
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from gateway.events import Close, Error, Open, Stopping
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, close
from tests.gateways import LOOPS, GatewayProcess, Loop, config_of
from tests.servers import PATIENCE

WAVE: Final = 100
"""WebSockets that are opened at the same time."""

GOING_AWAY: Final = close(1001)
"""What each client has to be sent, and nothing else."""


class End(asyncio.Protocol):
    """One end of a WebSocket that says nothing but what a Close asks for."""

    def __init__(self, *, answers: bool = True) -> None:
        loop = asyncio.get_running_loop()
        self.answers = answers
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[float] = loop.create_future()
        """When the connection has gone, by `time.monotonic`."""
        self.told: float | None = None
        """When the Close had come, by the same clock."""
        self.received = b""
        """What has come behind the opening handshake."""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take the opening handshake, then the Close."""
        self.received += data
        if not self.opened.done():
            head, end, rest = self.received.partition(b"\r\n\r\n")
            if not end:
                return
            self.received = rest
            self.open(head)
            self.opened.set_result(None)
        if self.told is None and len(self.received) >= self.close_size:
            self.told = time.monotonic()
            if self.answers:
                self.say(self.answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember when."""
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionResetError("closed before it was open"))
            self.opened.exception()  # of an upstream's end, nobody asks: a dial may be given up
        self.closed.set_result(time.monotonic())

    def say(self, data: bytes) -> None:
        """Send `data`."""
        assert self.transport is not None
        self.transport.write(data)

    close_size = len(GOING_AWAY)
    answer = close(1001, masked=True)

    def open(self, head: bytes) -> None:
        """The gateway has answered."""
        assert head.startswith(b"HTTP/1.1 101 "), head


class UpstreamEnd(End):
    """The end that the gateway connects to."""

    close_size = len(close(1001, masked=True))
    answer = GOING_AWAY

    def open(self, head: bytes) -> None:
        """The gateway has asked."""
        assert head.startswith(b"GET /ws "), head
        self.say(SWITCHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What came of a stop; times in seconds after the signal."""

    told: Sequence[float]
    """When each client had its Close."""
    answering: Sequence[float]
    """When the connection of each client that answers had gone."""
    mute: Sequence[float]
    """When that of each other client had."""
    ended: float
    """When the gateway had."""
    garbled: int
    """Clients that got something else than one Close 1001."""
    refused: bool
    """Whether a client that came during the stop was refused."""
    stopping: Sequence[Stopping]
    closes: Sequence[Close]
    errors: Sequence[Error]


async def drain(
    count: int, *, loop: Loop = "uvloop", workers: int = 1, shutdown_timeout: int = 3, mute: int = 10
) -> Drained:
    """Open `count` WebSockets, of which every `mute`th is, stop the gateway, and see what comes of them."""
    running = asyncio.get_running_loop()
    server = await running.create_server(UpstreamEnd, "127.0.0.1", 0, backlog=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = config_of(url, shutdown_timeout=shutdown_timeout)
    options = () if workers == 1 else ("--workers", str(workers))
    with GatewayProcess(config, *options, loop=loop, daemon=True) as gateway:
        ends = await _open(gateway.port, count, mute)
        await gateway.records.wait_for(Open, past=count - 1, patience=6 * PATIENCE)
        began = time.monotonic()
        gateway.signal(signal.SIGTERM)
        await gateway.records.wait_for(Stopping, patience=6 * PATIENCE)
        refused = await _is_refused(gateway.port)
        patience = shutdown_timeout + 6 * PATIENCE
        await asyncio.wait([each.closed for each in ends], timeout=patience)
        assert await gateway.ended(patience) == 0
        ended = time.monotonic() - began
    server.close()
    await server.wait_closed()
    return Drained(
        told=[each.told - began for each in ends if each.told is not None],
        answering=[each.closed.result() - began for each in ends if each.answers],
        mute=[each.closed.result() - began for each in ends if not each.answers],
        ended=ended,
        garbled=sum(each.received != GOING_AWAY for each in ends),
        refused=refused,
        stopping=gateway.records.all(Stopping),
        closes=gateway.records.all(Close),
        errors=gateway.records.all(Error),
    )


async def _open(port: int, count: int, mute: int) -> list[End]:
    """The clients' ends of so many WebSockets."""
    loop = asyncio.get_running_loop()
    ends: list[End] = []
    while len(ends) < count:
        wave = [End(answers=number % mute > 0) for number in range(len(ends), min(count, len(ends) + WAVE))]
        for end in wave:
            await loop.create_connection(lambda end=end: end, "127.0.0.1", port)  # type: ignore[misc]
            end.say(HANDSHAKE)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(end.opened for end in wave))
        ends += wave
    return ends


async def _is_refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


def main() -> None:
    """Print what comes of a stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.drain", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=5000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--loop", choices=LOOPS, default="uvloop")
    parser.add_argument("--shutdown-timeout", type=int, default=10)
    parser.add_argument("--mute", type=int, default=10, help="every so manieth client does not answer")
    given = parser.parse_args()
    found = asyncio.run(
        drain(
            given.count,
            loop=given.loop,
            workers=given.workers,
            shutdown_timeout=given.shutdown_timeout,
            mute=given.mute,
        )
    )
    lines = [f"{given.count} WebSockets, shutdownTimeout {given.shutdown_timeout} s"]
    for name, times in (("told", found.told), ("answered, gone", found.answering), ("mute, cut", found.mute)):
        when = f"from {min(times):.3f} to {max(times):.3f} s after the signal" if times else ""
        lines.append(f"  {name}: {len(times)} {when}")
    lines += [
        f"  gateway ended after {found.ended:.3f} s; {found.garbled} clients got something else",
        f"  log: {len(found.closes)} close, {len(found.errors)} error records {found.errors[:3]}",
        f"  a newcomer was {'refused' if found.refused else 'let in'} meanwhile",
    ]
    print("\n".join(lines))  # noqa: T201 - a script tells what it has seen


if __name__ == "__main__":
    main()

"""Clients that read nothing while their upstreams send all they can: what each of them costs."""

import asyncio
import sys
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.faults.rest import Held, given_back
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame
from tests.gateways import GatewayProcess, Loop, config_of
from tests.servers import Peer, Upstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

BOUND = {"uvloop": (64 + 256 + 80) << 10, "asyncio": (64 + 2 * 256 + 80) << 10}
"""Bytes that a tunnel may take whose client reads nothing: what waits to be written when reading is paused
(64 KiB), one read on top of that (256 KiB, which asyncio's own loop copies while it grows its buffer), and
what belongs to every tunnel, with what the allocator loses."""

FIXED = 16 << 20
"""Bytes that the process takes for being used at all."""

FLOOD = frame(bytes(1 << 20), opcode=2)


async def flood(server: Peer) -> None:
    """Send until nobody takes any more."""
    with suppress(TimeoutError):
        for _ in range(16):
            await server.send(FLOOD, patience=1)


async def flooded(gateway: GatewayProcess, upstream: Upstream, number: int) -> int:
    """Bytes that the gateway has in use while so many clients read nothing of all that is sent to them."""
    clients: list[Peer] = []
    servers: list[Peer] = []
    for _ in range(number):
        clients.append(await Peer.connect(gateway.port, receive_buffer=4096))
        servers.append(await opened(clients[-1], upstream))
    await asyncio.gather(*map(flood, servers))
    held = await at_most(gateway.pid)
    with await Peer.connect(gateway.port) as other:  # everybody else is served as ever
        await (await opened(other, upstream)).send(frame(b"hello"))
        assert await other.read(7) == frame(b"hello")
    for peer in (*clients, *upstream.peers):
        peer.reset()
    upstream.peers.clear()
    return held


async def at_most(pid: int) -> int:
    """Bytes in use, once they grow no more: a busy machine lets the gateway read late."""
    most, quiet = 0, 0
    while quiet < 4:
        await asyncio.sleep(0.25)  # between two looks
        now = Held.by(pid).memory
        quiet = quiet + 1 if now <= most + (1 << 20) else 0
        most = max(most, now)
    return most


async def opened(client: Peer, upstream: Upstream) -> Peer:
    """The upstream's end of a WebSocket that `client` opens."""
    await client.send(HANDSHAKE)
    server = await upstream.accept()
    await server.read_head()
    await server.send(SWITCHING)
    await client.read_head()
    return server


async def bounded(number: int, loop: Loop) -> tuple[float, float]:
    """Bytes for each of so many clients, in two rounds: the second one uses what the first one had."""
    async with Upstream() as upstream:
        config = config_of(f"http://127.0.0.1:{upstream.port}")
        gateway = GatewayProcess(config, frames="off", loop=loop)
        try:
            before = Held.by(gateway.pid)
            first = await flooded(gateway, upstream, number)
            # What a process has once used, its allocator may keep: that is looked at by the second round.
            await given_back(gateway.pid, replace(before, memory=first), spare=2)
            second = await flooded(gateway, upstream, number)
            await given_back(gateway.pid, replace(before, memory=max(first, second)), spare=2)
            return (first - before.memory) / number, (second - before.memory) / number
        finally:
            await asyncio.to_thread(gateway.kill)


@pytest.mark.parametrize(
    ("number", "loop"),
    [
        (60, "uvloop"),
        pytest.param(60, "asyncio", marks=pytest.mark.long),
        pytest.param(1000, "uvloop", marks=[pytest.mark.long, pytest.mark.timeout(300)]),
        pytest.param(1000, "asyncio", marks=[pytest.mark.long, pytest.mark.timeout(300)]),
    ],
)
async def test_slow_readers_are_bounded(number: int, loop: Loop) -> None:
    """Each costs a few hundred kilobytes, and no more the second time."""
    first, second = await bounded(number, loop)
    print(f"{number} on {loop}: {first / 1024:.0f} KiB each, then {second / 1024:.0f}")  # noqa: T201 - for -s
    assert first < BOUND[loop] + FIXED / number
    assert second < BOUND[loop] + FIXED / number

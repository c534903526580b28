"""Tunnels under load: a slow reader costs no memory, many sockets no patience, abrupt ends leave nothing."""

import asyncio
import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.events import Close
from gateway.proxy.story import Asked, Story
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame, from_client, open_tunnel
from tests.gateways import LOOPS, GatewayProcess, GatewayThread, Loop, config_of
from tests.servers import Peer, Upstream

MIB = 1 << 20


@pytest.fixture(scope="module", params=LOOPS)
def own_gateway(request: pytest.FixtureRequest, upstream_port: int) -> Iterator[GatewayProcess]:
    """A gateway whose memory and descriptors are of these tests alone, on either loop."""
    with GatewayProcess(config_of(f"http://127.0.0.1:{upstream_port}"), loop=request.param) as running:
        yield running


@pytest.mark.parametrize("slow", ["client", "upstream"])
async def test_a_slow_reader_costs_no_memory(
    own_gateway: GatewayProcess, upstream: Upstream, slow: str
) -> None:
    """200 MiB wait for a reader who does not read, but not in the gateway; then all arrive intact."""
    client, server = await open_tunnel(own_gateway.port, upstream)
    reader, writer = (client, server) if slow == "client" else (server, client)
    piece = frame(random.Random(3).randbytes(MIB), opcode=2, masked=slow == "upstream")
    before = own_gateway.rss()
    sent = 0

    async def push() -> None:
        nonlocal sent
        for _ in range(200):
            await writer.send(piece, patience=30)
            sent += 1
        writer.end()

    with client, server:
        async with asyncio.TaskGroup() as group:
            group.create_task(push())
            stalled = -1
            while stalled < sent:  # until no more goes into the buffers on the way
                stalled = sent
                await asyncio.sleep(0.3)
            assert sent < 100
            assert own_gateway.rss() - before < 32 * MIB
            arrived = [await reader.read(len(piece)) for _ in range(200)]
            assert all(each == piece for each in arrived)
            assert await reader.read_to_end() == b""
        assert own_gateway.rss() - before < 32 * MIB


@pytest.mark.parametrize("flooding", ["client", "upstream"])
async def test_a_flood_leaves_turns_to_others(
    own_gateway: GatewayProcess, upstream: Upstream, flooding: str
) -> None:
    """However much one side of a WebSocket sends: little of it passes between two bytes of another one.

    Left to itself, uvloop reads 8 MB from one connection before it looks at the next.
    """
    flood = (
        frame(b"", opcode=9, masked=flooding == "client") + frame(b"x", masked=flooding == "client")
    ) * 9000
    passed = 0
    flooded = asyncio.Event()

    async def send() -> None:
        while True:
            await source.send(flood)

    async def receive() -> None:
        nonlocal passed
        while True:
            passed += len(await sink.read_some())
            if passed > 8 * MIB:
                flooded.set()

    ends = await open_tunnel(own_gateway.port, upstream)
    source, sink = ends if flooding == "client" else reversed(ends)
    client, server = await open_tunnel(own_gateway.port, upstream)
    with source, sink, client, server:
        tasks = [asyncio.create_task(each()) for each in (send, receive)]
        async with asyncio.timeout(30):
            await flooded.wait()
        before = passed
        for _ in range(10):
            await client.send(from_client(b"hello"))
            assert await server.read(11) == from_client(b"hello")
            await server.send(frame(b"hello"))
            assert await client.read(7) == frame(b"hello")
        assert passed - before < 10 * 4 * MIB
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_500_sockets_at_once(own_gateway: GatewayProcess, upstream: Upstream) -> None:
    """500 tunnels are open at once, and each carries its own messages."""
    pairs = []
    closed = len(own_gateway.records.all(Close))
    for _ in range(5):
        clients = [await Peer.connect(own_gateway.port) for _ in range(100)]
        for number, client in enumerate(clients):
            await client.send(HANDSHAKE.replace(b"/ws", b"/%d" % number))
        servers = {}
        for _ in clients:
            server = await upstream.accept()
            servers[int((await server.read_head()).split(b" ")[1][1:])] = server
            await server.send(SWITCHING)
        for number, client in enumerate(clients):
            await client.read_head()
            pairs.append((client, servers[number]))
    try:
        for number, (client, server) in enumerate(pairs):
            await client.send(from_client(b"%03d" % number))
            await server.send(frame(b"%03d" % number))
        for number, (client, server) in enumerate(pairs):
            assert await server.read(9) == from_client(b"%03d" % number)
            assert await client.read(5) == frame(b"%03d" % number)
    finally:
        for client, server in pairs:
            client.close()
            server.close()
    await own_gateway.records.wait_for(Close, past=closed + 499)


@pytest.mark.parametrize("loop", LOOPS)
async def test_300_abrupt_ends_leave_nothing(upstream: Upstream, loop: Loop) -> None:
    """Resets, vanished peers and half-sent frames leave no task, no tunnel and no descriptor behind."""
    dice = random.Random(5)
    with GatewayThread(config_of(f"http://127.0.0.1:{upstream.port}"), loop=loop) as gateway:
        await _abrupt(gateway, upstream, dice, 10)
        tasks, descriptors = await gateway.tasks(), gateway.descriptors()
        await _abrupt(gateway, upstream, dice, 300)
        assert len(gateway.records.all(Close)) == 310
        assert await gateway.tasks() == tasks
        assert gateway.descriptors() == descriptors


async def _abrupt(gateway: GatewayThread, upstream: Upstream, dice: random.Random, count: int) -> None:
    """Open tunnels and end them in every way there is, and wait until the gateway has closed them."""
    closed = len(gateway.records.all(Close))
    for number in range(count):
        client, server = await open_tunnel(gateway.port, upstream)
        await client.send(from_client(dice.randbytes(3000))[: dice.randrange(3000)])
        await server.send(frame(dice.randbytes(3000))[: dice.randrange(3000)])
        first, second = (client, server) if number % 2 else (server, client)
        match number % 3:
            case 0:
                first.reset()
            case 1:
                first.close()
            case _:
                first.reset()
                second.reset()
        second.close()
    await gateway.records.wait_for(Close, past=closed + count - 1)


class _Draining:
    """A client's transport, and what waits in it at each look."""

    def __init__(self, *waiting: int) -> None:
        self.waiting = list(waiting)
        self.transport = self

    def get_write_buffer_size(self) -> int:
        """As transports do."""
        return self.waiting.pop(0)


async def test_a_tunnel_begins_on_an_empty_transport() -> None:
    """One that is full already, of an answer that came before, would not tell a tunnel that it is."""
    down = _Draining(70_000, 3, 0)
    story = Story.__new__(Story)
    story._asked = cast(Asked, SimpleNamespace(downstream=down))
    await story._delivered()
    assert down.waiting == []

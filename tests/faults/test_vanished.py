"""Peers that have gone without a word: a cable is pulled, and no FIN or RST ever comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial

import pytest
import pytest_asyncio

from gateway.config.resources.listen import KeepAliveConfig
from gateway.events import Close, Error, Open, Request
from gateway.proxy import dial, listen
from tests.faults.namespaces import HERE, THERE, Network, needs_networks
from tests.gateway.proxy.plain import GET
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame
from tests.gateways import LOOPS, GatewayThread, Loop, config_of
from tests.servers import Peer, Upstream

pytestmark = needs_networks

POST = b"POST / HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's probes begin after one second and not after 15, and two of them are enough."""
    for name, value in (("_IDLE", 1), ("_INTERVAL", 1), ("_COUNT", 2)):
        monkeypatch.setattr(listen, name, value)
    monkeypatch.setattr(dial, "PROBES", listen.probes(KeepAliveConfig()))


class Cabled:
    """Two networks, a cable between them, and a gateway on either event loop in the first one."""

    def __init__(self, stack: ExitStack, servers: AsyncExitStack) -> None:
        self.here = stack.enter_context(Network())
        self.there = stack.enter_context(Network())
        self.here.connect_to(self.there)
        self._stack, self._servers = stack, servers

    async def upstream(self, network: Network, host: str) -> Upstream:
        """A server in one of the networks."""
        return await self._servers.enter_async_context(network.run(partial(Upstream, host=host)))

    def gateway(self, loop: Loop, upstream: Upstream) -> GatewayThread:
        """A gateway that listens in the first network."""
        config = config_of(f"http://{upstream.host}:{upstream.port}", addr="0.0.0.0:0")
        return self._stack.enter_context(self.here.run(partial(GatewayThread, config, loop=loop)))


@pytest_asyncio.fixture
async def cabled(quick_probes: None) -> AsyncIterator[Cabled]:
    """Such a pair."""
    del quick_probes
    async with AsyncExitStack() as servers:
        with ExitStack() as stack:
            yield Cabled(stack, servers)


async def open_tunnel(client: Peer, upstream: Upstream) -> Peer:
    """The upstream's end of a WebSocket that `client` opens."""
    await client.send(HANDSHAKE)
    server = await upstream.accept()
    await server.read_head()
    await server.send(SWITCHING)
    assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
    return server


async def test_a_client_that_vanishes(cabled: Cabled) -> None:
    """Its WebSocket and its request end, on either loop; the upstream is told, and so is the log."""
    upstream = await cabled.upstream(cabled.here, "127.0.0.1")
    gateways = [cabled.gateway(loop, upstream) for loop in LOOPS]
    ends: list[tuple[Peer, Peer]] = []
    before = gateways[0].descriptors()
    for gateway in gateways:
        client = await cabled.there.peer(HERE, gateway.port)
        ends.append((client, await open_tunnel(client, upstream)))
        client = await cabled.there.peer(HERE, gateway.port)
        await client.send(GET)
        ends.append((client, await upstream.accept()))
    cabled.there.fall_silent()
    for client, server in ends:
        await ended(server)
        client.close()
        server.close()
    for gateway in gateways:
        told = await gateway.records.wait_for(Close)
        assert (told.by, told.how) == ("client", "timeout")
        assert (await gateway.records.wait_for(Request)).status is None
        assert gateway.records.all(Error) == []
    await settled(gateways[0].descriptors, before)


async def test_an_upstream_that_vanishes(cabled: Cabled) -> None:
    """WebSockets over a first and over a second dial, and a request: each client learns of it."""
    upstream = await cabled.upstream(cabled.there, THERE)
    gateways = [cabled.gateway(loop, upstream) for loop in LOOPS]
    before = gateways[0].descriptors()
    asking: list[Peer] = []
    tunnels: list[Peer] = []
    for gateway in gateways:
        for _ in range(2):
            tunnels.append(await cabled.here.peer("127.0.0.1", gateway.port))
            server = await open_tunnel(tunnels[-1], upstream)
            await server.send(frame(b"hello"))
            await tunnels[-1].read(7)
        asking.append(await cabled.here.peer("127.0.0.1", gateway.port))
        await asking[-1].send(POST)  # which aiohttp does not try again by itself
        await (await upstream.accept()).read_head()
    cabled.there.fall_silent()
    for client in tunnels:
        assert await client.was_reset()
        client.close()
    for client in asking:
        head = await client.read_head()
        assert head.startswith(b"HTTP/1.1 504 ")
        client.close()
    for gateway in gateways:
        for number in (1, 2):
            told = await gateway.records.wait_for(Close, conn=number)
            assert (told.by, told.how, told.upstream.frames) == ("upstream", "timeout", 1)
        assert len(gateway.records.all(Open)) == 2
        error = await gateway.records.wait_for(Error)
        did = "has gone: nothing comes back from it any more"
        assert error.message == f"http://{THERE}:{upstream.port} {did}"
        assert len(gateway.records.all(Error)) == 1
    for server in upstream.peers:
        server.close()
    await settled(gateways[0].descriptors, before)


async def ended(peer: Peer) -> None:
    """Wait for a FIN or a RST."""
    try:
        await peer.read_to_end()
    except ConnectionResetError:
        return


async def settled(count: Callable[[], int], before: int) -> None:
    """Wait until there are no more than before."""
    async with asyncio.timeout(10):
        while count() > before:  # noqa: ASYNC110 - the system tells nobody
            await asyncio.sleep(0.05)

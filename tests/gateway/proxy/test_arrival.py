"""Opening handshakes on their way in: whoever reads them, the same comes of them."""

import asyncio
import time

import pytest

from gateway.events import Request
from tests.gateway.proxy.listening import config_with
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame, from_client, handshake
from tests.gateways import GatewayProcess, config_of
from tests.servers import Peer, Upstream

MIB = 1 << 20
PLAIN = b"GET /plain HTTP/1.1\r\nHost: gateway.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def passed_on(client: Peer, upstream: Upstream) -> bytes:
    """The handshake as the upstream gets it, but for the client's port; the tunnel is open then."""
    server = await upstream.accept()
    head = await server.read_head()
    await server.send(SWITCHING + frame(b"hello"))
    assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
    assert await client.read(7) == frame(b"hello")
    await client.send(from_client(b"you"))
    assert await server.read(9) == from_client(b"you")
    return head.replace(client.name.rpartition(":")[2].encode(), b"PORT")


@pytest.mark.parametrize("cuts", [[1], [20], [len(HANDSHAKE) - 1], [3, 40, 41], range(1, len(HANDSHAKE))])
async def test_a_handshake_in_pieces(gateway_on: GatewayProcess, upstream: Upstream, cuts: list[int]) -> None:
    """It becomes the same as one that came at once."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(HANDSHAKE)
        whole = await passed_on(client, upstream)
    with await Peer.connect(gateway_on.port) as client:
        for start, end in zip([0, *cuts], [*cuts, len(HANDSHAKE)], strict=True):
            await client.send(HANDSHAKE[start:end])
            await asyncio.sleep(0)
        assert await passed_on(client, upstream) == whole


async def test_a_handshake_behind_a_plain_request(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """It becomes the same as one that came first."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(HANDSHAKE)
        first = await passed_on(client, upstream)
    with await Peer.connect(gateway_on.port) as client:
        await client.send(PLAIN)
        server = await upstream.accept()
        await server.read_head()
        await server.send(OK)
        assert (await client.read_until(b"ok")).startswith(b"HTTP/1.1 200 ")
        await client.send(HANDSHAKE)
        assert await passed_on(client, upstream) == first


@pytest.mark.parametrize("size", [0, 5, 100_000, 400_000])
async def test_what_comes_ahead_of_the_101(gateway_on: GatewayProcess, upstream: Upstream, size: int) -> None:
    """It waits, and is the first that the upstream reads behind the handshake."""
    early = from_client(bytes(size))
    with await Peer.connect(gateway_on.port) as client:
        sending = asyncio.create_task(client.send(HANDSHAKE + early))
        server = await upstream.accept()
        assert (await server.read_head()).startswith(b"GET /ws ")
        await server.send(SWITCHING)
        assert await server.read(len(early)) == early
        await sending
        await server.send(frame(b"x"))
        assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await client.read(3) == frame(b"x")


async def test_a_client_that_leaves_before_the_answer(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """The upstream is let go at once, and the log has the request without a status."""
    told = len(gateway_on.records.all(Request, path="/gone"))
    client = await Peer.connect(gateway_on.port)
    with client:
        await client.send(handshake(path="/gone"))
        server = await upstream.accept()
        await server.read_head()
    await server.was_reset()
    record = await gateway_on.records.wait_for(Request, path="/gone", past=told)
    assert record.status is None


@pytest.mark.parametrize("early", [b"", b"x" * 10])
async def test_an_ordinary_answer(gateway_on: GatewayProcess, upstream: Upstream, early: bytes) -> None:
    """It is passed on, it is the last one of its connection, and the upstream's connection ends with it."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(HANDSHAKE + early)
        server = await upstream.accept()
        await server.read_head()
        await server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nshut")
        answer = await client.read_to_end()
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nshut")
        assert await server.read_to_end() == b""


async def test_a_client_that_leaves_between_answer_and_passing_on(
    gateway_on: GatewayProcess, upstream: Upstream
) -> None:
    """Nobody is left for an ordinary answer: the upstream's connection ends all the same."""
    for _ in range(20):
        client = await Peer.connect(gateway_on.port)
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        client.reset()
        await server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\nshut")
        await server.was_reset()


async def test_a_flood_that_begins_at_once(upstream: Upstream) -> None:
    """A client whose first bytes are many requests is read no further than its answers go."""
    with GatewayProcess(config_of(f"http://127.0.0.1:{upstream.port}")) as gateway:
        before = gateway.rss()
        flood = PLAIN * (40 * MIB // len(PLAIN))
        with await Peer.connect(gateway.port) as client:
            await client.send(PLAIN * 100)
            server = await upstream.accept()
            await server.read_head()  # and never answers
            with pytest.raises(TimeoutError):  # soon, no more goes into the buffers on the way
                await client.send(flood, patience=1.5)
            assert gateway.rss() - before < 16 * MIB


async def test_the_time_for_a_head_counts_from_the_start(upstream: Upstream) -> None:
    """A first byte that comes late buys no more time."""
    config = config_with(f"http://127.0.0.1:{upstream.port}", "readHeaderTimeout: 2")
    with GatewayProcess(config) as gateway, await Peer.connect(gateway.port) as client:
        began = time.monotonic()
        await asyncio.sleep(1.5)
        await client.send(b"G")
        assert (await client.read_to_end()).startswith(b"HTTP/1.1 400 ")
        assert 1.9 < time.monotonic() - began < 3


async def test_an_answer_that_takes_longer_than_a_head_may(upstream: Upstream) -> None:
    """The head was there in time: the upstream's late refusal is what the client gets."""
    config = config_with(f"http://127.0.0.1:{upstream.port}", "readHeaderTimeout: 1")
    with GatewayProcess(config) as gateway, await Peer.connect(gateway.port) as client:
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        await asyncio.sleep(1.2)
        await server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nshut")
        answer = await client.read_to_end()
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert answer.endswith(b"\r\n\r\nshut")

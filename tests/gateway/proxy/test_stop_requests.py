"""Stops while requests and opening handshakes are in flight, and connections idle."""

import asyncio
import time
from contextlib import suppress

import pytest

from gateway.events import Stopping
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame
from tests.gateway.proxy.stopping import SOON, answer, expect_going_away, start
from tests.gateways import LOOPS, Loop
from tests.servers import Peer, Upstream


async def test_idle_connections_are_closed_at_once(upstream: Upstream) -> None:
    """A connection that is kept alive between requests, or has not begun one, holds nothing up."""
    with start(upstream) as gateway:
        with await Peer.connect(gateway.port) as idle, await Peer.connect(gateway.port) as kept:
            await kept.send(b"GET /../ HTTP/1.1\r\nHost: gateway.example\r\n\r\n")
            assert (await kept.read_head()).startswith(b"HTTP/1.1 307 ")
            began = time.monotonic()
            gateway.signal()
            assert await idle.read_to_end() == b""
            assert await kept.read_to_end() == b""
        await gateway.ended()
        assert time.monotonic() - began < SOON


async def test_an_upgrade_that_is_not_answered_ends_at_the_limit(upstream: Upstream) -> None:
    """An opening handshake that hangs does not hang the stop; both its connections are closed."""
    with start(upstream, shutdown_timeout=1) as gateway, await Peer.connect(gateway.port) as client:
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        began = time.monotonic()
        gateway.signal()
        assert await client.read_to_end() == b""
        assert await server.read_to_end() == b""
        await gateway.ended()
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_handshake_that_is_refused_meanwhile_gets_its_answer(upstream: Upstream, loop: Loop) -> None:
    """The upstream's ordinary answer arrives whole, however it comes in pieces."""
    with start(upstream, loop=loop) as gateway, await Peer.connect(gateway.port) as client:
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        gateway.signal()
        await gateway.records.wait_for(Stopping)
        await server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 403 ")
        await server.send(b"hello")
        assert await client.read(5) == b"hello"
        await server.send(b"world")
        assert await client.read_to_end() == b"world"
        await gateway.ended()


async def test_a_plain_request_in_flight_may_finish(upstream: Upstream) -> None:
    """Its response arrives whole, and then the gateway ends, without waiting for the limit."""
    with start(upstream) as gateway, await Peer.connect(gateway.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\n")
        server = await upstream.accept()
        await server.read_head()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await client.read_until(b"hello")
        began = time.monotonic()
        gateway.signal()
        await gateway.records.wait_for(Stopping)
        await server.send(b"world")
        assert await client.read_to_end() == b"world"
        await gateway.ended()
        assert time.monotonic() - began < SOON


async def test_an_upload_in_flight_may_finish(upstream: Upstream) -> None:
    """The rest of a request's body is still read after the signal, and its answer delivered."""
    with start(upstream) as gateway, await Peer.connect(gateway.port, receive_buffer=4096) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: 10\r\n\r\nhello")
        server = await upstream.accept()
        await server.read_until(b"hello")
        gateway.signal()
        await gateway.records.wait_for(Stopping)
        await client.send(b"world")
        await server.read_until(b"world")
        large = bytes(4 << 20)
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.send(large))
            await client.read_head()
            assert await client.read(len(large)) == large
        assert await client.read_to_end() == b""
        await gateway.ended()


async def test_a_plain_request_that_does_not_finish_is_cut_at_the_limit(upstream: Upstream) -> None:
    """Its client sees that the response is not whole."""
    with start(upstream, shutdown_timeout=1) as gateway, await Peer.connect(gateway.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\n")
        server = await upstream.accept()
        await server.read_head()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await client.read_until(b"hello\r\n")
        began = time.monotonic()
        gateway.signal()
        with suppress(ConnectionResetError):
            assert b"0\r\n\r\n" not in await client.read_to_end()
        assert 0.9 < time.monotonic() - began < 4
        await gateway.ended()


@pytest.mark.parametrize("loop", LOOPS)
async def test_an_upgrade_in_progress_gets_its_close_too(upstream: Upstream, loop: Loop) -> None:
    """A tunnel that opens after the signal is ended as it opens, glued bytes delivered."""
    with start(upstream, loop) as gateway, await Peer.connect(gateway.port) as client:
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        gateway.signal()
        await gateway.records.wait_for(Stopping)
        await server.send(SWITCHING + frame(b"welcome"))
        assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await client.read(9) == frame(b"welcome")
        await expect_going_away(client, masked=False)
        await expect_going_away(server, masked=True)
        await answer(client, server)
        await gateway.ended()

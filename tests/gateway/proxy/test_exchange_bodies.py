"""Plain HTTP: bodies pass as they come, in constant memory, and what breaks off is never whole."""

import asyncio
import gzip
import random
import time
from contextlib import suppress

import aiohttp
import pytest

from gateway.events import Error, Request
from tests.gateway.proxy.plain import GET, OK, field, read_chunks
from tests.gateways import GatewayProcess
from tests.servers import Peer, Upstream

MIB = 1 << 20


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_download_of_any_size_in_constant_memory(
    gateway: GatewayProcess, upstream: Upstream, *, chunked: bool
) -> None:
    """48 MiB wait for a client that does not read, in the upstream; then they arrive intact."""
    piece = random.Random(1).randbytes(MIB)
    with await Peer.connect(gateway.port) as client:
        await client.send(GET)
        server = await upstream.accept()
        await server.read_head()
        before = gateway.rss()
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (48 * MIB)
        await server.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        assert framing in await client.read_head()
        sent = 0

        async def push() -> None:
            nonlocal sent
            for _ in range(48):
                await server.send(b"%x\r\n%s\r\n" % (MIB, piece) if chunked else piece)
                sent += 1
            await server.send(b"0\r\n\r\n" if chunked else b"")

        async with asyncio.TaskGroup() as group:
            group.create_task(push())
            stalled = -1
            while stalled < sent:
                stalled = sent
                await asyncio.sleep(0.2)
            assert sent < 40
            assert gateway.rss() - before < 24 * MIB
            if chunked:
                got = await read_chunks(client)
                assert len(got) == 48 * MIB
                assert got[-MIB:] == piece
            else:
                for _ in range(48):
                    assert await client.read(MIB) == piece
        assert gateway.rss() - before < 24 * MIB


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_of_any_size_in_constant_memory(
    gateway: GatewayProcess, upstream: Upstream, *, chunked: bool
) -> None:
    """The same the other way: 48 MiB wait in the client for an upstream that does not read."""
    piece = random.Random(2).randbytes(MIB)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (48 * MIB)
    with await Peer.connect(gateway.port) as client:
        before = gateway.rss()
        await client.send(b"PUT /up HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
        server = await upstream.accept()
        assert framing in await server.read_head()
        sent = 0

        async def push() -> None:
            nonlocal sent
            for _ in range(48):
                await client.send(b"%x\r\n%s\r\n" % (MIB, piece) if chunked else piece)
                sent += 1
            await client.send(b"0\r\n\r\n" if chunked else b"")

        async with asyncio.TaskGroup() as group:
            group.create_task(push())
            stalled = -1
            while stalled < sent:
                stalled = sent
                await asyncio.sleep(0.2)
            assert sent < 40
            assert gateway.rss() - before < 24 * MIB
            if chunked:
                got = await read_chunks(server)
                assert len(got) == 48 * MIB
                assert got[-MIB:] == piece
            else:
                for _ in range(48):
                    assert await server.read(MIB) == piece
        await server.send(OK)
        assert (await client.read_until(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_100_continue_comes_from_the_gateway(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Once the upstream is there and the body wanted; the expectation itself goes no further."""
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with await Peer.connect(gateway_on.port) as client:
        await client.send(request)
        server = await upstream.accept()
        assert await client.read_head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"hello")
        head = await server.read_until(b"hello")
        assert field(head, "Expect") == []
        assert field(head, "Content-Length") == ["5"]
        await server.send(OK)
        assert (await client.read_until(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_no_100_for_an_upstream_that_is_down(gateway_on: GatewayProcess) -> None:
    """Nobody is asked for a body that nobody will take; the answer is the last of its connection."""
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with await Peer.connect(gateway_on.port) as client:
        await client.send(request)
        head = await client.read_head()
        assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert field(head, "Connection") == ["close"]


async def test_another_expectation_is_a_417(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """What cannot be met is not promised."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET[:-2] + b"Expect: 200-ok\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 417 Expectation Failed\r\n")
        assert upstream.nobody()


@pytest.mark.parametrize(
    ("method", "response"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 1000\r\n\r\n'),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_answers_without_a_body(
    gateway_on: GatewayProcess, upstream: Upstream, method: bytes, response: bytes
) -> None:
    """HEAD, 204 and 304 have no body whatever their length says; the connection goes on."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET.replace(b"GET", method))
        server = await upstream.accept()
        await server.read_head()
        await server.send(response)
        head = await client.read_head()
        assert head.startswith(response.split(b"\r\n")[0])
        assert field(head, "Content-Length") == field(response, "Content-Length")
        assert field(head, "ETag") == field(response, "ETag")
        await client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            second = await server.read_head()
        except EOFError:  # a response without any framing is the last one of its upstream connection
            server = await upstream.accept()
            second = await server.read_head()
        assert second.startswith(b"GET /next ")
        await server.send(OK)
        assert (await client.read_until(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_trailers_are_dropped_cleanly(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """The body ends where it ends, its trailers go nowhere, not into the next request either."""
    body = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body + GET)
        server = await upstream.accept()
        assert b"X-Sum" not in await server.read_until(b"5\r\nhello\r\n0\r\n\r\n")
        await server.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        head = await client.read_head()
        assert field(head, "Trailer") == []
        assert field(head, "Connection") == ["close"]
        assert await read_chunks(client) == b"hello"
        assert await client.read_to_end() == b""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET)
        assert b"X-" not in (await server.read_head()).replace(b"X-Forwarded-", b"")
        await server.send(OK)
        assert (await client.read_until(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"zstd", b"nonsense"])
async def test_compressed_bodies_are_untouched(
    gateway_on: GatewayProcess, upstream: Upstream, encoding: bytes
) -> None:
    """Neither direction is unpacked, whatever it says it is packed with."""
    body = gzip.compress(b"hello" * 100)
    fields = b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body))
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n" + fields + body)
        server = await upstream.accept()
        head = await server.read_head()
        assert field(head, "Content-Encoding") == [encoding.decode()]
        assert field(head, "Accept-Encoding") == ["br"]
        assert await server.read(len(body)) == body
        await server.send(b"HTTP/1.1 200 OK\r\n" + fields + body)
        head = await client.read_head()
        assert field(head, "Content-Encoding") == [encoding.decode()]
        assert await client.read(len(body)) == body


async def test_events_arrive_as_they_are_sent(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """The head before there is a body, each event before the next, and the end."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET)
        server = await upstream.accept()
        await server.read_head()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        head = await client.read_head()
        assert field(head, "Content-Type") == ["text/event-stream"]
        assert field(head, "Transfer-Encoding") == ["chunked"]
        for number in range(3):
            event = b"data: %d\n\n" % number
            await server.send(event)
            assert await client.read(len(event) + 5) == b"9\r\n" + event + b"\r\n"
        server.close()
        assert await client.read(5) == b"0\r\n\r\n"


@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_leaves_cancels_the_request(
    gateway_on: GatewayProcess, upstream: Upstream, *, begun: bool
) -> None:
    """The upstream's connection ends at once, before its answer or in the midst of it."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET)
        server = await upstream.accept()
        await server.read_head()
        if begun:
            await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            await client.read_until(b"hello")
        left = time.monotonic()
        client.close()
        with suppress(ConnectionResetError):
            assert await server.read_to_end() == b""
        assert time.monotonic() - left < 2
        told = await gateway_on.records.wait_for(Request, client=client.name)
        assert told.status is None


async def test_a_client_that_breaks_off_its_upload(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """The upstream is never shown a clean end of a body that has none."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        server = await upstream.accept()
        await server.read_until(b"hello\r\n")
        client.close()
        with suppress(ConnectionResetError):
            assert await server.read_to_end() == b""


async def test_a_broken_upload(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """A chunk that is none never becomes the end of a body."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        server = await upstream.accept()
        await server.read_until(b"hello\r\n")
        await client.send(b"zz\r\nnonsense\r\n0\r\n\r\n")
        client.end()
        with suppress(ConnectionResetError):
            assert await server.read_to_end() == b""


async def test_an_answer_before_the_end_of_the_upload(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """An upstream that has seen enough is heard at once."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhello")
        server = await upstream.accept()
        await server.read_until(b"hello")
        await server.send(b"HTTP/1.1 413 Too Much\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!")
        assert (await client.read_until(b"no!")).startswith(b"HTTP/1.1 413 Too Much\r\n")


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\nhalf",
    ],
)
async def test_a_response_that_breaks_off(
    gateway_on: GatewayProcess, upstream: Upstream, response: bytes, how: str
) -> None:
    """What was not whole upstream is never whole downstream, for a client of either version."""
    for version in (b"HTTP/1.1", b"HTTP/1.0"):
        with await Peer.connect(gateway_on.port) as client:
            await client.send(GET.replace(b"HTTP/1.1", version))
            server = await upstream.accept()
            await server.read_head()
            await server.send(response)
            head = await client.read_until(b"\r\n\r\n")
            assert await client.read_until(b"hello")
            if how == "end":
                server.close()
            else:
                server.reset()
            framed = field(head, "Content-Length") or field(head, "Transfer-Encoding")
            try:
                rest = await client.read_to_end()
                assert framed, "the end of this body is the end of the connection, and that was clean"
                assert not rest.endswith(b"0\r\n\r\n")
            except ConnectionResetError:
                pass
            error = await gateway_on.records.wait_for(Error, client=client.name)
            assert "broke the response off in the middle" in error.message


async def test_a_library_notices_what_breaks_off(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """aiohttp's client calls a chunked body that has no end an error."""
    async with aiohttp.ClientSession() as session:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(session.get(f"http://127.0.0.1:{gateway_on.port}/"))
            server = await upstream.accept()
            await server.read_head()
            await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        server.close()
        with pytest.raises(aiohttp.ClientPayloadError):
            await asking.result().read()

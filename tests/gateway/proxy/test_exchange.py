"""Plain HTTP: what passes, as it passes, and what breaks off."""

import asyncio
import gzip
import random
import time
from contextlib import suppress

import aiohttp
import pytest

from gateway.events import Error, Request
from tests.gateways import GatewayProcess
from tests.servers import Peer, Upstream

MIB = 1 << 20
GET = b"GET /path?q=1 HTTP/1.1\r\nHost: gateway.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def exchange(client: Peer, upstream: Upstream, request: bytes, response: bytes) -> tuple[bytes, bytes]:
    """One request over a new upstream connection: the head that it gets, and the client's."""
    await client.send(request)
    server = await upstream.accept()
    head = await server.read_head()
    await server.send(response)
    return head, await client.read_head()


def field(head: bytes, name: str) -> list[str]:
    """The values of the fields called `name`."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    return [line.partition(": ")[2] for line in lines if line.lower().startswith(f"{name.lower()}:")]


# Headers


async def test_what_an_upstream_is_sent(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Nothing is added but X-Forwarded-*, nothing taken away but what is hop-by-hop; order and case stay."""
    request = (
        b"GET /a%20b/%C3%BC?x=1&x=%2f HTTP/1.1\r\nhost: gateway.example:8080\r\nX-One: 1\r\nCookie: a=1\r\n"
        b"x-two: \xc3\xbc\r\nCookie: b=2\r\nConnection: x-secret, Keep-Alive\r\nX-Secret: s\r\n"
        b"Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: trailers, gzip\r\nTrailer: X\r\n"
        b"Upgrade: foo\r\nOrigin: http://o\r\n"
        b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\nX-Forwarded-Proto: https\r\n\r\n"
    )
    with await Peer.connect(gateway_on.port) as client:
        head, _ = await exchange(client, upstream, request, OK)
        assert head.decode() == (
            "GET /a%20b/%C3%BC?x=1&x=%2f HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{upstream.port}\r\nX-One: 1\r\nCookie: a=1\r\n"
            "x-two: ü\r\nCookie: b=2\r\nOrigin: http://o\r\nTE: trailers\r\n"
            "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 127.0.0.1\r\nX-Forwarded-Host: gateway.example:8080\r\n"
            f"X-Forwarded-Port: {client.name.rpartition(':')[2]}\r\nX-Forwarded-Proto: http\r\n\r\n"
        )


async def test_what_a_client_is_sent(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Status, reason, headers in order with their case, repeated ones too; no hop-by-hop ones; a Date."""
    response = (
        b"HTTP/1.1 299 Quite Fine\r\nSet-Cookie: a=1\r\nX-One: \xc3\xbc\r\nset-cookie: b=2\r\n"
        b"Set-Cookie: a=3\r\nConnection: X-Secret, close\r\nX-Secret: s\r\nKeep-Alive: timeout=5\r\n"
        b"Proxy-Authenticate: Basic\r\n"
        b"Upgrade: h2c\r\nServer: mine\r\nContent-Length: 2\r\n\r\nok"
    )
    with await Peer.connect(gateway_on.port) as client:
        _, head = await exchange(client, upstream, GET, response)
        assert head.startswith(
            b"HTTP/1.1 299 Quite Fine\r\nSet-Cookie: a=1\r\nX-One: \xc3\xbc\r\nset-cookie: b=2\r\n"
            b"Set-Cookie: a=3\r\nServer: mine\r\nContent-Length: 2\r\nDate: "
        )
        assert head.count(b"\r\n") == 9
        assert await client.read(2) == b"ok"


@pytest.mark.parametrize("value", [b"caf\xe9", b"a\x01b", b"a\x7fb", b"\xff\xfe"])
async def test_a_request_header_that_cannot_be_passed_on(
    gateway_on: GatewayProcess, upstream: Upstream, value: bytes
) -> None:
    """400 rather than a changed value; no upstream is asked."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET[:-2] + b"X-Bad: " + value + b"\r\n\r\n")
        assert (await client.read_head()).split(b" ")[1] == b"400"
        with suppress(TimeoutError):
            server = await upstream.accept(patience=0.05)
            assert await server.read_to_end() == b""


@pytest.mark.parametrize("value", [b"caf\xe9", b"a\x01b", b"a\x7fb", b"\xff\xfe"])
async def test_a_response_header_that_cannot_be_passed_on(
    gateway_on: GatewayProcess, upstream: Upstream, value: bytes
) -> None:
    """502 rather than a changed value, and an error that names the reason."""
    with await Peer.connect(gateway_on.port) as client:
        _, head = await exchange(
            client, upstream, GET, OK.replace(b"\r\n\r\n", b"\r\nX-Bad: " + value + b"\r\n\r\n")
        )
        assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert value not in head
        await gateway_on.records.wait_for(Error, client=client.name, status=502)


async def test_a_clients_connection_close_goes_on(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """It ends both connections after the answer."""
    with await Peer.connect(gateway_on.port) as client:
        head, answer = await exchange(client, upstream, GET[:-2] + b"Connection: close\r\n\r\n", OK)
        assert field(head, "Connection") == ["close"]
        assert field(answer, "Connection") == ["close"]
        assert await client.read_to_end() == b"ok"


# Bodies


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_download_of_any_size_in_constant_memory(
    gateway_on: GatewayProcess, upstream: Upstream, *, chunked: bool
) -> None:
    """96 MiB wait for a client that does not read, in the upstream; then they arrive intact."""
    piece = random.Random(1).randbytes(MIB)
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET)
        server = await upstream.accept()
        await server.read_head()
        before = gateway_on.rss()
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (96 * MIB)
        await server.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        assert framing in await client.read_head()
        sent = 0

        async def push() -> None:
            nonlocal sent
            for _ in range(96):
                await server.send(b"%x\r\n%s\r\n" % (MIB, piece) if chunked else piece)
                sent += 1
            await server.send(b"0\r\n\r\n" if chunked else b"")

        async with asyncio.TaskGroup() as group:
            group.create_task(push())
            stalled = -1
            while stalled < sent:
                stalled = sent
                await asyncio.sleep(0.2)
            assert sent < 60
            assert gateway_on.rss() - before < 24 * MIB
            if chunked:
                got = await read_chunks(client)
                assert len(got) == 96 * MIB
                assert got[-MIB:] == piece
            else:
                for _ in range(96):
                    assert await client.read(MIB) == piece
        assert gateway_on.rss() - before < 24 * MIB


async def read_chunks(peer: Peer) -> bytes:
    """A chunked body, to its end."""
    body = bytearray()
    while size := int(await peer.read_until(b"\r\n"), 16):
        body += await peer.read(size)
        assert await peer.read(2) == b"\r\n"
    assert await peer.read(2) == b"\r\n"
    return bytes(body)


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_of_any_size_in_constant_memory(
    gateway_on: GatewayProcess, upstream: Upstream, *, chunked: bool
) -> None:
    """The same the other way: 96 MiB wait in the client for an upstream that does not read."""
    piece = random.Random(2).randbytes(MIB)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (96 * MIB)
    with await Peer.connect(gateway_on.port) as client:
        before = gateway_on.rss()
        await client.send(b"PUT /up HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
        server = await upstream.accept()
        assert framing in await server.read_head()
        sent = 0

        async def push() -> None:
            nonlocal sent
            for _ in range(96):
                await client.send(b"%x\r\n%s\r\n" % (MIB, piece) if chunked else piece)
                sent += 1
            await client.send(b"0\r\n\r\n" if chunked else b"")

        async with asyncio.TaskGroup() as group:
            group.create_task(push())
            stalled = -1
            while stalled < sent:
                stalled = sent
                await asyncio.sleep(0.2)
            assert sent < 60
            assert gateway_on.rss() - before < 24 * MIB
            if chunked:
                got = await read_chunks(server)
                assert len(got) == 96 * MIB
                assert got[-MIB:] == piece
            else:
                for _ in range(96):
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
    """The body ends where it ends, its trailers go nowhere, the connections go on."""
    body = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        server = await upstream.accept()
        assert b"X-Sum" not in await server.read_until(b"5\r\nhello\r\n0\r\n\r\n")
        await server.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        head = await client.read_head()
        assert field(head, "Trailer") == []
        assert await read_chunks(client) == b"hello"
        await client.send(GET)
        await server.read_head()
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
        assert time.monotonic() - left < 0.5
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


# Connections


async def test_keep_alive_and_pipelining(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Requests of one connection are answered in their order, over one upstream connection."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"".join(GET.replace(b"/path", b"/%d" % number) for number in range(3)))
        server = await upstream.accept()
        for number in range(3):
            assert (await server.read_head()).startswith(b"GET /%d?q=1 " % number)
            await server.send(OK.replace(b"\r\nok", b"\r\nn%d" % number))
        for number in range(3):
            assert (await client.read_until(b"n%d" % number)).startswith(b"HTTP/1.1 200 OK\r\n")
        assert upstream.nobody()


async def test_a_client_of_http_1_0(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """It gets no chunks: a body without a length ends with the connection, one with a length may not."""
    old = b"GET / HTTP/1.0\r\n\r\n"
    with await Peer.connect(gateway_on.port) as client:
        await client.send(old)
        server = await upstream.accept()
        head = await server.read_head()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        answer = await client.read_head()
        assert head.startswith(b"GET / HTTP/1.1\r\n")
        assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
        assert field(answer, "Transfer-Encoding") == []
        assert await client.read_to_end() == b"hello"
        server.close()
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
        server = await upstream.accept()
        for _ in range(2):
            await server.read_head()
            await server.send(OK)
            answer = await client.read_until(b"ok")
            assert field(answer, "Connection") == ["keep-alive"]


async def test_an_upstream_of_http_1_0(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """A body that ends with its connection comes whole."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET)
        server = await upstream.accept()
        await server.read_head()
        await server.send(b"HTTP/1.0 200 OK\r\n\r\nhello")
        server.close()
        await client.read_head()
        assert await read_chunks(client) == b"hello"


async def test_interim_answers_go_no_further(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """100 and 103 from an upstream are not the answer."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with await Peer.connect(gateway_on.port) as client:
        _, head = await exchange(client, upstream, GET, interim + OK)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert field(head, "Link") == []


# Records


async def test_the_record_of_a_request(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Method, path with its query, status, upstream, bytes of body and time, secrets redacted."""
    with await Peer.connect(gateway_on.port) as client:
        request = b"POST /a?token=s3cret&q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
        response = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        await exchange(client, upstream, request, response)
        await read_chunks(client)
        told = await gateway_on.records.wait_for(Request, client=client.name)
    assert (told.method, told.path) == ("POST", "/a?token=[redacted]&q=1")
    assert (told.status, told.bytes) == (201, 5)
    assert told.upstream == f"http://127.0.0.1:{upstream.port}"
    assert 0 < told.ms < 5000

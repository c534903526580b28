"""Plain HTTP: headers both ways, connections that are kept, and the records."""

from contextlib import suppress

import pytest

from gateway.events import Error, Request
from tests.gateway.proxy.plain import GET, OK, exchange, field, read_chunks
from tests.gateway.proxy.raw import HANDSHAKE
from tests.gateways import GatewayProcess
from tests.servers import Peer, Upstream


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


@pytest.mark.parametrize("reason", [b"\x9b2J", b"\xff", b"\xe2\x80\xae"])
async def test_a_reason_that_is_no_text(
    gateway_on: GatewayProcess, upstream: Upstream, reason: bytes
) -> None:
    """The usual one stands in its place: to programs it means nothing, to terminals it might."""
    with await Peer.connect(gateway_on.port) as client:
        response = b"HTTP/1.1 200 " + reason + b"\r\nContent-Length: 2\r\n\r\nok"
        _, head = await exchange(client, upstream, GET, response)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")


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


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 000 Nothing\r\nContent-Length: 2",
        b"HTTP/1.1 200 O\x1bK\r\nContent-Length: 2",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 5000 + b"2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2" + (b"\r\nX: " + b"y" * 8000) * 9,
    ],
)
@pytest.mark.parametrize("upgrade", [False, True])
async def test_a_response_that_says_two_things(
    gateway_on: GatewayProcess, upstream: Upstream, head: bytes, *, upgrade: bool
) -> None:
    """502, be it the answer to a plain request or to an opening handshake; and no fault of the gateway."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(HANDSHAKE if upgrade else GET)
        server = await upstream.accept()
        await server.read_head()
        await server.send(head + b"\r\n\r\nok")
        assert (await client.read_head()).startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        told = await gateway_on.records.wait_for(Error, client=client.name, status=502)
        assert "a fault of the gateway" not in told.message
        server.close()


async def test_what_comes_unasked_is_nobodys_answer(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """A kept connection over which more has come than was asked for is not used again."""
    with await Peer.connect(gateway_on.port) as client:
        await exchange(client, upstream, GET, OK)
        first = upstream.peers[-1]
        await first.send(OK.replace(b"ok", b"no"))
        await client.read(2)
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET)
        server = await upstream.accept()
        await server.read_head()
        await server.send(OK.replace(b"ok", b"hi"))
        assert (await client.read_until(b"\r\n\r\nhi")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await first.read_to_end() == b""


async def test_a_clients_connection_close_goes_on(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """It ends both connections after the answer."""
    with await Peer.connect(gateway_on.port) as client:
        head, answer = await exchange(client, upstream, GET[:-2] + b"Connection: close\r\n\r\n", OK)
        assert field(head, "Connection") == ["close"]
        assert field(answer, "Connection") == ["close"]
        assert await client.read_to_end() == b"ok"


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

"""Opening handshakes that try something: what reaches the upstream, and what becomes of the connection."""

from contextlib import suppress

import pytest

from gateway.events import Error, Open, Request
from tests.gateway.proxy.raw import ACCEPT, HANDSHAKE, KEY, SWITCHING, from_client, handshake, switching
from tests.gateways import GatewayProcess
from tests.servers import Peer, Upstream

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: gateway.example\r\n\r\n"
"""A request that a smuggler puts behind an upgrade that will be refused."""


async def answers(gateway: GatewayProcess, data: bytes) -> bytes:
    """All that the gateway says to `data` before it closes the connection."""
    with await Peer.connect(gateway.port) as client:
        await client.send(data)
        return await client.read_to_end()


def sent_for(client: Peer, upstream_port: int, *fields: str, path: str = "/ws") -> bytes:
    """The handshake that an upstream gets for `HANDSHAKE`, with more `fields` where the client's stood."""
    return "\r\n".join(
        [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{upstream_port}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {KEY}",
            *fields,
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Host: gateway.example",
            f"X-Forwarded-Port: {client.name.rpartition(':')[2]}",
            "X-Forwarded-Proto: http",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "",
            "",
        ]
    ).encode()


async def test_what_a_sound_handshake_looks_like(gateway: GatewayProcess, upstream: Upstream) -> None:
    """The client's own headers reach the upstream in order and in the spelling they had; so does its 101."""
    fields = (
        "Origin: https://page.example",
        "sec-websocket-protocol: chat, superchat",
        "Cookie: a=1",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "Cookie: b=2",
        "X-Empty:",
    )
    with await Peer.connect(gateway.port) as client:
        await client.send(handshake(*fields, path="/ws?room=%C3%BC&x=1"))
        server = await upstream.accept()
        expected = sent_for(client, upstream.port, *fields, path="/ws?room=%C3%BC&x=1")
        assert await server.read_head() == expected.replace(b"X-Empty:\r", b"X-Empty: \r")
        await server.send(switching("Set-Cookie: c=3", "set-cookie: d=4", "X-Mixed-Case: yes"))
        assert (
            await client.read_head()
            == (
                "HTTP/1.1 101 Switching Protocols\r\n"
                f"Sec-WebSocket-Accept: {ACCEPT}\r\n"
                "Set-Cookie: c=3\r\nset-cookie: d=4\r\nX-Mixed-Case: yes\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            ).encode()
        )


VERSION = "Sec-WebSocket-Version"
KEY_FIELD = "Sec-WebSocket-Key"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(handshake(without=VERSION), id="no version"),
        pytest.param(handshake(f"{VERSION}: 8", without=VERSION), id="version 8"),
        pytest.param(handshake(f"{VERSION}: 13, 8", without=VERSION), id="two versions in one field"),
        pytest.param(handshake(f"{VERSION}: 8"), id="two version fields"),
        pytest.param(handshake(f"{VERSION}: 013", without=VERSION), id="version 013"),
        pytest.param(handshake(f"{VERSION}: 1e1", without=VERSION), id="version nonsense"),
    ],
)
async def test_a_version_that_is_not_13_is_a_426(
    gateway: GatewayProcess, upstream: Upstream, request_: bytes
) -> None:
    """The answer names 13, nothing reaches the upstream, the record names none, and the connection ends."""
    told = len(gateway.records.all(Request))
    answer = await answers(gateway, request_ + HIDDEN)
    assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1
    assert upstream.nobody()
    record = await gateway.records.wait_for(Request, past=told)
    assert (record.status, record.upstream) == (426, None)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(handshake(without=KEY_FIELD), id="no key"),
        pytest.param(handshake(f"{KEY_FIELD}:", without=KEY_FIELD), id="empty key"),
        pytest.param(handshake(f"{KEY_FIELD}: c2hvcnQ=", without=KEY_FIELD), id="short key"),
        pytest.param(handshake(f"{KEY_FIELD}: {KEY}AAAA", without=KEY_FIELD), id="long key"),
        pytest.param(handshake(f"{KEY_FIELD}: {'!' * 24}", without=KEY_FIELD), id="not base64"),
        pytest.param(handshake(f"{KEY_FIELD}: {KEY[:-2]}", without=KEY_FIELD), id="no padding"),
        pytest.param(handshake(f"{KEY_FIELD}: {KEY}"), id="the key twice"),
        pytest.param(handshake(f"{KEY_FIELD.lower()}: AAAAAAAAAAAAAAAAAAAAAA=="), id="two keys"),
        pytest.param(HANDSHAKE.replace(b"GET", b"POST"), id="POST"),
        pytest.param(HANDSHAKE.replace(b"GET", b"HEAD"), id="HEAD"),
        pytest.param(HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0", 1), id="HTTP/1.0"),
        pytest.param(HANDSHAKE.replace(b": websocket", b": h2c, websocket"), id="a choice of protocols"),
        pytest.param(handshake("Upgrade: websocket"), id="Upgrade twice"),
        pytest.param(handshake(f"Content-Length: {len(HIDDEN)}"), id="a body with a length"),
        pytest.param(handshake("Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n", id="a chunked body"),
    ],
)
async def test_what_is_no_handshake_is_refused(
    gateway: GatewayProcess, upstream: Upstream, request_: bytes
) -> None:
    """400, nothing reaches the upstream, the request hidden behind it is not answered either."""
    answer = await answers(gateway, request_ + HIDDEN)
    assert answer.startswith((b"HTTP/1.1 400 Bad Request\r\n", b"HTTP/1.0 400 Bad Request\r\n"))
    assert answer.count(b"HTTP/1.") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert upstream.nobody()


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(handshake("Host: other.example"), id="two hosts"),
        pytest.param(handshake(without="Host"), id="no host"),
        pytest.param(handshake("X-Bad: a\x00b"), id="a control character"),
        pytest.param(handshake("X Bad: b"), id="no token"),
        pytest.param(handshake("Content-Length: 0", "Transfer-Encoding: chunked"), id="two lengths"),
    ],
)
async def test_what_is_no_http_is_refused(
    gateway: GatewayProcess, upstream: Upstream, request_: bytes
) -> None:
    """400, and the end of the connection, as for any request that nobody may pass on."""
    answer = await answers(gateway, request_ + HIDDEN)
    assert answer.split(b" ")[1] == b"400"
    assert answer.count(b"HTTP/1.") == 1
    assert upstream.nobody()


@pytest.mark.parametrize(
    ("fields", "last"),
    [
        pytest.param(
            ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
            True,
            id="h2c",
        ),
        pytest.param(("Connection: Upgrade", "Upgrade: h2c"), True, id="h2c alone"),
        pytest.param(("Connection: Upgrade", "Upgrade: TLS/1.0"), True, id="TLS"),
        pytest.param(("Connection: Upgrade", "Upgrade: websocketx"), True, id="almost websocket"),
        pytest.param(("Connection: Upgrade",), False, id="no Upgrade"),
        pytest.param(("Upgrade: websocket",), False, id="no Connection"),
        pytest.param(("Connection: keep-alive", "Upgrade: websocket"), False, id="another Connection"),
        pytest.param(("Connection: Upgrad", "Upgrade: websocket"), False, id="almost Connection"),
    ],
)
async def test_other_upgrades_are_plain_requests(
    gateway: GatewayProcess, upstream: Upstream, fields: tuple[str, ...], *, last: bool
) -> None:
    """Nothing about upgrading reaches the upstream; what follows what asked to upgrade is not read."""
    request = "\r\n".join(["GET /a HTTP/1.1", "Host: gateway.example", *fields, "", ""]).encode()
    with await Peer.connect(gateway.port) as client:
        await client.send(request + HIDDEN if last else request)
        server = await upstream.accept()
        head = await server.read_head()
        assert (
            head
            == (
                f"GET /a HTTP/1.1\r\nHost: 127.0.0.1:{upstream.port}\r\nX-Forwarded-For: 127.0.0.1\r\n"
                "X-Forwarded-Host: gateway.example\r\n"
                f"X-Forwarded-Port: {client.name.rpartition(':')[2]}\r\nX-Forwarded-Proto: http\r\n\r\n"
            ).encode()
        )
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert (await client.read_until(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 OK\r\n")
        if last:
            assert await client.read_to_end() == b""
            return
        await client.send(HIDDEN)
        assert (await server.read_head()).startswith(b"GET /hidden HTTP/1.1\r\n")
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntoo")
        await client.read_until(b"\r\n\r\ntoo")


async def test_headers_that_connection_names_stay_behind(gateway: GatewayProcess, upstream: Upstream) -> None:
    """On upgrades too, and both ways: what Connection names belongs to one connection alone."""
    with await Peer.connect(gateway.port) as client:
        request = handshake(
            "X-Internal: 1", "X-Other: 2", "Keep-Alive: 5", "TE: gzip", "Proxy-Authorization: x"
        )
        await client.send(request.replace(b"Connection: Upgrade", b"Connection: x-internal, Upgrade, close"))
        server = await upstream.accept()
        assert await server.read_head() == sent_for(client, upstream.port, "X-Other: 2")
        answer = switching("X-Internal: 3", "Keep-Alive: timeout=5", "X-Other: 4")
        await server.send(answer.replace(b"Connection: Upgrade", b"connection: X-Internal, upgrade"))
        head = await client.read_head()
        assert b"X-Internal" not in head
        assert b"Keep-Alive" not in head
        assert b"X-Other: 4\r\n" in head
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" in head


async def test_a_client_cannot_forge_where_it_comes_from(gateway: GatewayProcess, upstream: Upstream) -> None:
    """X-Forwarded-Host, -Port and -Proto are the gateway's own word; -For grows by the peer."""
    forged = (
        "X-Forwarded-Host: bank.example",
        "x-forwarded-proto: https",
        "X-Forwarded-Port: 1",
        "X-Forwarded-For: 10.0.0.1",
    )
    with await Peer.connect(gateway.port) as client:
        await client.send(handshake(*forged))
        server = await upstream.accept()
        expected = sent_for(client, upstream.port)
        assert await server.read_head() == expected.replace(b"For: 127", b"For: 10.0.0.1, 127")


async def test_bytes_ahead_of_a_refusal_reach_nobody(gateway: GatewayProcess, upstream: Upstream) -> None:
    """An upstream that does not agree sees the handshake and not one byte more; the connection ends."""
    with await Peer.connect(gateway.port) as client:
        await client.send(HANDSHAKE + HIDDEN)
        server = await upstream.accept()
        expected = sent_for(client, upstream.port)
        assert await server.read_head() == expected
        await client.send(HIDDEN)
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
        answer = await client.read_to_end()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nno")
        assert answer.count(b"HTTP/1.1") == 1
        assert await server.read_to_end() == b""
        assert upstream.nobody()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (SWITCHING.replace(ACCEPT.encode(), b"AAAAAAAAAAAAAAAAAAAAAAAAAAA="), "does not answer the key"),
        (SWITCHING.replace(b"Sec-WebSocket-Accept", b"X"), "does not answer the key"),
        (switching(f"Sec-WebSocket-Accept: {ACCEPT}"), "does not answer the key"),
        (SWITCHING.replace(b"Upgrade: websocket\r\n", b""), "does not say Upgrade: websocket"),
        (SWITCHING.replace(b"Upgrade: websocket", b"Upgrade: h2c"), "does not say Upgrade: websocket"),
        (switching("Upgrade: h2c"), "does not say Upgrade: websocket"),
        (SWITCHING.replace(b"Connection: Upgrade\r\n", b""), "does not say Connection: Upgrade"),
        (switching("Content-Length: 5"), "announces a body"),
        (switching("Transfer-Encoding: chunked"), "announces a body"),
        (SWITCHING.replace(b"HTTP/1.1 101", b"HTTP/1.1 1010"), "its answer begins with"),
        (SWITCHING.replace(b"Upgrade: web", b"Upgrade web"), "has no colon"),
        (switching("Set-Cookie: a=", " hunter2"), "header line 5 of its 101 has no colon"),
        (switching("X-Bad: a\x00b"), "control character"),
        (SWITCHING[:-2] + b" folded: yes\r\n\r\n", "not a token"),
        (b"HTTP/1.1 101 Switching Protocols\r\n" + b"X: y\r\n" * 12_000, "longer than 64 KiB"),
    ],
)
async def test_a_false_101_is_a_502(
    gateway: GatewayProcess, upstream: Upstream, answer: bytes, says: str
) -> None:
    """The client is told, both connections end, and nothing the client sent early gets through."""
    early = from_client(b"early")
    with await Peer.connect(gateway.port) as client:
        opened = gateway.records.all(Open, client=client.name)  # by one who had this port before
        await client.send(HANDSHAKE + early)
        server = await upstream.accept()
        expected = sent_for(client, upstream.port)
        assert await server.read_head() == expected
        await server.send(answer)
        told = await client.read_to_end()
        assert told.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        with suppress(ConnectionResetError):  # as good an end: what it still says interests nobody
            assert await server.read_to_end() == b""
        error = await gateway.records.wait_for(Error, client=client.name)
        assert says in error.message
        assert gateway.records.all(Open, client=client.name) == opened


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 101 Switching Protocols" + SWITCHING[SWITCHING.index(b"\r\n") :],
        b"HTTP/1.1 200 OK" + SWITCHING[SWITCHING.index(b"\r\n") : -2] + b"Content-Length: 0\r\n\r\n",
        b"HTTP/2 101 Switching Protocols" + SWITCHING[SWITCHING.index(b"\r\n") :],
        b"http/1.1 101 Switching Protocols" + SWITCHING[SWITCHING.index(b"\r\n") :],
    ],
)
async def test_what_looks_like_a_101_opens_nothing(
    gateway: GatewayProcess, upstream: Upstream, answer: bytes
) -> None:
    """Whatever the status line lacks to be a 101, no tunnel opens and early bytes stay where they are."""
    with await Peer.connect(gateway.port) as client:
        opened = gateway.records.all(Open, client=client.name)  # as above
        await client.send(HANDSHAKE + from_client(b"early"))
        server = await upstream.accept()
        await server.read_head()
        await server.send(answer)
        told = await client.read_to_end()
        assert told.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 200 "))
        assert b"Upgrade" not in told
        assert await server.read_to_end() == b""
        assert gateway.records.all(Open, client=client.name) == opened


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ("200 OK", "X-Page: 1"),
        ("302 Found", "Location: /login"),
        ("401 Unauthorized", 'WWW-Authenticate: Basic realm="kit"'),
        ("403 Forbidden", "X-Why: origin"),
        ("404 Nothing Here", "X-Why: path"),
        ("426 Upgrade Required", "Sec-WebSocket-Version: 13"),
        ("503 Service Unavailable", "Retry-After: 5"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_the_upstreams_own_refusal_reaches_the_client(
    gateway: GatewayProcess, upstream: Upstream, status: str, field: str, *, chunked: bool
) -> None:
    """Status, headers and body of an answer other than 101 arrive; then the connection is closed."""
    framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 10"
    body = "5\r\nhello\r\n5\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n" if chunked else "helloworld"
    with await Peer.connect(gateway.port) as client:
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        await server.send(f"HTTP/1.1 {status}\r\n{field}\r\n{framing}\r\n\r\n{body}".encode())
        told = (await client.read_to_end()).decode()
        assert told.startswith(f"HTTP/1.1 {status}\r\n{field}\r\n")
        assert f"\r\n{framing}\r\n" in told
        assert told.replace("X-Trailer: 1\r\n", "").endswith(
            "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n" if chunked else "\r\n\r\nhelloworld"
        )
        assert "X-Trailer" not in told
        assert await server.read_to_end() == b""


async def test_a_101_that_nobody_asked_for_is_a_502(gateway: GatewayProcess, upstream: Upstream) -> None:
    """A plain request answered with 101 opens no tunnel, and that upstream connection is not used again."""
    with await Peer.connect(gateway.port) as client:
        await client.send(HIDDEN)
        server = await upstream.accept()
        await server.read_head()
        await server.send(SWITCHING + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        head = await client.read_head()
        assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert b"Upgrade" not in head
        assert await server.read_to_end() == b""
    with await Peer.connect(gateway.port) as client:
        await client.send(HIDDEN)
        server = await upstream.accept()
        await server.read_head()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npure")
        assert (await client.read_until(b"pure")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_client_that_sends_megabytes_ahead_is_held_back(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    """Early bytes wait in the client, not in the gateway, until the upstream has agreed."""
    with await Peer.connect(gateway.port) as client:
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        before = gateway.rss()
        with pytest.raises(TimeoutError):
            await client.send(bytes(64 << 20), patience=0.7)
        assert gateway.rss() - before < 8 << 20

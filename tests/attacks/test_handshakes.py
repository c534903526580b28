"""WebSocket smuggling: requests that hide behind an upgrade that one side does not believe in.

A plain opening handshake is read by the gateway's own reader, any other request by aiohttp's: the seam
between the two is attacked by cutting handshakes at every place, and by what makes them less than plain.
"""

import asyncio
from contextlib import suppress
from typing import Final

import pytest

from tests.attacks.attacks import PROBE, SMUGGLED
from tests.gateway.proxy.raw import ACCEPT, HANDSHAKE, KEY, SWITCHING, from_client, handshake, switching
from tests.gateways import GatewayProcess
from tests.servers import Peer, Upstream

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SENT: Final = (
    b"GET /ws HTTP/1.1\r\nHost: UPSTREAM\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
    b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: gateway.example\r\nX-Forwarded-Port: CLIENT\r\n"
    b"X-Forwarded-Proto: http\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" % KEY.encode()
)
"""What an upstream gets for `HANDSHAKE`."""


def sent(client: Peer, upstream: Upstream, expected: bytes = SENT) -> bytes:
    """`expected` with the ports of the day."""
    port = client.name.rpartition(":")[2].encode()
    return expected.replace(b"UPSTREAM", b"127.0.0.1:%d" % upstream.port).replace(b"CLIENT", port)


REFUSED: Final = {
    "another version": (handshake("Sec-WebSocket-Version: 12", without="Sec-WebSocket-Version"), 426),
    "no version": (handshake(without="Sec-WebSocket-Version"), 426),
    "the version twice": (handshake("Sec-WebSocket-Version: 13"), 426),
    "the key twice": (handshake(f"Sec-WebSocket-Key: {KEY}"), 400),
    "no key": (handshake(without="Sec-WebSocket-Key"), 400),
    "a key of a draft": (handshake("Sec-WebSocket-Key1: 1"), 400),
    "POST": (HANDSHAKE.replace(b"GET", b"POST"), 400),
    "get": (HANDSHAKE.replace(b"GET", b"get"), 400),
    "CONNECT": (HANDSHAKE.replace(b"GET", b"CONNECT"), 400),
    "HTTP/1.0": (HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "HTTP/1.2": (HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.2"), 400),
    "a length": (handshake("Content-Length: 5") + b"hello", 400),
    "a length that is its request's": (handshake(f"Content-Length: {len(SMUGGLED)}"), 400),
    "chunks": (handshake("Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "a choice": (HANDSHAKE.replace(b": websocket", b": h2c, websocket"), 400),
    "another choice": (handshake("Upgrade: h2c"), 400),
    "h2c as well": (handshake("Upgrade: h2c", "HTTP2-Settings: AAMAAABk"), 400),
    "two hosts": (handshake("Host: internal"), 400),
    "a host with a path": (HANDSHAKE.replace(b"gateway.example", b"gateway.example/.."), 400),
    "a bare LF": (HANDSHAKE.replace(b"\r\nUpgrade", b"\nUpgrade"), 400),
    "a fold": (HANDSHAKE.replace(b"\r\nUpgrade", b"\r\n Upgrade"), 400),
    "a space before a colon": (HANDSHAKE.replace(b"Upgrade:", b"Upgrade :"), 400),
    "a target that is none": (HANDSHAKE.replace(b"/ws", b"ws"), 400),
}
"""Handshakes that are refused, and how."""


@pytest.mark.parametrize("later", [False, True])
async def test_what_hides_behind_a_refused_upgrade(
    gateway: GatewayProcess, upstream: Upstream, *, later: bool
) -> None:
    """No upstream is asked, one answer is given, the connection ends, whenever the hidden request comes."""
    got = {}
    for name, (request, _) in REFUSED.items():
        with await Peer.connect(gateway.port) as client:
            await client.send(request if later else request + SMUGGLED + PROBE)
            answer = await client.read_until(b"\r\n\r\n")
            if later:
                try:
                    await client.send(SMUGGLED + PROBE)
                except ConnectionError:
                    got[name] = int(answer[9:12])
                    continue
            else:
                client.end()
            try:
                answer += await client.read_to_end()
            except ConnectionResetError:
                assert later, name
            assert answer.count(b"HTTP/1.") == 1, name
            got[name] = int(answer[9:12])
    assert got == {name: status for name, (_, status) in REFUSED.items()}
    assert upstream.nobody()


FALSE: Final = {
    "200 that keeps alive": (OK, 200),
    "400 that keeps alive": (OK.replace(b"200 OK", b"400 No\r\nConnection: keep-alive"), 400),
    "426 that keeps alive": (OK.replace(b"200 OK", b"426 No\r\nConnection: keep-alive"), 426),
    "304 with a body": (OK.replace(b"200 OK", b"304 Old"), 304),
    "a 200 that says Upgrade": (switching("Content-Length: 0").replace(b"101", b"200"), 200),
    "a 101 of HTTP/1.0": (SWITCHING.replace(b"HTTP/1.1", b"HTTP/1.0"), 502),
    "a 101 of another key": (SWITCHING.replace(ACCEPT.encode(), b"A" * 27 + b"="), 502),
    "a 101 with two Accepts": (switching(f"Sec-WebSocket-Accept: {ACCEPT}"), 502),
    "a 101 without Accept": (SWITCHING.replace(b"Sec-WebSocket-Accept", b"X-Accept"), 502),
    "a 101 without Connection": (SWITCHING.replace(b"Connection: Upgrade\r\n", b""), 502),
    "a 101 that keeps alive": (SWITCHING.replace(b"n: Upgrade", b"n: keep-alive"), 502),
    "a 101 to h2c": (SWITCHING.replace(b"websocket", b"h2c"), 502),
    "a 101 to a choice": (SWITCHING.replace(b"websocket", b"websocket, h2c"), 502),
    "a 101 with a body": (switching("Content-Length: 2") + b"ok", 502),
    "a 101 with chunks": (switching("Transfer-Encoding: chunked") + b"0\r\n\r\n", 502),
    "a 101 behind a bare LF": (SWITCHING.replace(b"\r\n", b"\n"), 502),
    "a folded 101": (SWITCHING.replace(b"Upgrade\r\n", b"\r\n Upgrade\r\n"), 502),
    "a 200 of two lengths": (OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n"), 502),
    "a 200 with a NUL": (OK.replace(b"\r\n\r\n", b"\r\nX: \x00\r\n\r\n"), 502),
    "no HTTP": (b"hello\r\n\r\n", 502),
}
"""Answers to an opening handshake that open none, and what the client is told."""


async def test_what_hides_behind_an_upgrade_that_the_upstream_refuses(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    """The upstream gets the handshake and not one byte more; the client one answer, and the end."""
    got = {}
    for name, (answer, _) in FALSE.items():
        with await Peer.connect(gateway.port) as client:
            await client.send(HANDSHAKE + SMUGGLED)
            server = await upstream.accept()
            assert await server.read_head() == sent(client, upstream), name
            await client.send(SMUGGLED)
            await server.send(answer + OK)  # the second one for the hidden request
            told = await client.read_head()
            client.end()
            told += await client.read_to_end()
            assert told.count(b"HTTP/1.") == 1, name
            got[name] = int(told[9:12])
            with suppress(ConnectionResetError):  # as good an end: what it still says interests nobody
                assert await server.read_to_end() == b"", name
    assert got == {name: status for name, (_, status) in FALSE.items()}
    assert upstream.nobody()


@pytest.mark.parametrize(
    "request_",
    [
        SMUGGLED,
        SMUGGLED[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        SMUGGLED[:-2] + b"Upgrade: websocket\r\n\r\n",
        SMUGGLED[:-2] + b"Connection: Upgrade\r\n\r\n",
    ],
)
async def test_a_101_that_was_not_asked_for(
    gateway: GatewayProcess, upstream: Upstream, request_: bytes
) -> None:
    """The client is told 502, the upstream's connection ends, and what follows never gets into it."""
    with await Peer.connect(gateway.port) as client:
        await client.send(request_)
        server = await upstream.accept()
        await server.read_head()
        await server.send(SWITCHING + OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert await server.read_to_end() == b""


async def test_interim_answers_before_a_101(gateway: GatewayProcess, upstream: Upstream) -> None:
    """They go no further, and do not count."""
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20
    with await Peer.connect(gateway.port) as client:
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        await server.send(early + SWITCHING + b"hi")
        head = await client.read_head()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"Link" not in head
        assert await client.read(2) == b"hi"


BEFORE: Final = {
    "nothing": b"",
    "empty lines": b"\r\n\r\n",
    "a request": b"GET /before HTTP/1.1\r\nHost: gw\r\n\r\n",
    "a body that looks like a handshake": b"POST /before HTTP/1.1\r\nHost: gw\r\nContent-Length: %d\r\n\r\n"
    % len(HANDSHAKE)
    + HANDSHAKE,
}
"""What may stand before a handshake that is sound."""


async def test_a_handshake_wherever_it_stands(gateway: GatewayProcess, upstream: Upstream) -> None:
    """Whichever reader has it, the upstream gets the same, and then what came early."""
    early = from_client(SMUGGLED)
    for name, before in BEFORE.items():
        with await Peer.connect(gateway.port) as client:
            await client.send(before + HANDSHAKE + early)
            server = await upstream.accept()
            if before.strip():
                assert (await server.read_head()).split(b" ")[1] == b"/before", name
                await server.read(len(HANDSHAKE) if before.startswith(b"POST") else 0)
                await server.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                assert (await client.read_until(b"ok")).startswith(b"HTTP/1.1 200 "), name
                server = await upstream.accept()  # a tunnel has a connection of its own
            assert await server.read_head() == sent(client, upstream), name
            await server.send(SWITCHING)
            assert (await client.read_head()).startswith(b"HTTP/1.1 101 "), name
            assert await server.read(len(early)) == early, name


SEAM: Final = HANDSHAKE + from_client(SMUGGLED)


@pytest.mark.parametrize("start", range(4))
async def test_the_seam(gateway: GatewayProcess, upstream: Upstream, start: int) -> None:
    """Cut at any place, a handshake and what is glued to it arrive as if they had come at once."""
    for at in range(1 + start, len(SEAM), 4):
        with await Peer.connect(gateway.port) as client:
            await client.send(SEAM[:at])
            await asyncio.sleep(0)
            await client.send(SEAM[at:])
            server = await upstream.accept()
            assert await server.read_head() == sent(client, upstream), at
            await server.send(SWITCHING)
            assert (await client.read_head()).startswith(b"HTTP/1.1 101 "), at
            assert await server.read(len(SEAM) - len(HANDSHAKE)) == SEAM[len(HANDSHAKE) :], at
            server.close()


async def test_a_plain_beginning_that_turns_into_something_else(
    gateway: GatewayProcess, upstream: Upstream
) -> None:
    """The first piece reads like a handshake; the whole is refused, cut wherever it may be."""
    for name in ("a bare LF", "a length", "two hosts", "a choice", "the key twice"):
        request, status = REFUSED[name]
        for at in range(20, len(request), 25):
            with await Peer.connect(gateway.port) as client:
                await client.send(request[:at])
                await asyncio.sleep(0)
                await client.send(request[at:] + SMUGGLED)
                assert int((await client.read_head())[9:12]) == status, (name, at)
    assert upstream.nobody()

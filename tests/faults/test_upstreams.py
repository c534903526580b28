"""Upstreams that die, stand still, come back, and answer badly or never."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from gateway.events import Close, Error, Open
from tests.demo_upstream.running import DemoUpstream
from tests.faults.rest import Held, given_back
from tests.gateway.proxy.plain import GET, ask
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame
from tests.gateways import GatewayProcess
from tests.servers import PATIENCE, Peer, Upstream

TUNNELS = 5
WHOAMI = b"GET /whoami HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def echoes(clients: list[ClientConnection], words: str) -> None:
    """Each of them sends something and gets it back."""
    for client in clients:
        await client.send(words)
    for client in clients:
        async with asyncio.timeout(PATIENCE):
            assert await client.recv() == words


async def test_an_upstream_stopped_killed_and_started_again(
    gateway: GatewayProcess, upstream_port: int
) -> None:
    """While it stands still, all waits and nothing is lost; its death is felt at once; then all goes on."""
    addr = f"127.0.0.1:{upstream_port}"
    opened, closed = len(gateway.records.all(Open)), len(gateway.records.all(Close))
    async with AsyncExitStack() as stack:

        async def client() -> ClientConnection:
            url = f"ws://127.0.0.1:{gateway.port}/echo"
            return await stack.enter_async_context(connect(url, open_timeout=PATIENCE, compression=None))

        with DemoUpstream(addr=addr) as upstream:
            clients = [await client() for _ in range(TUNNELS)]
            await echoes(clients, "before")
            before = Held.by(gateway.pid)
            os.kill(upstream.process.pid, signal.SIGSTOP)
            coming = asyncio.create_task(client())
            asking = asyncio.create_task(ask(gateway.port, WHOAMI))
            for each in clients:
                await each.send("meanwhile")
            await gateway.records.wait_for(Open, past=opened + TUNNELS - 1)
            assert not asking.done()
            os.kill(upstream.process.pid, signal.SIGCONT)
            for each in clients:
                async with asyncio.timeout(PATIENCE):
                    assert await each.recv() == "meanwhile"
            assert (await asking)[0] == 200
            await echoes([await coming], "late")
            upstream.process.kill()
            for each in (*clients, coming.result()):
                with pytest.raises(ConnectionClosedError):
                    async with asyncio.timeout(PATIENCE):
                        await each.recv()
        past = len(gateway.records.all(Error))
        assert (await ask(gateway.port, WHOAMI))[0] == 502
        told = await gateway.records.wait_for(Error, past=past)
        assert told.message == f"http://{addr} refused the connection; nothing listens there"
        await gateway.records.wait_for(Close, past=closed + TUNNELS)
        lost = gateway.records.all(Close)[closed:]
        assert {each.by for each in lost} == {"upstream"}
        with DemoUpstream(addr=addr):
            await echoes([await client()], "after")
            assert (await ask(gateway.port, WHOAMI))[0] == 200
    await given_back(gateway.pid, before)


Behave = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def behaving(upstream: Upstream, behave: Behave) -> AsyncIterator[None]:
    """Let `upstream` do so with each connection, once it has read the head of a request."""

    async def one(server: Peer) -> None:
        with suppress(OSError, EOFError, TimeoutError):
            await server.read_head()
            await behave(server)

    async def accept(group: asyncio.TaskGroup) -> None:
        while True:
            group.create_task(one(await upstream.accept(patience=3600)))

    async with asyncio.TaskGroup() as group:
        accepting = group.create_task(accept(group))
        yield
        accepting.cancel()


async def end(server: Peer) -> None:
    """Close at once."""
    server.close()


async def reset(server: Peer) -> None:
    """Reset at once."""
    server.reset()


def then(data: bytes, behave: Behave) -> Behave:
    """Send `data`, then do something."""

    async def both(server: Peer) -> None:
        await server.send(data)
        await behave(server)

    return both


def slowly(data: bytes, pause: float = 0.002) -> Behave:
    """One byte at a time, and then the end."""

    async def drip(server: Peer) -> None:
        for byte in data:
            await server.send(bytes([byte]))
            await asyncio.sleep(pause)
        server.end()

    return drip


@dataclass(frozen=True)
class Case:
    """What an upstream does, and what the client and the log make of it."""

    name: str
    request: bytes
    behave: Behave
    begins: bytes
    """How what the client gets begins; nothing where that may be nothing."""
    says: str | None
    """What the error says that the upstream did; None where there is none."""


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
BROKE = "broke the connection off before it answered"
HALF = "broke the response off in the middle; the client's connection was cut"
BAD = b"HTTP/1.1 502 "
HELLO = SWITCHING + frame(b"hello")
POST = b"POST / HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: 0\r\n\r\n"

CASES = [
    Case("plain, closed at once", GET, end, BAD, BROKE),
    Case("plain, reset at once", POST, reset, BAD, BROKE),
    Case("plain, reset at once, tried twice", GET, reset, BAD, BROKE),
    Case("plain, closed within the head", GET, then(HEAD[:20], end), BAD, BROKE),
    Case("plain, reset within the head", POST, then(HEAD[:20], reset), BAD, BROKE),
    Case("plain, closed within the body", GET, then(HEAD + b"half", end), b"HTTP/1.1 200 ", HALF),
    Case("plain, reset within the body", GET, then(HEAD + b"half", reset), b"", HALF),
    Case("plain, byte by byte", GET, slowly(HEAD + b"0123456789"), b"HTTP/1.1 200 ", None),
    Case("upgrade, closed at once", HANDSHAKE, end, BAD, BROKE),
    Case("upgrade, reset at once", HANDSHAKE, reset, BAD, BROKE),
    Case("upgrade, closed within the head", HANDSHAKE, then(SWITCHING[:30], end), BAD, BROKE),
    Case("upgrade, reset within the head", HANDSHAKE, then(SWITCHING[:30], reset), BAD, BROKE),
    Case("upgrade, closed behind the 101", HANDSHAKE, then(HELLO, end), b"HTTP/1.1 101 ", None),
    Case("upgrade, reset behind the 101", HANDSHAKE, then(SWITCHING, reset), b"", None),
    Case("upgrade, byte by byte", HANDSHAKE, slowly(HELLO), b"HTTP/1.1 101 ", None),
    Case("upgrade, refused and cut", HANDSHAKE, then(HEAD + b"half", end), b"HTTP/1.1 200 ", HALF),
]


async def fate(gateway: GatewayProcess, upstream: Upstream, case: Case) -> str | None:
    """What is wrong with the way a case has gone; None where nothing is."""
    past = len(gateway.records.all(Error))
    got = b""
    with await Peer.connect(gateway.port) as client:
        async with behaving(upstream, case.behave):
            await client.send(case.request)
            try:
                got = await client.read_head()
                if not got.startswith(BAD):
                    if b"Content-Length: 10\r\n" in got and case.says is None:
                        got += await client.read(10)
                    else:
                        if got.startswith(b"HTTP/1.1 101 "):
                            with suppress(OSError):  # it may have been reset already
                                client.end()  # as a client does that learns of the end
                        got += await client.read_to_end()
            except (ConnectionResetError, BrokenPipeError, EOFError) as error:
                got += error.args[0] if isinstance(error, EOFError) else b""
            if not got.startswith(case.begins):
                return f"{case.name}: the client got {got!r}"
            if case.says is None:
                wrong = gateway.records.all(Error)[past:]
                return f"{case.name}: {wrong}" if wrong else None
            try:
                told = await gateway.records.wait_for(Error, past=past)
            except AssertionError as error:
                return f"{case.name}: {error}"
            did = told.message.removeprefix(f"http://127.0.0.1:{upstream.port} ")
            return None if did == case.says else f"{case.name}: {told.message}"


async def test_upstreams_that_break_off(gateway: GatewayProcess, upstream: Upstream) -> None:
    """In each case the client learns what it can, the log says what happened, and nothing stays behind."""
    before = Held.by(gateway.pid)
    wrong = [what for case in CASES if (what := await fate(gateway, upstream, case)) is not None]
    assert not wrong, "\n".join(wrong)
    await given_back(gateway.pid, before)


@pytest.mark.long
async def test_upstreams_that_take_their_time(gateway: GatewayProcess, upstream: Upstream) -> None:
    """A 101 of one byte a second, and none at all, are a 504 in time; a plain answer takes what it wants."""
    before = Held.by(gateway.pid)
    past = len(gateway.records.all(Error))
    answers: list[Behave] = [slowly(SWITCHING, 1), silence, slowly(HEAD + b"0123456789", 0.3)]
    clients: list[Peer] = []
    async with asyncio.TaskGroup() as group:
        for answer, request in zip(answers, (HANDSHAKE, HANDSHAKE, GET), strict=True):
            clients.append(await Peer.connect(gateway.port))
            await clients[-1].send(request)
            server = await upstream.accept()
            await server.read_head()
            group.create_task(_unfinished(answer, server))
        for client in clients[:2]:
            head = await _patiently(client, b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 504 "), head
        assert (await _patiently(clients[2], b"0123456789")).startswith(b"HTTP/1.1 200 ")
        for peer in (*clients, *upstream.peers):
            peer.close()
    for number in range(2):
        told = await gateway.records.wait_for(Error, past=past + number)
        assert told.message == f"http://127.0.0.1:{upstream.port} did not answer within 10 s"
    await given_back(gateway.pid, before)


async def silence(server: Peer) -> None:
    """Say nothing at all."""
    await server.read_to_end(patience=60)


async def _unfinished(answer: Behave, server: Peer) -> None:
    with suppress(OSError):
        await answer(server)


async def _patiently(client: Peer, end: bytes) -> bytes:
    """All that comes up to `end`, which may take a while."""
    data = b""
    while end not in data:
        piece = await client.read_some(patience=60)
        assert piece, data
        data += piece
    return data

"""How tunnels end: half-closes, resets and close handshakes pass at once; nothing stays behind."""

import asyncio
import signal
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from gateway.events import Close, Open
from tests.gateway.proxy.raw import close, frame, from_client, open_tunnel
from tests.gateways import GatewayProcess
from tests.servers import Peer, Upstream

PROMPT = 2.0
"""Seconds within which the end of one side has to be felt on the other; there are no timers in between."""


async def closed(gateway: GatewayProcess, client: Peer) -> Close:
    """The `close` record of `client`'s tunnel."""
    opened = await gateway.records.wait_for(Open, client=client.name)
    return await gateway.records.wait_for(Close, conn=opened.conn)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="a reset drops what was to be read elsewhere")


@contextmanager
def asleep(gateway: GatewayProcess) -> Iterator[None]:
    """Let the gateway sleep, and find all that has happened at once when it wakes."""
    gateway.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        gateway.signal(signal.SIGCONT)


async def send_until_refused(peer: Peer) -> None:
    """Send small frames.  Raises what the system says once it knows that nobody takes them."""
    for _ in range(500):
        await peer.send(frame(b"anybody?"))
        await asyncio.sleep(0.01)


def outstanding(peer: Peer) -> int:
    """How many bytes `peer` has sent that nobody has acknowledged."""
    import fcntl  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415 - as above

    found: bytes = fcntl.ioctl(peer.sock, termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", found)[0])


async def test_the_client_ends_first(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """After the client's FIN, the upstream may still send all it wants."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    with client, server:
        await client.send(from_client(b"that is all"))
        client.end()
        assert await server.read_to_end() == from_client(b"that is all")
        for _ in range(3):
            await server.send(frame(b"not from here"))
            assert await client.read(15) == frame(b"not from here")
        server.end()
        assert await client.read_to_end() == b""
        told = await closed(gateway_on, client)
    assert (told.by, told.how) == ("client", "fin")
    assert (told.client.frames, told.upstream.frames) == (1, 3)


async def test_the_upstream_ends_first(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """After the upstream's FIN, the client may still send all it wants."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    with client, server:
        await server.send(frame(b"that is all"))
        server.end()
        assert await client.read_to_end() == frame(b"that is all")
        for _ in range(3):
            await client.send(from_client(b"not from here"))
            assert await server.read(19) == from_client(b"not from here")
        client.end()
        assert await server.read_to_end() == b""
        told = await closed(gateway_on, client)
    assert (told.by, told.how) == ("upstream", "fin")


async def test_an_end_behind_much_data_delivers_it_all(
    gateway_on: GatewayProcess, upstream: Upstream
) -> None:
    """A side that sends megabytes, ends and goes away does not cut what is on its way."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    much = frame(bytes(8 << 20), opcode=2)
    with client, server:
        async with asyncio.TaskGroup() as group:
            arriving = group.create_task(client.read_to_end())
            await server.send(much)
            server.close()
        assert arriving.result() == much


@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_a_reset_is_a_reset_at_once(gateway_on: GatewayProcess, upstream: Upstream, who: str) -> None:
    """RST on one leg is RST on the other, promptly, and the log says whose it was."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    with client, server:
        await client.send(from_client(b"hello"))
        await server.read(11)
        resets, feels = (client, server) if who == "client" else (server, client)
        began = time.monotonic()
        resets.reset()
        assert await feels.was_reset()
        assert time.monotonic() - began < PROMPT
        told = await closed(gateway_on, client)
    assert (told.by, told.how) == (who, "reset")


async def test_a_reset_after_half_a_close(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """A client that has ended its direction and then resets takes the upstream with it."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    with client, server:
        client.end()
        assert await server.read_to_end() == b""
        client.reset()
        for _ in range(100):  # the gateway's RST is only felt by somebody who sends or asks
            try:
                await server.send(frame(b"anybody?"))
            except (ConnectionResetError, BrokenPipeError):
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the upstream was not told")
        await closed(gateway_on, client)


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_close_handshake_waits_for_no_timer(
    gateway_on: GatewayProcess, upstream_port: int, who: str
) -> None:
    """Whoever starts it, a close between `websockets` on both ends takes a moment, as without a gateway."""
    ended: asyncio.Queue[tuple[int | None, str | None, float]] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        if who == "server":
            await connection.close(4000, "the server has had enough")
        try:
            await connection.recv()
        except ConnectionClosed:
            await connection.wait_closed()
        ended.put_nowait((connection.close_code, connection.close_reason, time.monotonic()))

    async with serve(handler, "127.0.0.1", upstream_port):
        client = await connect(f"ws://127.0.0.1:{gateway_on.port}/")
        began = time.monotonic()
        if who == "client":
            await client.close(4001, "so has the client")
        await client.wait_closed()
        at_client = time.monotonic() - began
        code, reason, at = await asyncio.wait_for(ended.get(), 15)
    assert (client.close_code, client.close_reason) == (code, reason)
    assert code == (4001 if who == "client" else 4000)
    assert at_client < PROMPT
    assert at - began < PROMPT


async def test_a_client_that_leaves_without_a_word(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """A closed socket with nothing unread is a FIN: the upstream is told, and once it ends, all is over."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    with client, server:
        client.close()
        assert await server.read_to_end() == b""
        server.close()
        assert (await closed(gateway_on, client)).by == "client"


@on_linux
@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_the_last_words_before_a_reset(
    gateway_on: GatewayProcess, upstream: Upstream, who: str
) -> None:
    """What comes in one breath with a RST is delivered, and the RST is no FIN on the other side."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    resets, feels = (client, server) if who == "client" else (server, client)
    with client, server:
        with asleep(gateway_on):
            await resets.send(close(1002))
            resets.reset()
        assert await feels.read(4) == close(1002)
        assert await feels.was_reset()
        assert (await closed(gateway_on, client)).how == "close"


@on_linux
@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_the_last_words_of_one_that_is_written_to(
    gateway_on: GatewayProcess, upstream: Upstream, who: str
) -> None:
    """Where a write finds first that a side has reset the connection, its last words are delivered still."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    resets, feels = (client, server) if who == "client" else (server, client)
    with client, server:
        with asleep(gateway_on):
            await feels.send(frame(b"first in line"))
            await resets.send(close(1002))
            resets.reset()
        assert await feels.read(4) == close(1002)
        assert await feels.was_reset()


@on_linux
@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_the_end_of_one_that_takes_no_more(
    gateway_on: GatewayProcess, upstream: Upstream, who: str
) -> None:
    """A side that has said Close and gone is read to its FIN, though writing to it fails."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    ends, feels = (client, server) if who == "client" else (server, client)
    with client, server:
        with asleep(gateway_on):
            await ends.send(close(1000))
            ends.close()
            # More than is read at once: the second write fails, ahead of the FIN.
            await feels.send(frame(bytes(400_000)))
        assert await feels.read_to_end() == close(1000)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await send_until_refused(feels)
        await closed(gateway_on, client)


@on_linux
@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_much_ahead_of_a_reset(gateway_on: GatewayProcess, upstream: Upstream, who: str) -> None:
    """What the gateway has taken is delivered before the RST, to somebody who reads late, too."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    resets, feels = (client, server) if who == "client" else (server, client)
    much = frame(bytes(1 << 20), opcode=2)
    with client, server:
        await resets.send(much)
        while outstanding(resets):  # noqa: ASYNC110 - the system tells nobody
            await asyncio.sleep(0.01)
        resets.reset()
        await asyncio.sleep(0.05)
        assert await feels.read(len(much)) == much
        assert await feels.was_reset()

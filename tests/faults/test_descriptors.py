"""No more file descriptors: who comes has to wait, and is served as soon as there are some again."""

import asyncio
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway.events import Close, Error
from tests.faults.rest import Held, cpu_seconds, given_back
from tests.gateway.proxy.plain import GET
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame
from tests.gateways import GatewayProcess, Loop, config_of
from tests.servers import PATIENCE, Peer, Upstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process is Linux's")

LIMIT = 64
WAITING = 6
LIMITED = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))


MESSAGE = (
    f"new clients have to wait: this process may have {LIMIT} files open, and a WebSocket takes two of them; "
    "ulimit -Hn tells the limit"
)


@asynccontextmanager
async def answering(upstream: Upstream) -> AsyncIterator[None]:
    """Let `upstream` agree to every opening handshake, and greet."""

    async def answer() -> None:
        while True:
            server = await upstream.accept(patience=3600)
            await server.read_head()
            await server.send(SWITCHING + frame(b"hello"))

    task = asyncio.create_task(answer())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def welcomed(client: Peer) -> None:
    """Wait for the end of a client's opening handshake."""
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert await client.read(7) == frame(b"hello")


@pytest.mark.parametrize(
    ("loop", "looks"),
    [
        ("uvloop", False),
        ("uvloop", True),
        ("asyncio", False),
        pytest.param("asyncio", True, marks=pytest.mark.long),  # the same way as without
    ],
)
async def test_who_comes_waits(loop: Loop, *, looks: bool) -> None:
    """Nobody is sent away; one message and no busy loop; and all that waited are served in the end."""
    async with Upstream() as upstream, answering(upstream):
        config = config_of(f"http://127.0.0.1:{upstream.port}")
        if looks:  # at every client, before it is let in
            config = config.replace(
                "  shutdownT", "  httpConfig: {listenConfig: {networks: [127.0.0.0/8]}}\n  shutdownT"
            )
        gateway = GatewayProcess(config, loop=loop, prepare=LIMITED)
        try:
            with await Peer.connect(gateway.port) as client:
                await client.send(HANDSHAKE)
                await welcomed(client)  # so that all is there that comes with the first one
            upstream.peers[0].close()
            await gateway.records.wait_for(Close)
            before = Held.by(gateway.pid)
            served, waiting = await fill(gateway)
            for _ in range(WAITING):
                waiting.append(await Peer.connect(gateway.port))
                await waiting[-1].send(HANDSHAKE)
            began, used = time.monotonic(), cpu_seconds(gateway.pid)
            await asyncio.sleep(2)  # measured, not waited for
            busy = (cpu_seconds(gateway.pid) - used) / (time.monotonic() - began)
            assert busy < 0.3, f"it is busy for {busy:.0%} of the time"
            # One leaves, one comes in, again and again: nobody is lost on the way.
            for number, client in enumerate(waiting, 1):
                served.pop(0).close()
                upstream.peers[number].close()
                await welcomed(client)
                served.append(client)
            assert [each.message for each in gateway.records.all(Error)] == [MESSAGE]
            for peer in (*served, *upstream.peers):
                peer.close()
            await given_back(gateway.pid, before, spare=1)
        finally:
            await asyncio.to_thread(gateway.kill)


async def fill(gateway: GatewayProcess) -> tuple[list[Peer], list[Peer]]:
    """Open WebSockets until the gateway says that there is no room: those that are open, and who waits."""
    full = asyncio.create_task(gateway.records.wait_for(Error))
    served: list[Peer] = []
    while True:
        client = await Peer.connect(gateway.port)
        await client.send(HANDSHAKE)
        welcome = asyncio.create_task(welcomed(client))
        await asyncio.wait((full, welcome), return_when=asyncio.FIRST_COMPLETED)
        if welcome.done():
            welcome.result()
            served.append(client)
        if full.done():
            assert full.result().message == MESSAGE
            if welcome.done():  # at the same moment
                return served, []
            welcome.cancel()
            await asyncio.gather(welcome, return_exceptions=True)
            return served, [client]


async def test_an_upstream_that_cannot_be_dialled() -> None:
    """Who is in and finds no descriptor for the way upstream is told so, and can ask again later."""
    async with Upstream() as upstream, answering(upstream):
        gateway = GatewayProcess(config_of(f"http://127.0.0.1:{upstream.port}"))
        try:
            with await Peer.connect(gateway.port) as client:
                await client.send(GET[:10])
                before = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
                await until_let_in(gateway.pid, client)
                resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (3, before[1]))
                await client.send(GET[10:])
                assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
                told = await gateway.records.wait_for(Error)
                assert told.message == (
                    f"http://127.0.0.1:{upstream.port} cannot be reached: this process has as many files "
                    "open as it may; a WebSocket takes two of them, and ulimit -Hn tells the limit"
                )
                resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, before)
            with await Peer.connect(gateway.port) as client:
                await client.send(HANDSHAKE)
                await welcomed(client)
        finally:
            await asyncio.to_thread(gateway.kill)


async def until_let_in(pid: int, client: Peer) -> None:
    """Wait until the process `pid` has accepted the connection of `client`."""
    port = int(client.name.rpartition(":")[2])
    async with asyncio.timeout(PATIENCE):
        while not _accepted(pid, port):  # noqa: ASYNC110 - the system tells nobody
            await asyncio.sleep(0.02)


def _accepted(pid: int, port: int) -> bool:
    """Whether a socket of `pid` is connected to a client's `port`."""
    inodes = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[2].endswith(f":{port:04X}")
    }
    links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return any(f"socket:[{inode}]" in links for inode in inodes)

"""Workers that are stopped and go on, or are killed while they are busy."""

import asyncio
import os
import signal
import sys

import pytest

from gateway.events import Close, Error, Open
from tests.faults.rest import Held, given_back
from tests.gateway.proxy.raw import frame, from_client, open_tunnel
from tests.gateway.workers.crews import Pair, close_all, open_over_all, start, workers_of
from tests.servers import PATIENCE, Peer, Upstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


async def passes(pair: Pair, words: bytes) -> None:
    """A message goes through a WebSocket, each way."""
    client, server = pair
    await client.send(from_client(words))
    assert await server.read(len(words) + 6) == from_client(words)
    await server.send(frame(words))
    assert await client.read(len(words) + 2) == frame(words)


async def test_a_worker_that_stands_still_and_goes_on(upstream: Upstream) -> None:
    """Its WebSockets wait and lose nothing; the other worker's notice nothing, and neither of a kill."""
    with start(upstream) as gateway:
        pairs = await open_over_all(gateway, upstream)
        await gateway.records.wait_for(Open, past=len(pairs) - 1)
        still, other = workers_of(gateway.pid)
        before = Held.by(other)
        os.kill(still, signal.SIGSTOP)
        for client, _ in pairs:
            await client.send(from_client(b"hello"))
        waiting = [pair for pair in pairs if not await _arrives(pair)]
        assert 0 < len(waiting) < len(pairs)
        os.kill(still, signal.SIGCONT)
        for _, server in waiting:
            assert await server.read(11) == from_client(b"hello")
        for pair in pairs:
            await passes(pair, b"all is well")
        os.kill(still, signal.SIGKILL)
        for client, server in waiting:
            for peer in (client, server):
                await _ended(peer)
        killed = f"worker 1 (pid {still}) was killed by SIGKILL; another one takes its place"
        await gateway.records.wait_for(Error, message=killed)
        lost = "1 WebSocket" if len(waiting) == 1 else f"{len(waiting)} WebSockets"
        await gateway.records.wait_for(Error, message=f"{lost} ended with worker 1 (pid {still})")
        assert len(gateway.records.all(Error)) == 2
        for pair in pairs:
            if pair not in waiting:
                await passes(pair, b"still here")
        close_all(pairs)
        await gateway.records.wait_for(Close, past=len(pairs) - len(waiting) - 1)
        client, server = await open_tunnel(gateway.port, upstream)
        with client, server:
            await passes((client, server), b"as ever")
        await given_back(other, before)


async def _arrives(pair: Pair) -> bool:
    """Whether the message has come to the upstream; one that waits has a second for it."""
    _, server = pair
    try:
        async with asyncio.timeout(1):
            return await server.read(11) == from_client(b"hello")
    except TimeoutError:
        return False


async def _ended(peer: Peer) -> None:
    try:
        await peer.read_to_end(patience=PATIENCE)
    except ConnectionResetError:
        return

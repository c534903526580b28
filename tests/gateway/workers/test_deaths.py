"""Workers that end unasked."""

import asyncio
from pathlib import Path

import trustme

from gateway.events import Close, Error, Listening, Open
from tests.gateway.proxy.listening import config_with
from tests.gateway.proxy.raw import from_client, open_tunnel
from tests.gateway.proxy.reloading import get_new, named, until
from tests.gateway.proxy.test_listen_tls import tls_of, trusting
from tests.gateway.workers.crews import all_gone, close_all, kill, open_over_all, start, workers_of
from tests.gateways import GatewayProcess, config_of
from tests.servers import Peer, Upstream


async def test_another_one_takes_its_place() -> None:
    """It is told who and how, and requests go on: those that come in between wait for the successor."""
    async with named("one") as url:
        with GatewayProcess(config_of(url), "--workers", "2", daemon=True) as gateway:
            victim, other = workers_of(gateway.pid)
            await kill(victim)
            for _ in range(20):
                assert await get_new(gateway.port) == "one"
            told = await gateway.records.wait_for(Error)
            assert told.message == (
                f"worker 1 (pid {victim}) was killed by SIGKILL; another one takes its place"
            )
            now = workers_of(gateway.pid)
            assert len(now) == 2
            assert other in now
            assert victim not in now
    assert len(gateway.records.all(Listening)) == 1


async def test_its_websockets_are_told_as_lost(upstream: Upstream) -> None:
    """How many ended with it, since nobody can tell how; the other worker's live on."""
    with start(upstream) as gateway:
        pairs = await open_over_all(gateway, upstream)
        victim, _ = workers_of(gateway.pid)
        await gateway.records.wait_for(Open, past=len(pairs) - 1)
        await kill(victim)
        lost = [pair for pair in pairs if await _ends(*pair)]
        assert 0 < len(lost) < len(pairs)
        what = "1 WebSocket" if len(lost) == 1 else f"{len(lost)} WebSockets"
        await gateway.records.wait_for(Error, message=f"{what} ended with worker 1 (pid {victim})")
        pairs.append(await open_tunnel(gateway.port, upstream))
        told = await gateway.records.wait_for(Open, past=len(pairs) - 1)
        assert told.conn == len(pairs)  # numbers go on
        close_all(pairs)
        await gateway.records.wait_for(Close, past=len(pairs) - len(lost) - 1)


async def _ends(client: Peer, server: Peer) -> bool:
    """Whether a WebSocket has ended; one that lives passes a message on."""
    try:
        await client.send(from_client(b"hello"))
        return await server.read_some() != from_client(b"hello")
    except (ConnectionResetError, BrokenPipeError):
        return True


async def test_the_gateway_gives_up(upstream: Upstream) -> None:
    """Where one worker after the other ends before it has got going; status 1, and nobody is left."""
    gateway = start(upstream)
    first, other = workers_of(gateway.pid)
    killed = [first]
    try:
        await kill(first)
        while (victim := await _successor(gateway, {other, *killed})) is not None:
            assert len(killed) < 5
            killed.append(victim)
            await kill(victim)
        assert await gateway.ended() == 1
    finally:
        await asyncio.to_thread(gateway.kill)
    await all_gone([other])
    assert len(killed) >= 3
    assert gateway.errors.decode() == (
        f"aileron: worker 1 (pid {killed[-1]}) was killed by SIGKILL, the third time running that it does "
        "not get going\n"
    )


async def test_a_successor_that_cannot_serve(upstream: Upstream, tmp_path: Path) -> None:
    """A certificate has become something else: each try says so, and the gateway gives up."""
    authority = trustme.CA()
    config = config_with(f"http://127.0.0.1:{upstream.port}", listen=tls_of(tmp_path, authority))
    gateway = GatewayProcess(config, "--workers", "2", daemon=True)
    try:
        reader, writer = await asyncio.open_connection("localhost", gateway.port, ssl=trusting(authority))
        writer.close()
        del reader
        await asyncio.to_thread(_spoil, tmp_path)
        await kill(workers_of(gateway.pid)[0])
        assert await gateway.ended() == 1
    finally:
        await asyncio.to_thread(gateway.kill)
    told = [each.message for each in gateway.records.all(Error)]
    reasons = sum("certKeyPairs[0].certFile: the certificate in" in each for each in told)
    assert reasons == sum("ended with status 1" in each for each in told) >= 2
    assert told[-1].endswith(" ended with status 1, the third time running that it does not get going")
    assert gateway.errors.decode().endswith(f"aileron: {told[-1]}\n")


def _spoil(folder: Path) -> None:
    """Make the files in `folder` mean nothing."""
    for each in folder.iterdir():
        each.write_text("no certificate")


async def _successor(gateway: GatewayProcess, known: set[int]) -> int | None:
    """The worker that is none of those that are known; None where the gateway ends instead."""
    new: list[int] = []

    async def there() -> bool:
        new[:] = [each for each in workers_of(gateway.pid) if each not in known]
        return bool(new) or gateway._process.exitcode is not None

    await until(there)
    return new[0] if new else None

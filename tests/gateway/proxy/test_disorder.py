"""Many tunnels whose ends do as they please, and a stop in the midst of it."""

import asyncio
import gc
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trustme

from gateway.events import Close, Error, Frame, Omitted, Open, Side
from gateway.proxy import server
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame, from_client
from tests.gateways import LOOPS, GatewayThread, Loop, config_of
from tests.servers import Peer

NETWORK = (OSError, TimeoutError, EOFError, RuntimeError, AttributeError)
"""What an end has to expect of a connection that it abuses; the last two come from asyncio's transports."""


async def misbehave(
    dice: random.Random,
    send: Callable[[bytes], Awaitable[None]],
    read: Callable[[], Awaitable[bytes]],
    ends: list[Callable[[], None]],
    *,
    masked: bool,
) -> None:
    """For a moment: send frames and halves of frames, read or do not read, end in one way or another."""
    for _ in range(dice.randrange(40)):
        chance = dice.random()
        await asyncio.sleep(dice.random() * 0.03)
        if chance < 0.5:
            payload = dice.randbytes(dice.choice((0, 5, 130, 70_000, 700_000)))
            opcode, fin = dice.choice((0, 1, 2, 3, 8, 9)), dice.random() < 0.8
            data = frame(payload, opcode=opcode, fin=fin, masked=masked)
            cut = dice.randrange(len(data)) if dice.random() < 0.3 else len(data)
            await asyncio.wait_for(send(data[:cut]), 0.2)
        elif chance < 0.8:
            await asyncio.wait_for(read(), 0.05)
        elif chance > 0.95:
            dice.choice(ends)()
            if dice.random() < 0.7:
                return


async def keep_coming(
    group: asyncio.TaskGroup, client: Callable[[], Coroutine[object, object, None]]
) -> None:
    """Start as many clients as it takes: on a busy machine, many give up before they are let in."""
    while True:
        group.create_task(client())
        await asyncio.sleep(0.01)


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    """Collect what asyncio has forgotten here, where it is ignored, rather than in whichever test is next."""
    yield
    gc.collect()


# asyncio's TLS server, which is the test's own, forgets transports whose handshake the other side breaks off.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
async def test_disorder_breaks_nothing(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    """No error, no tunnel that never closes, exact counts, a stop within its time."""
    dice = random.Random(f"{loop} {tls}")
    context = _tls(tmp_path, monkeypatch) if tls else None

    handlers: set[asyncio.Task[None]] = set()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            handlers.add(task)

        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        with suppress(*NETWORK):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCHING + (frame(b"welcome") if dice.random() < 0.5 else b""))
            ends = [writer.close, writer.transport.abort, *([] if tls else [writer.write_eof])]
            if dice.random() < 0.1:
                dice.choice(ends)()
            await misbehave(dice, send, lambda: reader.read(100_000), ends, masked=False)
            await asyncio.sleep(dice.random() * 0.5)
        writer.transport.abort()

    async def client(port: int) -> None:
        await asyncio.sleep(dice.random() * 0.3)
        with suppress(*NETWORK), await Peer.connect(port) as peer:
            await peer.send(HANDSHAKE + (from_client(b"early") if dice.random() < 0.5 else b""))
            if dice.random() < 0.9:
                await misbehave(dice, peer.send, peer.read_some, [peer.end, peer.reset], masked=True)
                await asyncio.sleep(dice.random() * 0.5)

    upstream = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    url = f"{'https' if tls else 'http'}://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    async with upstream, asyncio.TaskGroup() as group:
        with GatewayThread(config_of(url, shutdown_timeout=1), loop=loop, frame_rate=100) as gateway:
            coming = group.create_task(keep_coming(group, partial(client, gateway.port)))
            await gateway.records.wait_for(Open, past=9)
            coming.cancel()
            gateway.signal()
            await gateway.ended(3)
    await asyncio.wait(handlers)
    records = gateway.records
    faults = [each.message for each in records.all(Error) if each.upstream is None]
    assert not faults
    assert len(records.all(Close)) == len(records.all(Open)) >= 10
    sides: tuple[Side, ...] = ("client", "upstream")
    for told in records.all(Close):
        for side, totals in zip(sides, (told.client, told.upstream), strict=True):
            shown = records.all(Frame, conn=told.conn, sender=side)
            omitted = records.all(Omitted, conn=told.conn, sender=side)
            assert len(shown) + sum(each.frames for each in omitted) == totals.frames


def _tls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server shows that the gateway is going to trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    monkeypatch.setattr(server, "_tls", ssl.create_default_context)  # which remembers the first one
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context

"""What clients do: sessions that are polite, late to read, abrupt or rude, and plain requests.

A polite session is checked to the last frame: each echo, the close code, and the gateway's count of frames.
Of the others, what is checked is that the gateway ends them: their WebSockets are all closed at the end of
a round.
"""

import asyncio
import itertools
import os
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from gateway.events import Close
from tests.soak.ledger import Ledger
from tests.soak.world import PATIENCE, World

_CODES: Final = (1000, 1001, 1003, 3000, 4999)
"""With which a polite client closes."""

_SIZES: Final = (0, 1, 125, 126, 4096, 65535, 65536, 300_000)
"""Bytes of a message; small ones are more frequent."""

_GARBAGE: Final = b"GET /ws HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: upgr"
"""Half a head."""


class WrongError(Exception):
    """A session went another way than it should have; the message tells which."""


class Crowd:
    """Clients that come again and again until they are told to leave."""

    def __init__(self, world: World, ledger: Ledger, rng: random.Random, pace: float) -> None:
        """`pace` is the mean of the seconds between two messages of a client."""
        self._world = world
        self._ledger = ledger
        self._rng = rng
        self._pace = pace
        self._numbers = itertools.count(1)
        self.leaving = asyncio.Event()

    async def live(self) -> None:
        """One client's life: session after session, until all leave."""
        kinds: list[Callable[[str], Awaitable[None]]] = [
            self._polite,
            self._clock,
            self._late,
            self._abrupt,
            self._rude,
            self._plain,
        ]
        await self._pause(self._pace)
        while not self.leaving.is_set():
            session = self._rng.choices(kinds, weights=(60, 10, 8, 8, 4, 10))[0]
            name = session.__name__.removeprefix("_")
            path = f"/{'ws' if session == self._clock else 'echo'}?{name}={next(self._numbers)}"
            await self._one(session, name, path)

    async def flash(self, size: int) -> None:
        """A crowd that comes at once, says one thing and leaves."""
        await asyncio.gather(
            *(self._one(self._short, "short", f"/echo?short={next(self._numbers)}") for _ in range(size))
        )

    async def _one(self, session: Callable[[str], Awaitable[None]], name: str, path: str) -> None:
        began = time.monotonic()
        self._ledger.count[f"{name} sessions"] += 1
        try:
            async with asyncio.timeout(3 * PATIENCE):
                await session(path)
        except (OSError, EOFError, WebSocketException, aiohttp.ClientError, WrongError) as error:
            if self._world.excuses(path, began):
                self._ledger.count["sessions cut by a fault"] += 1
                await self._pause(1)
            else:
                self._ledger.lose(f"{path}: {type(error).__name__}: {error}")
        finally:
            self._world.log.forget(path)

    async def _polite(self, path: str) -> None:
        """Send, read each echo, close; then ask the gateway what it has counted."""
        ended = self._world.log.expect(path)
        async with self._connect(path) as client:
            sent = 0
            for _ in range(self._rng.randint(1, 20)):
                await self._exchange(client)
                sent += 1
                if await self._pause(self._pace):
                    break
            code = self._rng.choice(_CODES)
            await client.close(code, "soak")
            if client.close_code != code:
                raise WrongError(f"closed with {code}, answered with {client.close_code}")
        async with asyncio.timeout(PATIENCE):
            _compare(await ended, sent, code)

    async def _short(self, path: str) -> None:
        async with self._connect(path) as client:
            await self._exchange(client)

    async def _clock(self, path: str) -> None:
        """Be greeted, hear some ticks, leave."""
        async with self._connect(path) as client:
            greeting = await client.recv()
            if greeting != "Hello!! This is a WebSocket server!!":
                raise WrongError(f"was greeted with {greeting!r}")
            for _ in range(self._rng.randint(1, 10)):
                tick = await client.recv()
                if not (isinstance(tick, str) and tick.startswith("It's ")):
                    raise WrongError(f"heard {tick!r}")
                self._ledger.count["messages"] += 1
                if self.leaving.is_set():
                    break

    async def _late(self, path: str) -> None:
        """Send much, read nothing for a while, then all of it."""
        async with self._connect(path) as client:
            messages = [self._message() for _ in range(30)]
            sending = asyncio.create_task(_send_all(client, messages))
            try:
                await self._pause(5)
                for message in messages:
                    if await client.recv() != message:
                        raise WrongError("a late reader's echo is another than what was sent")
                    self._ledger.count["messages"] += 1
                await sending
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError, ConnectionClosed):
                    await sending

    async def _abrupt(self, path: str) -> None:
        """Leave in the middle of a message, by RST or by FIN."""
        async with self._connect(path) as client:
            await self._exchange(client)
            await self._pause(self._pace)
            if client.transport.is_closing():
                raise ConnectionResetError("the gateway was faster")
            client.transport.write(b"\x82\xfe\xff\xff1234 half of it")
            if self._rng.random() < 0.5:
                client.transport.abort()
            else:
                client.transport.close()

    async def _rude(self, path: str) -> None:
        """Say something that is no handshake, or half of one, or break the protocol right behind it."""
        del path
        reader, writer = await asyncio.open_connection("127.0.0.1", self._world.port)
        try:
            writer.write(self._rng.choice([_GARBAGE, os.urandom(512), b"\x16\x03\x01\x02\x00\x01"]))
            await writer.drain()
            await self._pause(2)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                await reader.read()
        except ConnectionError:
            pass  # as good an answer as any
        finally:
            writer.close()

    async def _plain(self, path: str) -> None:
        """Ask for the page and for /whoami, over one connection."""
        del path
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self._world.port}") as session:
            for target in ("/", "/whoami"):
                async with session.get(target) as response:
                    await response.read()
                    if response.status != 200:
                        raise WrongError(f"GET {target} was answered with {response.status}")
                self._ledger.count["requests"] += 1

    def _connect(self, path: str) -> connect:
        return connect(
            f"ws://127.0.0.1:{self._world.port}{path}",
            compression=self._rng.choice([None, "deflate"]),
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            ping_interval=None,
            max_size=None,
            proxy=None,
            process_exception=lambda error: error,
        )

    async def _exchange(self, client: ClientConnection) -> None:
        message = self._message()
        await client.send(message)
        async with asyncio.timeout(PATIENCE):
            echo = await client.recv()
        if echo != message:
            raise WrongError(f"sent {len(message)}, got {len(echo)} that differ")
        self._ledger.count["messages"] += 1
        self._ledger.count["bytes"] += 2 * len(message)

    def _message(self) -> str | bytes:
        size = self._rng.choices(_SIZES, weights=(4, 8, 8, 8, 8, 2, 2, 1))[0]
        return self._rng.randbytes(size) if self._rng.random() < 0.5 else "é" * (size // 2)

    async def _pause(self, mean: float) -> bool:
        """Wait for a while, `mean` seconds on average; whether it is time to leave."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rng.expovariate(1 / mean)):
                await self.leaving.wait()
        return self.leaving.is_set()


async def _send_all(client: ClientConnection, messages: list[str | bytes]) -> None:
    for message in messages:
        await client.send(message)


def _compare(record: Close, sent: int, code: int) -> None:
    """Hold the gateway's account against the client's: each message and the Close are one frame a side.

    Beside them there are the upstream's pings and their pongs; a ping that crosses the Close has none.
    """
    client, upstream = record.client, record.upstream
    pings, pongs = upstream.frames - sent - 1, client.frames - sent - 1
    if not (0 <= pongs <= pings <= pongs + 1):
        raise WrongError(
            f"{sent} messages each way, but the gateway counted {client.frames}, {upstream.frames}"
        )
    if (record.how, client.code, upstream.code) != ("close", code, code):
        told = f"{record.how} with {client.code} and {upstream.code}"
        raise WrongError(f"closed with {code}, but the gateway tells of {told}")

"""One conversation between a client and a server, whatever either is made of.

Rules
    * The server sends back what it gets, but for texts that begin with `!`:
      `!ping`             it pings, and says `ponged` when the pong has come, or `no ping` where it cannot
      `!pieces`           it answers with one message in fragments, where it can send fragments
      `!close CODE WHY`   it closes
      `!seen NAME`        it tells, as JSON, what it saw of the connection whose path ended in NAME
    * The client holds three conversations in a row, which end in three ways, and writes a `Transcript`.
      What only the server can know, such as the close code that arrived, the next conversation asks for.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tests.servers import PATIENCE

PROTOCOLS: Final = ("first.example", "second.example")
"""The subprotocols that a client offers; every server takes the second."""

PIECES: Final = ("one, ", "", "deux é, ", "three ☃")
"""What makes one message in fragments, an empty one among them."""

CLIENT_CLOSES: Final = (4001, "the client is dône")
SERVER_CLOSES: Final = (4002, "the server is dône")

MESSAGES: Final[tuple[str | bytes, ...]] = (
    "",
    b"",
    "é and ☃ and 𝄞",
    bytes(range(256)),
    # Both sides of each change in how a length is written (RFC 6455 section 5.2).
    *("t" * size for size in (125, 126, 65535, 65536)),
    *(b"b" * size for size in (125, 126, 65535, 65536)),
    "".join(f"{number} " for number in range(60_000)),
)

Transcript = dict[str, Any]
"""What a client saw, and what it was told that the server saw, as JSON has it."""


class End(Protocol):
    """One end of an open connection."""

    name: str
    """Of the connection: the end of its path."""

    async def receive(self) -> str | bytes | None:
        """The next message; None at the end."""

    async def send(self, message: str | bytes) -> None:
        """Send a message."""

    async def send_pieces(self, pieces: Sequence[str]) -> None:
        """Send one message in fragments, or in one frame where the library does not have fragments."""

    async def ping(self) -> bool:
        """Ping, and wait for the pong.  False where the library cannot."""

    async def close(self, code: int | None = None, reason: str = "") -> None:
        """Close, and wait for the other side's Close; without a `code`, as the library does by default."""

    def closed(self) -> tuple[int | None, str]:
        """The code and the reason that came from the other side."""


class ServerEnd(End, Protocol):
    """The server's, which knows how it was asked for."""

    def offered(self) -> tuple[str, str]:
        """Sec-WebSocket-Protocol and Sec-WebSocket-Extensions, as the client sent them."""


class ClientEnd(End, Protocol):
    """The client's, which knows what was agreed."""

    def agreed(self) -> tuple[str | None, str]:
        """Sec-WebSocket-Protocol and Sec-WebSocket-Extensions, as the server sent them."""


Connect = Callable[[str, bool], AbstractAsyncContextManager[ClientEnd]]
"""Opens a connection to a url, with or without an offer of permessage-deflate."""


@dataclass(slots=True)
class Memory:
    """What the servers of one event loop saw of each connection that has ended."""

    _seen: dict[str, asyncio.Future[str]] = field(default_factory=dict)

    def of(self, name: str) -> asyncio.Future[str]:
        """What was seen of the connection called `name`, when it has ended."""
        return self._seen.setdefault(name, asyncio.get_running_loop().create_future())


async def answer(end: ServerEnd, memory: Memory) -> None:
    """The server's side of a conversation."""
    texts = octets = 0
    while (message := await end.receive()) is not None:
        if isinstance(message, bytes):
            octets += 1
            await end.send(message)
            continue
        texts += 1
        if message == "!ping":
            await end.send("ponged" if await end.ping() else "no ping")
        elif message == "!pieces":
            await end.send_pieces(PIECES)
        elif message.startswith("!close "):
            _, code, reason = message.split(" ", 2)
            await end.close(int(code), reason)
        elif message.startswith("!seen "):
            async with asyncio.timeout(PATIENCE):
                await end.send(await asyncio.shield(memory.of(message.split()[1])))
        else:
            await end.send(message)
    protocols, extensions = end.offered()
    came = end.closed()
    seen = {
        "protocols": protocols,
        "extensions": extensions,
        "texts": texts,
        "octets": octets,
        "code": came[0],
        "reason": came[1],
    }
    if not memory.of(end.name).done():
        memory.of(end.name).set_result(json.dumps(seen))


async def converse(connect: Connect, url: str, deflate: bool) -> Transcript:
    """The client's side: three conversations, at paths that begin with `url`."""
    async with connect(f"{url}-1", deflate) as end:
        protocol, extensions = end.agreed()
        transcript: Transcript = {"protocol": protocol, "extensions": extensions}
        transcript["echoes"] = [await _echo(end, message) for message in MESSAGES]
        await end.send_pieces(PIECES)
        transcript["pieces sent"] = await end.receive()
        await end.send("!pieces")
        transcript["pieces received"] = await end.receive()
        transcript["ping"] = await end.ping()
        await end.send("!ping")
        transcript["pinged"] = await end.receive()
        await end.close(*CLIENT_CLOSES)
    async with connect(f"{url}-2", deflate) as end:
        transcript["client closes"] = await _seen(end, f"{url}-1")
        await end.close()
    async with connect(f"{url}-3", deflate) as end:
        transcript["plain close"] = await _seen(end, f"{url}-2")
        code, reason = SERVER_CLOSES
        await end.send(f"!close {code} {reason}")
        transcript["rest"] = await end.receive()
        transcript["server closes"] = list(end.closed())
    return transcript


async def converse_at_length(connect: Connect, url: str, deflate: bool, size: int) -> Transcript:
    """A conversation of one long text and one long binary message, of `size` bytes each."""
    async with connect(f"{url}-long", deflate) as end:
        echoes = [await _echo(end, message) for message in ("0123456789abcdef" * (size // 16), bytes(size))]
        await end.close(1000)
    return {"extensions": end.agreed()[1], "echoes": echoes}


async def within_patience(conversation: Awaitable[Transcript], patience: float = PATIENCE) -> Transcript:
    """The transcript, or what went wrong instead of it."""
    try:
        async with asyncio.timeout(patience):
            return await conversation
    except Exception as error:  # noqa: BLE001 - whatever a library raises is what is told
        return {"error": repr(error)}


async def _echo(end: End, message: str | bytes) -> str:
    await end.send(message)
    echo = await end.receive()
    same = "same" if echo == message else "another"
    return f"{type(echo).__name__} of {len(message)}: {same}"


async def _seen(end: End, url: str) -> Any:
    await end.send(f"!seen {url.rsplit('/', 1)[1]}")
    seen = await end.receive()
    assert isinstance(seen, str)
    return json.loads(seen)

"""Raw connections at both ends, which end in every way that there is.

In each scene one side ends and the other one sees it; each is played with either side in either part.  What
is compared are all bytes that both sides get, and how each of them sees the other one end.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from tests.conformance.case import ping, text
from tests.conformance.frames import Frame, closing
from tests.gateway.proxy.raw import open_tunnel
from tests.servers import Peer, Upstream

Side = Literal["client", "upstream"]

_BYE: Final = closing(1000, b"bye").encode(masked=False)
_REFUSED: Final = closing(1002, b"no").encode(masked=False)
_HELLO: Final = text("Hello").encode(masked=False)
_PINGS: Final = ping(b"are you there?").encode(masked=False) * 4
_HALF: Final = replace(text("Hello"), claims=100).encode(masked=False)
_MUCH: Final = Frame(opcode=2, payload=bytes(512 * 1024)).encode(masked=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a scene has ended."""

    seen: tuple[str, ...]
    seconds: float = field(compare=False)
    """From the last that the one who ends does until the other one has seen it."""

    def __str__(self) -> str:
        return ", ".join(self.seen)


Act = Callable[[Peer, Peer], Awaitable[Ended]]


@dataclass(frozen=True, slots=True)
class Scene:
    """What one who ends and one who sees do, in this order."""

    name: str
    act: Act


async def play(scene: Scene, side: Side, upstream: Upstream, port: int) -> Ended:
    """Play a scene with `side` as the one who ends; `port` is the upstream's, or a gateway's before it."""
    client, server = await open_tunnel(port, upstream)
    with client, server:
        ends, sees = (client, server) if side == "client" else (server, client)
        ended = await scene.act(ends, sees)
    upstream.peers.remove(server)
    return ended


async def _to_end(peer: Peer) -> str:
    """All that comes, and how it ends."""
    data = bytearray()
    try:
        while piece := await peer.read_some():
            data += piece
    except ConnectionResetError:
        return f"{_short(data)} RST"
    except TimeoutError:
        return f"{_short(data)} no end"
    return f"{_short(data)} FIN"


def _short(data: bytearray) -> str:
    return data.hex() if len(data) < 60 else f"{len(data)} bytes {hash(bytes(data))}"


def _says_and_ends(words: bytes, how: Callable[[Peer], None]) -> Act:
    async def act(ends: Peer, sees: Peer) -> Ended:
        await ends.send(words)
        how(ends)
        done = time.perf_counter()
        seen, seconds = await _to_end(sees), time.perf_counter() - done
        if how is not Peer.end:
            return Ended((seen,), seconds)
        sees.end()
        return Ended((seen, await _to_end(ends)), seconds)

    return act


async def _unread(ends: Peer, sees: Peer) -> Ended:
    """To close with bytes unread is a RST, ahead of which a Close frame may lie."""
    await sees.send(_HELLO * 3)
    first = await asyncio.get_running_loop().sock_recv(ends.sock, 1)
    await ends.send(_REFUSED)
    ends.close()
    done = time.perf_counter()
    return Ended((first.hex(), await _to_end(sees)), time.perf_counter() - done)


async def _half_close(ends: Peer, sees: Peer) -> Ended:
    """Behind a FIN the other direction lives on."""
    await ends.send(_HELLO)
    ends.end()
    seen = await _to_end(sees)
    for _ in range(3):
        await sees.send(_PINGS)
    await sees.send(_BYE)
    sees.end()
    done = time.perf_counter()
    return Ended((seen, await _to_end(ends)), time.perf_counter() - done)


async def _handshake(ends: Peer, sees: Peer) -> Ended:
    """A close handshake, ended by whoever began it."""
    await ends.send(_BYE)
    heard = await sees.read(len(_BYE))
    await sees.send(_BYE)
    heard += await ends.read(len(_BYE))
    ends.end()
    done = time.perf_counter()
    seen, seconds = await _to_end(sees), time.perf_counter() - done
    sees.end()
    return Ended((heard.hex(), seen, await _to_end(ends)), seconds)


async def _sent_into_nothing(ends: Peer, sees: Peer) -> Ended:
    """One who has gone for good lets the other one know as soon as that says something more."""
    await ends.send(_BYE)
    ends.close()
    done = time.perf_counter()
    seen, seconds = await _to_end(sees), time.perf_counter() - done
    return Ended((seen, await _refusal(sees)), seconds)


async def _reset_behind_fin(ends: Peer, sees: Peer) -> Ended:
    """One who has ended, is answered and then resets."""
    await ends.send(_HELLO)
    ends.end()
    done = time.perf_counter()
    seen, seconds = await _to_end(sees), time.perf_counter() - done
    await sees.send(_PINGS)
    heard = await ends.read(len(_PINGS))
    ends.reset()
    return Ended((seen, heard.hex(), await _refusal(sees)), seconds)


async def _refusal(peer: Peer) -> str:
    """Send until the system knows that nobody takes it."""
    try:
        for _ in range(500):
            await peer.send(_HELLO)
            await asyncio.sleep(0.01)
    except (ConnectionResetError, BrokenPipeError):
        return "refused"
    return "not refused"


async def _both_at_once(ends: Peer, sees: Peer) -> Ended:
    """Both say Close and FIN before they have heard of each other."""
    await ends.send(_BYE)
    await sees.send(_REFUSED)
    ends.end()
    sees.end()
    done = time.perf_counter()
    return Ended((await _to_end(sees), await _to_end(ends)), time.perf_counter() - done)


def _scenes() -> list[Scene]:
    ways: tuple[tuple[str, Callable[[Peer], None]], ...] = (
        ("FIN", Peer.end),
        ("closed", Peer.close),
        ("RST", Peer.reset),
    )
    words = (
        ("nothing", b""),
        ("a message", _HELLO),
        ("Close", _BYE),
        ("half a frame", _HALF),
        ("four pings and Close", _PINGS + _BYE),
        ("half a Close frame", _BYE[:3]),
    )
    found = [Scene(f"{said}, {way}", _says_and_ends(each, how)) for said, each in words for way, how in ways]
    found += [Scene(f"512 KiB, {way}", _says_and_ends(_MUCH + _BYE, how)) for way, how in ways[:2]]
    return [
        *found,
        Scene("Close, closed with bytes unread", _unread),
        Scene("FIN, and answers", _half_close),
        Scene("a close handshake", _handshake),
        Scene("Close, closed, and more from the other side", _sent_into_nothing),
        Scene("FIN, an answer, RST", _reset_behind_fin),
        Scene("both at once", _both_at_once),
    ]


SCENES: Final = tuple(_scenes())

"""Where cases are played: at a server or at a client, directly or through a gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from tests.conformance.case import Case, Delivery
from tests.conformance.peers import CLIENTS, SERVERS, Client, Reports, Told
from tests.conformance.player import Played, Player
from tests.servers import PATIENCE, Peer, Upstream

Kind = Literal["server", "client"]

PEERS: Final[tuple[tuple[Kind, str], ...]] = (
    ("server", "websockets"),
    ("server", "aiohttp"),
    ("client", "websockets"),
    ("client", "aiohttp"),
)
"""All that are played at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a case has ended, at both ends."""

    played: Played
    told: Told | None
    """None where the peer was never asked to talk."""

    @property
    def seconds(self) -> float:
        """From the last that the player sent until the end of the connection."""
        return self.played.seconds

    def __str__(self) -> str:
        return f"{self.played} | {self.told}"


Play = Callable[[Case, Delivery, int], Coroutine[None, None, Outcome]]
"""Plays a case on one way: the port that the client connects to is the server's own, or a gateway's."""


@asynccontextmanager
async def facing(kind: Kind, name: str, port: int) -> AsyncIterator[Play]:
    """Let cases be played at this peer; `port` is where its server, or the player, listens."""
    if kind == "server":
        reports = Reports()
        async with SERVERS[name](port, reports):
            yield partial(_at_server, reports)
    else:
        async with Upstream(port) as upstream:
            yield partial(_at_client, upstream, CLIENTS[name])


def suits(kind: Kind, name: str, case: Case, delivery: Delivery) -> bool:
    """Whether a case can be played at this peer.

    A client of `websockets` waits for a server's FIN without a limit.  Its server reads frames that come with
    the opening handshake before it has answered that, and a pong then goes ahead of its 101.
    """
    if name == "aiohttp":
        return True
    return case.goodbye != "silence" if kind == "client" else delivery is not Delivery.GLUED


async def _at_server(reports: Reports, case: Case, delivery: Delivery, port: int) -> Outcome:
    while not reports.empty():
        reports.get_nowait()  # of a run that was given up
    with await Peer.connect(port) as peer:
        played = await Player(peer, case, delivery, client=True).run()
    told = await asyncio.wait_for(reports.get(), PATIENCE) if played.opened else None
    return Outcome(played=played, told=told)


async def _at_client(
    upstream: Upstream, client: Client, case: Case, delivery: Delivery, port: int
) -> Outcome:
    async with asyncio.TaskGroup() as group:
        connected = group.create_task(client(f"ws://127.0.0.1:{port}/", case), name="the client")
        with await upstream.accept() as peer:
            played = await Player(peer, case, delivery, client=False).run()
        upstream.peers.remove(peer)
    return Outcome(played=played, told=connected.result())

"""Tunnels at a standstill: found by comparing counters now and then, and ended.

Strategy
    What passes through a tunnel takes no note of the time.  One task for all tunnels looks at them every few
    seconds and compares what the decoders have counted, and what waits in the write buffers, with the last
    look.  Only where bytes wait, the system is asked as well how many of them the peer has not taken: a peer
    that reads slowly may leave a write buffer untouched for minutes.

Rules
    * A limit is exceeded by up to a quarter, which is the time between two looks.
    * A tunnel that is being stopped has its own deadline, and is left alone.
    * Between two handfuls of tunnels the loop does what else is due.
    * Without a limit there is no look.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from gateway.limits import OwnLimits
from gateway.proxy.endings import on_its_way
from gateway.proxy.listen import peer_name
from gateway.proxy.log import EventLog
from gateway.proxy.tunnel import Direction, Leg, Tunnel

_LOOKS: Final = 4
"""How often a tunnel is looked at within the time that it may stand still."""

_HANDFUL: Final = 200
"""Tunnels that are looked at in one go."""

_ANSWER: Final = 5.0
"""Seconds that the peers of an idle tunnel have to answer its Close frames."""

Standstill = tuple[int, float]
"""Where a counter stands, and since when, by the loop's clock."""


class Sweep:
    """Looks at the tunnels of a gateway.  Belongs to one event loop."""

    def __init__(self, limits: OwnLimits, log: EventLog, tunnels: Callable[[], Iterable[Tunnel]]) -> None:
        """`tunnels` gives all that are open."""
        self._stall = limits.stall_timeout
        self._idle = limits.idle_timeout
        self._log = log
        self._tunnels = tunnels
        self._stalled: dict[Leg, Standstill] = {}
        """What the peers have taken for which bytes wait."""
        self._silent: dict[Tunnel, Standstill] = {}
        """What has moved in each tunnel; empty where they may be idle."""

    async def run(self) -> None:
        """Look again and again; where there is no limit, not at all."""
        loop = asyncio.get_running_loop()
        while times := [each for each in (self._stall, self._idle) if each]:
            await asyncio.sleep(min(times) / _LOOKS)
            stalled, self._stalled = self._stalled, {}
            silent, self._silent = self._silent, {}
            tunnels = iter(list(self._tunnels()))
            while handful := list(islice(tunnels, _HANDFUL)):
                now = loop.time()
                for tunnel in handful:
                    if tunnel.stopping or tunnel.over:
                        continue
                    try:
                        self._look(tunnel, stalled, silent, now)
                    except Exception as error:  # noqa: BLE001 - a bug with one leaves the others their limits
                        self._tell(tunnel, f"a fault of the gateway: {type(error).__name__}: {error}")
                await asyncio.sleep(0)

    def _look(
        self, tunnel: Tunnel, stalled: dict[Leg, Standstill], silent: dict[Tunnel, Standstill], now: float
    ) -> None:
        directions = (tunnel.to_upstream, tunnel.to_client)
        waiting = [_waiting(each) for each in directions]
        if self._stall:
            for direction, size in zip(directions, waiting, strict=True):
                if size:
                    leg = direction.sink
                    taken = direction.decoder.wire_bytes - size - on_its_way(leg.transport)
                    since = _since(stalled.get(leg), taken, now)
                    if now - since >= self._stall:
                        self._cut(tunnel, leg, now - since, size)
                        return
                    self._stalled[leg] = (taken, since)
        if self._idle:
            moved = sum(2 * each.decoder.wire_bytes for each in directions) - sum(waiting)
            since = _since(silent.get(tunnel), moved, now)
            if now - since >= self._idle:
                self._end(tunnel, now - since)
                return
            self._silent[tunnel] = (moved, since)

    def _cut(self, tunnel: Tunnel, leg: Leg, seconds: float, waiting: int) -> None:
        self._tell(
            tunnel,
            f"{_who(leg)} took nothing for {round(seconds, 1):g} s while {waiting} bytes waited for it; both "
            "connections of the WebSocket were cut (--stall-timeout)",
        )
        tunnel.cut_off()

    def _end(self, tunnel: Tunnel, seconds: float) -> None:
        self._tell(
            tunnel,
            f"no byte passed either way for {round(seconds, 1):g} s; the WebSocket was ended with Close 1001 "
            "(--idle-timeout)",
        )
        tunnel.time_out(_ANSWER)

    def _tell(self, tunnel: Tunnel, message: str) -> None:
        conn = tunnel.conn if self._log.watching else None  # else nobody has been told the number
        self._log.error(message, conn=conn, client=_address(tunnel.down))


def _waiting(direction: Direction) -> int:
    """Bytes that wait in the write buffer of where the direction leads to."""
    return 0 if direction.sink.lost else direction.sink.transport.get_write_buffer_size()


def _since(before: Standstill | None, counter: int, now: float) -> float:
    """Since when `counter` has stood where it does, as far as is known."""
    return before[1] if before is not None and before[0] == counter else now


def _who(leg: Leg) -> str:
    return "the client" if leg.side == "client" else f"the upstream at {_address(leg)}"


def _address(leg: Leg) -> str:
    return peer_name(leg.transport.get_extra_info("peername"))

"""`python -m tests.conformance`: all cases on both ways, what came of each, and how long each close took."""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from statistics import median
from typing import Final

from tests.conformance.case import Delivery
from tests.conformance.catalogue import catalogue
from tests.conformance.endings import SCENES, Ended, Side, play
from tests.conformance.stage import PEERS, Outcome, facing, suits
from tests.conformance.verdict import SLOW, differences, later
from tests.gateways import GatewayProcess, config_of
from tests.servers import Upstream, reserved_port

_AGAIN: Final = 5
"""How often a close that seems slow is looked at again."""

_SIDES: Final[tuple[Side, Side]] = ("client", "upstream")


@dataclass(slots=True)
class Tally:
    """What has been seen so far."""

    verbose: bool = False
    """Whether cases that end alike are printed as well."""
    cases: int = 0
    different: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """Gateway minus direct, in ms."""

    def count(self, name: str, words: Sequence[str], delay: float) -> None:
        """One case more."""
        self.cases += 1
        self.delays.append(delay)
        if words:
            self.different.append(name)
        if delay > SLOW:
            self.slow.append(name)

    def summary(self) -> str:
        """All of it, in words."""
        lines = [
            f"{self.cases} cases, {len(self.different)} differences, {len(self.slow)} slow",
            f"gateway minus direct: median {median(self.delays):.2f} ms, largest {max(self.delays):.2f} ms",
        ]
        lines += [f"different: {name}" for name in self.different]
        lines += [f"later by more than {SLOW:g} ms: {name}" for name in self.slow]
        return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0, or 1 where an outcome differs or a close is slow, or 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    names = ["raw", *(case.name for case in catalogue(long=options.long))]
    if not any(name.startswith(options.cases) for name in names):
        print(f"conformance: no case has a number that begins with {options.cases}", file=sys.stderr)
        return 2
    tally = Tally(verbose=options.verbose)
    try:
        asyncio.run(_run(options.cases, tally, long=options.long))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(tally.summary())
    return 1 if tally.different or tally.slow else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description="Play WebSocket conformance cases directly and through a gateway; both must end alike.",
        epilog=f"Status 1: an outcome differs, or a close is later than direct by more than {SLOW:g} ms.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "cases", nargs="?", default="", help="where their numbers begin: 7 or 7.9 or raw; all without it"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print the cases that end alike as well")
    parser.add_argument("--long", action="store_true", help="the cases of many MiB as well")
    return parser


@dataclass(frozen=True, slots=True)
class _Entry:
    """A case at a peer, cut up in one way."""

    name: str
    peer: str
    play: Callable[[int], Coroutine[None, None, Outcome | Ended]]
    """Plays it at a port: the server's own, or a gateway's."""


async def _run(wanted: str, tally: Tally, *, long: bool) -> None:
    with reserved_port() as port, GatewayProcess(config_of(f"http://127.0.0.1:{port}")) as gateway:
        async for entry in _entries(port, wanted, long=long):
            await _judge(entry, port, gateway.port, tally)


async def _entries(port: int, wanted: str, *, long: bool) -> AsyncIterator[_Entry]:
    """All that is to be played; `port` is where servers listen."""
    for kind, peer in PEERS:
        async with facing(kind, peer, port) as play_case:
            for case, delivery in product(catalogue(long=long), Delivery):
                if case.name.startswith(wanted) and suits(kind, peer, case, delivery):
                    name = f"{peer} {kind} {case.name} {delivery.value}"
                    yield _Entry(name, peer, partial(play_case, case, delivery))
    if "raw".startswith(wanted):
        async with Upstream(port) as upstream:
            for scene, side in product(SCENES, _SIDES):
                yield _Entry(f"raw {side} ends: {scene.name}", "raw", partial(play, scene, side, upstream))


async def _judge(entry: _Entry, direct_port: int, gateway_port: int, tally: Tally) -> None:
    """Play a case on both ways and count it; say what came of it where the ways differ, or if asked to."""
    try:
        direct, through = await entry.play(direct_port), await entry.play(gateway_port)
        words = differences(direct, through, entry.peer)
        pairs = [(direct.seconds, through.seconds)]
        if later(pairs) > SLOW:
            again = [(await entry.play(direct_port), await entry.play(gateway_port)) for _ in range(_AGAIN)]
            pairs += [(one.seconds, other.seconds) for one, other in again]
    except (AssertionError, OSError, ExceptionGroup) as error:
        print(f"{entry.name}: {error!r}")
        tally.count(entry.name, [repr(error)], 0.0)
        return
    delay = later(pairs)
    tally.count(entry.name, words, delay)
    if not (words or delay > SLOW or tally.verbose):
        return
    times = f"{direct.seconds * 1000:.2f} ms, {through.seconds * 1000:.2f} ms"
    print(f"{entry.name}: {direct}; through the gateway: {through if words else 'the same'}; {times}")

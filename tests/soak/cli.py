"""The command line: `python -m tests.soak`."""

import argparse
import asyncio
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.soak.faults import trouble
from tests.soak.ledger import Ledger
from tests.soak.report import Round, Soak, failures, markdown
from tests.soak.sessions import Crowd
from tests.soak.world import PATIENCE, Footprint, World

_ROUNDS: Final = 6

_LOOK: Final = 0.25
"""Seconds between two looks at the gateway."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 0, or 1 where the soak fails, or 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    soak = asyncio.run(_soak(options))
    report = markdown(soak)
    if options.report:
        options.report.write_text(report, encoding="utf-8")
    print(report)
    return 1 if failures(soak) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Let clients come and go through a gateway for a long time, while things go wrong.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--minutes",
        metavar="M",
        type=_positive,
        default=30.0,
        help="how long clients are there, in all rounds; behind each, all is left to calm down (%(default)g)",
    )
    parser.add_argument(
        "--sockets", metavar="N", type=int, default=500, help="clients at a time (%(default)s)"
    )
    parser.add_argument(
        "--pace",
        metavar="S",
        type=_positive,
        default=2.0,
        help="seconds between two messages of a client, on average (%(default)g)",
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, default=1, help="of all that is random (%(default)s)"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="write the report there as well")
    return parser


def _positive(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


async def _soak(options: argparse.Namespace) -> Soak:
    ledger = Ledger()
    rng = random.Random(options.seed)
    with World(ledger) as world:
        before = world.footprint()
        start = time.monotonic()
        rounds: list[Round] = []
        for _ in range(_ROUNDS):
            count = Counter(ledger.count)
            busiest = await _round(world, ledger, rng, options)
            calm = await _calm(world, before)
            rounds.append(Round((time.monotonic() - start) / 60, ledger.count - count, busiest, calm))
            print(f"{rounds[-1].minutes:.1f} min: {calm}, {len(ledger.losses)} losses", file=sys.stderr)
        status, errors = await asyncio.to_thread(world.stop)
        return Soak(
            options.sockets, options.seed, before, rounds, ledger.losses, world.log.messages, status, errors
        )


async def _round(world: World, ledger: Ledger, rng: random.Random, options: argparse.Namespace) -> Footprint:
    """Let clients come and go for a round: the most that the gateway had at a look."""
    crowd = Crowd(world, ledger, rng, options.pace)
    busiest = world.footprint()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(options.sockets):
            tasks.create_task(crowd.live())
        tasks.create_task(trouble(world, crowd, ledger, rng))
        end = time.monotonic() + options.minutes * 60 / _ROUNDS
        while time.monotonic() < end:
            await asyncio.sleep(_LOOK)
            busiest = max(busiest, world.footprint(), key=lambda each: each.memory)
        crowd.leaving.set()
    return busiest


async def _calm(world: World, before: Footprint) -> Footprint:
    """Wait until the gateway has nobody any more: what it has then.

    Connections to upstreams are kept for a while, so its descriptors are waited for as well.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        footprint = world.footprint()
        if not world.log.open and footprint.descriptors <= before.descriptors:
            break
        await asyncio.sleep(_LOOK)
    return footprint

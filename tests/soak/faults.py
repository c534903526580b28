"""What goes wrong: one fault after the other, drawn at random."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tests.soak.ledger import Ledger
from tests.soak.sessions import Crowd
from tests.soak.world import World

_MEAN: Final = 8.0
"""Seconds between two faults, on average."""

_BALANCERS: Final = ("RoundRobin", "Random", "Maglev", "RingHash", "DirectHash")

_FLASH: Final = 200
"""Clients of a crowd that comes at once."""

Fault = Callable[[World, Crowd, random.Random], Awaitable[None]]


async def _upstream_killed(world: World, _: Crowd, rng: random.Random) -> None:
    await rng.choice(world.upstreams).kill(rng.uniform(0.0, 4.0))


async def _upstream_held(world: World, _: Crowd, rng: random.Random) -> None:
    await rng.choice(world.upstreams).hold(rng.uniform(0.5, 6.0))


async def _config_reloaded(world: World, _: Crowd, rng: random.Random) -> None:
    world.reload(rng.choice(_BALANCERS))


async def _log_unread(world: World, _: Crowd, rng: random.Random) -> None:
    world.log.pause()
    try:
        await asyncio.sleep(rng.uniform(1.0, 10.0))
    finally:
        world.log.go_on()


async def _crowd(_: World, crowd: Crowd, __: random.Random) -> None:
    await crowd.flash(_FLASH)


FAULTS: Final[Mapping[str, Fault]] = {
    "upstream killed and started again": _upstream_killed,
    "upstream held (SIGSTOP)": _upstream_held,
    "config loaded anew": _config_reloaded,
    "log not read": _log_unread,
    f"{_FLASH} clients at once": _crowd,
}
"""By what the report calls them."""


async def trouble(world: World, crowd: Crowd, ledger: Ledger, rng: random.Random) -> None:
    """Let one fault follow the other, until all leave; the last one is let finish."""
    while True:
        try:
            async with asyncio.timeout(rng.expovariate(1 / _MEAN)):
                await crowd.leaving.wait()
        except TimeoutError:
            name = rng.choice(list(FAULTS))
            ledger.count[name] += 1
            await FAULTS[name](world, crowd, rng)
        else:
            return

"""Who gets into the log when not everything can."""

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.proxy.sampling import UNLIMITED, WINDOW, Allowance, Sampler, fair_share

# Shares.


@pytest.mark.parametrize(
    ("budget", "demands", "share"),
    [
        (10, [], 10),
        (10, [3], 10),
        (10, [10], 10),
        (10, [11], 10),
        (10, [100, 100], 5),
        (10, [1, 100], 9),
        (10, [1, 1, 100, 100], 4),
        (11, [1, 1, 100, 100], 4),
        (12, [1, 1, 100, 100], 5),
        (10, [5, 5], 10),
        (10, [0, 0, 20], 10),
        (2, [1, 1, 1], 0),
        (0, [1], 0),
        (0, [], 0),
        (0, [0], 0),
    ],
)
def test_fair_shares(budget: int, demands: list[int], share: int) -> None:
    """What the small do not want goes to the large, in equal parts."""
    assert fair_share(budget, demands) == share


@given(st.integers(0, 500), st.lists(st.integers(0, 200), max_size=20))
def test_a_share_is_the_most_that_fits(budget: int, demands: list[int]) -> None:
    """All together stay within the budget, and with one more each they would not, or none wants more."""
    share = fair_share(budget, demands)
    assert sum(min(demand, share) for demand in demands) <= budget
    if sum(demands) <= budget:
        assert all(demand <= share for demand in demands)
    else:
        assert sum(min(demand, share + 1) for demand in demands) > budget


@given(st.integers(0, 500), st.lists(st.integers(0, 200), max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_demands_does_not_matter(budget: int, demands: list[int], rng: random.Random) -> None:
    """Nobody is the first in line."""
    mixed = list(demands)
    rng.shuffle(mixed)
    assert fair_share(budget, mixed) == fair_share(budget, demands)


# Windows.


def test_a_quiet_second_gives_the_whole_rate_back() -> None:
    """A burst takes it all; ten windows later, and not before, it is all there again."""
    allowance = Allowance(100)
    allowance.left -= 100
    for _ in range(10):
        allowance.turn(1, crowded=False)
        assert allowance.left == 0
    allowance.turn(1, crowded=False)
    assert allowance.left == 100


@pytest.mark.parametrize("windows", [10, 11, 1000, 1 << 40])
def test_windows_that_nobody_turned(windows: int) -> None:
    """Time passes without a turn as well."""
    allowance = Allowance(100)
    allowance.left -= 70
    allowance.turn(windows, crowded=False)
    assert allowance.left == (100 if windows > 10 else 30)


def test_a_crowded_window_gets_its_part() -> None:
    """A second touches eleven windows: each gets an eleventh, at least one, and no more than is left."""
    allowance = Allowance(110)
    allowance.turn(1, crowded=True)
    assert allowance.left == 10
    allowance.turn(1, crowded=False)
    allowance.left -= 105
    allowance.turn(1, crowded=True)
    assert allowance.left == 5
    small = Allowance(3)
    small.turn(1, crowded=True)
    assert small.left == 1


# A log as its sampler sees it: `EventLog` and `Tap`, without their sockets and threads.


@dataclass
class Direction:
    """What a tap keeps: the room it has, what it saw in this window, and what was recorded when."""

    room: int = 1
    active: bool = False
    seen: int = 0
    omitted: int = 0
    recorded: list[float] = field(default_factory=list)


class Simulation:
    """Feeds a sampler with frames at given times; its timer is late by up to `lag` seconds."""

    def __init__(self, rate: int, *, lag: float = 0.0, seed: int = 0) -> None:
        self.sampler = Sampler(rate)
        self.directions: dict[str, Direction] = {}
        self._active: list[Direction] = []
        self._turns_at: float | None = None
        self._lag = lag
        self._random = random.Random(seed)

    def run(self, arrivals: Iterable[tuple[float, str]]) -> dict[str, Direction]:
        """Let the frames arrive, each a time in seconds and the name of a direction."""
        for now, name in sorted(arrivals):
            while self._turns_at is not None and self._turns_at <= now:
                if self._turns_at >= self.sampler.end:
                    self._turn(self._turns_at)
                self._turns_at = self._next() if self._active else None
            self._arrive(now, self.directions.setdefault(name, Direction()))
        return self.directions

    @property
    def recorded(self) -> list[float]:
        """When anything was recorded."""
        return sorted(time for direction in self.directions.values() for time in direction.recorded)

    def _arrive(self, now: float, direction: Direction) -> None:
        sampler = self.sampler
        if now >= sampler.end:
            self._turn(now)
        if not direction.active:
            if self._turns_at is None:
                self._turns_at = self._next()
            direction.active = True
            direction.room = sampler.share
            self._active.append(direction)
        direction.seen += 1
        if min(direction.room, sampler.room) > 0:
            direction.room -= 1
            sampler.spend(1)
            direction.recorded.append(now)
        else:
            direction.omitted += 1

    def _turn(self, now: float) -> None:
        directions, self._active = self._active, []
        demands, omitted = [], 0
        for direction in directions:
            omitted += direction.omitted
            if direction.seen:
                demands.append(direction.seen)
                self._active.append(direction)
            else:
                direction.active = False
            direction.seen = direction.omitted = 0
        self.sampler.turn(now, demands, omitted)
        for direction in self._active:
            direction.room = self.sampler.share

    def _next(self) -> float:
        return self.sampler.end + self._random.uniform(0, self._lag)


def busiest_second(times: list[float]) -> int:
    """The most of the sorted `times` that lie within any one second."""
    return max((bisect_left(times, start + 1 - 1e-9) - place for place, start in enumerate(times)), default=0)


def steady(name: str, rate: float, start: float, end: float) -> list[tuple[float, str]]:
    """`rate` frames a second from `start` to `end`."""
    return [(start + number / rate, name) for number in range(int((end - start) * rate))]


bursts = st.tuples(st.floats(0, 4), st.integers(1, 80), st.floats(0, 0.5), st.sampled_from("abc")).map(
    lambda burst: [(burst[0] + number * burst[2] / burst[1], burst[3]) for number in range(burst[1])]
)


@given(
    rate=st.integers(1, 60),
    traffic=st.lists(bursts, min_size=1, max_size=6),
    start=st.floats(0, 1e5),
    lag=st.sampled_from([0.0, 0.02, 0.4]),
    seed=st.integers(0, 100),
)
@example(rate=10, traffic=[[(0.099, "a")] * 10, [(1.0001, "a")] * 10], start=0.0, lag=0.0, seed=0)
@example(rate=10, traffic=[[(0.05 + 0.21 * n, "a")] * 3 for n in range(8)], start=0.0, lag=0.0, seed=0)
@example(
    rate=3,
    traffic=[[(0.28125, "a"), (0.448, "a"), (0.6146, "a"), (1.4375, "a"), (1.4375, "a")]],
    start=0.0,
    lag=0.0,
    seed=0,
)
def test_never_more_than_the_rate_in_any_second(
    *, rate: int, traffic: list[list[tuple[float, str]]], start: float, lag: float, seed: int
) -> None:
    """Whatever comes when, and however late the timer is."""
    simulation = Simulation(rate, lag=lag, seed=seed)
    simulation.run((start + time, name) for burst in traffic for time, name in burst)
    assert busiest_second(simulation.recorded) <= rate


@pytest.mark.parametrize("quiet", [1.15, 3.0, 100.0])
def test_a_burst_after_quiet_is_shown_whole(quiet: float) -> None:
    """As many frames as the rate allows in a second, all at once; and again after a quiet second."""
    simulation = Simulation(100)
    bursts = [(5 + number * quiet, "a") for number in range(4) for _ in range(100)]
    assert len(simulation.run(bursts)["a"].recorded) == 400


def test_overload_keeps_moving() -> None:
    """Ten times the rate for ten seconds: after the first burst there is something in every window."""
    simulation = Simulation(200)
    recorded = simulation.run(steady("flood", 2000, 5, 15))["flood"].recorded
    later = [time for time in recorded if time > 6.3]
    assert max(second - first for first, second in pairwise(later)) < 3 * WINDOW
    assert len(later) > 0.6 * 200 * (15 - 6.3)
    assert busiest_second(recorded) <= 200


def test_overload_is_shared_fairly() -> None:
    """Who sends little is shown whole, who sends much gets equal parts of the rest."""
    traffic = steady("flood", 3000, 5, 15) + steady("stream", 900, 5, 15) + steady("chat", 30, 5, 15)
    shown = Simulation(500).run(traffic)
    later = Counter({name: sum(time > 6.5 for time in shown[name].recorded) for name in shown})
    assert later["chat"] >= 0.95 * 30 * 8.5
    assert 0.8 < later["flood"] / later["stream"] < 1.25


def test_a_frame_a_second_is_seen_beside_a_flood() -> None:
    """A direction that was silent in the last window has not been forgotten when the shares were made."""
    ticks = [(5 + number * 0.997, "clock") for number in range(20)]
    shown = Simulation(2000).run(ticks + steady("flood", 10_000, 5, 25))
    assert sum(time > 6.5 for time in shown["clock"].recorded) == sum(time > 6.5 for time, _ in ticks)


def test_more_directions_than_frames() -> None:
    """Where there is less than one for each, the log moves all the same."""
    names = [f"client {number}" for number in range(400)]
    order = random.Random(1)
    traffic = [(5 + window * 0.1 + order.random() * 0.1, name) for window in range(60) for name in names]
    simulation = Simulation(2000)
    shown = simulation.run(traffic)
    later = [time for time in simulation.recorded if time > 6.5]
    assert len(later) > 0.6 * 2000 * 4.5
    assert sum(bool(direction.recorded) for direction in shown.values()) == 400


def test_a_rate_of_zero_is_no_limit() -> None:
    """Everything is recorded."""
    simulation = Simulation(0)
    shown = simulation.run(steady("flood", 20_000, 5, 8))
    assert len(shown["flood"].recorded) == 60_000
    assert simulation.sampler.share == UNLIMITED
    assert simulation.sampler.spare > 1 << 50


# What goes last.


@pytest.mark.parametrize(("rate", "spare"), [(1, 100), (100, 100), (101, 101), (2000, 2000)])
def test_spare_for_the_last_to_go(rate: int, spare: int) -> None:
    """Close frames and violations have as many again, and never less than a hundred a second."""
    sampler = Sampler(rate)
    assert (sampler.room, sampler.spare) == (rate, spare)
    sampler.spend(rate + spare)
    assert (sampler.room, sampler.spare) == (0, 0)
    for window in range(1, 11):
        sampler.turn(window * WINDOW + 0.05, (), 1)
        assert (sampler.room, sampler.spare) == (0, 0)
    sampler.turn(1.16, (), 0)
    assert sampler.spare == spare, "which is not cut into windows"


def test_room_is_spent_before_spare() -> None:
    """Spare is what goes beyond."""
    sampler = Sampler(100)
    sampler.spend(60)
    assert (sampler.room, sampler.spare) == (40, 100)
    sampler.spend(50)
    assert (sampler.room, sampler.spare) == (0, 90)


def test_a_turn_within_a_window_begins_no_other() -> None:
    """Tunnels that come and go within a moment do not make the time go faster."""
    sampler = Sampler(100)
    sampler.turn(5.01, (), 0)
    sampler.spend(100)
    for _ in range(50):
        sampler.turn(5.02, (100,), 1)
        assert sampler.room == 0
    assert sampler.share == 1


def test_the_crowd_leaves() -> None:
    """A second after the last frame was left out, shares are no longer needed."""
    sampler = Sampler(110)
    sampler.turn(5.05, (1000,), 900)
    assert sampler.room == 10
    assert sampler.share == 8, "a quarter is kept for those who have been silent"
    for window in range(1, 10):
        sampler.turn(5.05 + window * WINDOW, (1, 1), 0)
        assert sampler.room == 10
    sampler.turn(6.06, (1, 1), 0)
    assert (sampler.room, sampler.share) == (110, UNLIMITED)

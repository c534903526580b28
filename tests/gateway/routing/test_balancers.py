"""Round robin."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import UpstreamSpec, parse_upstream
from gateway.routing.balancers import RoundRobin


def specs(weights: list[int]) -> list[UpstreamSpec]:
    """Upstreams http://u0, http://u1, … with these weights."""
    return [
        UpstreamSpec(url=parse_upstream(f"http://u{index}"), weight=weight)
        for index, weight in enumerate(weights)
    ]


def picks(balancer: RoundRobin, count: int) -> str:
    """The numbers of the next upstreams."""
    chosen = [balancer.pick() for _ in range(count)]
    return "".join(each.host[1:] if each else "-" for each in chosen)


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        ([1], "000"),
        ([1, 1, 1], "0120120"),
        ([1, 2, 3], "0112220112220"),
        ([1, -1, 1], "0202"),
        ([-1, 2], "1111"),
        ([0, 1], "0101"),
        ([-1, -1], "--"),
        ([], "--"),
    ],
)
def test_weights_are_turns_in_a_row(weights: list[int], order: str) -> None:
    """In the order of the file, not interleaved; -1 disables (core-v1, section 5.4)."""
    assert picks(RoundRobin(specs(weights)), len(order)) == order


@given(st.lists(st.integers(-1, 9), min_size=1, max_size=5), st.integers(1, 3))
def test_every_round_respects_every_weight(weights: list[int], rounds: int) -> None:
    """Over whole rounds each upstream gets its share, exactly."""
    shares = {str(index): max(1, weight) for index, weight in enumerate(weights) if weight >= 0}
    chosen = Counter(picks(RoundRobin(specs(weights)), rounds * sum(shares.values())))
    assert chosen == {name: rounds * share for name, share in shares.items()}

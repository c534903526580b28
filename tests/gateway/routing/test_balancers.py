"""Balancers: each weight respected, and each hash where AILERON sends it."""

from collections import Counter
from itertools import cycle
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import LoadBalancerSpec, UpstreamSpec
from gateway.config.resources import HasherSpec, HashSourceType, LBAlgorithm
from gateway.routing.balancers import Balancer, Maglev, RingHash, balancer, hash_key
from gateway.routing.balancers import _score as score
from gateway.routing.request import RequestFacts

HASHING = (LBAlgorithm.DirectHash, LBAlgorithm.RingHash, LBAlgorithm.Maglev)

any_weights = st.lists(st.integers(-1, 9), min_size=1, max_size=5)
any_keys = st.lists(st.binary(max_size=12), min_size=1, max_size=30)


def made(algorithm: LBAlgorithm, weights: list[int], url: str = "http://u{}", seed: int = 0) -> Balancer:
    """A balancer over http://u0, http://u1, … with these weights."""
    upstreams = tuple(
        UpstreamSpec(url=url.format(index), weight=weight) for index, weight in enumerate(weights)
    )
    return balancer(LoadBalancerSpec(lb_algorithm=algorithm, upstreams=upstreams), Random(seed))


def picked(balancer: Balancer, key: bytes = b"") -> str:
    """The number of the upstream for a request with this key; "-" where there is none."""
    upstream = balancer.pick(key)
    return upstream.host[1:] if upstream else "-"


def shares(weights: list[int]) -> dict[str, int]:
    """What each upstream gets of a round."""
    return {str(index): max(1, weight) for index, weight in enumerate(weights) if weight >= 0}


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        ([1], "000"),
        ([1, 1, 1], "0120120"),
        ([1, 2, 3], "0112220112220"),
        ([1, -1, 1], "0202"),
        ([-1, 2], "1111"),
        ([0, 1], "0101"),
    ],
)
def test_weights_are_turns_in_a_row(weights: list[int], order: str) -> None:
    """In the order of the file, not interleaved; -1 disables (core-v1, section 5.4)."""
    robin = made(LBAlgorithm.RoundRobin, weights)
    assert "".join(picked(robin) for _ in order) == order


@pytest.mark.parametrize("algorithm", LBAlgorithm)
@pytest.mark.parametrize("weights", [[], [-1], [-1, -1]])
def test_without_an_upstream_there_is_none(algorithm: LBAlgorithm, weights: list[int]) -> None:
    """The request gets 502 (core-v1, section 5.1)."""
    assert made(algorithm, weights).pick(b"foo") is None


@pytest.mark.parametrize("algorithm", LBAlgorithm)
def test_the_heaviest_weight_can_be_picked(algorithm: LBAlgorithm) -> None:
    """Beside the lightest."""
    assert picked(made(algorithm, [-1, 65535, 0])) in ("1", "2")


@given(any_weights, st.integers(1, 3))
def test_every_round_respects_every_weight(weights: list[int], rounds: int) -> None:
    """Over whole rounds of round robin each upstream gets its share, exactly."""
    expected = shares(weights)
    robin = made(LBAlgorithm.RoundRobin, weights)
    chosen = Counter(picked(robin) for _ in range(rounds * sum(expected.values())))
    assert chosen == {name: rounds * share for name, share in expected.items()}


class Enumerating(Random):
    """Draws each number of a range once, and again from the first."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """The next one."""
        assert (stop, step) == (None, 1)
        self.numbers = getattr(self, "numbers", cycle(range(start)))
        return next(self.numbers)


@given(any_weights.filter(lambda weights: max(weights) >= 0))
def test_random_respects_every_weight(weights: list[int]) -> None:
    """Each number that can be drawn counts for one unit of weight."""
    upstreams = tuple(UpstreamSpec(url=f"http://u{at}", weight=weight) for at, weight in enumerate(weights))
    spec = LoadBalancerSpec(lb_algorithm=LBAlgorithm.Random, upstreams=upstreams)
    drawing = balancer(spec, Enumerating(0))
    assert Counter(picked(drawing) for _ in range(sum(shares(weights).values()))) == shares(weights)


@pytest.mark.parametrize(
    ("key", "maglev", "ring", "direct"), [(b"foo", 2, 3, 3), (b"bar", 2, 2, 1), (b"baz", 3, 1, 2)]
)
def test_hashes_go_where_aileron_sends_them(key: bytes, maglev: int, ring: int, direct: int) -> None:
    """As observed on the program itself, with weights 100, 200 and 300."""
    picks = []
    for algorithm in (LBAlgorithm.Maglev, LBAlgorithm.RingHash, LBAlgorithm.DirectHash):
        upstreams = tuple(UpstreamSpec(url=f"http://127.0.0.1:1230{at}", weight=100 * at) for at in (1, 2, 3))
        upstream = balancer(LoadBalancerSpec(lb_algorithm=algorithm, upstreams=upstreams), Random(0)).pick(
            key
        )
        assert upstream is not None
        picks.append(upstream.port - 12300)
    assert picks == [maglev, ring, direct]


@pytest.mark.parametrize("algorithm", HASHING)
def test_hashes_respect_weights(algorithm: LBAlgorithm) -> None:
    """Over many keys, about in proportion: a fixed set of keys, so that nothing here is chance."""
    hashing = made(algorithm, [100, 200, -1, 300])
    chosen = Counter(picked(hashing, str(number).encode()) for number in range(6000))
    assert set(chosen) == {"0", "1", "3"}
    assert all(
        abs(chosen[name] / share / 10 - 1) < 0.2 for name, share in shares([100, 200, -1, 300]).items()
    )


@pytest.mark.parametrize("algorithm", HASHING)
@given(weights=any_weights, keys=any_keys)
def test_the_same_key_goes_to_the_same_upstream(
    algorithm: LBAlgorithm, weights: list[int], keys: list[bytes]
) -> None:
    """Whatever was picked before; and a slash at the end of a url changes nothing."""
    one, other = made(algorithm, weights), made(algorithm, weights, "http://u{}/", seed=1)
    assert [picked(one, key) for key in keys] == [picked(other, key) for key in reversed(keys)][::-1]


@pytest.mark.parametrize("algorithm", HASHING)
@given(weights=any_weights, keys=any_keys)
def test_a_disabled_upstream_is_as_if_it_were_not_there(
    algorithm: LBAlgorithm, weights: list[int], keys: list[bytes]
) -> None:
    """Weight -1 takes part in no table."""
    without = LoadBalancerSpec(
        lb_algorithm=algorithm,
        upstreams=tuple(
            UpstreamSpec(url=f"http://u{at}", weight=weight)
            for at, weight in enumerate(weights)
            if weight >= 0
        ),
    )
    one, other = made(algorithm, weights), balancer(without, Random(0))
    assert [picked(one, key) for key in keys] == [picked(other, key) for key in keys]


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(0, 4), any_keys)
def test_the_ring_moves_no_key_without_need(weights: list[int], gone: int, keys: list[bytes]) -> None:
    """When an upstream goes, only its own keys go elsewhere."""
    gone %= len(weights)
    left = [*weights[:gone], -1, *weights[gone + 1 :]]
    before, after = made(LBAlgorithm.RingHash, weights), made(LBAlgorithm.RingHash, left)
    for key in keys:
        old, new = picked(before, key), picked(after, key)
        assert new != str(gone)
        assert old in (new, str(gone))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=9))
def test_the_table_of_maglev_is_balanced(weights: list[int]) -> None:
    """Each upstream has two to three turns of slots, and the number of slots is prime."""
    table = made(LBAlgorithm.Maglev, weights)
    assert isinstance(table, Maglev)
    slots = Counter(table._owners)
    size = slots.total()
    assert all(size % each for each in range(2, size))
    assert set(slots) == set(range(len(weights)))
    for index, share in enumerate(shares(weights).values()):
        assert 2 * share <= slots[index] <= 3 * share


@pytest.mark.parametrize(
    ("weight", "size"),
    [(1, 3), (2, 5), (3, 7), (4, 11), (18, 37), (19, 41), (20, 41), (21, 43), (600, 1231), (801, 1847)],
)
def test_the_size_of_maglevs_table(weight: int, size: int) -> None:
    """At least twice the weights: a small prime, then one of i**2 + i + 41 (not 1681, which is 41**2)."""
    table = made(LBAlgorithm.Maglev, [weight])
    assert isinstance(table, Maglev)
    assert len(table._owners) == size


def test_the_ring_has_a_point_for_each_unit_of_weight() -> None:
    """In order."""
    ring = made(LBAlgorithm.RingHash, [5, -1, 0, 3])
    assert isinstance(ring, RingHash)
    assert list(ring._points) == sorted(ring._points)
    assert Counter(ring._owners) == {0: 5, 1: 1, 2: 3}


@pytest.mark.parametrize(
    ("drawn", "expected"), [(0, 0.0), (1, 100 / 44.3614195558365), (2**64 - 1, float("-inf"))]
)
def test_scores_at_the_ends(drawn: int, expected: float) -> None:
    """Where a logarithm is infinite or zero, nothing raises; Go comes to the same."""
    assert score(100, drawn) == pytest.approx(expected)


REQUEST = RequestFacts(
    headers=[(b"X-User", b"foo"), (b"x-user", b"bar"), (b"Cookie", b'b=0; id="baz"; id=x'), (b"x", b"\xff")],
    query="u=a+b&u=c&w=%ff",
    path_params={"id": "ü"},
    client="127.0.0.1:5000",
)


@pytest.mark.parametrize(
    ("source", "key", "expected"),
    [
        (HashSourceType.ClientAddr, "", b"127.0.0.1:5000"),
        (HashSourceType.ClientAddr, "x-user", b"127.0.0.1:5000"),
        (HashSourceType.Header, "X-USER", b"foo"),
        (HashSourceType.Header, "x", b"\xff"),
        (HashSourceType.Header, "y", b""),
        (HashSourceType.Cookie, "id", b"baz"),
        (HashSourceType.Cookie, "ID", b""),
        (HashSourceType.Query, "u", b"a b"),
        (HashSourceType.Query, "w", b"\xff"),
        (HashSourceType.Query, "x", b""),
        (HashSourceType.PathParam, "id", b"\xc3\xbc"),
        (HashSourceType.PathParam, "x", b""),
    ],
)
def test_what_is_hashed(source: HashSourceType, key: str, expected: bytes) -> None:
    """The first value, its bytes as they came; nothing where it is absent (core-v1, section 5.4)."""
    assert hash_key(HasherSpec(hash_source=source, key=key), REQUEST) == expected


def test_without_a_hasher_the_client_is_hashed() -> None:
    """Its address and port, so that each connection goes its own way."""
    assert hash_key(None, REQUEST) == b"127.0.0.1:5000"

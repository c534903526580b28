"""Which of its upstreams a load balancer picks (core-v1, section 5.4).

The algorithms with a hash pick, for the same upstreams and the same key, what AILERON picks.  They are made
of one mixing function, a step of SplitMix64, and of xxHash64: of the key, and of the text of each
upstream's url.  What RingHash and Maglev look up is built once and grows with the sum of the weights: 12 and
8 bytes for each unit of weight.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from random import Random
from typing import Final, Protocol, assert_never

from xxhash import xxh64_intdigest

from gateway.config import LoadBalancerSpec, Upstream
from gateway.config.resources import HasherSpec, HashSourceType, LBAlgorithm
from gateway.routing.request import RequestFacts

_MASK: Final = (1 << 64) - 1


class Balancer(Protocol):
    """Picks upstreams.  One instance belongs to one event loop."""

    def pick(self, key: bytes, /) -> Upstream | None:
        """The upstream for a request with this hash key; None where there is none, or all are disabled."""


def balancer(spec: LoadBalancerSpec, random: Random) -> Balancer:
    """The balancer that `spec` asks for; `random` is what the algorithm Random draws from."""
    candidates = [
        Candidate(
            upstream=each.upstream,
            weight=max(1, each.weight),
            id=xxh64_intdigest(each.url.removesuffix("/").encode("utf-8", "surrogatepass")),
        )
        for each in spec.upstreams
        if each.weight >= 0
    ]
    if not candidates:
        return Nobody()
    match spec.lb_algorithm:
        case LBAlgorithm.RoundRobin:
            return RoundRobin(candidates)
        case LBAlgorithm.Random:
            return WeightedRandom(candidates, random)
        case LBAlgorithm.DirectHash:
            return DirectHash(candidates)
        case LBAlgorithm.RingHash:
            return RingHash(candidates)
        case LBAlgorithm.Maglev:
            return Maglev(candidates)
        case _:
            assert_never(spec.lb_algorithm)


def hash_key(hasher: HasherSpec | None, request: RequestFacts) -> bytes:
    """What of `request` decides where it goes; empty where it is absent.

    Of a header, a cookie or a query parameter that is there more than once, the first counts.
    """
    if hasher is None:
        return request.client.encode()
    match hasher.hash_source:
        case HashSourceType.ClientAddr:
            return request.client.encode()
        case HashSourceType.Header:
            return next(iter(request.header_values(hasher.key)), b"")
        case HashSourceType.Cookie:
            return request.cookie(hasher.key)
        case HashSourceType.Query:
            return _first(request.values("query", hasher.key))
        case HashSourceType.PathParam:
            return _first(request.values("path parameter", hasher.key))
        case _:
            assert_never(hasher.hash_source)


def _first(values: Sequence[str]) -> bytes:
    return values[0].encode("utf-8", "surrogateescape") if values else b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An upstream that can be picked."""

    upstream: Upstream
    weight: int
    """1 to 65535."""
    id: int
    """The hash of its url without one slash at the end."""


class Nobody:
    """No upstream at all."""

    def pick(self, _key: bytes, /) -> None:
        """None."""


class RoundRobin:
    """As many requests in a row for each upstream as its weight says, in the order of the file.

    With weights 1, 2 and 3 that is A, B, B, C, C, C, and again from A: AILERON does not interleave.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self._turn = 0
        self._used = 0

    def pick(self, _key: bytes, /) -> Upstream:
        """The upstream whose turn it is."""
        candidate = self._candidates[self._turn]
        self._used += 1
        if self._used == candidate.weight:
            self._used = 0
            self._turn = (self._turn + 1) % len(self._candidates)
        return candidate.upstream


class WeightedRandom:
    """Each upstream with a probability in proportion to its weight."""

    def __init__(self, candidates: Sequence[Candidate], random: Random) -> None:
        self._candidates = candidates
        self._random = random
        self._upto = list(accumulate(each.weight for each in candidates))

    def pick(self, _key: bytes, /) -> Upstream:
        """One of them."""
        drawn = self._random.randrange(self._upto[-1])
        return self._candidates[bisect_right(self._upto, drawn)].upstream


class DirectHash:
    """The upstream with the highest score, where a score is a draw from the key that the weight favours."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates

    def pick(self, key: bytes, /) -> Upstream:
        """The one for `key`; of equal scores the first."""
        drawn = xxh64_intdigest(key)
        best, highest = self._candidates[0], -math.inf
        for each in self._candidates:
            drawn = _mix(drawn)
            score = _score(each.weight, drawn)
            if score > highest:
                best, highest = each, score
        return best.upstream


def _score(weight: int, drawn: int) -> float:
    """`weight` by the negative logarithm of `drawn` as a share of 2**64; the ends as in IEEE arithmetic."""
    share = drawn / 2**64
    if share == 0:
        return 0.0
    return weight / -math.log(share) if share < 1 else -math.inf


class RingHash:
    """The upstream that has the next point on a ring of 2**64, each having as many as its weight says."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        owned = []  # points with their owners in the lower 32 bits: sorting one number is quicker than two
        for index, each in enumerate(candidates):
            point = each.id
            for _ in range(each.weight):
                point = _mix(point)
                owned.append(point << 32 | index)
        owned.sort()
        self._points = array("Q", [each >> 32 for each in owned])
        self._owners = array("I", [each & 0xFFFFFFFF for each in owned])

    def pick(self, key: bytes, /) -> Upstream:
        """The owner of the first point from `key`'s own on, round the ring."""
        index = bisect_left(self._points, _mix(xxh64_intdigest(key)))
        return self._candidates[self._owners[index % len(self._owners)]].upstream


class Maglev:
    """The upstream in the key's slot of a table that all of them have filled in turns.

    Each walks the table in a permutation of its own and claims, in each turn, as many free slots as its
    weight says.  The source is Eisenbud et al., Maglev, NSDI 2016, section 3.4.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        size = _table_size(2 * sum(each.weight for each in candidates))
        starts = [_mix(each.id) for each in candidates]
        places = [start % size for start in starts]
        skips = [start % (size - 1) + 1 for start in starts]
        owners = array("i", [-1]) * size
        free = size
        while free:
            for index, each in enumerate(candidates):
                place, skip = places[index], skips[index]
                claims = min(each.weight, free)
                for _ in range(claims):
                    while owners[place] >= 0:
                        place += skip
                        if place >= size:
                            place -= size
                    owners[place] = index
                places[index] = place
                free -= claims
        self._owners = owners

    def pick(self, key: bytes, /) -> Upstream:
        """The owner of the slot for `key`."""
        return self._candidates[self._owners[_mix(xxh64_intdigest(key)) % len(self._owners)]].upstream


def _table_size(least: int) -> int:
    """The first prime from `least` on: up to 37 any but 2, beyond of Euler's form i**2 + i + 41."""
    sizes = range(3, 38, 2) if least <= 37 else (i * i + i + 41 for i in count())
    return next(size for size in sizes if size >= least and _is_prime(size))


def _is_prime(odd: int) -> bool:
    return all(odd % each for each in range(3, math.isqrt(odd) + 1, 2))


def _mix(number: int) -> int:
    """One step of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), from a number of 64 bits to another."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)

"""Which of its upstreams a load balancer picks (core-v1, section 5.4)."""

from collections.abc import Iterable

from gateway.config.addresses import Upstream
from gateway.config.resources import UpstreamSpec


class RoundRobin:
    """As many requests in a row for each upstream as its weight says, in the order of the file.

    With weights 1, 2 and 3 that is A, B, B, C, C, C, and again from A: AILERON does not interleave.  One
    instance belongs to one event loop.
    """

    def __init__(self, specs: Iterable[UpstreamSpec]) -> None:
        self._turns = [(each.upstream, max(1, each.weight)) for each in specs if each.weight >= 0]
        self._turn = 0
        self._used = 0

    def pick(self) -> Upstream | None:
        """The upstream for the next request; None where there is none, or all are disabled."""
        if not self._turns:
            return None
        upstream, weight = self._turns[self._turn]
        self._used += 1
        if self._used == weight:
            self._used = 0
            self._turn = (self._turn + 1) % len(self._turns)
        return upstream

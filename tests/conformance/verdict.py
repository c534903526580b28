"""Two outcomes of a case: how they differ, and by how much the one was later.  Pure."""

from collections.abc import Iterable
from dataclasses import replace
from statistics import median
from typing import Final

from tests.conformance.endings import Ended
from tests.conformance.stage import Outcome

SLOW: Final = 50.0
"""Milliseconds by which an end through a gateway may be later than a direct one."""

HASTY: Final = frozenset({"aiohttp"})
"""Peers that close their socket behind a Close frame, whatever is still on its way to them.

Bytes that come later make a RST of their FIN, so that it is a matter of time which of the two it is.
"""


def differences(direct: Outcome | Ended, through: Outcome | Ended, peer: str) -> list[str]:
    """What differs, in words; nothing where both runs have ended alike."""
    found: list[str] = []
    if isinstance(direct, Ended) or isinstance(through, Ended):
        return found if direct == through else [f"{direct}; through the gateway: {through}"]
    one, other = direct.played, through.played
    if peer in HASTY and all(any(seen.opcode == 8 for seen in each.frames) for each in (one, other)):
        one, other = (
            replace(each, ending="FIN" if each.ending == "RST" else each.ending) for each in (one, other)
        )
    if one != other:
        found.append(f"seen: {direct.played}; through the gateway: {through.played}")
    if direct.told != through.told:
        found.append(f"told: {direct.told}; through the gateway: {through.told}")
    return found


def later(pairs: Iterable[tuple[float, float]]) -> float:
    """The ms by which the second of each pair is later: the median, as any one may be an accident."""
    return median((through - direct) * 1000 for direct, through in pairs)

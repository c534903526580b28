"""The conformance cases end through a gateway as they end directly.

A short run plays each case at each peer, cut up in one way or another; a long one plays them in every way,
and the long cases too.
"""

from collections.abc import Iterable
from itertools import chain, cycle, product

import pytest

from tests.conformance.case import Case, Delivery
from tests.conformance.catalogue import catalogue
from tests.conformance.endings import SCENES, Side, play
from tests.conformance.stage import PEERS, Kind, facing, suits
from tests.conformance.verdict import differences
from tests.gateways import GatewayProcess
from tests.servers import Upstream

Played = Iterable[tuple[Case, Delivery]]

SECTIONS = {"1-5": range(1, 6), "6": [6], "7-8": [7, 8], "9-13": range(9, 14)}
PEER = pytest.mark.parametrize(("kind", "name"), PEERS, ids=[f"{name}-{kind}" for kind, name in PEERS])


async def differing(kind: Kind, name: str, played: Played, *, upstream: int, gateway: int) -> list[str]:
    """What differs, of all that is `played` at a peer."""
    found = []
    async with facing(kind, name, upstream) as play_case:
        for case, delivery in played:
            if not suits(kind, name, case, delivery):
                continue
            try:
                direct = await play_case(case, delivery, upstream)
                through = await play_case(case, delivery, gateway)
            except Exception as error:
                error.add_note(f"in case {case.name} ({case.what}), {delivery.value}")
                raise
            assert direct.played.opened, case.name
            assert direct.played.ending != "no end", case.name
            words = differences(direct, through, name)
            found += [f"{case.name} {case.what}, {delivery.value}: {each}" for each in words]
            if through.played.ending == "no end":
                break  # the others would take as long
    return found


@PEER
@pytest.mark.parametrize("sections", SECTIONS)
async def test_cases(
    gateway: GatewayProcess, upstream_port: int, kind: Kind, name: str, sections: str
) -> None:
    """Each case: the same frames in the same order, the same close code, the same end on both sides."""
    first = [case for case in catalogue() if case.section in SECTIONS[sections]]
    played = list(zip(first, cycle(Delivery), strict=False))
    if name == "websockets":
        played += [(case, Delivery.WHOLE) for case, delivery in played if delivery is not Delivery.WHOLE]
    assert not await differing(kind, name, played, upstream=upstream_port, gateway=gateway.port)


@pytest.mark.long
@pytest.mark.timeout(900)
@PEER
async def test_all_cases(gateway_on: GatewayProcess, upstream_port: int, kind: Kind, name: str) -> None:
    """All cases in all ways; in one way or another also those of 16 MiB and of 65,536 fragments."""
    played = chain(product(catalogue(), Delivery), zip(catalogue(long=True), cycle(Delivery), strict=False))
    assert not await differing(kind, name, played, upstream=upstream_port, gateway=gateway_on.port)


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_endings(gateway_on: GatewayProcess, upstream: Upstream, side: Side) -> None:
    """However one side ends, with whatever bytes ahead, the other one sees just that."""
    found = []
    for scene in SCENES:
        direct = await play(scene, side, upstream, upstream.port)
        through = await play(scene, side, upstream, gateway_on.port)
        found += [f"{scene.name}: {each}" for each in differences(direct, through, "raw")]
    assert not found

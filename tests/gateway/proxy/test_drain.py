"""A stop with very many WebSockets: everybody is told, who answers is done early, who does not is cut."""

import pytest

from tests.drain import Drained, drain
from tests.gateways import Loop

resource = pytest.importorskip("resource", reason="POSIX tells how many files may be open")


@pytest.mark.parametrize(("loop", "workers"), [("asyncio", 1), ("uvloop", 2)])
async def test_a_stop_with_300(loop: Loop, workers: int) -> None:
    """On either loop, in one process and in two."""
    check(await drain(300, loop=loop, workers=workers), 300)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("loop", "workers"), [("uvloop", 1), ("asyncio", 1), ("uvloop", 2)])
async def test_a_stop_with_5000(loop: Loop, workers: int) -> None:
    """As with 300."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 12_000:
        pytest.skip("5,000 WebSockets need 10,000 sockets here, and the system grants no 12,000 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    check(await drain(5000, loop=loop, workers=workers, shutdown_timeout=20), 5000)


def check(found: Drained, count: int) -> None:
    """See that nobody is left out, on the wire or in the log."""
    assert (len(found.told), found.garbled) == (count, 0)
    assert found.refused
    assert max(found.answering) < min(found.mute)
    assert [each.open for each in found.stopping] == [count]
    assert len({each.conn for each in found.closes}) == len(found.closes) == count
    assert {(each.by, each.how) for each in found.closes} == {("gateway", "close")}
    answered = [each for each in found.closes if each.client.code == 1001]
    assert (len(answered), len(found.mute)) == (count * 9 // 10, count // 10)
    assert all(each.upstream.code == 1001 for each in found.closes)
    assert found.errors == []

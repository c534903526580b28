"""Reloads of a gateway of several workers: all change, or none."""

import signal
import socket
from pathlib import Path

import pytest
import trustme

from gateway.events import Error, Listening, Reload
from tests.gateway.proxy.listening import config_with
from tests.gateway.proxy.raw import from_client
from tests.gateway.proxy.reloading import Serving, config_for, get_new, named
from tests.gateway.proxy.test_listen_tls import dial, tls_of, trusting
from tests.gateway.workers.crews import begin, close_all, kill, open_over_all, reload, workers_of
from tests.gateways import LOOPS, GatewayProcess, Loop
from tests.servers import Peer, Upstream, reserved_port


async def answers(port: int) -> set[str]:
    """Who answers; so many connections reach each worker."""
    return {await get_new(port) for _ in range(24)}


async def test_routes_change_in_all_workers() -> None:
    """From the reload on, nobody goes the old way; it is told once, with what has changed."""
    async with named("one") as one, named("two") as two:
        with begin(config_for(Serving(url=one))) as gateway:
            assert await answers(gateway.port) == {"one"}
            told = await reload(gateway, config_for(Serving(url=two)))
            assert (told.ok, told.changes) == (True, ("ReverseProxyHandler default/first has changed",))
            assert await answers(gateway.port) == {"two"}
    assert len(gateway.records.all(Reload)) == 1
    assert len(gateway.records.all(Listening)) == 1


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_successor_after_a_reload(loop: Loop, tmp_path: Path) -> None:
    """On either loop, all go on: no copy of a socket that was made for it troubles the others."""
    if loop == "asyncio":
        (tmp_path / "uvloop.py").write_text("raise ImportError\n")
    env = {"PYTHONPATH": str(tmp_path)}
    async with named("one") as one, named("two") as two:
        config = config_for(Serving(url=one))
        with GatewayProcess(config, "--workers", "2", loop=loop, env=env, daemon=True) as gateway:
            assert (await reload(gateway, config_for(Serving(url=two)))).ok
            assert await answers(gateway.port) == {"two"}
            await kill(workers_of(gateway.pid)[0])
            assert await answers(gateway.port) == {"two"}
            assert (await reload(gateway, config_for(Serving(url=one)))).ok
            assert await answers(gateway.port) == {"one"}


async def test_a_watched_file() -> None:
    """`--watch` works as with one process."""
    async with named("one") as one, named("two") as two:
        with begin(config_for(Serving(url=one)), "--watch") as gateway:
            gateway.path.write_text(config_for(Serving(url=two)))
            assert (await gateway.records.wait_for(Reload)).ok
            assert await answers(gateway.port) == {"two"}


async def test_websockets_live_on(upstream: Upstream) -> None:
    """In all workers, with the upstream that they have, though new requests go elsewhere."""
    async with named("two") as two:
        with begin(config_for(Serving(url=f"http://127.0.0.1:{upstream.port}"))) as gateway:
            pairs = await open_over_all(gateway, upstream)
            assert (await reload(gateway, config_for(Serving(url=two)))).ok
            for client, server in pairs:
                await client.send(from_client(b"hello"))
                assert await server.read(11) == from_client(b"hello")
            assert await answers(gateway.port) == {"two"}
            close_all(pairs)


async def test_a_wrong_config_changes_none() -> None:
    """It is told once, with its line; a worker that begins afterwards has the config that holds."""
    async with named("one") as one:
        with begin(config_for(Serving(url=one))) as gateway:
            told = await reload(gateway, "kind: Nonsense\n")
            assert not told.ok
            assert str(gateway.path) in told.problems[0]
            await kill(workers_of(gateway.pid)[0])
            await gateway.records.wait_for(Error)
            assert await answers(gateway.port) == {"one"}
    assert len(gateway.records.all(Reload)) == 1


async def test_a_port_that_moves() -> None:
    """All workers leave the old one and take the new one."""
    async with named("one") as one:
        with begin(config_for(Serving(url=one))) as gateway, reserved_port() as port:
            config = config_for(Serving(url=one, addr=f"127.0.0.1:{port}"))
            assert (await reload(gateway, config)).ok
            assert await answers(port) == {"one"}
            with socket.socket() as sock:
                assert sock.connect_ex(("127.0.0.1", gateway.port)) != 0
    assert len(gateway.records.all(Listening)) == 2


async def test_a_port_that_is_wanted_by_another_name() -> None:
    """It cannot be had twice, so all workers leave it first; clients who are connected stay."""
    async with named("one") as one, named("two") as two:
        with reserved_port() as port:
            with begin(config_for(Serving(url=one, addr=f"127.0.0.1:{port}"))) as gateway:
                assert (await reload(gateway, config_for(Serving(url=two, addr=f":{port}")))).ok
                assert await answers(port) == {"two"}
            assert [each.addr for each in gateway.records.all(Listening)] == [
                f"127.0.0.1:{port}",
                f"[::]:{port}" if socket.has_dualstack_ipv6() else f"0.0.0.0:{port}",
            ]


async def test_a_moved_port_whose_old_certificate_has_gone(tmp_path: Path) -> None:
    """To leave the old address, nobody reads the files of the old config again."""
    authority = trustme.CA()
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    async with named("one") as one:
        with reserved_port() as port:
            before = config_with(one, listen=tls_of(old, authority), addr=f"127.0.0.1:{port}")
            after = config_with(one, listen=tls_of(new, authority), addr=f":{port}")
            with begin(before) as gateway:
                for each in old.iterdir():
                    each.unlink()
                assert (await reload(gateway, after)).ok
                for _ in range(8):
                    _, writer = await dial(port, trusting(authority))
                    writer.close()
    assert len(gateway.records.all(Listening)) == 2
    assert gateway.records.all(Error) == []


async def test_a_port_that_cannot_be_had_changes_none(upstream: Upstream) -> None:
    """Neither where it is new, nor where another one was left for it: that is taken back."""
    async with named("one") as one, named("two") as two:
        with (
            reserved_port() as port,
            begin(config_for(Serving(url=one, addr=f"127.0.0.1:{port}"))) as gateway,
        ):
            taken = Serving(url=two, name="second", addr=f"127.0.0.1:{upstream.port}")
            for first in (f"127.0.0.1:{port}", f":{port}"):
                told = await reload(gateway, config_for(Serving(url=two, addr=first), taken))
                assert not told.ok
                assert told.problems[0] == (
                    f"cannot listen on 127.0.0.1:{upstream.port}: the port is taken by another program"
                )
                assert await answers(port) == {"one"}
            assert (await reload(gateway, config_for(Serving(url=two, addr=f":{port}")))).ok
            assert await answers(port) == {"two"}


async def test_a_worker_that_dies_during_a_reload() -> None:
    """Its successor has the new config, and the reload is told when that serves."""
    async with named("one") as one, named("two") as two:
        with begin(config_for(Serving(url=one))) as gateway:
            victim = workers_of(gateway.pid)[0]
            gateway.path.write_text(config_for(Serving(url=two)))
            gateway.signal(signal.SIGHUP)
            await kill(victim)
            assert (await gateway.records.wait_for(Reload)).ok
            assert await answers(gateway.port) == {"two"}
    assert len(gateway.records.all(Listening)) == 1


async def test_nothing_is_left_open_behind_reloads() -> None:
    """No descriptor more after ten of them, in no process."""
    async with named("one") as one:
        with begin(config_for(Serving(url=one))) as gateway:
            with await Peer.connect(gateway.port):
                pass
            await reload(gateway, config_for(Serving(url=one)))
            processes = [gateway.pid, *workers_of(gateway.pid)]
            before = [_descriptors(each) for each in processes]
            for _ in range(10):
                assert (await reload(gateway, config_for(Serving(url=one)))).ok
            assert [_descriptors(each) for each in processes] == before


def _descriptors(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))

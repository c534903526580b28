"""Workers that do not follow a reload: replaced where others follow; where none does, all go on as before.

What makes a worker refuse here is that it can open no more files.
"""

import itertools
import resource
import socket
from pathlib import Path

import trustme

from gateway.events import Error
from tests.gateway.proxy.listening import config_with
from tests.gateway.proxy.raw import from_client, open_tunnel
from tests.gateway.proxy.reloading import get_new, named
from tests.gateway.proxy.test_listen_tls import dial, tls_of, trusting
from tests.gateway.workers.crews import begin, close_all, kill, open_over_all, reload, workers_of
from tests.servers import Upstream, reserved_port


def fill(process: int) -> None:
    """Let a process open no more files than it has open."""
    used = {int(each.name) for each in Path(f"/proc/{process}/fd").iterdir()}
    free = next(number for number in itertools.count() if number not in used)
    _, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (free, hard))


def relieve(process: int) -> None:
    """Let a process open as many files as ever."""
    _, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (hard, hard))


async def test_one_that_refuses_is_replaced(upstream: Upstream, tmp_path: Path) -> None:
    """By one that follows; the reload is good, and the WebSockets of the other live on."""
    url = f"http://127.0.0.1:{upstream.port}"
    authority = trustme.CA()
    with begin(config_with(url)) as gateway:
        pairs = await open_over_all(gateway, upstream)
        victim, other = workers_of(gateway.pid)
        fill(victim)
        assert (await reload(gateway, config_with(url, listen=tls_of(tmp_path, authority)))).ok
        now = workers_of(gateway.pid)
        assert len(now) == 2
        assert other in now
        assert victim not in now
        for _ in range(24):
            _, writer = await dial(gateway.port, trusting(authority))
            writer.close()
        told = [each.message for each in gateway.records.all(Error)]
        assert told[0].startswith(f"worker 1 (pid {victim}) does not follow: ")
        assert told[0].endswith("; it is killed")
        assert f"worker 1 (pid {victim}) was killed by SIGKILL; another one takes its place" in told
        close_all(pairs)


async def test_where_all_refuse_nothing_changes(upstream: Upstream, tmp_path: Path) -> None:
    """WebSockets live on, the old address stays, and a successor has the config that holds."""
    url = f"http://127.0.0.1:{upstream.port}"
    with begin(config_with(url)) as gateway:
        pairs = await open_over_all(gateway, upstream)
        workers = workers_of(gateway.pid)
        for each in workers:
            fill(each)
        told = await reload(gateway, config_with(url, listen=tls_of(tmp_path, trustme.CA())))
        assert not told.ok
        reason = f"no worker follows, so all go on as before: worker 1 (pid {workers[0]}) does not follow: "
        assert told.problems[0].startswith(reason)
        assert workers_of(gateway.pid) == workers
        for each in workers:
            relieve(each)
        for client, server in pairs:
            await client.send(from_client(b"hello"))
            assert await server.read(11) == from_client(b"hello")
        close_all(pairs)
        await kill(workers[0])
        close_all([await open_tunnel(gateway.port, upstream) for _ in range(24)])


async def test_one_that_cannot_take_a_socket_is_replaced(upstream: Upstream) -> None:
    """It says why, and ends; it does not go on without hearing its parent."""
    url = f"http://127.0.0.1:{upstream.port}"
    with begin(config_with(url)) as gateway, reserved_port() as port:
        victim, _ = workers_of(gateway.pid)
        fill(victim)
        assert (await reload(gateway, config_with(url, addr=f"127.0.0.1:{port}"))).ok
        assert victim not in workers_of(gateway.pid)
        close_all([await open_tunnel(port, upstream) for _ in range(24)])
    why = f"a socket did not arrive; has process {victim} too many open files?"
    assert {each.message for each in gateway.records.all(Error)} == {
        f"the parent is not heard any more: {why}",
        f"worker 1 (pid {victim}) ended with status 1; another one takes its place",
    }


async def test_where_none_can_take_a_socket_the_address_stays(upstream: Upstream) -> None:
    """All end, and their successors go on at the old address; nobody listens at the new one."""
    url = f"http://127.0.0.1:{upstream.port}"
    with begin(config_with(url)) as gateway, reserved_port() as port:
        workers = workers_of(gateway.pid)
        for each in workers:
            fill(each)
        told = await reload(gateway, config_with(url, addr=f"127.0.0.1:{port}"))
        assert not told.ok
        assert f"worker 1 (pid {workers[0]}) ended with status 1" in told.problems[0]
        close_all([await open_tunnel(gateway.port, upstream) for _ in range(24)])
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", port)) != 0


async def test_one_that_has_its_sockets_needs_no_others(upstream: Upstream) -> None:
    """Where routes change alone, it follows without opening a file."""
    url = f"http://127.0.0.1:{upstream.port}"
    async with named("two") as two:
        with begin(config_with(url)) as gateway:
            pairs = await open_over_all(gateway, upstream)
            workers = workers_of(gateway.pid)
            for each in workers:
                fill(each)
            assert (await reload(gateway, config_with(two))).ok
            assert workers_of(gateway.pid) == workers
            for each in workers:
                relieve(each)
            assert {await get_new(gateway.port) for _ in range(24)} == {"two"}
            close_all(pairs)
    assert gateway.records.all(Error) == []

"""What the parent binds, and what each worker gets of it."""

import os
import socket
import sys
from pathlib import Path

import pytest

from gateway.loading import Loaded, load
from gateway.proxy.listen import ListenError
from gateway.workers.addresses import Bound, share_of
from tests.gateway.proxy.reloading import Serving, config_for

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems share one socket")


def loaded(folder: Path, *, addr: str = "127.0.0.1:0", listen: str = "{}") -> Loaded:
    """A config of one server."""
    path = folder / "config.yaml"
    path.write_text(
        config_for(Serving(url="http://127.0.0.1:1", addr=addr, http=f"{{listenConfig: {listen}}}"))
    )
    return load([path], {})


@pytest.mark.parametrize(
    ("limit", "workers", "shares"),
    [
        (10, 2, [5, 5]),
        (10, 3, [4, 3, 3]),
        (11, 3, [4, 4, 3]),
        (3, 3, [1, 1, 1]),
        (2, 3, [1, 1, 1]),
        (0, 3, [0, 0, 0]),
        (-1, 2, [-1, -1]),
    ],
)
def test_shares_of_a_connection_limit(tmp_path: Path, limit: int, workers: int, shares: list[int]) -> None:
    """Together they are the limit, but for 1 each; no limit is none for anybody."""
    config = loaded(tmp_path, listen=f"{{connectionLimit: {limit}}}").config
    found = []
    for worker in range(1, workers + 1):
        (server,) = share_of(config, worker, workers).servers
        assert server.spec.http_config.listen_config is not None
        found.append(server.spec.http_config.listen_config.connection_limit)
    assert found == shares


@linux
@pytest.mark.parametrize("addr", ["127.0.0.1:0", ":0", "localhost:0"])
async def test_each_worker_has_sockets_of_its_own(tmp_path: Path, addr: str) -> None:
    """All with the same names, probes included, and a stranger cannot have them without asking."""
    bound = await Bound.bind(loaded(tmp_path, addr=addr).sites[0], 3)
    sockets = [bound.of(worker) for worker in (1, 2, 3)]
    assert len({id(each) for those in sockets for each in those}) == 3 * len(sockets[0])
    names = [[each.getsockname() for each in those] for those in sockets]
    assert names[0] == names[1] == names[2]
    for each in (each for those in sockets for each in those):
        assert each.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if each.family == socket.AF_INET6:
            assert each.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == (addr != ":0")
    again = loaded(tmp_path, addr=f"127.0.0.1:{names[0][0][1]}").sites[0]
    with pytest.raises(ListenError, match="the port is taken by another program"):
        await Bound.bind(again, 3)
    bound.close()
    (await Bound.bind(again, 3)).close()


@pytest.mark.parametrize("listen", ["{}", "{connectionLimit: 5}"])
async def test_no_copy_makes_a_socket_block(tmp_path: Path, listen: str) -> None:
    """Whether it blocks is one setting for all processes; a worker in `accept` would wait for ever."""
    bound = await Bound.bind(loaded(tmp_path, listen=listen).sites[0], 2)
    for each in (*bound.of(1), *bound.of(2)):
        each.dup().close()
        assert not os.get_blocking(each.fileno())
    bound.close()


@linux
async def test_connections_are_dealt_out(tmp_path: Path) -> None:
    """Of 200, no worker gets less than a tenth."""
    bound = await Bound.bind(loaded(tmp_path).sites[0], 4)
    sockets = [bound.of(worker)[0] for worker in (1, 2, 3, 4)]
    clients = [socket.create_connection(sockets[0].getsockname()) for _ in range(200)]
    counts = [_accept_all(each) for each in sockets]
    assert sum(counts) == 200
    assert min(counts) >= 20
    for each in clients:
        each.close()
    bound.close()


def _accept_all(listening: socket.socket) -> int:
    listening.setblocking(False)
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize("listen", ["{connectionLimit: 5}"])
async def test_what_is_limited_is_shared(tmp_path: Path, listen: str) -> None:
    """One socket for all, so that whoever has room takes who waits."""
    bound = await Bound.bind(loaded(tmp_path, listen=listen).sites[0], 2)
    assert bound.of(1) == bound.of(2)
    assert len(bound.of(1)) == 1
    bound.close()


async def test_a_unix_socket_is_shared(tmp_path: Path) -> None:
    """And its file goes when the address is given up, once."""
    path = tmp_path / "gateway.sock"
    bound = await Bound.bind(loaded(tmp_path, addr=f"unix://{path}").sites[0], 2)
    assert bound.of(1) == bound.of(2)
    assert path.is_socket()
    bound.close()
    assert not path.exists()
    path.write_text("somebody else's")
    bound.close()
    assert path.exists()

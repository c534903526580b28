"""Where a server listens, and whom it lets in: addresses, unix sockets, networks, limits, probes."""

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.config import ConfigError, parse_addr
from gateway.config.resources.listen import KeepAliveConfig
from gateway.events import Error, Open, Request
from gateway.loading import load
from gateway.proxy.listen import ListenError, bind, close, ip_of, where
from tests.gateway.proxy.listening import config_with, listening
from tests.gateway.proxy.plain import GET, exchange, field
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING
from tests.gateway.proxy.raw import close as close_frame
from tests.gateways import LOOPS, GatewayProcess, GatewayThread, Loop
from tests.servers import PATIENCE, Peer, Upstream

OK_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

linux = pytest.mark.skipif(sys.platform != "linux", reason="the names of Linux")


async def bound(addr: str, keep_alive: KeepAliveConfig | None = None) -> list[socket.socket]:
    """Sockets for `addr`."""
    return await bind(parse_addr(addr), keep_alive)


@pytest.mark.parametrize(
    ("addr", "families"),
    [
        ("tcp4://:0", {socket.AF_INET}),
        ("tcp6://:0", {socket.AF_INET6}),
        ("tcp4://localhost:0", {socket.AF_INET}),
        ("tcp6://[::1]:0", {socket.AF_INET6}),
        ("tcp://127.0.0.1:0", {socket.AF_INET}),
        (":0", {socket.AF_INET6}),
    ],
)
async def test_families(addr: str, families: set[socket.AddressFamily]) -> None:
    """tcp4 and tcp6 are one family, tcp both, on one socket where every interface is meant."""
    sockets = await bound(addr)
    assert {sock.family for sock in sockets} == families
    for sock in sockets:
        if sock.family == socket.AF_INET6:
            assert bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)) == ("tcp6" in addr)
        sock.close()


async def test_a_port_that_is_taken() -> None:
    """The message names the address and the cause."""
    (first,) = await bound("127.0.0.1:0")
    port = first.getsockname()[1]
    with pytest.raises(ListenError, match=f"127.0.0.1:{port}: the port is taken by another program"):
        await bound(f"127.0.0.1:{port}")
    first.close()


async def test_a_unix_socket_and_its_file(tmp_path: Path) -> None:
    """Its file comes and goes with it; one that was there before stays, and the message tells the cure."""
    path = tmp_path / "x.sock"
    sockets = await bound(f"unix://{path}")
    assert where(sockets[0], "https") == (f"unix://{path}", f"unix://{path}")
    with pytest.raises(ListenError, match=f"the file is there already; .* remove it with `rm {path}`"):
        await bound(f"unix://{path}")
    assert path.exists()
    close(sockets, parse_addr(f"unix://{path}"))
    assert not path.exists()
    path.touch()
    close(sockets, parse_addr(f"unix://{path}"))
    assert path.exists()
    with pytest.raises(ListenError, match=f"the directory {tmp_path}/no does not exist"):
        await bound(f"unix://{tmp_path}/no/x.sock")


@linux
async def test_an_abstract_name() -> None:
    """A name without a file, freed by closing."""
    (sock,) = await bound("unix://@gateway-test")
    assert where(sock, "http")[0] == "unix://@gateway-test"
    with pytest.raises(ListenError, match="the name is taken by another program"):
        await bound("unix://@gateway-test")
    sock.close()
    (again,) = await bound("unix://@gateway-test")
    again.close()


@linux
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, (1, 15, 15, 9)),
        (KeepAliveConfig(idle=7, interval=8, count=3), (1, 7, 8, 3)),
        (KeepAliveConfig(count=4), (1, 15, 15, 4)),
    ],
)
async def test_connections_inherit_the_probes(
    config: KeepAliveConfig | None, expected: tuple[int, ...]
) -> None:
    """On, idle, interval and count, as the kernel has them for a connection."""
    (sock,) = await bound("127.0.0.1:0", config)
    with socket.create_connection(sock.getsockname()):
        accepted, _ = sock.accept()
        with accepted:
            assert expected == (
                accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
            )
    sock.close()


async def test_probes_can_be_switched_off() -> None:
    """`disable: true` leaves none."""
    (sock,) = await bound("127.0.0.1:0", KeepAliveConfig(disable=True))
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
    sock.close()


@pytest.mark.parametrize(
    ("peer", "address"),
    [("::ffff:10.1.2.3", "10.1.2.3"), ("10.1.2.3", "10.1.2.3"), ("fe80::1%eth0", "fe80::1")],
)
def test_an_ipv4_client_is_one_on_any_socket(peer: str, address: str) -> None:
    """IPv4-mapped addresses count as IPv4 (RFC 4291 section 2.5.5.2)."""
    assert str(ip_of(peer)) == address


def names_in(folder: Path) -> list[str]:
    """What is left there."""
    return [each.name for each in folder.iterdir()]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("limit", ["", "connectionLimit: 5"])
async def test_serving_on_a_unix_socket(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, loop: Loop, limit: str
) -> None:
    """Requests and WebSockets come through; the client has no address, and X-Forwarded-For says nothing."""
    path = f"{tmp_path}/gateway.sock"
    monkeypatch.setattr("tests.gateways.Records.port", lambda records: records._started.wait(PATIENCE))
    config = config_with(f"http://127.0.0.1:{upstream.port}", listen=limit, addr=f"unix://{path}")
    with GatewayThread(config, loop=loop) as gateway:
        assert listening(gateway).url == f"unix://{path}"
        with await unix_peer(path) as client:
            head, _ = await exchange(client, upstream, GET, OK_CLOSE)
            assert field(head, "X-Forwarded-For") == []
            assert field(head, "X-Forwarded-Port") == []
            assert field(head, "X-Forwarded-Host") == ["gateway.example"]
        assert (await gateway.records.wait_for(Request)).client == "@"
        with await unix_peer(path) as client:
            head, answer = await exchange(client, upstream, HANDSHAKE, SWITCHING)
            assert answer.startswith(b"HTTP/1.1 101 ")
            assert (await gateway.records.wait_for(Open)).client == "@"
    assert names_in(tmp_path) == []


async def unix_peer(path: str) -> Peer:
    """A client of a unix socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, path)
    return UnixPeer(sock)


class UnixPeer(Peer):
    """One end of a connection over a unix socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._held = bytearray()


async def comes_to_nothing(port: int) -> bool:
    """Whether a connection is closed without a byte."""
    with await Peer.connect(port) as client:
        return await client.read_to_end() == b""


@pytest.mark.parametrize("loop", LOOPS)
async def test_networks(upstream: Upstream, loop: Loop) -> None:
    """Who is not in any of them is closed at once, without a byte."""
    url = f"http://127.0.0.1:{upstream.port}"
    with GatewayProcess(config_with(url, listen="networks: [10.0.0.0/8, '::1/128']"), loop=loop) as gateway:
        assert await comes_to_nothing(gateway.port)
    with GatewayProcess(config_with(url, listen="networks: [127.0.0.0/8]", addr=":0"), loop=loop) as gateway:
        client = await Peer.connect(gateway.port)
        head, _ = await exchange(client, upstream, GET, OK_CLOSE)
        assert field(head, "X-Forwarded-For") == ["127.0.0.1"]
        client.close()


@pytest.mark.parametrize("loop", LOOPS)
async def test_the_connection_limit(upstream: Upstream, loop: Loop) -> None:
    """One more than may come waits for its turn, without an answer; what is closed makes room."""
    config = config_with(f"http://127.0.0.1:{upstream.port}", listen="connectionLimit: 2")
    with GatewayProcess(config, loop=loop) as gateway:
        one, two = await Peer.connect(gateway.port), await Peer.connect(gateway.port)
        with one, two:
            for client in (one, two):
                await exchange(client, upstream, GET, OK_CLOSE)
                await client.read(2)
            told = await gateway.records.wait_for(Error)
            words = "new clients have to wait: connectionLimit 2 is reached"
            assert told.message == words
            with await Peer.connect(gateway.port) as three:
                await three.send(GET)
                with pytest.raises(TimeoutError):
                    await upstream.accept(patience=0.3)
                one.close()
                server = await upstream.accept()
                await server.send(OK_CLOSE)
                assert (await three.read_head()).startswith(b"HTTP/1.1 200 ")
        assert len(gateway.records.all(Error)) == 1  # one in a minute is enough


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_websocket_counts_until_it_closes(upstream: Upstream, loop: Loop) -> None:
    """Though it has left the HTTP server long ago, its connection is still one of those that are allowed."""
    config = config_with(f"http://127.0.0.1:{upstream.port}", listen="connectionLimit: 1")
    with GatewayProcess(config, loop=loop) as gateway:
        for _ in range(2):
            with await Peer.connect(gateway.port) as client, await Peer.connect(gateway.port) as next_:
                await client.send(HANDSHAKE)
                server = await upstream.accept()
                await server.read_head()
                await server.send(SWITCHING)
                await client.read_head()
                await next_.send(GET)
                with pytest.raises(TimeoutError):
                    await upstream.accept(patience=0.3)
                await client.send(close_frame(masked=True))
                await server.send(close_frame())
                client.end()
                server.end()
                other = await upstream.accept()
                await other.send(OK_CLOSE)
                assert (await next_.read_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_stop_with_clients_at_the_door(upstream: Upstream, loop: Loop) -> None:
    """Who waits for a turn is sent away, and the stop is as quick as ever."""
    config = config_with(f"http://127.0.0.1:{upstream.port}", listen="connectionLimit: 1")
    with GatewayProcess(config, loop=loop) as gateway:
        one, two = await Peer.connect(gateway.port), await Peer.connect(gateway.port)
        with one, two:
            await exchange(one, upstream, GET, OK_CLOSE)
            gateway.signal(signal.SIGTERM)
            assert await one.read_to_end() == b"ok"
            with suppress(ConnectionResetError):
                assert await two.read_to_end() == b""
            assert await gateway.ended() == 0


async def test_listen_config_says_where(upstream: Upstream) -> None:
    """Its addr goes before that of the server."""
    config = config_with(
        f"http://127.0.0.1:{upstream.port}", listen="addr: 127.0.0.1:0", addr="no.such.host.invalid:80"
    )
    with GatewayProcess(config) as gateway:
        assert listening(gateway).addr == f"127.0.0.1:{gateway.port}"


def test_sock_option_is_refused(tmp_path: Path) -> None:
    """It is told what to use instead, at the place where it stands."""
    path = tmp_path / "config.yaml"
    path.write_text(config_with("http://localhost:1", listen="sockOption: {tcpOption: {noDelay: true}}"))
    with pytest.raises(
        ConfigError, match=r'"sockOption" is not supported by this gateway: .* keepAliveConfig'
    ):
        load([path], {})


async def test_deadlines_mean_nothing(upstream: Upstream) -> None:
    """As in AILERON, whose HTTP server overrules them at once."""
    config = config_with(f"http://127.0.0.1:{upstream.port}", listen="readDeadline: 1, writeDeadline: 1")
    with GatewayProcess(config) as gateway, await Peer.connect(gateway.port) as client:
        with pytest.raises(TimeoutError):
            await client.read_to_end(patience=0.3)
        _, answer = await exchange(client, upstream, GET, OK_CLOSE)
        assert answer.startswith(b"HTTP/1.1 200 ")

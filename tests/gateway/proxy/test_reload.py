# ruff: noqa: SIM117 - a gateway, and inside of it its clients
"""Reloads: what changes, what stays, and that nothing is lost on the way."""

import asyncio
import gc
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.events import Error, Listening, Reload
from gateway.proxy.server import Gateway
from tests.gateway.proxy.reloading import Serving, answer_to, config_for, get, get_new, named, until
from tests.gateways import LOOPS, GatewayProcess, GatewayThread, Loop
from tests.launcher.ptys import Pty
from tests.servers import Peer, Upstream, reserved_port

BOTH_LOOPS = pytest.mark.parametrize("loop", LOOPS)


@pytest_asyncio.fixture
async def one() -> AsyncIterator[str]:
    """The url of an upstream called `one`."""
    async with named("one") as url:
        yield url


@pytest_asyncio.fixture
async def two() -> AsyncIterator[str]:
    """The url of an upstream called `two`."""
    async with named("two") as url:
        yield url


def free_port() -> int:
    """A port that was free a moment ago."""
    with reserved_port() as port:
        return port


def gateway_of(gateway: GatewayThread) -> Gateway:
    """What runs in it."""
    assert gateway._gateway is not None
    return gateway._gateway


async def echoes(client: ClientConnection, *, text: str = "hello") -> bool:
    """Whether a WebSocket still works."""
    await client.send(text)
    async with asyncio.timeout(10):
        return await client.recv() == text


async def expect_1001(client: ClientConnection) -> None:
    """The gateway says goodbye."""
    with pytest.raises(ConnectionClosed) as caught:
        async with asyncio.timeout(10):
            await client.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1001


# What a reload takes, and what it refuses.


@BOTH_LOOPS
async def test_new_routes_count_for_the_next_request(one: str, two: str, loop: Loop) -> None:
    """On the connection that is open, and on new ones; the words tell what has changed."""
    with (
        GatewayThread(config_for(Serving(url=one)), loop=loop) as gateway,
        await Peer.connect(gateway.port) as client,
    ):
        assert await get(client) == "one"
        told = await gateway.reload(config_for(Serving(url=two)))
        assert (told.ok, told.changes, told.problems) == (
            True,
            ("ReverseProxyHandler default/first has changed",),
            (),
        )
        assert await get(client) == "two"
        assert await get_new(gateway.port) == "two"
        assert len(gateway.records.all(Listening)) == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("spec: [", "config.yaml:1:"),
        ("", "config.yaml"),
        ("apiVersion: core/v1\nkind: Entrypoint\n", "the config starts no server"),
        ("apiVersion: core/v1\nkind: HTTPSever\n", "HTTPServer"),
    ],
)
async def test_a_wrong_config_changes_nothing(one: str, wrong: str, words: str) -> None:
    """The problems are told, and the one before goes on; a right one afterwards is taken."""
    with GatewayThread(config_for(Serving(url=one))) as gateway, await Peer.connect(gateway.port) as client:
        assert await get(client) == "one"
        told = await gateway.reload(wrong)
        assert (told.ok, told.changes) == (False, ())
        assert any(words in problem for problem in told.problems), told.problems
        assert await get(client) == "one"
        assert await get_new(gateway.port) == "one"
        told = await gateway.reload(config_for(Serving(url=one)))
        assert (told.ok, told.changes) == (True, ())


async def test_a_load_that_fails_by_a_fault(one: str, two: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends that reload alone."""
    with GatewayThread(config_for(Serving(url=one))) as gateway:
        with monkeypatch.context() as patch:
            patch.setattr(gateway_of(gateway)._reloader, "_load", lambda: 1 // 0)
            told = await gateway.reload("")
        assert not told.ok
        assert "ZeroDivisionError" in told.problems[0]
        assert (await gateway.reload(config_for(Serving(url=two)))).ok
        assert await get_new(gateway.port) == "two"


async def test_what_changed_is_told_by_resource(one: str, two: str) -> None:
    """New, gone and changed ones, and nothing of those that nobody uses or that only moved in the file."""
    first, second = Serving(url=one), Serving(url=one, name="second")
    with GatewayThread(config_for(first)) as gateway:
        told = await gateway.reload(config_for(first, second))
        assert told.changes == (
            "Entrypoint has changed",
            "HTTPServer default/second is new",
            "ReverseProxyHandler default/second is new",
        )
        told = await gateway.reload("# a remark\n\n" + config_for(first, second))
        assert (told.ok, told.changes) == (True, ())
        told = await gateway.reload(config_for(Serving(url=two, http="{readHeaderTimeout: 7}")))
        assert told.changes == (
            "Entrypoint has changed",
            "HTTPServer default/first has changed",
            "HTTPServer default/second is gone",
            "ReverseProxyHandler default/first has changed",
            "ReverseProxyHandler default/second is gone",
        )


async def test_warnings_do_not_stand_in_the_way(one: str, two: str) -> None:
    """They are told along with what has changed."""
    with GatewayThread(config_for(Serving(url=one))) as gateway:
        told = await gateway.reload(config_for(Serving(url=f"{two}/ignored")))
        assert told.ok
        assert len(told.problems) == 1
        assert "warning" in told.problems[0]
        assert await get_new(gateway.port) == "two"


# WebSockets.


@BOTH_LOOPS
async def test_an_open_websocket_lives_on(one: str, two: str, loop: Loop) -> None:
    """Through new routes, other options, its server's end, and up to the stop, which says 1001."""
    port = free_port()
    other = Serving(url=two, name="other")
    first = Serving(url=one, addr=f"127.0.0.1:{port}")
    with GatewayThread(config_for(other, first), loop=loop) as gateway:
        async with connect(f"ws://127.0.0.1:{port}/", compression=None) as client:
            assert await echoes(client)
            for servers in (
                (other, Serving(url=two, addr=first.addr)),
                (other, Serving(url=two, addr=first.addr, http="{idleTimeout: 3}")),
                (other,),
                (other, first),
                (other,),
            ):
                assert (await gateway.reload(config_for(*servers))).ok
                assert await echoes(client)
            with pytest.raises(ConnectionRefusedError):
                await Peer.connect(port)
            gateway.signal()
            await expect_1001(client)
        await gateway.ended()


# Sockets.


@BOTH_LOOPS
async def test_a_listener_that_did_not_change_keeps_its_socket(one: str, two: str, loop: Loop) -> None:
    """The very same one."""
    with GatewayThread(config_for(Serving(url=one)), loop=loop) as gateway:

        def sockets() -> set[tuple[int, int]]:
            return {
                (sock.fileno(), os.fstat(sock.fileno()).st_ino)
                for listener in gateway_of(gateway)._listeners.values()
                for sock in listener._sockets
            }

        before = await gateway.call(sockets)
        for server in (Serving(url=two), Serving(url=two, http="{altSvc: x}"), Serving(url=one)):
            assert (await gateway.reload(config_for(server))).ok
            assert await gateway.call(sockets) == before


OPTIONS = [
    pytest.param("{}", "{idleTimeout: 3}", id="plain to plain"),
    pytest.param("{}", "{listenConfig: {connectionLimit: 50}}", id="plain to looking"),
    pytest.param("{listenConfig: {connectionLimit: 50}}", "{}", id="looking to plain"),
    pytest.param(
        "{listenConfig: {connectionLimit: 50}}",
        "{listenConfig: {networks: [127.0.0.0/8]}}",
        id="looking to looking",
    ),
]


@BOTH_LOOPS
@pytest.mark.parametrize(("before", "after"), OPTIONS)
async def test_other_options_at_the_same_address(
    one: str, two: str, before: str, after: str, loop: Loop
) -> None:
    """Open connections go on and follow the routes; new ones never find the door shut."""
    with GatewayThread(config_for(Serving(url=one, http=before)), loop=loop) as gateway:
        with await Peer.connect(gateway.port) as client:
            assert await get(client) == "one"
            done = asyncio.Event()

            async def call() -> int:
                calls = 0
                while not done.is_set():
                    assert await get_new(gateway.port) in {"one", "two"}
                    calls += 1
                return calls

            async with asyncio.TaskGroup() as tasks:
                callers = [tasks.create_task(call()) for _ in range(4)]
                for at in range(6):
                    http, url = (before, one) if at % 2 else (after, two)
                    assert (await gateway.reload(config_for(Serving(url=url, http=http)))).ok
                    assert await get(client) == ("one" if at % 2 else "two")
                done.set()
            assert all(caller.result() for caller in callers)
            assert await get(client) == "one"
        assert [each.message for each in gateway.records.all(Error)] == []


async def test_new_options_are_for_new_connections(one: str) -> None:
    """An old one has the limits with which it was opened."""
    with GatewayThread(config_for(Serving(url=one, http="{maxHeaderBytes: 9000}"))) as gateway:
        with await Peer.connect(gateway.port) as client:
            assert await get(client) == "one"
            await gateway.reload(config_for(Serving(url=one, http="{maxHeaderBytes: 100}")))
            long = f"/?{'x' * 6000}"
            assert await get(client, long) == "one"
            with await Peer.connect(gateway.port) as new:
                await new.send(f"GET {long} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
                assert (await new.read_head()).startswith(b"HTTP/1.1 431 ")
                await new.read_to_end()


@BOTH_LOOPS
async def test_who_waits_for_room_gets_in_once_the_limit_is_higher(one: str, loop: Loop) -> None:
    """And those that are connected still count for it."""

    def limited(limit: int) -> str:
        return config_for(Serving(url=one, http=f"{{listenConfig: {{connectionLimit: {limit}}}}}"))

    with GatewayThread(limited(1), loop=loop) as gateway:
        with await Peer.connect(gateway.port) as first, await Peer.connect(gateway.port) as second:
            assert await get(first) == "one"
            await second.send(b"GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\n")
            with pytest.raises(TimeoutError):
                await second.read_some(patience=0.1)
            await gateway.reload(limited(2))
            assert await answer_to(second) == "one"
            with await Peer.connect(gateway.port) as third:
                await third.send(b"GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\n")
                with pytest.raises(TimeoutError):
                    await third.read_some(patience=0.1)
                first.close()
                assert await answer_to(third) == "one"


async def test_probes_of_a_listener_change(one: str) -> None:
    """New connections are probed as the new config says."""
    with GatewayThread(config_for(Serving(url=one))) as gateway:
        probes = "{listenConfig: {keepAliveConfig: {idle: 77}}}"
        assert (await gateway.reload(config_for(Serving(url=one, http=probes)))).ok
        listener = next(iter(gateway_of(gateway)._listeners.values()))
        idle = listener._sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        assert idle == 77


@BOTH_LOOPS
async def test_another_address(one: str, two: str, loop: Loop) -> None:
    """The new one listens; at the old one nobody does, its idle connections end, requests are answered."""
    old, new = free_port(), free_port()
    with GatewayThread(config_for(Serving(url=one, addr=f"127.0.0.1:{old}")), loop=loop) as gateway:
        with await Peer.connect(old) as idle, await Peer.connect(old) as untouched:
            assert await get(idle) == "one"
            assert (await gateway.reload(config_for(Serving(url=two, addr=f"127.0.0.1:{new}")))).ok
            assert await get_new(new) == "two"
            assert await idle.read_to_end() == b""
            assert await untouched.read_to_end() == b""
            with pytest.raises(ConnectionRefusedError):
                await Peer.connect(old)


async def test_a_request_outlives_its_address(upstream_port: int) -> None:
    """It is answered, and then its connection ends."""
    async with Upstream(upstream_port) as upstream:
        old, url = free_port(), f"http://127.0.0.1:{upstream_port}"
        with GatewayThread(config_for(Serving(url=url, addr=f"127.0.0.1:{old}"))) as gateway:
            with await Peer.connect(old) as client:
                await client.send(b"GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\n")
                server = await upstream.accept()
                await server.read_head()
                assert (await gateway.reload(config_for(Serving(url=url)))).ok
                await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
                assert await answer_to(client) == "done"
                assert await client.read_to_end() == b""


async def test_a_new_address_that_is_taken(one: str, two: str) -> None:
    """Everything stays as it was, what could be had of the new one included."""
    fine = free_port()
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        GatewayThread(config_for(Serving(url=one))) as gateway,
    ):
        port = taken.getsockname()[1]
        with await Peer.connect(gateway.port) as client:
            assert await get(client) == "one"
            told = await gateway.reload(
                config_for(
                    Serving(url=two, addr=f"127.0.0.1:{fine}"),
                    Serving(url=two, name="second", addr=f"127.0.0.1:{port}"),
                )
            )
            assert (told.ok, told.changes) == (False, ())
            assert told.problems == (
                f"cannot listen on 127.0.0.1:{port}: the port is taken by another program",
            )
            assert await get(client) == "one"
            assert await get_new(gateway.port) == "one"
        with pytest.raises(ConnectionRefusedError):
            await Peer.connect(fine)


async def test_servers_come_and_go(one: str, two: str) -> None:
    """The others do not notice."""
    port = free_port()
    first, second = Serving(url=one), Serving(url=two, name="second", addr=f"127.0.0.1:{port}")
    with GatewayThread(config_for(first)) as gateway, await Peer.connect(gateway.port) as client:
        for _ in range(3):
            assert (await gateway.reload(config_for(second, first))).ok
            assert await get_new(port) == "two"
            assert await get(client) == "one"
            assert (await gateway.reload(config_for(first))).ok
            with pytest.raises(ConnectionRefusedError):
                await Peer.connect(port)
            assert await get(client) == "one"


@BOTH_LOOPS
async def test_the_other_way_to_write_the_same_port(one: str, two: str, loop: Loop) -> None:
    """Every interface, then this machine alone, then every interface: the port is the gateway's own."""
    port = free_port()
    with GatewayThread(config_for(Serving(url=one, addr=f":{port}")), loop=loop) as gateway:
        for addr, url in ((f"127.0.0.1:{port}", two), (f":{port}", one), (f"0.0.0.0:{port}", two)):
            told = await gateway.reload(config_for(Serving(url=url, addr=addr)))
            assert told.ok, told.problems
            assert await get_new(port) == ("two" if url == two else "one")


@BOTH_LOOPS
@pytest.mark.parametrize("http", ["{}", "{listenConfig: {connectionLimit: 50}}"])
async def test_a_port_that_is_given_up_in_vain(one: str, two: str, http: str, loop: Loop) -> None:
    """Where another address is taken, the gateway listens again where it did."""
    port = free_port()
    config = config_for(Serving(url=one, addr=f":{port}", http=http))
    with socket.create_server(("127.0.0.1", 0)) as taken, GatewayThread(config, loop=loop) as gateway:
        told = await gateway.reload(
            config_for(
                Serving(url=two, addr=f"127.0.0.1:{port}"),
                Serving(url=two, name="second", addr=f"127.0.0.1:{taken.getsockname()[1]}"),
            )
        )
        assert not told.ok
        assert await get_new(port) == "one"
        assert (await gateway.reload(config_for(Serving(url=two, addr=f":{port}")))).ok
        assert await get_new(port) == "two"


@BOTH_LOOPS
async def test_a_unix_socket_keeps_its_file(one: str, two: str, tmp_path: Path, loop: Loop) -> None:
    """Through other options, until its server goes."""
    path = tmp_path / "g.sock"

    async def call() -> str:
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
            return (await reader.read()).decode().rpartition("\r\n\r\n")[2]
        finally:
            writer.close()
            await writer.wait_closed()

    tcp = Serving(url=one)
    with GatewayThread(config_for(tcp), loop=loop) as gateway:
        inode = None
        for url, http in (
            (one, "{}"),
            (two, "{idleTimeout: 3}"),
            (one, "{listenConfig: {connectionLimit: 9}}"),
        ):
            on_file = Serving(url=url, name="second", addr=f"unix://{path}", http=http)
            told = await gateway.reload(config_for(tcp, on_file))
            assert told.ok, told.problems
            assert await call() == ("one" if url == one else "two")
            inode = inode or path.stat().st_ino
            assert path.stat().st_ino == inode
        assert (await gateway.reload(config_for(tcp))).ok
        assert not path.exists()


# TLS.


def secured(folder: Path) -> str:
    """An httpConfig with the certificate in `folder`."""
    pair = f"{{certFile: {folder}/cert.pem, keyFile: {folder}/key.pem}}"
    return f"{{listenConfig: {{tlsConfig: {{certKeyPairs: [{pair}]}}}}}}"


def issue(authority: trustme.CA, folder: Path) -> None:
    """Put another certificate into `folder`."""
    pair = authority.issue_cert("127.0.0.1")
    pair.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    pair.private_key_pem.write_to_path(folder / "key.pem")


async def shown(port: int, authority: trustme.CA) -> tuple[bytes | None, str]:
    """The certificate that a new connection sees, and who answers there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        return certificate, (await reader.read()).decode().rpartition("\r\n\r\n")[2]
    finally:
        writer.close()
        await writer.wait_closed()


@BOTH_LOOPS
async def test_another_certificate_at_the_same_paths(one: str, tmp_path: Path, loop: Loop) -> None:
    """The next connection sees it."""
    authority, port = trustme.CA(), free_port()
    issue(authority, tmp_path)
    config = config_for(
        Serving(url=one), Serving(url=one, name="s", addr=f"127.0.0.1:{port}", http=secured(tmp_path))
    )
    with GatewayThread(config, loop=loop) as gateway:
        first, _ = await shown(port, authority)
        issue(authority, tmp_path)
        assert (await gateway.reload(config)).ok
        second, who = await shown(port, authority)
        assert who == "one"
        assert None not in {first, second}
        assert first != second


@BOTH_LOOPS
async def test_tls_is_switched_on_and_off(one: str, two: str, tmp_path: Path, loop: Loop) -> None:
    """At the same address; who is connected stays, in whatever way they speak."""
    authority = trustme.CA()
    issue(authority, tmp_path)
    with GatewayThread(config_for(Serving(url=one)), loop=loop) as gateway:
        with await Peer.connect(gateway.port) as plain:
            assert await get(plain) == "one"
            assert (await gateway.reload(config_for(Serving(url=two, http=secured(tmp_path))))).ok
            assert await get(plain) == "two"
            assert (await shown(gateway.port, authority))[1] == "two"
            with await Peer.connect(gateway.port) as cleartext:
                await cleartext.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
                assert (await cleartext.read_to_end()).startswith(b"HTTP/1.0 400 ")
            assert (await gateway.reload(config_for(Serving(url=one)))).ok
            assert await get(plain) == "one"
            assert await get_new(gateway.port) == "one"
        told = [each.url.partition(":")[0] for each in gateway.records.all(Listening)]
        assert told == ["http", "https", "http"]


@BOTH_LOOPS
async def test_a_handshake_under_way_is_not_cut(one: str, two: str, tmp_path: Path, loop: Loop) -> None:
    """Who is at the door while the options change gets in."""
    authority = trustme.CA()
    issue(authority, tmp_path)
    limited = secured(tmp_path).replace("tlsConfig", "connectionLimit: 9, tlsConfig")
    with GatewayThread(config_for(Serving(url=one)), loop=loop) as gateway:
        assert (await gateway.reload(config_for(Serving(url=one, http=secured(tmp_path))))).ok
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        sock = socket.create_connection(("127.0.0.1", gateway.port))
        sock.setblocking(False)
        assert (await shown(gateway.port, authority))[1] == "one"  # so the other is at the door by now
        assert (await gateway.reload(config_for(Serving(url=two, http=limited)))).ok
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname="127.0.0.1")
        writer.write(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\ntwo")
        writer.close()
        await writer.wait_closed()


# Stops, storms and leftovers.


@BOTH_LOOPS
async def test_nothing_is_left_of_reloads(one: str, loop: Loop) -> None:
    """No task, no descriptor, no listener that retired, once its connections have ended."""
    first = Serving(url=one)
    with GatewayThread(config_for(first), loop=loop) as gateway:
        assert await get_new(gateway.port) == "one"
        await gateway.reload(config_for(first))
        tasks, descriptors = await gateway.tasks(), gateway.descriptors()
        for at in range(12):
            extra = Serving(url=one, name="extra", http=f"{{idleTimeout: {at + 1}}}")
            servers = [Serving(url=one, http=f"{{idleTimeout: {at + 1}}}"), *([extra] if at % 2 else [])]
            with await Peer.connect(gateway.port) as client:
                await get(client)
                assert (await gateway.reload(config_for(*servers))).ok
                await get(client)
        await gateway.reload(config_for(first))
        assert await get_new(gateway.port) == "one"
        retired = gateway_of(gateway)._retired

        async def over() -> bool:
            return not await gateway.call(lambda: any(each.clients for each in retired))

        await until(over)
        await gateway.reload(config_for(first))
        assert await gateway.call(lambda: list(gateway_of(gateway)._retired)) == []
        assert len(await gateway.call(lambda: list(gateway_of(gateway)._listeners))) == 1

        async def nothing_left() -> bool:
            gc.collect()
            return gateway.descriptors() <= descriptors and len(await gateway.tasks()) <= len(tasks)

        await until(nothing_left)


@BOTH_LOOPS
async def test_a_stop_in_the_middle_of_a_reload(one: str, two: str, tmp_path: Path, loop: Loop) -> None:
    """It is a clean one, wherever it comes between: nothing listens, no file is left."""
    for pause in (0.0, 0.002, 0.005, 0.01, 0.02):
        path, port = tmp_path / "g.sock", free_port()
        with GatewayThread(config_for(Serving(url=one)), loop=loop) as gateway:
            with await Peer.connect(gateway.port) as client:
                assert await get(client) == "one"
                reloading = asyncio.ensure_future(
                    gateway.reload(
                        config_for(
                            Serving(url=two, http="{idleTimeout: 3}"),
                            Serving(url=two, name="second", addr=f"localhost:{port}"),
                            Serving(url=two, name="third", addr=f"unix://{path}"),
                        )
                    )
                )
                await asyncio.sleep(pause)
                gateway.signal()
                await gateway.ended()
                await asyncio.gather(reloading, return_exceptions=True)
            assert not path.exists()
            for each in (gateway.port, port):
                with pytest.raises(ConnectionRefusedError):
                    await Peer.connect(each)
            assert [each.message for each in gateway.records.all(Error)] == []


async def test_those_who_asked_during_a_reload_get_another(one: str, two: str) -> None:
    """A storm of reloads ends in the last state."""
    with GatewayThread(config_for(Serving(url=one))) as gateway:
        runs = gateway_of(gateway)
        for at in range(20):
            gateway._next = config_for(Serving(url=one if at % 2 else two))
            await gateway.call(runs.reload)
        gateway._next = config_for(Serving(url=two), Serving(url=two, name="last"))
        await gateway.call(runs.reload)

        async def told() -> bool:
            return any(
                "HTTPServer default/last is new" in each.changes for each in gateway.records.all(Reload)
            )

        await until(told)
        assert await get_new(gateway.port) == "two"


# The process.


async def test_watched_files_in_a_storm(one: str, two: str) -> None:
    """Twenty writes in a row end in the last state, and a wrong one between changes nothing."""
    with (
        GatewayProcess(config_for(Serving(url=one)), "--watch") as gateway,
        await Peer.connect(gateway.port) as client,
    ):
        for at in range(20):
            gateway.path.write_text(config_for(Serving(url=one, http=f"{{idleTimeout: {at + 1}}}")))
        gateway.path.write_text(config_for(Serving(url=two)))
        await gateway.records.wait_for(
            Reload, ok=True, changes=("ReverseProxyHandler default/first has changed",)
        )
        assert await get(client) == "two"
        gateway.path.write_text("spec: [")
        told = await gateway.records.wait_for(Reload, ok=False)
        assert str(gateway.path) in told.problems[0]
        assert await get(client) == "two"
        gateway.path.unlink()
        await gateway.records.wait_for(Reload, ok=False, past=1)
        gateway.path.write_text(config_for(Serving(url=one)))
        await gateway.records.wait_for(Reload, ok=True, past=1)
        assert await get(client) == "one"


@BOTH_LOOPS
async def test_sighup_reloads_where_there_is_no_terminal(one: str, two: str, loop: Loop) -> None:
    """Without --watch, too; the env file is read anew with it."""
    with GatewayProcess(config_for(Serving(url=one)), daemon=True, loop=loop) as gateway:
        gateway.path.write_text(config_for(Serving(url=two)))
        assert await get_new(gateway.port) == "one"
        gateway.signal(signal.SIGHUP)
        told = await gateway.records.wait_for(Reload)
        assert told.ok
        assert await get_new(gateway.port) == "two"
        gateway.path.write_text("wrong")
        gateway.signal(signal.SIGHUP)
        assert not (await gateway.records.wait_for(Reload, past=1)).ok
        assert await get_new(gateway.port) == "two"


def test_sighup_stops_where_there_is_a_terminal(upstream_port: int, tmp_path: Path) -> None:
    """It says that the terminal goes."""
    path = tmp_path / "config.yaml"
    path.write_text(config_for(Serving(url=f"http://127.0.0.1:{upstream_port}")))
    command = [sys.executable, "-m", "gateway", "-f", str(path), "--watch", "--frames", "json"]
    with Pty(command, cwd=Path.cwd(), env=dict(os.environ), columns=200) as terminal:
        terminal.wait_for('"event":"listening"')
        terminal.signal(signal.SIGHUP)
        assert terminal.wait() == 0
        assert '"signal":"SIGHUP"' in terminal.text
        assert '"event":"reload"' not in terminal.text


async def test_an_env_file_that_changes(one: str, two: str, tmp_path: Path) -> None:
    """What it says is put into the config anew."""
    env = tmp_path / "settings"
    env.write_text(f"WHERE={one}\n")
    with GatewayProcess(config_for(Serving(url="${WHERE}")), "-e", str(env), "--watch") as gateway:
        assert await get_new(gateway.port) == "one"
        env.write_text(f"WHERE={two}\n")
        assert (await gateway.records.wait_for(Reload)).changes == (
            "ReverseProxyHandler default/first has changed",
        )
        assert await get_new(gateway.port) == "two"
        env.write_text("WHERE='\n")
        told = await gateway.records.wait_for(Reload, past=1)
        assert not told.ok
        assert "settings" in told.problems[0]
        assert await get_new(gateway.port) == "two"


# Under load.


@BOTH_LOOPS
async def test_a_reload_under_load_loses_nothing(  # noqa: C901 - three kinds of clients, in one place
    one: str, two: str, loop: Loop
) -> None:
    """Requests one after the other, WebSockets that echo, and twenty reloads of everything there is."""
    configs = [
        Serving(url=one),
        Serving(url=two),
        Serving(url=two, http="{idleTimeout: 7}"),
        Serving(url=one, http="{listenConfig: {connectionLimit: 500}, altSvc: x}"),
    ]
    config = config_for(configs[0])
    with GatewayProcess(config, loop=loop, daemon=True) as gateway:
        done = asyncio.Event()
        answers = 0

        def answered() -> None:
            nonlocal answers
            answers += 1

        async def keep_asking() -> None:
            with await Peer.connect(gateway.port) as client:
                while not done.is_set():
                    assert await get(client) in {"one", "two"}
                    answered()
                    await asyncio.sleep(0.005)

        async def ask_anew() -> None:
            while not done.is_set():
                assert await get_new(gateway.port) in {"one", "two"}
                answered()
                await asyncio.sleep(0.005)

        async def talk() -> None:
            async with connect(f"ws://127.0.0.1:{gateway.port}/", compression=None) as client:
                while not done.is_set():
                    assert await echoes(client, text=f"message {answers}")
                    answered()
                    await asyncio.sleep(0.005)

        async with asyncio.TaskGroup() as tasks:
            for each in (keep_asking, ask_anew, talk):
                for _ in range(4):
                    tasks.create_task(each())
            for at in range(20):
                gateway.path.write_text(config_for(configs[(at + 1) % len(configs)]))
                gateway.signal(signal.SIGHUP)
                await gateway.records.wait_for(Reload, ok=True, past=at)
                enough = answers + 30

                async def more(enough: int = enough) -> bool:
                    return answers >= enough

                await until(more)
            done.set()
        assert gateway.records.all(Error) == []

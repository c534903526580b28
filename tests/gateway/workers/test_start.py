"""Gateways of several workers: how they begin, and what reaches standard output."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from gateway.cli import _worker_command, main, parser
from gateway.events import Listening, Request
from tests.gateway.proxy.reloading import Serving, config_for, get_new, named
from tests.gateway.test_cli import run_process, written
from tests.gateway.workers.crews import open_over_all, start, workers_of
from tests.gateways import GatewayProcess, config_of
from tests.servers import PATIENCE, Peer, Upstream


async def test_each_worker_gets_connections(upstream: Upstream) -> None:
    """There are as many processes as were asked for, each in a group of its own; all serve, one tells it."""
    with start(upstream, workers=3) as gateway:
        workers = workers_of(gateway.pid)
        assert len(workers) == 3
        assert {os.getpgid(each) for each in workers} == set(workers)
        for client, server in await open_over_all(gateway, upstream):
            client.close()
            server.close()
    # By the first line, though each worker listens.
    assert len(gateway.records.all(Listening)) == 1


@pytest.mark.parametrize(("rate", "share"), [("3", "2"), ("4", "2"), ("1", "1"), ("0", "0")])
def test_the_frame_rate_is_shared_out(rate: str, share: str) -> None:
    """Rounded up, so that nobody has none; no limit is none for anybody."""
    options = parser().parse_args(["--workers", "2", "--frame-rate", rate])
    assert _worker_command(options, "json", 7)[-2:] == ["--frame-rate", share]


def test_each_worker_gets_its_options(upstream: Upstream) -> None:
    """Its share of the frame rate; the others stay as they are."""
    with start(upstream, "--frame-rate", "3", "--preview", "7", "--show-secrets") as gateway:
        for each in workers_of(gateway.pid):
            command = Path(f"/proc/{each}/cmdline").read_text().rstrip("\0").split("\0")
            assert command[-5:] == ["--preview", "7", "--frame-rate", "2", "--show-secrets"]


def test_one_worker_is_one_process(upstream: Upstream) -> None:
    """As without the option."""
    with start(upstream, workers=1) as gateway:
        assert workers_of(gateway.pid) == []


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "257"])
def test_numbers_that_mean_nothing(value: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Are wrong usage, and the message says what would be right."""
    with pytest.raises(SystemExit) as ended:
        main(["-f", "config.yaml", f"--workers={value}"])
    assert ended.value.code == 2
    assert f"--workers: '{value}' is not a whole number from 1 to 256" in capfd.readouterr().err


def test_a_system_that_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Says so in a sentence; status 1."""
    monkeypatch.delattr(socket, "send_fds")
    path = written(tmp_path, config_of("http://127.0.0.1:1"))
    assert main(["-f", path, "--workers", "2"]) == 1
    expected = "aileron: this system cannot share sockets among processes; leave --workers out\n"
    assert capfd.readouterr().err == expected


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken(tmp_path: Path, workers: str) -> None:
    """Fails as with one process, even where who has the port would share it."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        path = written(tmp_path, config_of("http://127.0.0.1:1", addr=f"127.0.0.1:{port}"))
        done = run_process("-f", path, "--workers", workers)
    assert (done.status, done.stdout) == (1, "")
    assert (
        done.stderr == f"aileron: cannot listen on 127.0.0.1:{port}: the port is taken by another program\n"
    )


def test_a_second_gateway_on_the_same_port(upstream: Upstream, tmp_path: Path) -> None:
    """Is refused, whatever the first one's sockets share among each other."""
    with start(upstream) as gateway:
        path = written(tmp_path, config_of("http://127.0.0.1:1", addr=f"127.0.0.1:{gateway.port}"))
        done = run_process("-f", path, "--workers", "2")
        assert (done.status, done.stdout) == (1, "")
        assert "the port is taken by another program" in done.stderr


def test_a_config_without_servers(tmp_path: Path) -> None:
    """Is over at once, as with one process."""
    done = run_process("-f", written(tmp_path, "apiVersion: core/v1\nkind: Entrypoint\n"), "--workers", "2")
    assert (done.status, done.stdout) == (0, "")
    assert done.stderr.endswith("runners are not given, so the gateway ends at once\n")


async def test_text_lines() -> None:
    """Start, requests and stop as lines for people."""
    async with named("one") as url:
        config = config_of(url)
        with GatewayProcess(config, "--workers", "2", frames="text", daemon=True) as gateway:
            assert await get_new(gateway.port) == "one"
    lines = [line.decode() for line in gateway.records.lines]
    assert len(lines) == 3
    assert f"http://localhost:{gateway.port}" in lines[0]
    assert any(f"200 / via {url}" in line for line in lines[1:])
    assert any("stops" in line and "0 WebSockets open" in line for line in lines[1:])


async def test_frames_off() -> None:
    """Start and stop alone."""
    async with named("one") as url:
        config = config_of(url)
        with GatewayProcess(config, "--workers", "2", frames="off", daemon=True) as gateway:
            assert await get_new(gateway.port) == "one"
    lines = [line.decode() for line in gateway.records.lines]
    assert len(lines) == 2
    assert f"http://localhost:{gateway.port}" in lines[0]
    assert "stops" in lines[1]


async def test_a_unix_socket(tmp_path: Path) -> None:
    """All workers share it, a reload leaves it alone, and its file is removed at the end."""
    path = tmp_path / "gateway.sock"
    async with named("one") as url:
        config = config_for(Serving(url=url), Serving(url=url, name="second", addr=f"unix://{path}"))
        with GatewayProcess(config, "--workers", "2", daemon=True) as gateway:
            await gateway.records.wait_for(Listening, addr=f"unix://{path}")
            before = path.stat().st_ino
            for _ in range(4):
                reader, writer = await asyncio.open_unix_connection(path)
                writer.write(b"GET / HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\n\r\n")
                async with asyncio.timeout(PATIENCE):
                    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                writer.close()
            await gateway.records.wait_for(Request, past=3)
            assert path.stat().st_ino == before
    assert not path.exists()


async def test_a_connection_limit_holds_for_all(upstream: Upstream) -> None:
    """Three in all, with two workers: the next one waits until one of them goes, in whichever worker."""
    config = config_for(
        Serving(url=f"http://127.0.0.1:{upstream.port}", http="{listenConfig: {connectionLimit: 3}}")
    )
    with GatewayProcess(config, "--workers", "2", daemon=True) as gateway:
        clients = [await Peer.connect(gateway.port) for _ in range(6)]
        for client in clients:
            await client.send(b"GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\n")
        for _ in range(3):
            await upstream.accept()
        for served in clients[:3]:
            with pytest.raises(TimeoutError):
                await upstream.accept(patience=0.3)
            served.close()
            await upstream.accept()
        for client in clients:
            client.close()

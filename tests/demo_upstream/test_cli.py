"""The process: its first line, its exit status, what it writes and what it does not."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.demo_upstream.running import PATIENCE, ROOT, DemoUpstream


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that does not get as far as to serve."""
    return subprocess.run(
        [sys.executable, "-m", "demo_upstream", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_first_line(tmp_path: Path) -> None:
    """It tells URL, addresses and page, and by then every address answers."""
    with DemoUpstream(cwd=tmp_path) as demo:
        page = ROOT / "static" / "index.html"
        addresses = "127.0.0.1, ::1" if socket.has_ipv6 else "127.0.0.1"
        assert demo.line == (
            f"demo upstream: listening on http://localhost:{demo.port} ({addresses}); page: {page}\n"
        )
        for host in ("127.0.0.1", "[::1]") if socket.has_ipv6 else ("127.0.0.1",):
            with urllib.request.urlopen(f"http://{host}:{demo.port}/", timeout=PATIENCE) as answer:
                assert answer.read() == page.read_bytes()
        assert demo.stop() == (0, "")


def test_the_working_directory_has_a_page(tmp_path: Path) -> None:
    """`static/index.html` where the process was started is the page."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").write_text("mine", encoding="utf-8")
    with (
        DemoUpstream(cwd=tmp_path, addr="127.0.0.1:0") as demo,
        urllib.request.urlopen(demo.url, timeout=PATIENCE) as answer,
    ):
        assert answer.read() == b"mine"
        assert str(tmp_path) in demo.line


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM] if sys.platform != "win32" else [signal.SIGTERM]
)
def test_a_stop_signal(number: signal.Signals) -> None:
    """Either signal ends it with status 0 and no word."""
    with DemoUpstream(addr="127.0.0.1:0") as demo:
        demo.process.send_signal(number)
        out, errors = demo.process.communicate(timeout=PATIENCE)
        assert (demo.process.returncode, out, errors) == (0, "", "")


def _mute_client(port: int) -> socket.socket:
    """A WebSocket that never answers."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    client.sendall(
        b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(1000)
    return client


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
def test_a_second_signal_ends_at_once() -> None:
    """While a mute client is waited for, another signal is the end."""
    with DemoUpstream(addr="127.0.0.1:0") as demo, _mute_client(demo.port) as client:
        demo.process.send_signal(signal.SIGINT)
        assert client.recv(2) == b"\x88\x18"  # the Close that is not answered
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(PATIENCE) == -signal.SIGINT  # rather than 0, which comes of waiting


def test_nonsense_from_peers_is_no_news() -> None:
    """Bytes that are not HTTP, and clients that break off, leave stderr empty."""
    with DemoUpstream(addr="127.0.0.1:0") as demo:
        for nonsense in (
            b"\x16\x03\x01\x02\x00",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /\r\n\r\n" * 50,
            b"GET / HT",
        ):
            with socket.create_connection(("127.0.0.1", demo.port), timeout=PATIENCE) as client:
                client.sendall(nonsense)
                client.shutdown(socket.SHUT_WR)
                while client.recv(1000):
                    pass
        _mute_client(demo.port).close()
        assert demo.stop() == (0, "")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken(host: str) -> None:
    """One line names the address and the cure."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as stranger:
        stranger.bind((host, 0))
        stranger.listen()
        addr = f"localhost:{stranger.getsockname()[1]}"
        ended = _run("--addr", addr)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"demo upstream: cannot listen on {addr}: another program has that port")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--addr", "9090"], "did you mean localhost:9090?"),
        (["--allow-origin", "demo.example"], "write it as https://"),
        (["--port", "9090"], "unrecognized arguments: --port 9090"),
    ],
)
def test_usage(arguments: list[str], words: str) -> None:
    """A mistake in the command line is told in one line, status 2."""
    ended = _run(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_reader_that_is_gone(tmp_path: Path) -> None:
    """A closed stdout is no reason not to serve, nor to complain."""
    reader, writer = os.pipe()
    os.close(reader)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "demo_upstream", "--addr", f"127.0.0.1:{port}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            _mute_client(port).close()
            break
        except ConnectionError:
            time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, b"")

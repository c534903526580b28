"""Whether a child itself answers: connections and answers of small servers."""

import http.server
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from launcher import readiness
from launcher.readiness import Answers, Silent, accepts, is_open, serves, watch
from tests.servers import reserved_port


@contextmanager
def server(status: int, body: bytes) -> Iterator[str]:
    """A web server that always answers so; its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_listener_accepts() -> None:
    """A connection is enough, and nothing is sent over it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert accepts(url) is None
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(1) == b""


def test_a_closed_port_does_not_accept() -> None:
    """What refuses connections is named."""
    with reserved_port() as port:
        assert not is_open("127.0.0.1", port)
        assert accepts(f"http://127.0.0.1:{port}") == f"no connection can be made to http://127.0.0.1:{port}"
        assert "no answer comes from" in str(serves(f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("status", "body", "ours"),
    [
        (200, b'{"method": "GET", "peer": "127.0.0.1:1"}', True),
        (200, b'{"other": "json"}', False),
        (200, b"<html>", False),
        (200, b"[]", False),
        (200, b"1", False),
        (200, b"\xff\xfe", False),
        (404, b'{"peer": "x"}', False),
    ],
)
def test_the_demo_upstream_is_known_by_its_answer(status: int, body: bytes, ours: bool) -> None:
    """`/whoami` of the demo upstream has an answer of its own; another program's is told from it."""
    with server(status, body) as url:
        assert serves(url) == (None if ours else f"what answers at {url} is another program")


def test_what_is_no_http_is_another_program() -> None:
    """Nonsense in the place of an answer is no readiness either."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"220 mail\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert "no answer comes from" in str(serves(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        thread.join()


def test_watching_waits_for_all() -> None:
    """Each URL is asked until it answers; then the child does."""
    inbox: queue.SimpleQueue[Answers | Silent] = queue.SimpleQueue()
    asked: list[str] = []

    def check(url: str) -> str | None:
        asked.append(url)
        return "not yet" if len(asked) < 3 else None

    watch("gateway", ["a", "b"], check, inbox.put)
    assert inbox.get(timeout=5) == Answers("gateway")
    assert asked == ["a", "a", "a", "b"]


def test_watching_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience has an end, and the last problem is told."""
    monkeypatch.setattr(readiness, "PATIENCE", 0.1)
    inbox: queue.SimpleQueue[Answers | Silent] = queue.SimpleQueue()
    watch("gateway", ["a"], lambda _: "it sleeps", inbox.put)
    assert inbox.get(timeout=5) == Silent("gateway", "it sleeps")

"""The process ends when the one that holds the lifeline is gone."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from demo_upstream import lifeline
from tests.demo_upstream.running import PATIENCE, ROOT, DemoUpstream

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pass_fds exists on POSIX alone")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A reading and a writing end; whoever closes one tells by closing it twice."""
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue  # closed by the test


def test_the_end_of_the_pipe_ends_the_process(pipe: tuple[int, int]) -> None:
    """Within 1.5 s it is gone, a client that never reads nor answers notwithstanding."""
    reader, writer = pipe
    with DemoUpstream(env={lifeline.ENVIRONMENT: str(reader)}, pass_fds=(reader,)) as demo:
        client = socket.create_connection(("127.0.0.1", demo.port))
        with client:
            client.sendall(
                b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            client.settimeout(PATIENCE)
            assert client.recv(12) == b"HTTP/1.1 101"
            cut = time.monotonic()
            os.close(writer)
            assert demo.process.wait(PATIENCE) == 0
            assert time.monotonic() - cut < 1.5


def test_a_process_that_hangs_is_ended_hard(pipe: tuple[int, int]) -> None:
    """Where the call back leads to nothing, the process ends all the same once the grace is over."""
    reader, writer = pipe
    code = (
        "import threading; from demo_upstream.lifeline import watch\n"
        "watch(lambda: print('told', flush=True), grace=0.2); print('ready', flush=True)\n"
        "threading.Event().wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), lifeline.ENVIRONMENT: str(reader)},
        pass_fds=(reader,),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.write(writer, b"whatever is written means nothing")
        os.close(writer)
        assert process.stdout.read() == "told\n"
        assert process.wait(PATIENCE) == 1


def test_without_a_lifeline_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by hand, the process has no lifeline; the fixture that counts threads holds this, too."""
    monkeypatch.delenv(lifeline.ENVIRONMENT, raising=False)
    lost: list[None] = []
    lifeline.watch(lambda: lost.append(None))
    assert lost == []


@pytest.mark.parametrize("value", ["", "three", "-1", "987654", "9" * 30])
def test_a_lifeline_that_is_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that names no open descriptor is told."""
    monkeypatch.setenv(lifeline.ENVIRONMENT, value)
    with pytest.raises(lifeline.LifelineError, match="does not name an open descriptor"):
        lifeline.watch(lambda: None)

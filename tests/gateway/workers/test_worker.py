"""A worker, as its parent meets it: what it says to what it is told."""

import pickle
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.loading import load
from gateway.workers.channel import Serve, Serving, Stop, receive, send
from tests.gateways import config_of, gateway_command
from tests.servers import PATIENCE


@contextmanager
def worker() -> Iterator[tuple[socket.socket, int]]:
    """A worker that has been told nothing: the channel to it, and its process."""
    channel, theirs = socket.socketpair()
    channel.settimeout(PATIENCE)
    with channel:
        with theirs:
            command = [*gateway_command(), "--worker", str(theirs.fileno()), "--frames", "off"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        try:
            yield channel, process.pid
            send(channel, Stop(signal="SIGTERM"))
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()


def test_a_config_that_cannot_be_read(tmp_path: Path) -> None:
    """It says so, of this config and not of the one before, and keeps none of the sockets."""
    path = tmp_path / "config.yaml"
    path.write_text(config_of("http://127.0.0.1:1"))
    config = load([path], {}).config
    (server,) = config.servers
    with worker() as (channel, process), socket.create_server(("127.0.0.1", 0)) as sock:
        good = Serve(generation=1, load=1, config=pickle.dumps(config), sockets={server.label: 1})
        send(channel, good, [sock])
        assert _answer(channel).generation == 1
        before = _descriptors(process)
        send(channel, Serve(generation=2, load=2, config=b"nonsense", sockets={server.label: 1}), [sock])
        told = _answer(channel)
        assert told.generation == 2
        assert told.problems
        assert _descriptors(process) == before


def _answer(channel: socket.socket) -> Serving:
    received = receive(channel)
    assert received is not None
    message, _ = received
    assert isinstance(message, Serving)
    return message


def _descriptors(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))

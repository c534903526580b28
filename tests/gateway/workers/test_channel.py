"""What parent and worker say to each other."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from gateway.workers.channel import Ending, Message, Serve, Serving, Stop, receive, send


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a channel."""
    one, two = socket.socketpair()
    with one, two:
        yield one, two


@pytest.mark.parametrize(
    "message",
    [
        Serve(generation=2, load=1, config=b"\x00\xff", sockets={}),
        Stop(signal="SIGTERM"),
        Serving(generation=3, listening=(("[::]:1", "http://localhost:1"),), problems=("é",)),
        Ending(open=7),
    ],
)
def test_a_message(ends: tuple[socket.socket, socket.socket], message: Message) -> None:
    """Arrives as it was said, and the next one behind it."""
    one, two = ends
    send(one, message)
    send(one, Stop(signal="SIGINT"))
    one.close()
    assert receive(two) == (message, [])
    assert receive(two) == (Stop(signal="SIGINT"), [])
    assert receive(two) is None


@pytest.mark.parametrize("count", [1, 2, 300])
def test_sockets(ends: tuple[socket.socket, socket.socket], count: int) -> None:
    """Arrive in their order, however many there are, and stay open on both sides."""
    one, two = ends
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        first.setblocking(False)
        sent = [first, second] * count
        message = Serve(generation=1, load=1, config=b"x" * 1_000_000, sockets={"a": count})
        sending = threading.Thread(target=send, args=[one, message, sent])
        sending.start()
        received = receive(two)
        sending.join()
        assert received is not None
        assert received[0] == message
        assert [each.getsockname() for each in received[1]] == [each.getsockname() for each in sent]
        for each in received[1]:
            each.dup().close()
            assert not os.get_blocking(first.fileno())  # one setting for all copies
            each.close()
        with socket.create_connection(first.getsockname()):
            pass


@pytest.mark.parametrize("size", [0, 1, 5, 6, 7, 20])
def test_an_end_in_the_middle(ends: tuple[socket.socket, socket.socket], size: int) -> None:
    """Of a header, before the sockets, or in a body: it is the end."""
    one, two = ends
    copy, sink = socket.socketpair()
    with copy, sink:
        send(copy, Stop(signal="SIGTERM"))
        data = sink.recv(1 << 16)
    assert len(data) > 20
    one.sendall(data[:size])
    one.close()
    assert receive(two) is None


def test_nobody_listens(ends: tuple[socket.socket, socket.socket]) -> None:
    """Is an OSError."""
    one, two = ends
    two.close()
    with pytest.raises(OSError, match="Broken pipe"):
        send(one, Stop(signal="SIGTERM"))

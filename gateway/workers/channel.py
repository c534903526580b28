"""What a parent and a worker say to each other, descriptors included.

Strategy
    A unix socket pair: a stream, since macOS has no packets that keep their order.  A message is a header,
    one byte for each descriptor with that beside it, and a body in MessagePack.  So neither the size of a
    message nor the number of its descriptors has a limit.

Rules
    * `send` and `receive` block: each side has threads for them.
    * The end of the stream is the end of the other process.
"""

import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final

import msgspec

_HEADER: Final = struct.Struct("!IH")
"""Bytes of the body, and how many descriptors come before it."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that is said."""


class Serve(Message, frozen=True, kw_only=True):
    """Parent to worker: serve this from now on."""

    generation: int
    """Counts these messages, the same for all workers, from 1."""
    load: int
    """Counts the configs that the parent has loaded, from 1.

    The files that a config names are read once for each of its servers, however often it is served.
    """
    config: bytes
    """A `Config` without errors, pickled, with this worker's share of what is shared out."""
    sockets: dict[str, int]
    """How many of the descriptors belong to which server, by its label, in the order in which they come.

    0: the worker has its sockets already.  A server that is not named is not to be served.
    """


class Stop(Message, frozen=True, kw_only=True):
    """Parent to worker: stop; the second time, at once."""

    signal: str


class Serving(Message, frozen=True, kw_only=True):
    """Worker to parent: this is served."""

    generation: int
    listening: tuple[tuple[str, str], ...] = ()
    """Address and url of each listener that has been started for it."""
    problems: tuple[str, ...] = ()
    """Why it is not served, after all."""


class Ending(Message, frozen=True, kw_only=True):
    """Worker to parent: no connections are accepted any more."""

    open: int
    """How many WebSockets there were."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(Serve | Stop | Serving | Ending)


def send(channel: socket.socket, message: Message, sockets: Sequence[socket.socket] = ()) -> None:
    """Say `message`, and hand `sockets` over, which stay open here.  Raises OSError where nobody listens."""
    body = _encode(message)
    channel.sendall(_HEADER.pack(len(body), len(sockets)))
    for each in sockets:
        socket.send_fds(channel, [b"\0"], [each.fileno()])
    channel.sendall(body)


def receive(channel: socket.socket) -> tuple[Message, list[socket.socket]] | None:
    """The next message and the sockets that come with it, which do not block; None at the end.

    Raises OSError where a socket cannot be taken, as with too many open files.
    """
    head = _read(channel, _HEADER.size)
    if head is None:
        return None
    size, count = _HEADER.unpack(head)
    sockets: list[socket.socket] = []
    for _ in range(count):
        data, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not data:
            return None
        if not descriptors:
            raise OSError(f"a socket did not arrive; has process {os.getpid()} too many open files?")
        sockets.append(socket.socket(fileno=descriptors[0]))
        sockets[-1].setblocking(False)  # so that a copy of it does not, in all processes
    body = _read(channel, size)
    return None if body is None else (_decoder.decode(body), sockets)


def _read(channel: socket.socket, size: int) -> bytes | None:
    """Exactly `size` bytes; None where the stream ends before."""
    data = bytearray()
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return bytes(data)

"""Raw TCP peers on ports of the system's choosing, for all tests.

    reserved_port   a port for servers that come and go
    Peer            one end of a TCP connection, of which nothing is read that a test does not ask for
    Upstream        a listening socket; what connects to it is a `Peer`

Every wait has an end: `PATIENCE` seconds, or whatever a test gives.
"""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

PATIENCE: Final = 10.0
"""Seconds that a test waits for anything."""


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody else gets: upstreams may listen there, one after the other.

    While none does, connections are refused.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port


_HAD: Final[set[int]] = set()
"""The ports that clients have had."""


def _client() -> socket.socket:
    """A socket with a port that none before it had: it is what a gateway's records know a client by."""
    while True:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        if port not in _HAD:
            _HAD.add(port)
            return sock
        sock.close()


class Peer:
    """One end of a TCP connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._held = bytearray()
        host, port = sock.getsockname()[:2]
        self.name = f"{host}:{port}"
        """What the other side knows it by."""

    @classmethod
    async def connect(cls, port: int, *, receive_buffer: int | None = None) -> Self:
        """Connect to 127.0.0.1; a small `receive_buffer` makes for a slow reader."""
        sock = _client()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def send(self, data: bytes, *, patience: float = PATIENCE) -> None:
        """Send all of `data`."""
        async with asyncio.timeout(patience):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def read_some(self, *, patience: float = PATIENCE) -> bytes:
        """Whatever has come; nothing at the end.  Raises ConnectionResetError."""
        if self._held:
            held = bytes(self._held)
            self._held.clear()
            return held
        async with asyncio.timeout(patience):
            return await asyncio.get_running_loop().sock_recv(self.sock, 1 << 18)

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes.  Raises EOFError with what has come where it is less."""
        while len(self._held) < size:
            await self._more()
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    async def read_until(self, end: bytes) -> bytes:
        """All up to and including `end`.  Raises EOFError with what has come where it does not come."""
        while (at := self._held.find(end)) < 0:
            await self._more()
        return await self.read(at + len(end))

    async def read_head(self) -> bytes:
        """The head of a message, the empty line at its end included."""
        return await self.read_until(b"\r\n\r\n")

    async def read_to_end(self, *, patience: float = PATIENCE) -> bytes:
        """All there is up to the FIN.  Raises ConnectionResetError where it ends by a RST instead."""
        data = bytearray()
        async with asyncio.timeout(patience):
            while piece := await self.read_some(patience=patience):
                data += piece
        return bytes(data)

    async def was_reset(self) -> bool:
        """Wait for the end: whether it is a RST."""
        try:
            await self.read_to_end()
        except ConnectionResetError:
            return True
        return False

    def end(self) -> None:
        """Send FIN; reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Send RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    async def _more(self) -> None:
        async with asyncio.timeout(PATIENCE):
            piece = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 18)
        if not piece:
            raise EOFError(bytes(self._held))
        self._held += piece


class Upstream:
    """A TCP server that does what a test tells it to."""

    def __init__(self, port: int = 0, *, host: str = "127.0.0.1") -> None:
        self.host = host
        self._sock = socket.create_server((host, port), backlog=1024)
        self._sock.setblocking(False)
        self.port: int = self._sock.getsockname()[1]
        self.peers: list[Peer] = []
        """Those that have been accepted."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        for peer in self.peers:
            peer.close()

    def close(self) -> None:
        """Listen no more."""
        self._sock.close()

    async def accept(self, *, patience: float = PATIENCE) -> Peer:
        """The next connection; closed with this server at the latest."""
        async with asyncio.timeout(patience):
            sock, _ = await asyncio.get_running_loop().sock_accept(self._sock)
        self.peers.append(Peer(sock))
        return self.peers[-1]

    def nobody(self) -> bool:
        """Whether no (further) connection has come."""
        try:
            sock, _ = self._sock.accept()
        except BlockingIOError:
            return True
        sock.close()
        return False

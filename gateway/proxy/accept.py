"""The door of a listener: who comes in, how many at a time, and whether they speak TLS as they should.

Strategy
    A listener that lets everybody in without TLS leaves accepting to the event loop, which is the fast way.
    Otherwise a task for each socket accepts connections one by one and looks at them before there is any
    protocol: at the peer's address, at the number of those that are connected, and, where TLS is spoken,
    at the first byte, which tells a client that speaks cleartext.

Rules
    * Who comes from elsewhere than `networks` is closed at once, without a byte.
    * Beyond `connectionLimit` connections wait, unanswered.  One counts until its socket is closed, whoever
      has it by then: a WebSocket counts as long as it lives.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Final

from gateway.config.resources.listen import ListenConfig, parse_network
from gateway.proxy.listen import BACKLOG, ip_of

_CLEARTEXT: Final = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
"""What Go's server says as well."""

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The system has nothing left for another connection."""

_BREATH: Final = 1.0
"""Seconds to wait for the system to have room again."""

Factory = Callable[[], asyncio.Protocol]


class Door:
    """Accepts the connections of one listener, over all its sockets."""

    def __init__(
        self,
        config: ListenConfig | None,
        tls: ssl.SSLContext | None,
        *,
        handshake: float | None,
        complain: Callable[[str], None],
    ) -> None:
        """`handshake` is how many seconds a TLS handshake may take; None: as long as the loop lets it."""
        listen = config or ListenConfig()
        self._networks = [parse_network(each) for each in listen.networks]
        self._slots = asyncio.Semaphore(listen.connection_limit) if listen.connection_limit > 0 else None
        self.tls = tls
        self._handshake = handshake
        self._complain = complain
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, sockets: Sequence[socket.socket], factory: Factory) -> None:
        """Let connections in; each gets a protocol of `factory`."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            if self._networks or self._slots is not None or self.tls is not None:
                sock.setblocking(False)
                self._hold(self._accept(sock, factory), f"accept {sock.getsockname()}")
            elif sock.family in {socket.AF_INET, socket.AF_INET6}:
                self._servers.append(await loop.create_server(factory, sock=sock, backlog=BACKLOG))
            else:
                self._servers.append(await loop.create_unix_server(factory, sock=sock, backlog=BACKLOG))

    def close(self) -> None:
        """Let nobody in any more, and send away who is still at the door."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()

    def _hold(self, coroutine: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket, factory: Factory) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    continue  # the client has gone already
                self._complain(f"cannot accept connections: {error.strerror}")
                await asyncio.sleep(_BREATH)
                continue
            if not self._welcome(peer):
                sock.close()
                continue
            if self._slots is not None:
                try:
                    await self._slots.acquire()
                except asyncio.CancelledError:
                    sock.close()
                    raise
                sock = _Counted(sock, self._slots.release)
            self._hold(self._let_in(sock, factory), "greet a client")

    def _welcome(self, peer: object) -> bool:
        """Whether whoever is at `peer` may come in; on a unix socket, there are no networks."""
        if not (self._networks and isinstance(peer, tuple)):
            return True
        address = ip_of(peer[0])
        return any(address in network for network in self._networks)

    async def _let_in(self, sock: socket.socket, factory: Factory) -> None:
        """Give the connection to its protocol; to no one, where the client does not speak TLS."""
        loop = asyncio.get_running_loop()
        try:
            sock.setblocking(False)
            if self.tls is None:
                await loop.connect_accepted_socket(factory, sock)
                return
            async with asyncio.timeout(self._handshake):
                first = await _peek(sock)
            if first.isalpha():  # a TLS client begins with 22, HTTP with the name of a method
                _say_cleartext(sock)
                sock.close()
                return
            await loop.connect_accepted_socket(
                factory, sock, ssl=self.tls, ssl_handshake_timeout=self._handshake
            )
        except (OSError, TimeoutError):
            sock.close()  # the handshake came to nothing, which is the client's business
        except asyncio.CancelledError:
            sock.close()
            raise


class _Counted(socket.socket):
    """A connection that tells when it is closed, by whichever transport has it."""

    def __init__(self, sock: socket.socket, closed: Callable[[], None]) -> None:
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self._on_closed: Callable[[], None] | None = closed

    def close(self) -> None:
        """Close, and tell."""
        super().close()
        self._tell()

    def detach(self) -> int:
        """Give the descriptor to who is about to close it (as libuv is), and tell."""
        number = super().detach()
        self._tell()
        return number

    def _tell(self) -> None:
        closed, self._on_closed = self._on_closed, None
        if closed is not None:
            closed()


async def _peek(sock: socket.socket) -> bytes:
    """The first byte that the client sends, left where it is; nothing where nobody can look."""
    loop = asyncio.get_running_loop()
    come = asyncio.Event()
    try:
        loop.add_reader(sock, come.set)
    except NotImplementedError:
        return b""  # asyncio's loop on Windows
    try:
        await come.wait()
    finally:
        loop.remove_reader(sock)
    return sock.recv(1, socket.MSG_PEEK)


def _say_cleartext(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.recv(1 << 16)  # what stays unread would make a RST of the end
        sock.send(_CLEARTEXT)
        sock.shutdown(socket.SHUT_WR)

"""The door of a listener: who comes in, how many at a time, and whether they speak TLS as they should.

Strategy
    A listener that lets everybody in without TLS leaves accepting TCP connections to uvloop, which is the
    fast way, as long as there are plenty of file descriptors.
    Otherwise a task for each socket accepts connections one by one and looks at them before there is any
    protocol: at the peer's address, at the number of those that are connected, and, where TLS is spoken,
    at the first byte, which tells a client that speaks cleartext.  So it is on asyncio's own loop: that one
    tries and complains a thousand times a second once there are no file descriptors left.

Rules
    * The rules may change while the door is open; they count from the next connection on, and none that is
      on its way in is lost.  A door that has once looked at connections goes on looking.
    * Who comes from elsewhere than `networks` is closed at once, without a byte.
    * Beyond `connectionLimit` connections wait, unanswered; as a rule, they are not even accepted.  One
      counts until its socket is closed, whoever has it by then: a WebSocket counts as long as it lives.
    * Where there are no file descriptors for a client and its way upstream, it waits, and is not sent away as
      uvloop would do.
    * That there is no room is told, once a minute at most.
"""

import asyncio
import errno
import importlib
import ipaddress
import math
import os
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from gateway.config.resources.listen import ListenConfig, parse_network
from gateway.proxy.listen import BACKLOG, ip_of

_CLEARTEXT: Final = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
"""What Go's server says as well."""

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The system has nothing left for another connection."""

_BREATH: Final = 1.0
"""Seconds to wait for the system to have room again."""

_SPARE: Final = 32
"""Descriptors that are kept, whoever has the others; an eighth of them all, where that is less."""

_OWN: Final = 64
"""Descriptors that are not for clients: listening sockets, pipes, the loop's own."""

_UNSEEN: Final = 64
"""Clients that the loop lets in between two looks whether there are plenty of descriptors."""

_TELL_EVERY: Final = 60.0
"""Seconds for which it is not said again that there is no room."""

try:
    resource: Any = importlib.import_module("resource")
except ImportError:
    resource = None  # Windows has no such limit

Factory = Callable[[], asyncio.Protocol]


class Door:
    """Accepts the connections of one listener, over all its sockets."""

    def __init__(
        self, sockets: Sequence[socket.socket], clients: Callable[[], int], complain: Callable[[str], None]
    ) -> None:
        """`sockets` are bound, and stay their owner's to close; `clients` counts those of all doors."""
        self._sockets = sockets
        self._clients = clients
        self._complain = complain
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._limit = 0
        self._inside = 0
        """Connections that count for the limit."""
        self._room = asyncio.Event()
        """Whether it is worth looking for room again."""
        self._told = -math.inf
        """When it was last told that there is none, by the loop's clock."""
        self.tls: ssl.SSLContext | None = None
        self._handshake: float | None = None
        self._factory: Factory = asyncio.Protocol
        self._by_loop: list[asyncio.Task[None]] = []
        """For the sockets whose connections the loop accepts by itself."""
        self._lent: dict[socket.socket, asyncio.Server] = {}
        """Who has the copies of those sockets."""
        self._crowded = asyncio.Event()
        """Whether the loop has to stop accepting."""
        self._greeted = 0
        """Connections that have no protocol yet."""
        self._unseen = _UNSEEN
        """Connections for the loop to let in before descriptors are looked for again."""
        self._looked_at: set[socket.socket] = set()
        """The sockets for which the loop does not accept by itself."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(
        self,
        config: ListenConfig | None,
        tls: ssl.SSLContext | None,
        *,
        handshake: float | None,
        factory: Factory,
    ) -> None:
        """Let connections in; each gets a protocol of `factory`.  Once more where the rules have changed.

        `handshake` is how many seconds a TLS handshake may take; None: as long as the loop lets it.
        """
        listen = config or ListenConfig()
        looks = bool(listen.networks or listen.connection_limit > 0 or tls is not None)
        looks |= isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)  # asyncio's own
        looks |= not self._has_plenty()
        if looks:
            await self._leave_to_us()
        self._networks = [parse_network(each) for each in listen.networks]
        self._limit = listen.connection_limit
        self._room.set()
        self.tls = tls
        self._handshake = handshake
        self._factory = factory
        if self._by_loop:
            return
        for sock in self._sockets:
            if sock in self._looked_at:
                continue
            if looks or sock.family not in {socket.AF_INET, socket.AF_INET6}:
                self._look_at(sock)
            else:
                self._by_loop.append(self._hold(self._leave_to_loop(sock), "accept by the loop"))
        await asyncio.sleep(0)  # who hears of the listener finds it at work

    async def _leave_to_us(self) -> None:
        """Let the loop accept no more connections by itself."""
        for task in self._by_loop:
            task.cancel()
        await asyncio.gather(*self._by_loop, return_exceptions=True)
        self._by_loop.clear()

    async def _leave_to_loop(self, listening: socket.socket) -> None:
        """Let the loop accept connections by itself, as long as there are plenty of descriptors."""
        with suppress(OSError):  # not one is left: the more reason to look
            server = await asyncio.get_running_loop().create_server(
                self._protocol,
                sock=listening.dup(),  # the loop closes what it is given
                backlog=BACKLOG,
            )
            self._lent[listening] = server
            try:
                await self._crowded.wait()
            finally:
                server.close()
        self._look_at(listening)

    def _look_at(self, listening: socket.socket) -> None:
        """Accept its connections one by one from now on."""
        listening.setblocking(False)
        self._looked_at.add(listening)
        self._hold(self._accept(listening), f"accept {listening.getsockname()}")

    def close(self) -> None:
        """Let nobody in any more, and send away who is still at the door."""
        for task in self._tasks:
            task.cancel()
        for each in self._lent.values():
            each.close()  # now, and not when the task comes to it: somebody may want the port
        self._by_loop.clear()
        self._lent.clear()
        self._looked_at.clear()

    def _protocol(self) -> asyncio.Protocol:
        self._unseen -= 1
        if self._unseen < 0:
            self._unseen = _UNSEEN
            if not self._has_plenty():
                self._crowded.set()
        return self._factory()

    def _has_plenty(self) -> bool:
        """Whether the loop may let in all who are waiting by now, which it does in one go."""
        return 2 * (self._clients() + BACKLOG + _UNSEEN) < _for_clients(_limit())

    def _hold(self, coroutine: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # Who waits here is let in by another process, where one shares the socket.
            await self._wait_for_room()
            await self._wait_for_descriptors()
            try:
                sock, peer = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    continue  # the client has gone already
                self._say_no_room(error.strerror or str(error))
                await asyncio.sleep(_BREATH)
                continue
            if not self._welcome(peer):
                sock.close()
                continue
            try:
                await self._wait_for_room()  # the last place may have gone to the other socket of a name
            except asyncio.CancelledError:
                sock.close()
                raise
            if self._limit > 0:
                self._inside += 1
                sock = _Counted(sock, self._leave)
            self._greeted += 1
            self._hold(self._let_in(sock), "greet a client").add_done_callback(self._let_go)

    async def _wait_for_room(self) -> None:
        while 0 < self._limit <= self._inside:
            self._say_no_room(f"connectionLimit {self._limit} is reached")
            self._room.clear()
            await self._room.wait()

    async def _wait_for_descriptors(self) -> None:
        while (why := _no_room(self._clients() + self._greeted)) is not None:
            self._say_no_room(why)
            await asyncio.sleep(_BREATH)

    def _say_no_room(self, why: str) -> None:
        """Complain, but not each time."""
        now = asyncio.get_running_loop().time()
        if now - self._told >= _TELL_EVERY:
            self._told = now
            self._complain(f"new clients have to wait: {why}")

    def _let_go(self, _: object) -> None:
        self._greeted -= 1

    def _leave(self) -> None:
        self._inside -= 1
        self._room.set()

    def _welcome(self, peer: object) -> bool:
        """Whether whoever is at `peer` may come in; on a unix socket, there are no networks."""
        if not (self._networks and isinstance(peer, tuple)):
            return True
        address = ip_of(peer[0])
        return any(address in network for network in self._networks)

    async def _let_in(self, sock: socket.socket) -> None:
        """Give the connection to its protocol; to no one, where the client does not speak TLS."""
        loop = asyncio.get_running_loop()
        tls, handshake, factory = self.tls, self._handshake, self._factory
        try:
            sock.setblocking(False)
            if tls is None:
                await loop.connect_accepted_socket(factory, sock)
                return
            async with asyncio.timeout(handshake):
                first = await _peek(sock)
            if first.isalpha():  # a TLS client begins with 22, HTTP with the name of a method
                _say_cleartext(sock)
                sock.close()
                return
            await loop.connect_accepted_socket(factory, sock, ssl=tls, ssl_handshake_timeout=handshake)
        except (OSError, TimeoutError):
            sock.close()  # the handshake came to nothing, which is the client's business
        except asyncio.CancelledError:
            sock.close()
            raise


def _limit() -> int:
    """How many descriptors there may be."""
    limit: int = -1 if resource is None else resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit < 0 else limit  # as infinity is told


def _for_clients(limit: int) -> int:
    """How many of them are for clients and their ways upstream."""
    return limit - min(_OWN, limit // 2)


def _no_room(clients: int) -> str | None:
    """Why no further client should be let in beside so many; None where there are descriptors enough.

    A client counts for two: if it is not on its way upstream yet, it soon may be.  Beside that, a new
    descriptor has the lowest number that is free: where it is high, hardly any are left, whoever has them.
    """
    limit = _limit()
    try:
        lowest = os.dup(0)
    except OSError as error:
        lowest = limit if error.errno == errno.EMFILE else 0
    else:
        os.close(lowest)
    if 2 * (clients + 1) <= _for_clients(limit) and lowest < limit - min(_SPARE, limit // 8):
        return None
    what = f"this process may have {limit} files open, and a WebSocket takes two of them"
    return f"{what}; ulimit -Hn tells the limit"


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

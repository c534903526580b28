"""Listeners, and the life of the gateway: start, serve, stop.

Strategy
    Every address is bound before the first connection is accepted, so that a port that is taken shows
    before anything runs.
    A stop closes the listeners, lets plain requests finish, sends Close 1001 through every tunnel and
    waits `shutdownTimeout` for the peers' answers; a second signal ends what is left at once.
"""

import asyncio
import errno
import logging
import socket
import ssl
from functools import cache
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from gateway.config import HTTPServer, host_port, parse_addr
from gateway.events import Listening, Stopping
from gateway.headers import Secrets
from gateway.loading import Loaded
from gateway.proxy.handler import Handler, Proxy
from gateway.proxy.log import EventLog
from gateway.routing import Router, Routes

_BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""

_DELIVERY: Final = 0.01
"""Seconds between two looks at what still waits to be delivered."""

_FLUSH: Final = 0.5
"""Seconds that the log has to write its last lines."""


class ListenError(Exception):
    """An address cannot be listened on."""


class Gateway:
    """All servers of a config, in one event loop."""

    def __init__(self, loaded: Loaded, log: EventLog, secrets: Secrets) -> None:
        self._loaded = loaded
        self._log = log
        self._proxy = Proxy(log, secrets, _tls)
        self._listeners: list[_Listener] = []
        self._signals: asyncio.Queue[str] = asyncio.Queue()

    def signal(self, name: str) -> None:
        """Stop; the second time, at once.  `name` goes into the log.  For the loop's own thread alone."""
        self._signals.put_nowait(name)

    async def run(self) -> None:
        """Serve until `signal` is called; without servers, not at all.

        Raises ListenError where an address cannot be had.
        """
        asyncio.get_running_loop().set_exception_handler(self._complain)
        try:
            for server, routes in self._loaded.routes:
                self._listeners.append(await _Listener.open(server, routes, self._proxy))
            for listener in self._listeners:
                await listener.start()
            if self._listeners:
                await self._stop(await self._signals.get())
        finally:
            for listener in self._listeners:
                listener.close()
                listener.abort()
            for tunnel in list(self._proxy.tunnels):
                tunnel.abort()
            await self._proxy.exchanges.close()
            await self._log.close(_FLUSH)

    async def _stop(self, name: str) -> None:
        """Let everything end that can, within `shutdownTimeout`; a second signal cuts this short."""
        proxy = self._proxy
        tunnels = len(proxy.tunnels)
        self._log.put(lambda time, t_ns: Stopping(time=time, t_ns=t_ns, signal=name, open=tunnels))
        proxy.stopping = True
        for listener in self._listeners:
            listener.close()
        for tunnel in list(proxy.tunnels):
            tunnel.stop()
        # A negative timeout means no grace.
        timeout = max([0.0, *(server.spec.shutdown_timeout for server, _ in self._loaded.routes)])
        ending = asyncio.ensure_future(self._end(timeout))
        again = asyncio.ensure_future(self._signals.get())
        await asyncio.wait((ending, again), return_when=asyncio.FIRST_COMPLETED)
        for task in (ending, again):
            task.cancel()
        await asyncio.gather(ending, again, return_exceptions=True)

    async def _end(self, limit: float) -> None:
        """Wait for tunnels and plain requests, `limit` seconds at the most."""
        try:
            async with asyncio.timeout(limit):
                await asyncio.gather(*(listener.finish() for listener in self._listeners))
                # By now, an upgrade that was in flight has become a tunnel.
                await self._proxy.all_closed.wait()
        except TimeoutError:
            for tunnel in list(self._proxy.tunnels):
                tunnel.stop_now()
            await self._proxy.all_closed.wait()

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Record what no connection could deal with; a fault in one of them is the end of that one alone."""
        error = context.get("exception")
        message = str(context.get("message", "a fault of the gateway"))
        if error is not None:
            message = f"{message}: {type(error).__name__}: {error}"
        self._log.error(message)


class _Listener:
    """One HTTPServer and the sockets it listens on."""

    def __init__(
        self, sockets: list[socket.socket], handler: Handler, web_server: web.Server, log: EventLog
    ) -> None:
        self._sockets = sockets
        self._handler = handler
        self._web_server = web_server
        self._log = log
        self._accepting: list[asyncio.Server] = []

    @classmethod
    async def open(cls, server: HTTPServer, routes: Routes, proxy: Proxy) -> "_Listener":
        """Bind the server's address.  Raises ListenError."""
        sockets = await _bind(server.spec.address)
        handler = Handler(proxy, Router(routes), scheme="http")
        web_server = web.Server(
            handler,
            handler_cancellation=True,  # a client that goes away takes its upstream request with it
            auto_decompress=False,
            access_log=None,
            logger=_logger(proxy.log),
        )
        return cls(sockets, handler, web_server, proxy.log)

    async def start(self) -> None:
        """Accept connections, and say so."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            self._accepting.append(await loop.create_server(self._web_server, sock=sock, backlog=_BACKLOG))
        host, port = self._sockets[0].getsockname()[:2]
        addr = host_port(host, port)
        url = f"http://{host_port(_to_browse(host), port)}"
        self._log.put(lambda time, t_ns: Listening(time=time, t_ns=t_ns, addr=addr, url=url))

    def close(self) -> None:
        """Accept no more connections."""
        for accepting in self._accepting:
            accepting.close()
        for sock in self._sockets:
            sock.close()

    async def finish(self) -> None:
        """Close idle connections, and the others once their requests have been answered."""
        # Not through `Server.shutdown`, which reads no more of a request's body.
        connections = self._web_server.connections
        transports = [each.transport for each in connections if each.transport is not None]
        for connection in connections:
            if connection not in self._handler.busy:
                connection.force_close()
        await self._handler.idle.wait()
        while any(transport.get_write_buffer_size() for transport in transports):  # noqa: ASYNC110 - tells nobody
            await asyncio.sleep(_DELIVERY)

    def abort(self) -> None:
        """Cut the connections that are left."""
        for connection in self._web_server.connections:
            if connection.transport is not None:
                connection.transport.abort()


async def _bind(addr: str) -> list[socket.socket]:
    """Sockets bound to every address that `addr` means.  Raises ListenError."""
    listening = parse_addr(addr)
    host, port = listening.host, listening.port
    try:
        if host is None:
            dual = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if dual else socket.AF_INET
            return [socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=_BACKLOG)]
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(_reason(addr, error)) from error
    sockets: list[socket.socket] = []
    for family, _, _, _, address in dict.fromkeys(found):
        # A name may mean several addresses; with port 0 they all get the port of the first.
        wanted = (address[0], port or (sockets[0].getsockname()[1] if sockets else 0))
        try:
            sockets.append(socket.create_server(wanted, family=family, backlog=_BACKLOG))
        except OSError as error:
            if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT} and len(found) > 1:
                continue  # the name has an address of a family that this machine does not have
            for sock in sockets:
                sock.close()
            raise ListenError(_reason(addr, error)) from error
    if not sockets:
        raise ListenError(f"cannot listen on {addr}: it is no address of this machine")
    return sockets


def _reason(addr: str, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"cannot listen on {addr}: the port is taken by another program"
        case errno.EACCES:
            return (
                f"cannot listen on {addr}: this user may not use that port; ports from 1024 on need no rights"
            )
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {addr}: it is no address of this machine"
    return f"cannot listen on {addr}: {error.strerror or error}"


def _to_browse(host: str) -> str:
    """The host to type into a browser on this machine for a socket bound to `host`."""
    if host in {"::", "0.0.0.0", "127.0.0.1", "::1"}:  # noqa: S104 - compared, not bound
        return "localhost"
    return host


@cache
def _tls() -> ssl.SSLContext:
    """For https upstreams: the system's certificate authorities, or those in SSL_CERT_FILE."""
    return ssl.create_default_context()


def _logger(log: EventLog) -> logging.Logger:
    """aiohttp's logger for its server, whose complaints become error records without a traceback."""

    class ToLog(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            message = record.getMessage()
            if isinstance(error, HttpProcessingError):
                # Behind the colon, aiohttp quotes what it was sent.
                message = f"a request that cannot be read: {error.message.partition(':')[0].strip()}"
                log.error(message, status=error.code)
            else:
                log.error(message if error is None else f"{message}: {type(error).__name__}: {error}")

    # One of its own, not a global one: each gateway in a process has a log of its own.
    logger = logging.Logger("gateway", logging.ERROR)  # noqa: LOG001 - see above
    logger.addHandler(ToLog())
    return logger

"""Listeners, and the life of the gateway: start, serve, stop.

Strategy
    Every address is bound before the first connection is accepted, so that a port that is taken shows
    before anything runs.
    A stop closes the listeners, lets plain requests finish, sends Close 1001 through every tunnel and
    waits `shutdownTimeout` for the peers' answers; a second signal ends what is left at once.
"""

import asyncio
import logging
import socket
import ssl
from functools import cache, partial
from typing import Any, Final

from aiohttp.http import HttpProcessingError

from gateway.config import Config, HTTPServer, parse_addr
from gateway.config.resources.listen import ListenConfig
from gateway.events import Listening, Stopping
from gateway.headers import Secrets
from gateway.proxy.accept import Door
from gateway.proxy.connection import Limits, Server
from gateway.proxy.handler import Handler, Proxy
from gateway.proxy.listen import ListenError, bind, close, where
from gateway.proxy.log import EventLog
from gateway.routing import Router
from gateway.tls import TLSConfigError, server_context

_DELIVERY: Final = 0.01
"""Seconds between two looks at what still waits to be delivered."""

_FLUSH: Final = 0.5
"""Seconds that the log has to write its last lines."""


class Gateway:
    """All servers of a config, in one event loop."""

    def __init__(self, config: Config, log: EventLog, secrets: Secrets) -> None:
        self._config = config
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
            for server in self._config.servers:
                self._listeners.append(await _Listener.open(self._config, server, self._proxy))
            for listener in self._listeners:
                await listener.start()
            if self._listeners:
                await self._stop(await self._signals.get())
        finally:
            for listener in self._listeners:
                listener.close()
                listener.abort()
            await self._proxy.exchanges.close()
            await self._log.close(_FLUSH)

    async def _stop(self, name: str) -> None:
        """Let everything end that can, within each `shutdownTimeout`; a second signal cuts this short."""
        tunnels = sum(listener.tunnels for listener in self._listeners)
        self._log.put(lambda time, t_ns: Stopping(time=time, t_ns=t_ns, signal=name, open=tunnels))
        self._proxy.stopping = True
        for listener in self._listeners:
            listener.stop()
        ending = asyncio.gather(*(listener.end() for listener in self._listeners))
        again = asyncio.ensure_future(self._signals.get())
        await asyncio.wait((ending, again), return_when=asyncio.FIRST_COMPLETED)
        for task in (ending, again):
            task.cancel()
        await asyncio.gather(ending, again, return_exceptions=True)

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
        self, server: HTTPServer, sockets: list[socket.socket], tls: ssl.SSLContext | None, handler: Handler
    ) -> None:
        log = handler.log
        config = server.spec.http_config
        self._address = parse_addr(server.spec.address)
        self._grace = max(0.0, server.spec.shutdown_timeout)  # negative means none
        self._sockets = sockets
        self._scheme = handler.scheme
        self._handler = handler
        self._web_server = Server(handler, config, _logger(log))
        self._door = Door(
            config.listen_config, tls, handshake=Limits.of(config).head, complain=partial(_complain, log)
        )
        self._log = log

    @classmethod
    async def open(cls, config: Config, server: HTTPServer, proxy: Proxy) -> "_Listener":
        """Bind the server's address.  Raises ListenError."""
        listen = server.spec.http_config.listen_config or ListenConfig()
        try:
            tls = None if listen.tls_config is None else server_context(listen.tls_config)
        except TLSConfigError as error:
            raise ListenError(str(error.problem)) from error
        sockets = await bind(parse_addr(server.spec.address), listen.keep_alive_config)
        handler = Handler(proxy, Router(config, server), scheme="http" if tls is None else "https")
        return cls(server, sockets, tls, handler)

    async def start(self) -> None:
        """Accept connections, and say so."""
        await self._door.open(self._sockets, self._web_server)
        addr, url = where(self._sockets[0], self._scheme)
        self._log.put(lambda time, t_ns: Listening(time=time, t_ns=t_ns, addr=addr, url=url))

    def close(self) -> None:
        """Accept no more connections."""
        self._door.close()
        close(self._sockets, self._address)

    @property
    def tunnels(self) -> int:
        """How many WebSockets there are."""
        return len(self._handler.tunnels.open)

    def stop(self) -> None:
        """Accept no more connections, and tell the WebSockets to end."""
        self.close()
        for tunnel in list(self._handler.tunnels.open):
            tunnel.stop()

    async def end(self) -> None:
        """Wait for tunnels and plain requests, within `shutdownTimeout`; then cut what is left."""
        tunnels = self._handler.tunnels
        try:
            async with asyncio.timeout(self._grace):
                await self._finish()
                # By now, an upgrade that was in flight has become a tunnel.
                await tunnels.all_closed.wait()
        except TimeoutError:
            for tunnel in list(tunnels.open):
                tunnel.stop_now()
            await tunnels.all_closed.wait()
            self.abort()

    async def _finish(self) -> None:
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
        """Cut the connections and the WebSockets that are left."""
        for tunnel in list(self._handler.tunnels.open):
            tunnel.abort()
        for connection in self._web_server.connections:
            if connection.transport is not None:
                connection.transport.abort()


def _complain(log: EventLog, message: str) -> None:
    log.error(message)


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
                log.error(message, status=getattr(record, "status", error.code))
            else:
                if error is not None:
                    message = f"{message}: {type(error).__name__}: {error}"
                log.error(message, status=getattr(record, "status", None))

    # One of its own, not a global one: each gateway in a process has a log of its own.
    logger = logging.Logger("gateway", logging.ERROR)  # noqa: LOG001 - see above
    logger.addHandler(ToLog())
    return logger

"""One HTTPServer: its sockets, who comes in over them, and who answers.

A listener outlives changes of its config as far as it can: its sockets stay bound, and the connections that
are open go on.
"""

import asyncio
import logging
import socket
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final

from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import BadStatusLine, InvalidURLError, TransferEncodingError

from gateway.config.resources import KeepAliveConfig, ListenConfig
from gateway.loading import Site
from gateway.proxy.accept import Door
from gateway.proxy.arrival import Arrivals
from gateway.proxy.connection import Connection, Limits, Server
from gateway.proxy.handler import Handler
from gateway.proxy.listen import Binder, probe, where
from gateway.proxy.log import EventLog
from gateway.proxy.shared import Proxy
from gateway.proxy.tunnel import Tunnel

_DELIVERY: Final = 0.01
"""Seconds between two looks at what still waits to be delivered."""


class Listener:
    """One HTTPServer and the sockets it listens on."""

    def __init__(
        self, site: Site, sockets: list[socket.socket], door: Door, proxy: Proxy, binder: Binder
    ) -> None:
        config = site.server.spec.http_config
        self.site = site
        self._proxy = proxy
        self._sockets = sockets
        self._door = door
        self._binder = binder
        self._scheme = "http" if site.tls is None else "https"
        self._handler = Handler(proxy, site)
        self._limits = Limits.of(config, proxy.limits)
        self._web_server = Server(self._handler, config, self._limits, _logger(proxy.log))
        self._arrivals = Arrivals(self._limits, self._handler.open, self._web_server)

    @classmethod
    async def open(cls, site: Site, proxy: Proxy, binder: Binder) -> "Listener":
        """Bind the server's address.  Raises ListenError."""
        sockets = await binder.bind(site)
        return cls(site, sockets, Door(sockets, proxy.clients, partial(_complain, proxy.log)), proxy, binder)

    async def start(self) -> None:
        """Accept connections, from now on in the place of a predecessor, and say so."""
        config = self.site.server.spec.http_config
        await self._door.open(
            config.listen_config, self.site.tls, handshake=self._limits.head, factory=self._arrivals
        )
        self._proxy.log.listening(*where(self._sockets[0], self._scheme))

    def successor(self, site: Site) -> "Listener | None":
        """A listener for `site` at the same door, to be started; None where this one goes on with it.

        Once it is started, this one goes on with the connections that are open, and gets no others.

        What can be changed without one is the routes, which count from the next request on, and the
        certificates, which count from the next connection on.
        """
        self.follow(site)
        if (site.tls is None) == (self.site.tls is None) and (
            site.server.spec.http_config == self.site.server.spec.http_config
        ):
            self._door.tls = site.tls
            self.site = site
            return None
        listen = site.server.spec.http_config.listen_config or ListenConfig()
        for sock in self._sockets:
            if sock.family in {socket.AF_INET, socket.AF_INET6}:
                probe(sock, listen.keep_alive_config or KeepAliveConfig())
        return Listener(site, self._sockets, self._door, self._proxy, self._binder)

    def follow(self, site: Site) -> None:
        """Answer by the routes of `site` from the next request on."""
        self._handler.serve(site)

    def close(self) -> None:
        """Accept no more connections, and give the address up."""
        self._door.close()
        self._binder.close(self._sockets, self.site)

    async def reopen(self) -> None:
        """Take the address back that has been given up.  Raises ListenError."""
        self._sockets += await self._binder.bind(self.site)
        await self.start()

    @property
    def tunnels(self) -> AbstractSet[Tunnel]:
        """The WebSockets that are open."""
        return self._handler.tunnels.open

    def stop(self) -> None:
        """Accept no more connections, and tell the WebSockets to end."""
        self.close()
        for tunnel in list(self._handler.tunnels.open):
            tunnel.stop()

    async def end(self, since: float) -> None:
        """Wait for tunnels and plain requests; what is left `shutdownTimeout` after `since`, is cut.

        `since` is by the loop's clock.
        """
        tunnels = self._handler.tunnels
        try:
            # A negative timeout means no grace.
            async with asyncio.timeout_at(since + max(0.0, self.site.server.spec.shutdown_timeout)):
                await self._finish()
                # By now, an upgrade that was in flight has become a tunnel.
                await tunnels.all_closed.wait()
        except TimeoutError:
            for tunnel in list(tunnels.open):
                tunnel.stop_now()
            await tunnels.all_closed.wait()
            self.abort()

    @property
    def clients(self) -> int:
        """How many connections and WebSockets are open."""
        here = len(self._web_server.connections) + len(self._arrivals.present)
        return here + len(self._handler.tunnels.open)

    def let_go(self) -> None:
        """Close idle connections; the others end with their answer."""
        self._handler.retired = True
        self._close_idle()

    async def _finish(self) -> None:
        """Close idle connections, and the others once their requests have been answered."""
        # Not through `Server.shutdown`, which reads no more of a request's body.
        transports = self._transports
        self._close_idle()
        while self._handler.busy:
            await self._handler.idle.wait()
        while any(transport.get_write_buffer_size() for transport in transports):  # noqa: ASYNC110 - tells nobody
            await asyncio.sleep(_DELIVERY)

    def _close_idle(self) -> None:
        for connection in self._web_server.connections:
            assert isinstance(connection, Connection)  # the server makes no others
            if connection not in self._handler.busy and connection.reply is None:
                connection.force_close()
        for arrival in self._arrivals.present - self._handler.busy:
            if arrival.transport is not None:
                arrival.transport.close()

    @property
    def _transports(self) -> list[asyncio.Transport]:
        """All connections that are not in a tunnel."""
        found = [each.transport for each in self._web_server.connections]
        found += [each.transport for each in self._arrivals.present]
        return [each for each in found if each is not None]

    def abort(self) -> None:
        """Cut the connections and the WebSockets that are left."""
        for tunnel in list(self._handler.tunnels.open):
            tunnel.abort()
        for transport in self._transports:
            transport.abort()


def _complain(log: EventLog, message: str) -> None:
    log.error(message)


def unreadable(error: HttpProcessingError) -> str:
    """What is wrong with a request: aiohttp's words, without those that it quotes of the request itself."""
    match error:
        case InvalidURLError():
            return "Invalid request target"  # aiohttp says nothing but the target
        case TransferEncodingError():
            return "Invalid chunk"  # nothing but the chunk
        case BadStatusLine() if error.message.startswith("Bad "):
            return "Bad request line"  # its word is for responses, and the line stands behind it
    return error.message.partition(":")[0].strip()


def _logger(log: EventLog) -> logging.Logger:
    """aiohttp's logger for its server, whose complaints become error records without a traceback."""

    class ToLog(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            message = record.getMessage()
            status: int | None = getattr(record, "status", None)
            if isinstance(error, HttpProcessingError):
                message = f"a request that cannot be read: {unreadable(error)}"
                status = status or error.code
            elif error is not None:
                message = f"{message}: {type(error).__name__}: {error}"
            log.error(message, client=getattr(record, "client", None), status=status)

    # One of its own, not a global one: each gateway in a process has a log of its own.
    logger = logging.Logger("gateway", logging.ERROR)  # noqa: LOG001 - see above
    logger.addHandler(ToLog())
    return logger

"""The addresses of a gateway of several processes: bound once, and which worker gets which socket.

Strategy
    The parent binds, so that an address that is taken shows before anything runs, and keeps all sockets
    open, so that a worker that takes another's place finds them with whoever waits there.
    On Linux, each worker gets a TCP socket of its own (SO_REUSEPORT) and the system deals connections out
    among them.  Where all share one socket, the worker that wakes first takes what there is: of a burst of
    32 connections four workers got 0, 0, 1 and 31 (with sockets of their own 6, 7, 9 and 10), of 1,000 34,
    101, 111 and 754 (242, 250, 254 and 254).  To accept one by one does not help enough: 0, 8, 8 and 16.
    Other systems let several sockets have a port without dealing anything out, so there, and with unix
    sockets, all share one.

Rules
    * SO_REUSEPORT would also let a second gateway have the port.  Therefore an ordinary bind comes first.
    * A server with a connectionLimit has one socket for all: a worker that is full accepts no more, and
      who waits is let in by another.  Which way it is, is settled when the address is bound: where a reload
      brings the limit, who waits has to wait for room in one worker.
    * Whether a socket blocks is one setting for all processes that share it, and `socket.dup` sets it to
      what it takes it to be: every owner of a copy has to know that it does not.
    * The file of a unix socket belongs to the parent alone.
"""

import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gateway.config import Config, HTTPServer
from gateway.config.resources.listen import KeepAliveConfig
from gateway.loading import Site
from gateway.proxy.listen import BACKLOG, Binder, ListenError, key_of, probe, reason

_DEALS_OUT: Final = sys.platform == "linux" and hasattr(socket, "SO_REUSEPORT")
"""Whether the system spreads connections over the sockets of a port."""


def share_of(config: Config, worker: int, workers: int) -> Config:
    """`config` with what the `worker`th (from 1) of `workers` gets of each connectionLimit.

    All shares together are the limit; where there are more workers than that, each gets 1.
    """
    return replace(config, servers=tuple(_limited(each, worker, workers) for each in config.servers))


def _limited(server: HTTPServer, worker: int, workers: int) -> HTTPServer:
    limit = _limit(server)
    http = server.spec.http_config
    if limit is None or http.listen_config is None:
        return server
    each, rest = divmod(limit, workers)
    listen = replace(http.listen_config, connection_limit=max(1, each + (worker <= rest)))
    return replace(server, spec=replace(server.spec, http_config=replace(http, listen_config=listen)))


def _limit(server: HTTPServer) -> int | None:
    listen = server.spec.http_config.listen_config
    return listen.connection_limit if listen is not None and listen.connection_limit > 0 else None


class Bound:
    """The address of one server, bound."""

    def __init__(self, site: Site, sockets: list[socket.socket], own: Sequence[list[socket.socket]]) -> None:
        self.site: Final = site
        """What it has been bound for; the server may be another by now, at the same address."""
        self._sockets = sockets
        """What all share; none where each worker has sockets of its own."""
        self._own = own

    @classmethod
    async def bind(cls, site: Site, workers: int) -> "Bound":
        """Bind the address of `site` for so many workers.  Raises ListenError."""
        sockets = await Binder().bind(site)
        for each in sockets:
            each.setblocking(False)  # for all processes that share it, and all copies that are made
        inet = all(each.family in {socket.AF_INET, socket.AF_INET6} for each in sockets)
        if not (_DEALS_OUT and inet) or _limit(site.server) is not None:
            return cls(site, sockets, ())
        return cls(site, [], _own_sockets(site, sockets, workers))

    def of(self, worker: int) -> list[socket.socket]:
        """The sockets for the `worker`th, from 1."""
        return self._own[worker - 1] if self._own else self._sockets

    def close(self) -> None:
        """Give the address up, once no worker has it any more."""
        for sockets in (self._sockets, *self._own):
            Binder().close(sockets, self.site)


def _own_sockets(site: Site, bound: Sequence[socket.socket], workers: int) -> list[list[socket.socket]]:
    """In place of `bound`, which are closed, sockets with the same names for each worker."""
    listen = site.server.spec.http_config.listen_config
    own: list[list[socket.socket]] = [[] for _ in range(workers)]
    try:
        for each in bound:
            name, family = each.getsockname(), each.family
            dual = family == socket.AF_INET6 and not each.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            each.close()
            for sockets in own:
                sockets.append(
                    socket.create_server(
                        name, family=family, backlog=BACKLOG, reuse_port=True, dualstack_ipv6=dual
                    )
                )
                sockets[-1].setblocking(False)  # as above
                probe(sockets[-1], (listen and listen.keep_alive_config) or KeepAliveConfig())
    except OSError as error:
        for each in (*bound, *(sock for sockets in own for sock in sockets)):
            each.close()
        raise ListenError(reason(key_of(site)[0], error)) from error
    return own

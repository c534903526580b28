"""The life of the gateway: start, serve, reload, stop.

Strategy
    Every address is bound before the first connection is accepted, so that a port that is taken shows
    before anything runs.
    A reload loads the config aside.  If it is wrong, or an address cannot be had, nothing changes; if it is
    right, listeners whose address stays keep their sockets, requests go by the new routes from one to the
    next, and open WebSockets live on with what they were opened with.
    A stop closes the listeners, lets plain requests finish, sends Close 1001 through every tunnel and
    waits `shutdownTimeout` for the peers' answers; a second signal ends what is left at once.
"""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import cache
from typing import Any

from gateway.headers import Secrets
from gateway.limits import DEFAULT_LIMITS, OwnLimits
from gateway.loading import Loaded, Loading, Site
from gateway.proxy.listen import Binder, Key, ListenError, key_of, port_of
from gateway.proxy.listener import Listener
from gateway.proxy.log import FLUSH, EventLog
from gateway.proxy.reload import Reloader
from gateway.proxy.shared import Proxy
from gateway.proxy.sweep import Sweep
from gateway.proxy.tunnel import Tunnel


class Gateway:
    """All servers of a config, in one event loop."""

    def __init__(  # noqa: PLR0913 - what it serves, how, and what it may take
        self,
        loaded: Loaded,
        log: EventLog,
        secrets: Secrets,
        load: Callable[[], Loading] | None = None,
        binder: Binder | None = None,
        *,
        limits: OwnLimits = DEFAULT_LIMITS,
    ) -> None:
        """`load` is what a reload calls, in a thread; None: there is no reload.

        `binder` is where sockets come from; None: they are this gateway's own.
        """
        self._loaded = loaded
        self._log = log
        self._binder = binder or Binder()
        self._reloader = Reloader(loaded, log, load, self._change_to)
        self._proxy = Proxy(log, secrets, _tls, limits, self._clients)
        self._listeners: dict[Key, Listener] = {}
        self._retired: list[Listener] = []
        """Those that accept no more, but may have connections."""
        self._sweep = Sweep(limits, log, self._tunnels)
        self._signals: asyncio.Queue[str] = asyncio.Queue()

    def signal(self, name: str) -> None:
        """Stop; the second time, at once.  `name` goes into the log.  For the loop's own thread alone."""
        self._signals.put_nowait(name)

    def reload(self) -> None:
        """Load the config anew.  For the loop's own thread alone."""
        self._reloader.want()

    async def run(self, changes: AsyncIterator[None] | None = None) -> None:
        """Serve until `signal` is called, and reload at each of `changes`; without servers, not at all.

        Raises ListenError where an address cannot be had.
        """
        asyncio.get_running_loop().set_exception_handler(self._complain)
        try:
            self._listeners = await self._open(self._loaded.sites)
            for listener in self._listeners.values():
                await listener.start()
            if self._loaded.config.servers:
                await self._serve(changes)
        finally:
            for listener in self._all():
                listener.close()
                listener.abort()
            await self._proxy.exchanges.close()
            await self._log.close(FLUSH)

    async def _serve(self, changes: AsyncIterator[None] | None) -> None:
        tasks = [
            asyncio.create_task(self._reloader.run(changes), name="reloads"),
            asyncio.create_task(self._sweep.run(), name="sweep"),
        ]
        try:
            name = await self._signals.get()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._stop(name)

    async def _change_to(self, loaded: Loaded) -> None:
        """Serve what has been loaded in place of what was.  Raises ListenError, and changes nothing then."""
        # Those that retired at the last change may have had clients who were still coming in.
        self._retired = [listener for listener in self._retired if listener.clients]
        sites = {key_of(site): site for site in loaded.sites}
        opened = await self._open_beside(
            [site for key, site in sites.items() if key not in self._listeners],
            [listener for key, listener in self._listeners.items() if key not in sites],
        )
        before = self._listeners
        # Each of them is in one of the two, whenever a stop comes between.
        self._listeners = before | opened
        for listener in opened.values():
            await listener.start()
        for key, listener in before.items():
            if key not in sites:
                self._retired.append(self._listeners.pop(key))
                listener.close()
            elif (successor := listener.successor(sites[key])) is not None:
                self._retired.append(listener)
                self._listeners[key] = successor
                await successor.start()
        # What is left over serves its last connections, by the new routes where there are any for it.
        for listener in self._retired:
            site = sites.get(key_of(listener.site))
            if site is None:
                listener.let_go()
            else:
                listener.follow(site)

    async def _open_beside(self, sites: Sequence[Site], going: Sequence[Listener]) -> dict[Key, Listener]:
        """`_open`, where the listeners that are `going` may have a port that is wanted (:80, localhost:80).

        Such a port cannot be had twice: for a moment, nobody listens there.
        """
        try:
            return await self._open(sites)
        except ListenError:
            wanted = {port_of(site) for site in sites} - {None}
            in_the_way = [listener for listener in going if port_of(listener.site) in wanted]
            if not in_the_way:
                raise
            for listener in in_the_way:
                listener.close()
            try:
                return await self._open(sites)
            except ListenError:
                for listener in in_the_way:
                    await listener.reopen()
                raise

    async def _open(self, sites: Sequence[Site]) -> dict[Key, Listener]:
        """Bind the addresses of `sites`, all of them.  Raises ListenError, and keeps none then."""
        opened: dict[Key, Listener] = {}
        try:
            for site in sites:
                opened[key_of(site)] = await Listener.open(site, self._proxy, self._binder)
        except BaseException:  # a stop may come between, too
            for listener in opened.values():
                listener.close()
            raise
        return opened

    async def _stop(self, name: str) -> None:
        """Let everything end that can, within each `shutdownTimeout`; a second signal cuts this short."""
        since = asyncio.get_running_loop().time()
        tunnels = sum(len(listener.tunnels) for listener in self._all())
        self._log.stopping(name, tunnels)
        self._proxy.stopping = True
        listeners = self._all()
        for listener in listeners:
            listener.stop()
        ending = asyncio.gather(*(listener.end(since) for listener in listeners))
        again = asyncio.ensure_future(self._signals.get())
        await asyncio.wait((ending, again), return_when=asyncio.FIRST_COMPLETED)
        for task in (ending, again):
            task.cancel()
        await asyncio.gather(ending, again, return_exceptions=True)

    def _clients(self) -> int:
        return sum(listener.clients for listener in self._all())

    def _all(self) -> list[Listener]:
        """Those that accept connections, and those that still have some."""
        return [*self._listeners.values(), *self._retired]

    def _tunnels(self) -> Iterable[Tunnel]:
        return itertools.chain.from_iterable(listener.tunnels for listener in self._all())

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Record what no connection could deal with; a fault in one of them is the end of that one alone."""
        error = context.get("exception")
        message = str(context.get("message", "a fault of the gateway"))
        if error is not None:
            message = f"{message}: {type(error).__name__}: {error}"
        self._log.error(message)


@cache
def _tls() -> ssl.SSLContext:
    """For https upstreams: the system's certificate authorities, or those in SSL_CERT_FILE."""
    return ssl.create_default_context()

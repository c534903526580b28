"""The parent: the life of a gateway of several workers.

Strategy
    The parent loads configs, binds addresses, hears signals and writes the event stream.  What crosses the
    gateway it never touches: each worker is a gateway of its own, in a process of its own.

Rules
    * What the gateway says as a whole is said once: an address when all workers accept there, a reload when
      all have made it, a stop with the WebSockets of all.
    * A reload binds what is new before it changes anything, and gives up what is gone once no worker has it
      any more.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Container, Iterable, Sequence
from typing import Any

from gateway.loading import Loaded, Loading, Site
from gateway.proxy.listen import Key, ListenError, key_of, port_of
from gateway.proxy.reload import Reloader
from gateway.workers.addresses import Bound
from gateway.workers.crew import GRACE, Crew
from gateway.workers.merge import Merge


class Parent:
    """All servers of a config, in several processes."""

    def __init__(self, loaded: Loaded, load: Callable[[], Loading], crew: Crew, merge: Merge) -> None:
        """`load` is what a reload calls, in a thread."""
        self._loaded = loaded
        self._loads = itertools.count(1)
        self._load = next(self._loads)
        """Which load `_loaded` is."""
        self._crew = crew
        self._merge = merge
        self._log = merge.log
        self._reloader = Reloader(loaded, merge.log, load, self._change_to)
        self._bound: dict[Key, Bound] = {}
        self._signals: asyncio.Queue[str] = asyncio.Queue()

    def signal(self, name: str) -> None:
        """Stop; the second time, at once.  `name` goes into the log.  For the loop's own thread alone."""
        self._signals.put_nowait(name)

    def reload(self) -> None:
        """Load the config anew.  For the loop's own thread alone."""
        self._reloader.want()

    async def run(self, changes: AsyncIterator[None] | None = None) -> None:
        """Serve until `signal` is called, and reload at each of `changes`; without servers, not at all.

        Raises ListenError where an address cannot be had, GiveUpError where workers do not get going.
        """
        asyncio.get_running_loop().set_exception_handler(self._complain)
        try:
            self._bound = await self._bind(self._loaded.sites)
            if self._loaded.config.servers:
                await self._live(changes)
        finally:
            await self._crew.close()
            self._close_all(self._bound.values())
            await self._merge.close()

    async def _live(self, changes: AsyncIterator[None] | None) -> None:
        keeping = asyncio.create_task(self._crew.keep(), name="workers")
        serving = asyncio.create_task(self._serve(changes), name="serve")
        asked = asyncio.create_task(self._signals.get(), name="signal")
        try:
            await asyncio.wait((keeping, serving, asked), return_when=asyncio.FIRST_COMPLETED)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await self._stop(asked.result() if asked.done() else None)
        finally:
            for task in (keeping, serving, asked):
                task.cancel()
            await asyncio.gather(keeping, serving, asked, return_exceptions=True)
        for task in (keeping, serving):
            if not task.cancelled():
                task.result()

    async def _serve(self, changes: AsyncIterator[None] | None) -> None:
        """Begin, and reload when it is wanted."""
        await self._tell()
        await self._reloader.run(changes)

    async def _tell(self) -> None:
        """Let the workers serve what has been loaded, where it is bound.  Raises ServeError."""
        keys = {site.server.label: key_of(site) for site in self._loaded.sites}
        bound = {label: self._bound[key] for label, key in keys.items() if key in self._bound}
        for addr, url in await self._crew.serve(self._load, self._loaded.config, bound):
            self._log.listening(addr, url)

    async def _change_to(self, loaded: Loaded) -> None:
        """Serve what has been loaded in place of what was.

        Raises ListenError, and changes nothing then; raises ServeError where a worker does not follow.
        """
        sites = {key_of(site): site for site in loaded.sites}
        opened = await self._bind_beside(
            [site for key, site in sites.items() if key not in self._bound], sites
        )
        self._loaded, self._load = loaded, next(self._loads)
        before = self._bound
        self._bound = {key: before.get(key) or opened[key] for key in sites}
        try:
            await self._tell()
        finally:
            self._close_all(each for key, each in before.items() if key not in sites)

    async def _bind_beside(self, sites: Sequence[Site], staying: Container[Key]) -> dict[Key, Bound]:
        """`_bind`, where addresses that are not `staying` may have a port that is wanted (:80, localhost:80).

        Such a port cannot be had twice: for a moment, nobody listens there.
        """
        try:
            return await self._bind(sites)
        except ListenError:
            wanted = {port_of(site) for site in sites} - {None}
            going = {key: each for key, each in self._bound.items() if key not in staying}
            in_the_way = {key: each for key, each in going.items() if port_of(each.site) in wanted}
            if not in_the_way:
                raise
            self._bound = {key: each for key, each in self._bound.items() if key not in in_the_way}
            try:
                await self._tell()
            finally:
                self._close_all(in_the_way.values())
            try:
                return await self._bind(sites)
            except ListenError:
                self._bound |= await self._bind(
                    [site for site in self._loaded.sites if key_of(site) in in_the_way]
                )
                await self._tell()
                raise

    async def _bind(self, sites: Sequence[Site]) -> dict[Key, Bound]:
        """Bind the addresses of `sites`, all of them.  Raises ListenError, and keeps none then."""
        bound: dict[Key, Bound] = {}
        try:
            for site in sites:
                bound[key_of(site)] = await Bound.bind(site, self._crew.size)
        except BaseException:  # a stop may come between, too
            self._close_all(bound.values())
            raise
        return bound

    def _close_all(self, bound: Iterable[Bound]) -> None:
        for each in bound:
            each.close()

    async def _stop(self, name: str | None) -> None:
        """Let all workers end, each within its `shutdownTimeout`; a second signal cuts this short.

        `name` is the signal's; None: the gateway has given up.
        """
        self._close_all(self._bound.values())
        tunnels = await self._crew.stop(name or "SIGTERM")
        if name is not None:
            self._log.stopping(name, tunnels)
        # A negative timeout means no grace.
        limit = GRACE + max(0, *(each.spec.shutdown_timeout for each in self._loaded.config.servers))
        ended = asyncio.create_task(self._crew.ended(), name="end")
        again = asyncio.create_task(self._signals.get(), name="signal")
        try:
            while not ended.done():
                await asyncio.wait((ended, again), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
                if again.done():
                    self._crew.signal(again.result())
                    again = asyncio.create_task(self._signals.get(), name="signal")
                    limit = GRACE
                elif not ended.done():
                    self._crew.kill(f"has not stopped within {limit:g} s")
                    return
        finally:
            for task in (ended, again):
                task.cancel()
            await asyncio.gather(ended, again, return_exceptions=True)

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Record a fault of the parent, which goes on."""
        error = context.get("exception")
        message = str(context.get("message", "a fault of the gateway"))
        self._log.error(message if error is None else f"{message}: {type(error).__name__}: {error}")

"""The parent: the life of a gateway of several workers.

Strategy
    The parent loads configs, binds addresses, hears signals and writes the event stream.  What crosses the
    gateway it never touches: each worker is a gateway of its own, in a process of its own.

Rules
    * What the gateway says as a whole is said once: an address when all workers accept there, a reload when
      all have made it, a stop with the WebSockets of all.
    * A reload binds what is new before it changes anything.  What it keeps and what it gives up is decided
      once all workers have answered: where one follows, all do; where none does, all go on as before.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Container, Iterable, Sequence
from typing import Any

from gateway.loading import Loaded, Loading, Site
from gateway.proxy.listen import Key, ListenError, ServeError, key_of, port_of
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
        self._patience = _patience_of(loaded)
        """The longest `shutdownTimeout` so far, which connections may still have."""
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
        await self._go_on(self._loaded.sites)
        await self._reloader.run(changes)

    async def _go_on(self, sites: Iterable[Site]) -> None:
        """Let the workers serve those `sites` of what holds that are bound."""
        bound = self._bound_for(sites)
        self._tell(await self._crew.serve(self._load, self._loaded.config, bound))

    async def _change_to(self, loaded: Loaded) -> None:
        """Serve what has been loaded in place of what was.

        Raises ServeError where an address cannot be had or no worker follows; what was, goes on then.
        """
        load = next(self._loads)
        new = [site for site in loaded.sites if key_of(site) not in self._bound]
        try:
            opened = await self._bind_beside(new, [key_of(site) for site in loaded.sites])
            self._bound.update(opened)
            self._patience = max(self._patience, _patience_of(loaded))
            bound = self._bound_for(loaded.sites)
            self._tell(await self._crew.offer(load, loaded.config, bound))
        except ServeError:
            await self._go_back()
            raise
        self._loaded, self._load = loaded, load
        self._give_up_all_but(loaded.sites)

    async def _go_back(self) -> None:
        """Serve what holds, after a change that came to nothing.

        Raises ListenError where an address that had to be left is taken by now.
        """
        await self._go_on(self._loaded.sites)
        self._give_up_all_but(self._loaded.sites)
        left = [site for site in self._loaded.sites if key_of(site) not in self._bound]
        if left:
            self._bound.update(await self._bind(left))
            await self._go_on(self._loaded.sites)

    async def _bind_beside(self, sites: Sequence[Site], staying: Container[Key]) -> dict[Key, Bound]:
        """`_bind`, where addresses that are not `staying` may have a port that is wanted (:80, localhost:80).

        Such a port cannot be had twice: for a moment, nobody listens there.
        """
        try:
            return await self._bind(sites)
        except ListenError:
            wanted = {port_of(site) for site in sites} - {None}
            holding = self._loaded.sites
            rest = [site for site in holding if key_of(site) in staying or port_of(site) not in wanted]
            if len(rest) == len(holding):
                raise
            await self._go_on(rest)
            self._give_up_all_but(rest)
            return await self._bind(sites)

    def _bound_for(self, sites: Iterable[Site]) -> dict[str, Bound]:
        """What is bound for `sites`, by the labels of their servers."""
        keys = {site.server.label: key_of(site) for site in sites}
        return {label: self._bound[key] for label, key in keys.items() if key in self._bound}

    def _give_up_all_but(self, sites: Iterable[Site]) -> None:
        """Give up the addresses that are for none of `sites`, and that no worker has any more."""
        for key in self._bound.keys() - {key_of(site) for site in sites}:
            self._bound.pop(key).close()

    def _tell(self, started: Iterable[tuple[str, str]]) -> None:
        """Tell where all workers accept connections from now on, by address and url."""
        for addr, url in started:
            self._log.listening(addr, url)

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
        limit = GRACE + self._patience
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


def _patience_of(loaded: Loaded) -> float:
    """The longest `shutdownTimeout` of a config; a negative one means no grace."""
    return max((0.0, *(each.spec.shutdown_timeout for each in loaded.config.servers)))

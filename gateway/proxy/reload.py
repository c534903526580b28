"""A config, loaded anew when it is wanted, and what is told of that."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from gateway.loading import Loaded, Loading, changes
from gateway.proxy.listen import ServeError
from gateway.proxy.log import EventLog


class Reloader:
    """Loads one config in place of another, one reload after the other.

    A config that is wrong, or cannot be served, changes nothing.
    """

    def __init__(
        self,
        loaded: Loaded,
        log: EventLog,
        load: Callable[[], Loading] | None,
        change_to: Callable[[Loaded], Awaitable[None]],
    ) -> None:
        """`load` is called in a thread; None: there is no reload.

        `change_to` serves what has been loaded in place of what was.  It raises ServeError where it cannot.
        """
        self._loaded = loaded
        self._log = log
        self._load = load
        self._change_to = change_to
        self._wanted = asyncio.Event()
        """Whether a reload is to be made."""

    def want(self) -> None:
        """Load the config anew.  For the loop's own thread alone."""
        self._wanted.set()

    async def run(self, at: AsyncIterator[None] | None) -> None:
        """Reload when it is wanted, and at each item of `at`, until cancelled."""
        tasks = [asyncio.create_task(self._reload_when_wanted(), name="reload")]
        if at is not None:
            tasks.append(asyncio.create_task(self._want_at(at), name="watch"))
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _want_at(self, at: AsyncIterator[None]) -> None:
        async for _ in at:
            self._wanted.set()

    async def _reload_when_wanted(self) -> None:
        while self._load is not None:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._take(await asyncio.to_thread(self._load))
            except Exception as error:  # noqa: BLE001 - a bug in one reload ends that reload alone
                self._log.reloaded(
                    ok=False, problems=(f"a fault of the gateway: {type(error).__name__}: {error}",)
                )

    async def _take(self, loading: Loading) -> None:
        """Serve what has been loaded, if it can be served, and tell."""
        problems = tuple(map(str, loading.problems))
        if loading.loaded is None:
            self._log.reloaded(ok=False, problems=problems)
        elif not loading.loaded.config.servers:
            self._log.reloaded(ok=False, problems=("the config starts no server", *problems))
        else:
            before = self._loaded.config
            try:
                await self._change_to(loading.loaded)
            except ServeError as error:
                self._log.reloaded(ok=False, problems=(str(error), *problems))
            else:
                self._loaded = loading.loaded
                words = changes(before, loading.loaded.config)
                self._log.reloaded(ok=True, changes=words, problems=problems)

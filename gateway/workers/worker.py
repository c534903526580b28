"""The worker's own side: a gateway whose sockets and config come from its parent.

Rules
    * It starts, changes and stops when its parent says so, and ends soon after its parent (`lifeline`).
      Signals are for the parent, which has more to do at one than to pass it on.
    * What concerns the gateway as a whole (`listening`, `reload`, `stopping`) it says to its parent alone.
"""

import asyncio
import pickle
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from gateway import lifeline
from gateway.config import Config, Problem
from gateway.headers import Secrets
from gateway.limits import DEFAULT_LIMITS, OwnLimits
from gateway.loading import Loaded, Loading, Site, sites_of
from gateway.proxy.listen import Binder, Key, key_of
from gateway.proxy.log import FLUSH, EventLog, Frames
from gateway.proxy.server import Gateway
from gateway.workers.channel import Ending, Message, Serve, Serving, Stop, receive, send


class Given(Binder):
    """The sockets that the parent has sent."""

    def __init__(self) -> None:
        self._waiting: dict[Key, list[socket.socket]] = {}
        self._used: set[Key] = set()

    def give(self, sockets: dict[Key, list[socket.socket]]) -> None:
        """Have these from now on; those for an address that is in use are closed, like all copies."""
        for each in self._waiting.values():
            _close(each)
        self._waiting = {}
        for key, each in sockets.items():
            if key in self._used:
                _close(each)
            else:
                self._waiting[key] = each

    async def bind(self, site: Site) -> list[socket.socket]:
        """Those for the address of `site`, which the parent has bound."""
        sockets = self._waiting.pop(key_of(site))
        self._used.add(key_of(site))
        return sockets

    def close(self, sockets: list[socket.socket], site: Site) -> None:
        """Close them; the address is the parent's to give up."""
        self._used.discard(key_of(site))
        _close(sockets)


class WorkerLog(EventLog):
    """A log of JSON lines, without what is said to the parent alone."""

    def __init__(
        self, channel: socket.socket, output: int | None, frames: Frames, *, preview: int, frame_rate: int
    ) -> None:
        super().__init__(output, frames, preview=preview, frame_rate=frame_rate, form="json")
        self._channel = channel
        self._started: list[tuple[str, str]] = []
        self.generation = 0
        """What is being served, or about to be."""

    def listening(self, addr: str, url: str) -> None:
        """Remember it, for `serving`."""
        self._started.append((addr, url))

    def reloaded(self, *, ok: bool, changes: tuple[str, ...] = (), problems: tuple[str, ...] = ()) -> None:
        """Say whether a further config is served; what has changed, the parent knows."""
        del changes
        self.serving(() if ok else problems)

    def serving(self, problems: tuple[str, ...] = ()) -> None:
        """Say that a generation is served, or why not."""
        started, self._started = tuple(self._started), []
        self._say(Serving(generation=self.generation, listening=started, problems=problems))

    def stopping(self, signal: str, tunnels: int) -> None:
        """Say how many WebSockets there were."""
        del signal
        self._say(Ending(open=tunnels))

    def _say(self, message: Message) -> None:
        with suppress(OSError):  # the parent has gone, which the lifeline tells
            send(self._channel, message)


class Worker:
    """One worker.  Belongs to the loop's thread, but for `_load` and `_listen`."""

    def __init__(
        self,
        channel: socket.socket,
        log: WorkerLog,
        secrets: Secrets,
        limits: OwnLimits = DEFAULT_LIMITS,
    ) -> None:
        self._channel = channel
        self._log = log
        self._secrets = secrets
        self._limits = limits
        self._given = Given()
        self._gateway: Gateway | None = None
        self._status = 0
        self._signals: list[str] = []
        """Those that came before there was a gateway."""
        self._wanted: deque[tuple[Serve, list[socket.socket]]] = deque()
        """What the parent wants to be served, until it is loaded."""
        self._serve: Serve | None = None
        """What has been loaded last."""
        self._sites: tuple[int, dict[str, Site]] = (0, {})
        """What has last been made of a config without an error: its `load`, and sites by their labels."""
        self._news = asyncio.Event()
        """Whether the parent has said something."""

    async def run(self) -> int:
        """Serve until the parent says stop: the exit status.  Raises LifelineError."""
        loop = asyncio.get_running_loop()
        lifeline.watch(lambda: _call(loop, partial(self._stop, "lifeline")))
        threading.Thread(target=self._listen, args=[loop], name="parent", daemon=True).start()
        try:
            while not self._wanted and not self._signals:
                await self._heard()
            if self._signals:
                return self._status
            loading = await asyncio.to_thread(self._load)
            if loading.loaded is None:
                for each in loading.problems:
                    self._log.error(str(each))
                return 1
            self._gateway = Gateway(
                loading.loaded, self._log, self._secrets, self._load, self._given, limits=self._limits
            )
            for name in self._signals:
                self._gateway.signal(name)
            await self._gateway.run(self._changes())
            return self._status
        finally:
            await self._log.close(FLUSH)

    async def _changes(self) -> AsyncIterator[None]:
        """Yield whenever the parent wants something else to be served."""
        # The gateway asks for changes as soon as it serves what it has begun with.
        self._log.serving()
        while True:
            if self._wanted:
                yield
            await self._heard()

    async def _heard(self) -> None:
        await self._news.wait()
        self._news.clear()

    def _load(self) -> Loading:
        """What the parent wants to be served.  In a thread, while the gateway waits for it."""
        sockets: list[socket.socket] = []
        try:
            while self._wanted:
                _close(sockets)
                self._serve, sockets = self._wanted.popleft()
                self._log.generation = self._serve.generation  # whatever comes of it
            assert self._serve is not None
            config: Config = pickle.loads(self._serve.config)  # noqa: S301 - by the parent, who started this process
            sites, errors = self._make(config, self._serve)
            if errors:
                return Loading(loaded=None, problems=errors, files=(), sources={})
            given: dict[Key, list[socket.socket]] = {}
            for label, count in self._serve.sockets.items():
                if count and sockets:  # none where the same is loaded once more
                    given[key_of(sites[label])] = sockets[:count]
                    del sockets[:count]
            self._given.give(given)
            mine = tuple(sites[each] for each in self._serve.sockets)
            return Loading(loaded=Loaded(config=config, sites=mine), problems=(), files=(), sources={})
        finally:
            _close(sockets)  # those that nobody has taken

    def _make(self, config: Config, serve: Serve) -> tuple[dict[str, Site], tuple[Problem, ...]]:
        """The sites of `config` that are to be served, by their labels, and what is wrong with them.

        What this config has come to before stays as it is: the files that it names may be others by now.
        """
        load, made = self._sites
        sites = dict(made) if load == serve.load else {}
        missing = [each for each in config.servers if each.label in serve.sockets.keys() - sites.keys()]
        if missing:
            found, problems = sites_of(replace(config, servers=tuple(missing)))
            if errors := tuple(each for each in problems if each.severity == "error"):
                return {}, errors
            sites |= {site.server.label: site for site in found}
        self._sites = serve.load, sites
        return sites, ()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear what the parent says.  A thread of its own."""
        try:
            while (received := receive(self._channel)) is not None:
                _call(loop, partial(self._take, *received))
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more can be heard
            _call(loop, partial(self._give_up, str(error)))

    def _give_up(self, why: str) -> None:
        """End at once, since nobody could say so later; a successor may have more luck."""
        self._log.error(f"the parent is not heard any more: {why}")
        self._status = 1
        for _ in range(2):
            self._stop("SIGTERM")

    def _take(self, message: Message, sockets: list[socket.socket]) -> None:
        if isinstance(message, Serve):
            self._wanted.append((message, sockets))
            self._news.set()
        elif isinstance(message, Stop):
            self._stop(message.signal)

    def _stop(self, name: str) -> None:
        if self._gateway is None:
            self._signals.append(name)
            self._news.set()
        else:
            self._gateway.signal(name)


def _call(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended already
        loop.call_soon_threadsafe(act)


def _close(sockets: list[socket.socket]) -> None:
    while sockets:
        sockets.pop().close()

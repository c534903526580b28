"""All workers of a gateway: each kept running, all told the same.

Rules
    * A worker that ends unasked gets a successor on the same sockets, with the config that holds then.
    * So does one that does not follow where others do: it is killed, since nobody knows what it serves.
    * Where one worker after the other ends early, `_TRIES` times running, the crew gives up.
    * No worker stays behind: one that does not end in time is killed, and one whose parent has gone ends by
      its lifeline.
"""

import asyncio
import os
import pickle
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import Final

from gateway.config import Config
from gateway.proxy.listen import ServeError
from gateway.workers.addresses import Bound, share_of
from gateway.workers.channel import Serve, Serving
from gateway.workers.merge import Merge
from gateway.workers.process import Command, WorkerProcess

_TRIES: Final = 3
"""How often running a worker may end early."""

_EARLY: Final = 2.0
"""Seconds of serving up to which an end is early."""

_BREATH: Final = 1.0
"""Seconds to wait where the system has no room for another process."""

_ANSWER: Final = 30.0
"""Seconds that workers have to serve a config, and one more for each of them."""

_COUNT: Final = 1.0
"""Seconds that all workers have to say how many WebSockets are open."""

GRACE: Final = 5.0
"""Seconds behind its time after which a worker is killed."""


class GiveUpError(ServeError):
    """Workers do not get going."""


class Crew:
    """So many workers.  Belongs to the loop's thread."""

    def __init__(self, workers: int, command: Command, merge: Merge) -> None:
        """`command` starts a worker, `merge` takes its lines."""
        self.size: Final = workers
        self._command = command
        self._merge = merge
        self._log = merge.log
        self._workers: dict[int, WorkerProcess] = {}
        """The last one in each place, by their numbers, from 1."""
        self._generation = 0
        self._load = 0
        self._config: Config | None = None
        self._bound: dict[str, Bound] = {}
        self._stopping = asyncio.Event()
        self._ending: list[WorkerProcess] = []
        """Those that a stop has found running."""
        self._lifeline: list[int] = list(os.pipe())
        """The end that the workers read, and the one that closes with this process at the latest."""
        self._news = asyncio.Event()
        """Whether a worker has said something, or ended."""

    async def keep(self) -> None:
        """Start the workers, and others in the place of those that end, until a stop has ended them all.

        Raises GiveUpError.
        """
        keeping = [
            asyncio.create_task(self._keep_one(number), name=f"worker {number}")
            for number in range(1, self.size + 1)
        ]
        try:
            await asyncio.gather(*keeping)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)

    async def offer(
        self, load: int, config: Config, bound: Mapping[str, Bound]
    ) -> tuple[tuple[str, str], ...]:
        """`serve`, as long as a worker follows.

        Raises ServeError where of those that run none does, or where nobody could be told; `serve` has to say
        then what holds.
        """
        self._look_for_room(bound)
        asked = self._ask(load, config, bound)
        await self._until(
            lambda: all(self._answer(each) or each.status is not None for each in asked), self._patience
        )
        if asked and not any(map(self._follows, asked)):
            reasons = "; ".join(map(self._refusal, asked))
            raise ServeError(f"no worker follows, so all go on as before: {reasons}")
        self._replace(asked)
        return await self._settle()

    async def serve(
        self, load: int, config: Config, bound: Mapping[str, Bound]
    ) -> tuple[tuple[str, str], ...]:
        """Let all serve `config` on the addresses that are `bound`: addresses and urls of what is new.

        `load` counts what has been loaded, so that nobody reads its files again; `bound` is by the labels of
        the servers.
        """
        self._ask(load, config, bound)
        return await self._settle()

    async def stop(self, name: str) -> int:
        """Let all stop: how many WebSockets they had open.  `name` is the signal's."""
        self._stopping.set()
        self.signal(name)
        self._ending = self._running()
        # Nobody knows the count of a worker that hangs.
        await self._until(
            lambda: all(each.open is not None or each.status is not None for each in self._ending), _COUNT
        )
        return sum(each.open or 0 for each in self._ending)

    def signal(self, name: str) -> None:
        """Pass a signal on to all; the second one ends them at once."""
        if name == "lifeline":
            self._cut_lifeline()
        else:
            for worker in self._running():
                worker.stop(name)

    async def ended(self) -> None:
        """Wait for the end of all, and tell of those that did not end by themselves."""
        while self._running():
            await self._heard()
        for worker in self._ending:
            if worker.status and not worker.killed:
                self._log.error(f"{worker.how} while it stopped")

    def kill(self, why: str) -> None:
        """End all that are left the hard way."""
        for worker in self._running():
            if not worker.killed:
                worker.kill()
                self._log.error(f"{worker.name} {why}, and was killed")

    async def close(self) -> None:
        """Leave none behind."""
        self._stopping.set()
        self._cut_lifeline()
        self.kill("was still there at the end")
        await self._until(lambda: not self._running(), GRACE)

    def _running(self) -> list[WorkerProcess]:
        return [each for each in self._workers.values() if each.status is None]

    @property
    def _patience(self) -> float:
        """Seconds that workers have to serve a config."""
        return _ANSWER + self.size

    def _ask(self, load: int, config: Config, bound: Mapping[str, Bound]) -> list[WorkerProcess]:
        """Tell all what to serve from now on: those that have been told."""
        self._generation += 1
        self._load, self._config, self._bound = load, config, dict(bound)
        for number, worker in self._workers.items():
            self._send(number, worker)
        return self._running()

    def _look_for_room(self, bound: Mapping[str, Bound]) -> None:
        """See that there are descriptors for what is going to be handed over.  Raises ServeError."""
        with ExitStack() as copies:
            try:
                for number, worker in self._workers.items():
                    for each in set(bound.values()) - worker.has:
                        for sock in each.of(number):
                            copies.enter_context(sock.dup())
            except OSError as error:
                raise ServeError(f"cannot hand sockets to the workers: {error.strerror}") from error

    async def _settle(self) -> tuple[tuple[str, str], ...]:
        """Wait until all serve what is to be served, and replace those that do not: addresses and urls."""
        while len(following := [each for each in self._present() if self._follows(each)]) < self.size:
            await self._until(
                lambda: sum(self._answer(each) is not None for each in self._present()) == self.size,
                self._patience,
            )
            self._replace(self._present())
        for each in following:
            each.has = frozenset(self._bound.values())
        # A successor has started them all; what is new, the others have started as well.
        first, *others = (each.serving.listening for each in following if each.serving is not None)
        return tuple(address for address in first if all(address in each for each in others))

    def _replace(self, workers: Iterable[WorkerProcess]) -> None:
        """End those that run and do not follow, so that others take their places."""
        for each in workers:
            if each.status is None and not self._follows(each):
                self._log.error(f"{self._refusal(each)}; it is killed")
                each.kill()

    def _present(self) -> list[WorkerProcess]:
        """Those that run, and go on running."""
        return [each for each in self._running() if not each.killed]

    def _answer(self, worker: WorkerProcess) -> Serving | None:
        """What a worker says to what is to be served; None: nothing yet."""
        answer = worker.serving
        return answer if answer is not None and answer.generation == self._generation else None

    def _follows(self, worker: WorkerProcess) -> bool:
        """Whether a worker serves what is to be served."""
        answer = self._answer(worker)
        return worker.status is None and answer is not None and not answer.problems

    def _refusal(self, worker: WorkerProcess) -> str:
        """Why a worker does not follow."""
        if worker.status is not None:
            return worker.how
        answer = self._answer(worker)
        if answer is None:
            return f"{worker.name} has not answered within {self._patience:g} s"
        return f"{worker.name} does not follow: {', '.join(answer.problems)}"

    def _send(self, number: int, worker: WorkerProcess) -> None:
        """Tell a worker what to serve."""
        assert self._config is not None
        sockets = {
            label: [] if each in worker.has else each.of(number) for label, each in self._bound.items()
        }
        message = Serve(
            generation=self._generation,
            load=self._load,
            config=pickle.dumps(share_of(self._config, number, self.size)),
            sockets={label: len(those) for label, those in sockets.items()},
        )
        worker.post(message, [sock for those in sockets.values() for sock in those])

    async def _until(self, holds: Callable[[], bool], limit: float) -> None:
        """Wait until something holds, but no longer than `limit` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while not holds():
                    await self._heard()

    async def _heard(self) -> None:
        """Wait for a worker to say something, or to end."""
        self._news.clear()
        await self._news.wait()

    def _cut_lifeline(self) -> None:
        while self._lifeline:
            os.close(self._lifeline.pop())

    async def _keep_one(self, number: int) -> None:
        """One worker after the other in the same place."""
        early = 0
        while not self._stopping.is_set():
            how, well = await self._one_life(number)
            if self._stopping.is_set():
                return
            early = 0 if well else early + 1
            if early == _TRIES:
                error = GiveUpError(f"{how}, the third time running that it does not get going")
                self._log.error(str(error))
                raise error
            self._log.error(f"{how}; another one takes its place")

    async def _one_life(self, number: int) -> tuple[str, bool]:
        """Start a worker and wait for its end: how it ended, and whether it had got going."""
        try:
            worker = WorkerProcess(number, self._command, self._lifeline[0], self._merge, self._news.set)
        except OSError as error:
            await asyncio.sleep(_BREATH)
            return f"worker {number} could not be started ({error.strerror or error})", False
        self._workers[number] = worker
        self._send(number, worker)
        while worker.status is None:
            await self._heard()
        now, since = asyncio.get_running_loop().time(), worker.since
        return worker.how, since is not None and now - since > _EARLY

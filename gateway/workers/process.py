"""One worker, as its parent sees it: a process, a channel to it, and its end."""

import asyncio
import os
import queue
import signal
import site
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway import lifeline
from gateway.workers.addresses import Bound
from gateway.workers.channel import Ending, Message, Serving, Stop, receive, send
from gateway.workers.merge import Merge

_FOR_THE_PARENT: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a worker ignores.  It is born with them blocked."""

Command = Callable[[int], Sequence[str]]
"""The command line of a worker whose end of the channel is this descriptor."""


class WorkerProcess:
    """A worker that has been started.  Belongs to the loop's thread.

    The threads that speak, listen and wait do nothing but that, so that a worker that hangs holds up nobody.
    """

    def __init__(
        self, number: int, command: Command, lifeline_end: int, merge: Merge, on_news: Callable[[], None]
    ) -> None:
        """Start one; `on_news` is called in the loop whenever it has said something, and at its end.

        `lifeline_end` is the end that the worker reads.  Raises OSError where the system has no room for it.
        """
        self._loop: Final = asyncio.get_running_loop()
        self._on_news = on_news
        self._channel, theirs = socket.socketpair()
        # What is sent to all processes at once must not end a worker that does not ignore it yet.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_PARENT)
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - a command line of our own
                    command(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    bufsize=0,
                    env=_environment() | {lifeline.ENVIRONMENT: str(lifeline_end)},
                    pass_fds=(theirs.fileno(), lifeline_end),
                    process_group=0,  # Ctrl-C in a terminal is for the parent alone
                )
            except OSError:
                self._channel.close()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.name: Final = f"worker {number} (pid {self._process.pid})"
        self.serving: Serving | None = None
        """What it has last said that it serves."""
        self.since: float | None = None
        """When it first said so, by the loop's clock."""
        self.open: int | None = None
        """How many WebSockets it had when it began to stop; None: it has not begun."""
        self.status: int | None = None
        """Its exit status; negative: the number of the signal that killed it; None: it runs."""
        self.has: frozenset[Bound] = frozenset()
        """The addresses of which it has the sockets, as far as is known."""
        self.trouble = ""
        """Why it was killed, where it could not be spoken with, in brackets."""
        self.killed = False
        """Whether its end is its parent's doing."""
        self._outbox: queue.SimpleQueue[tuple[Message, list[socket.socket]] | None] = queue.SimpleQueue()
        try:
            self._start_threads(merge)
        except RuntimeError as error:
            self._process.kill()
            self._process.wait()
            self._outbox.put(None)
            self._channel.close()
            raise OSError(str(error)) from error

    def post(self, message: Message, sockets: Sequence[socket.socket] = ()) -> None:
        """Send a message, with sockets that may be closed here from now on."""
        if self.status is not None:
            return
        copies: list[socket.socket] = []
        try:
            copies.extend(each.dup() for each in sockets)
        except OSError:
            # Too many open files.  It would wait for ever; its successor may have more luck.
            self._process.kill()
        self._outbox.put((message, copies))

    def stop(self, name: str) -> None:
        """Let it stop; the second time, at once.  `name` is the signal's."""
        self.post(Stop(signal=name))

    @property
    def how(self) -> str:
        """Who ended, and how."""
        assert self.status is not None
        return f"{self.name} {words(self.status)}{self.trouble}"

    def kill(self) -> None:
        """End it the hard way, if it has not ended yet."""
        self.killed = True
        self._process.kill()

    def _start_threads(self, merge: Merge) -> None:
        """Raises RuntimeError where the system has no room for them."""
        assert self._process.stdout is not None
        merge.follow(self._process.stdout, self.name, lambda: self._process.wait() == 0)
        for target, what in ((self._speak, "to"), (self._listen, "from")):
            threading.Thread(target=target, name=f"{what} {self.name}", daemon=True).start()

    def _speak(self) -> None:
        while (item := self._outbox.get()) is not None:
            message, sockets = item
            try:
                send(self._channel, message, sockets)
            except ConnectionError:
                pass  # it is about to end, which the other threads tell
            except OSError as error:
                self._give_up(error)
            for each in sockets:
                each.close()
        self._channel.close()

    def _listen(self) -> None:
        try:
            while (received := receive(self._channel)) is not None:
                self._tell(self._take, received[0])
        except ConnectionError:
            pass  # as above
        except Exception as error:  # noqa: BLE001 - whatever it has said, its end has to be told
            self._give_up(error)
        self._tell(self._end, self._process.wait())

    def _give_up(self, error: Exception) -> None:
        """End it where it cannot be spoken with: its successor may have more luck."""
        self.trouble = f" ({error})"
        self._process.kill()

    def _tell(self, take: Callable[..., None], what: object) -> None:
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(take, what)

    def _take(self, message: Message) -> None:
        if isinstance(message, Serving):
            self.serving = message
            self.since = self.since or self._loop.time()
        elif isinstance(message, Ending):
            self.open = message.open
        self._on_news()

    def _end(self, status: int) -> None:
        self.status = status
        self._outbox.put(None)
        self._on_news()


def _environment() -> dict[str, str]:
    """The environment in which a worker finds the package that this process has.

    Installed, it is found without help.  A checkout goes ahead on PYTHONPATH; a site-packages folder never
    does, because there it would stand before the standard library.
    """
    home = Path(__file__).resolve().parents[2]
    installed = {Path(each).resolve() for each in (*site.getsitepackages(), site.getusersitepackages())}
    if home in installed:
        return dict(os.environ)
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(home), os.environ.get("PYTHONPATH"))))
    }


def words(status: int) -> str:
    """How a process ended."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal
        return f"was killed by signal {-status}"

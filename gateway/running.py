"""A gateway as a process: its event loop, its signals, and what it asks of the system."""

import asyncio
import gc
import importlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from gateway import lifeline

_FILES: Final = 10_240
"""Open files that macOS grants, whatever its hard limit says."""


class Running(Protocol):
    """A gateway, in one process or in several."""

    def signal(self, name: str) -> None:
        """Stop; the second time, at once."""

    def reload(self) -> None:
        """Load the config anew."""

    async def run(self, changes: AsyncIterator[None] | None = None) -> None:
        """Serve until stopped, and reload at each of `changes`."""


def run(serving: Coroutine[object, object, int]) -> int:
    """Run to its end what gives an exit status.  Raises what it raises."""
    _raise_file_limit()
    _keep_read_buffers()
    _freeze()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serving)


async def serve(make: Callable[[], Running], changes: AsyncIterator[None] | None) -> int:
    """Run what `make` makes until a signal or the lifeline stops it: the exit status.

    Raises LifelineError, ServeError.
    """
    loop = asyncio.get_running_loop()
    # First, since it may raise.  By the time the loop comes to the call, there is a gateway.
    lifeline.watch(lambda: _on_lifeline_lost(loop, lambda: gateway.signal("lifeline")))
    gateway = make()
    _freeze()  # what making it has loaded as well
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            _on_signal(loop, number, partial(gateway.signal, name))
    if hasattr(signal, "SIGHUP"):
        # A terminal that closes takes its programs with it; a daemon has none, and is told to reload.
        ends = _has_terminal()
        _on_signal(loop, signal.SIGHUP, partial(gateway.signal, "SIGHUP") if ends else gateway.reload)
    await gateway.run(changes)
    return 0


def _has_terminal() -> bool:
    """Whether a terminal controls this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _on_signal(loop: asyncio.AbstractEventLoop, number: signal.Signals, act: Callable[[], None]) -> None:
    try:
        loop.add_signal_handler(number, act)
    except NotImplementedError:
        # Windows: a handler of the process, which may run in the middle of anything.
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(act))


def _on_lifeline_lost(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended already
        loop.call_soon_threadsafe(act)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it exists; None for asyncio's own."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory


def keep_standard_descriptors() -> None:
    """Put the null device where a standard stream is closed, so that no socket gets its number.

    libuv ends the process where it has to close one of these numbers, and `print` takes standard output for
    a standard error that is missing.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - a descriptor, for the whole life


def file_limit() -> str:
    """How many files this process may have open, and how many it has once it runs a gateway."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return "any number of"  # Windows has no such limit
    before, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    _raise_file_limit()
    after, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"{after}" if after == before else f"{after} (raised from {before})"


def _raise_file_limit() -> None:
    """Use all the file descriptors that the system grants, as Go's runtime does: a tunnel takes two."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return  # as above
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _FILES):
        if wanted == resource.RLIM_INFINITY or wanted > soft:
            with suppress(ValueError, OSError):  # macOS says "unlimited" and means less
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return


def _keep_read_buffers() -> None:
    """Teach malloc to keep blocks as large as asyncio's read buffer.

    On its own loop, asyncio reads into a new 256 KiB buffer each time, which malloc would map and unmap
    for each message until it has once freed something larger.
    """
    bytearray(2 * 1024 * 1024)


def _freeze() -> None:
    """What has been loaded stays: the collector need not look at it again and again."""
    gc.freeze()

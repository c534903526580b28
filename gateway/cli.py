"""The `aileron` command: read the config, run the gateway, say what went wrong."""

import argparse
import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from gateway import lifeline
from gateway.config import Config, ConfigError
from gateway.headers import Secrets
from gateway.loading import load
from gateway.proxy.listen import ListenError
from gateway.proxy.log import EventLog, Frames, standard_output
from gateway.proxy.server import Gateway

FRAMES: Final[tuple[Frames, ...]] = ("off", "text", "json")

DEFAULT_PREVIEW: Final = 64
"""Bytes of a payload that are shown."""

DEFAULT_FRAME_RATE: Final = 2000
"""Frame records a second."""


def parser() -> argparse.ArgumentParser:
    """The command line of `aileron`."""
    top = argparse.ArgumentParser(
        prog="aileron",
        description="A reverse proxy for HTTP and WebSocket, configured by AILERON Gateway's core/v1 files.",
        epilog="Without --frames, frames are shown as text on a terminal and not at all elsewhere.",
        allow_abbrev=False,
    )
    top.add_argument("-f", "--file", metavar="PATH", type=Path, required=True, help="the config file")
    shown = top.add_argument_group("what the log shows")
    shown.add_argument(
        "--frames", choices=FRAMES, help="frames as lines for people or as JSON; off: start, stop, errors"
    )
    shown.add_argument(
        "--preview",
        metavar="BYTES",
        type=_count,
        default=DEFAULT_PREVIEW,
        help="how much of a payload is shown (%(default)s)",
    )
    shown.add_argument(
        "--frame-rate",
        metavar="N",
        type=_count,
        default=DEFAULT_FRAME_RATE,
        help="how many frames a second are recorded (%(default)s; 0: all that standard output takes)",
    )
    shown.add_argument("--show-secrets", action="store_true", help="redact nothing")
    return top


def _count(text: str) -> int:
    """A number from 0 on."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 0 after a stop, 1 for what went wrong, 2 for wrong usage."""
    options = parser().parse_args(arguments)
    _keep_standard_descriptors()
    try:
        config = load([options.file], os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    output = standard_output()
    frames: Frames = options.frames or ("text" if output is not None and os.isatty(output) else "off")
    log = EventLog(output, frames, preview=options.preview, frame_rate=options.frame_rate)
    _raise_file_limit()
    _keep_read_buffers()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, log, Secrets(show=options.show_secrets)))
    except (ListenError, lifeline.LifelineError) as error:
        print(f"aileron: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(config: Config, log: EventLog, secrets: Secrets) -> None:
    loop = asyncio.get_running_loop()
    # First, since it may raise.  By the time the loop comes to the call, there is a gateway.
    lifeline.watch(lambda: _on_lifeline_lost(loop, lambda: gateway.signal("lifeline")))
    gateway = Gateway(config, log, secrets)
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            _on_signal(loop, number, partial(gateway.signal, name))
    await gateway.run()


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


def _keep_standard_descriptors() -> None:
    """Put the null device where a standard stream is closed, so that no socket gets its number.

    libuv ends the process where it has to close one of these numbers.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(descriptor)


def _raise_file_limit() -> None:
    """Use all the file descriptors that the system grants: a tunnel takes two."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return  # Windows has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # macOS says "unlimited" and means less; what was granted stays.
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _keep_read_buffers() -> None:
    """Teach malloc to keep blocks as large as asyncio's read buffer.

    On its own loop, asyncio reads into a new 256 KiB buffer each time, which malloc would map and unmap
    for each message until it has once freed something larger.
    """
    bytearray(2 * 1024 * 1024)

"""The command line, the stop signals, the process from start to exit status.

Exit status: 0 after a stop signal or the loss of the lifeline, 1 where the server cannot start, 2 for usage.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from aiohttp import web
from aiohttp.http import HttpProcessingError

from demo_upstream import lifeline
from demo_upstream.access import Access, Origin, own_names
from demo_upstream.app import make_app
from demo_upstream.connections import Connections
from demo_upstream.listen import Addr, ListenError, bind, parse_addr
from demo_upstream.page import choose_page

_T = TypeVar("_T")

_STOP_SIGNALS: Final = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGBREAK") if name in signal.Signals.__members__
)

_LAST_WORD: Final = 0.3
"""Seconds that a plain request may still take once every WebSocket has been closed."""

_BACKLOG: Final = 1024
"""Connections that may wait to be accepted: load tools open hundreds at once."""

_FILES: Final = 10_240
"""Open files asked for; macOS grants no more whatever its hard limit says."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo upstream until it is stopped; the exit status."""
    arguments = _parser().parse_args(argv)
    _log_to_stderr()
    _raise_file_limit()
    page = choose_page()
    if not page.is_file():
        return _cannot_start(f"there is no page at {page}")
    try:
        sockets = bind(arguments.addr)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(arguments.addr, sockets, page, frozenset(arguments.allow_origin)))
    except (ListenError, lifeline.LifelineError) as error:
        return _cannot_start(str(error))
    return 0


def _cannot_start(why: str) -> int:
    sys.stderr.write(f"demo upstream: {_shown(why)}\n")
    return 1


async def _serve(
    addr: Addr, sockets: Sequence[socket.socket], page: Path, allowed: frozenset[Origin]
) -> None:
    """Serve on `sockets` until a stop signal arrives or the lifeline is cut."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def from_outside() -> None:
        loop.call_soon_threadsafe(stop.set)

    _on_stop_signal(from_outside)
    lifeline.watch(from_outside)
    access = Access(own_names=own_names(socket.gethostname()), allowed=allowed)
    app = make_app(page=page, access=access, connections=Connections())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_WORD)
    await runner.setup()
    try:
        for sock in sockets:
            await _listen(runner, addr, sock)
        _announce(addr, sockets, page)
        await stop.wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, addr: Addr, sock: socket.socket) -> None:
    """Begin to accept; raises ListenError where another program was quicker to listen on that port."""
    try:
        await web.SockSite(runner, sock, backlog=_BACKLOG).start()
    except OSError as error:
        raise ListenError.of(addr, error) from error


def _announce(addr: Addr, sockets: Sequence[socket.socket], page: Path) -> None:
    """The one line that says where; a program that starts this one reads the URL out of it."""
    port = sockets[0].getsockname()[1]
    addresses = ", ".join(sock.getsockname()[0] for sock in sockets)
    line = (
        f"demo upstream: listening on {Addr(addr.host, port).url} ({addresses}); page: {_shown(str(page))}\n"
    )
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except OSError:
        # Nobody reads; the server serves all the same, and the interpreter has nothing to flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Where uvloop exists, an echo costs about half of what it costs on asyncio's own loop."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop  # noqa: PLC0415 - not made for every interpreter
    except ImportError:
        return None
    return uvloop.new_event_loop


def _raise_file_limit() -> None:
    """Let the process have as many sockets as the system permits it: macOS begins with 256 files."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - exists on POSIX alone

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _on_stop_signal(stop: Callable[[], None]) -> None:
    """Call `stop` at the first stop signal; the second finds the system's own handling and ends at once."""

    def handle(*_: object) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        stop()

    for number in _STOP_SIGNALS:
        signal.signal(number, handle)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m demo_upstream",
        description="A WebSocket server to put a gateway in front of: the page at /, a clock that answers at "
        "/ws, an echo at /echo, and at /whoami what it saw of your request.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--addr",
        metavar="HOST:PORT",
        type=_argument(parse_addr),
        default=Addr("localhost", 9090),
        help="where to listen; port 0 takes any that is free, and :9090 means every interface "
        "(default: %(default)s, which is both 127.0.0.1 and ::1)",
    )
    parser.add_argument(
        "--allow-origin",
        metavar="ORIGIN",
        type=_argument(Origin.parse),
        action="append",
        default=[],
        help="a web origin besides this machine's own that may open the page and its WebSockets, for example "
        "https://name.example; may be given more than once",
    )
    return parser


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is told in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"demo upstream: {_shown(message)} (--help tells more)\n")


def _argument(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """`parse` with its ValueError as argparse wants it, message included."""

    def convert(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def _log_to_stderr() -> None:
    """Send the libraries' warnings to stderr, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    handler.addFilter(_is_news)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record tells of more than a peer that speaks nonsense or has left, which is everyday life."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)


class _OneLine(logging.Formatter):
    """A record on one line, with the place where its exception was raised instead of a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        text = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{text}: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"
        return f"demo upstream: {_shown(' '.join(text.split()))}"


def _shown(text: str) -> str:
    """`text` as a terminal can show it: what is not printable is written as an escape."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )

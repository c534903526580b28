"""`aileron-demo up`: the parts put together, and the exit status."""

import errno
import os
import queue
import sys
from typing import Final

from rich.console import Console

from gateway.config import ConfigError
from gateway.printable import escape
from launcher.kit import KitError, Options, plan
from launcher.live import LivePrinter
from launcher.output import Output
from launcher.printers import FLUSH, JsonPrinter, PlainPrinter, Printer
from launcher.screen import Screen
from launcher.signals import caught
from launcher.supervisor import Message, Supervisor
from launcher.terminal import Gone, Keyboard, enable_escapes, in_foreground

STDOUT: Final = 1
STDERR: Final = 2


def run(options: Options, version: str) -> int:
    """Start the kit that `options` ask for, see it through to its end, and return the exit status."""
    try:
        kit = plan(options)
    except ConfigError as error:
        # What has a place in the file begins with it, so that editors find it.
        for problem in error.problems:
            sys.stderr.write(f"{'aileron-demo up: ' if problem.line is None else ''}{problem}\n")
        return 2
    except KitError as error:
        sys.stderr.write(f"aileron-demo up: {escape(str(error))}\n")
        return 2
    _open_standard_streams()
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    out = Output(STDOUT, on_broken=lambda error: inbox.put(Gone(_problem(error))))
    words = Output(STDERR, on_broken=lambda _: None)
    live = not (options.json or options.plain) and _is_terminal()
    keyboard = Keyboard(inbox.put) if live and Keyboard.available() else None
    printer: Printer
    if live:
        screen = Screen(out, Console())
        printer = LivePrinter(
            kit, version, options.filter, screen=screen, keyboard=keyboard, words=words, size=_size
        )
    else:
        lines = JsonPrinter if options.json else PlainPrinter
        printer = lines(kit, version, options.filter, out, words)
    supervisor = Supervisor(kit, printer, inbox)
    with caught(inbox.put, job_control=live):
        try:
            if keyboard:
                keyboard.take()
            supervisor.run()
        finally:
            printer.close(supervisor.problem)
            out.close(FLUSH)
            words.close(FLUSH)
    return supervisor.status


def _open_standard_streams() -> None:
    """Open what whoever started us has closed: no pipe of ours may become stdin, stdout or stderr."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(descriptor)


def _problem(error: OSError) -> str | None:
    """Say why standard output takes nothing; None where its reader, or the terminal, has gone."""
    return None if error.errno in {errno.EPIPE, errno.EIO} else (error.strerror or str(error)).lower()


def _is_terminal() -> bool:
    """Whether stdout is a terminal that obeys escape sequences, and ours to draw on."""
    return (
        os.isatty(STDOUT)
        and os.environ.get("TERM", "" if sys.platform != "win32" else "console")
        not in ("", "dumb", "unknown")
        and in_foreground(STDOUT)
        and enable_escapes(STDOUT)
    )


def _size() -> os.terminal_size:
    """Return the terminal's size; that of a terminal which does not tell, or has gone, is a usual one."""
    try:
        size = os.get_terminal_size(STDOUT)
    except OSError:
        size = os.terminal_size((0, 0))
    return os.terminal_size((size.columns or 80, size.lines or 24))

"""Whether a child itself answers at its address.

That a child says so is what makes an answer its own; that there is an answer is what makes it true for a
browser.  A thread asks, and puts what it learnt on the launcher's queue.
"""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

PATIENCE: Final = 5.0
"""Seconds that an address which its child listens on may take to answer."""
PAUSE: Final = 0.05
"""Seconds between two attempts."""


@dataclass(frozen=True, slots=True)
class Answers:
    """A child answers at all of its URLs."""

    child: str


@dataclass(frozen=True, slots=True)
class Silent:
    """A child says that it listens, but `problem`."""

    child: str
    problem: str


def is_open(host: str, port: int, timeout: float = 1.0) -> bool:
    """Tell whether a connection can be made; sends nothing over it."""
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError:
        return False
    return True


def accepts(url: str) -> str | None:
    """Return None where a connection to `url` can be made, else what is wrong."""
    parts = urlsplit(url)
    open_ = is_open(parts.hostname or "localhost", parts.port or 80)
    return None if open_ else f"no connection can be made to {url}"


def serves(url: str) -> str | None:
    """Return None where the demo upstream answers at `url`, else what is wrong."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "localhost", parts.port, timeout=2)
    try:
        connection.request("GET", "/whoami")
        response = connection.getresponse()
        body = response.read(64 * 1024)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer comes from {url} ({error})"
    finally:
        connection.close()
    try:
        ours = response.status == http.HTTPStatus.OK and "peer" in json.loads(body)
    except (ValueError, TypeError):
        ours = False
    return None if ours else f"what answers at {url} is another program"


def watch(
    child: str,
    urls: Sequence[str],
    check: Callable[[str], str | None],
    put: Callable[[Answers | Silent], None],
) -> None:
    """Ask each of `urls` in a thread until `check` finds nothing wrong; tell the end of it to `put`."""

    def ask() -> None:
        deadline = time.monotonic() + PATIENCE
        waiting = list(urls)
        while True:
            problem = check(waiting[0])
            if problem is None:
                waiting.pop(0)
                if not waiting:
                    return put(Answers(child))
            elif time.monotonic() > deadline:
                return put(Silent(child, problem))
            else:
                time.sleep(PAUSE)

    threading.Thread(target=ask, name=f"{child} readiness", daemon=True).start()

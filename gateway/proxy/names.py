"""Names of upstreams → their addresses, where a name server that does not answer holds up nobody else.

Strategy
    Each look-up has a thread of its own, which all who want the same name share.  An event loop has a few
    threads for all look-ups: a name that nobody answers for would take every one of them, other names
    would wait for that, and so would the end of the process, which waits for these threads.

Rules
    * Who waits gives up after `LIMIT` seconds; the thread ends whenever the system lets it.
    * An address in numbers is no name: no thread, no wait.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any, Final

import aiohappyeyeballs
from aiohttp.abc import AbstractResolver, ResolveResult

LIMIT: Final = 10.0
"""Seconds that a look-up may take."""

AddressInfo = aiohappyeyeballs.AddrInfoType

_Found = list[AddressInfo] | OSError | UnicodeError


class SlowNameError(socket.gaierror):
    """No name server has answered in time."""

    def __init__(self) -> None:
        super().__init__(socket.EAI_AGAIN, f"no name server answered within {LIMIT:g} s")


class Names:
    """Looks names up.  Belongs to one event loop."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int], asyncio.Future[_Found]] = {}
        """The look-ups that are under way."""

    async def look_up(self, host: str, port: int) -> list[AddressInfo]:
        """All addresses of `host`, with `port`.

        Raises socket.gaierror, SlowNameError among them, another OSError, or UnicodeError where it can be no
        name.
        """
        if (number := _number(host, port)) is not None:
            return [number]
        asked = self._asked.get((host, port)) or self._ask(host, port)
        try:
            async with asyncio.timeout(LIMIT):
                found = await asyncio.shield(asked)
        except TimeoutError:
            raise SlowNameError from None
        if isinstance(found, Exception):
            raise found
        return found

    def _ask(self, host: str, port: int) -> "asyncio.Future[_Found]":
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[_Found] = loop.create_future()

        def run() -> None:
            try:
                found: _Found = _look_up(host, port)
            except (OSError, UnicodeError) as error:
                found = error
            with suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(asked.set_result, found)

        thread = threading.Thread(target=run, name=f"look-up of {host}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise OSError(str(error)) from error
        self._asked[host, port] = asked
        asked.add_done_callback(lambda _: self._asked.pop((host, port)))
        return asked


def _look_up(host: str, port: int) -> list[AddressInfo]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP))


def _host(address: tuple[Any, ...]) -> str:
    """The host of an address in numbers; a link-local one is nothing without its scope."""
    scoped = any(address[3:])
    host: str = socket.getnameinfo(address, socket.NI_NUMERICHOST)[0] if scoped else address[0]
    return host


def _number(host: str, port: int) -> AddressInfo | None:
    """`host` as an address, where it is one in numbers."""
    kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    with suppress(OSError, ValueError):
        socket.inet_pton(socket.AF_INET, host)
        return (socket.AF_INET, *kind, (host, port))
    with suppress(OSError, ValueError):
        socket.inet_pton(socket.AF_INET6, host)
        return (socket.AF_INET6, *kind, (host, port, 0, 0))
    return None


class Resolver(AbstractResolver):
    """The same for aiohttp."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of `host` that are of the `family`."""
        return [
            ResolveResult(
                hostname=host,
                host=_host(address),
                port=port,
                family=kind,
                proto=protocol,
                flags=0,
            )
            for kind, _, protocol, _, address in await self._names.look_up(host, port)
            if family in {socket.AF_UNSPEC, kind}
        ]

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

"""The ends of tunnels, of which nothing is read or sent that a script does not ask for."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from tests.servers import PATIENCE, Peer, Upstream

T = TypeVar("T")

_PATIENCE: Final = 3 * PATIENCE
"""Seconds; a tunnel that takes longer hangs, which is for whoever lives through it to say."""


class Plain:
    """One end of a plain connection."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.read_head = peer.read_head

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        await self.peer.send(data, patience=_PATIENCE)

    async def read_some(self) -> bytes:
        """Whatever has come; nothing at the end."""
        return await self.peer.read_some(patience=_PATIENCE)

    async def finish(self) -> None:
        """Say that this is the end of what is sent."""
        self.peer.end()


class Secure:
    """The upstream's end of a connection that speaks TLS, with every byte of it at hand."""

    def __init__(self, peer: Peer, context: ssl.SSLContext) -> None:
        self.peer = peer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._sending = asyncio.Lock()
        self._finished = False

    async def shake_hands(self) -> None:
        """Do what comes before the first byte."""
        await self._until(self._tls.do_handshake)
        await self._flush()

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._tls.write(data)
        await self._flush()

    async def read_some(self) -> bytes:
        """Whatever has come; nothing at the end, be it this end's own."""
        try:
            return await self._until(lambda: self._tls.read(1 << 16))
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError:
            if not self._finished:
                raise
        while await self.peer.read_some(patience=_PATIENCE):
            pass  # bytes that are left unread would make the system reset the connection
        return b""

    async def read_head(self) -> bytes:
        """The head of a message, byte by byte: what follows it stays."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self._until(lambda: self._tls.read(1))
        return head

    async def finish(self) -> None:
        """Say that this is the end, which over TLS is that of both directions."""
        self._finished = True
        with suppress(ssl.SSLError):  # it would rather wait for what the other end says to that
            self._tls.unwrap()
        await self._flush()
        self.peer.end()

    async def _until(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self.peer.read_some(patience=_PATIENCE)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    async def _flush(self) -> None:
        async with self._sending:
            if data := self._outgoing.read():
                await self.peer.send(data, patience=_PATIENCE)


End = Plain | Secure


class Upstreams:
    """Both upstreams, and who waits for the connections that the gateway makes to them."""

    def __init__(self, plain: Upstream, secure: Upstream, context: ssl.SSLContext) -> None:
        self._servers = (plain, secure)
        self._context = context
        self._expected: dict[str, asyncio.Future[End]] = {}

    def expect(self, path: str) -> "asyncio.Future[End]":
        """Who asks for `path`, once its opening handshake has been read."""
        self._expected[path] = asyncio.get_running_loop().create_future()
        return self._expected[path]

    async def serve(self) -> None:
        """Take what comes."""
        async with asyncio.TaskGroup() as group:
            for server, tls in zip(self._servers, (False, True), strict=True):
                group.create_task(self._accept(group, server, tls=tls))

    async def _accept(self, group: asyncio.TaskGroup, server: Upstream, *, tls: bool) -> None:
        while True:
            peer = await server.accept(patience=3600)
            group.create_task(self._greet(peer, tls=tls))

    async def _greet(self, peer: Peer, *, tls: bool) -> None:
        end: End
        if tls:
            end = Secure(peer, self._context)
            await end.shake_hands()
        else:
            end = Plain(peer)
        head = await end.read_head()
        self._expected.pop(head.split(b" ")[1].decode()).set_result(end)

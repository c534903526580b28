"""Plays a case at whoever is at the other end of a connection, and tells what came of it.

A player is a client or a server; the other end is real, and speaks first or second.  It reads all the time,
so that nobody waits for it, and knows three ends: FIN, RST, and none within `_PATIENCE`.
"""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal

from tests.conformance.case import Case, Delivery
from tests.conformance.frames import CLOSE, Frame, Reader, Seen
from tests.servers import Peer

Ending = Literal["FIN", "RST", "no end", "its own RST"]

_PATIENCE: Final = 45.0
"""Seconds without a byte after which there is no end; a peer may take many to read 65,536 fragments."""

_KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a player has seen."""

    opened: bool
    """Whether there was a 101."""
    agreed: str
    """The Sec-WebSocket-Extensions of a server's answer."""
    frames: tuple[Seen, ...]
    rest: bytes
    """The beginning of a frame, behind the last whole one."""
    ending: Ending
    seconds: float = field(compare=False)
    """From the last that was sent until the end; 0 where that was the player's own."""

    def __str__(self) -> str:
        words = [str(each) for each in self.frames]
        if len(words) > 6:
            words[3:-2] = [f"{len(words) - 5} more"]
        if not self.opened:
            words.append("no 101")
        if self.rest:
            words.append(f"{len(self.rest)} bytes of a frame")
        return ", ".join([*words, self.ending])


class Player:
    """One end of a connection, which plays a case."""

    def __init__(self, peer: Peer, case: Case, delivery: Delivery, *, client: bool) -> None:
        self._peer = peer
        self._case = case
        self._delivery = delivery
        self._client = client
        self._reader = Reader()
        self._come = asyncio.Event()
        """Set whenever there is something new to be looked at."""
        self._opened = False
        self._agreed = ""
        self._ending: Ending | None = None
        self._ended_at = self._spoke_at = 0.0
        self._refused = False
        """Whether the system has told that what is sent arrives nowhere."""
        self._said_close = False

    async def run(self) -> Played:
        """Play, to the end of the connection."""
        opening = self._request() if self._client else self._switching(await self._peer.read_head())
        listening = asyncio.create_task(self._listen(), name="listens")
        try:
            await self._speak(opening)
            if self._case.goodbye == "reset":
                self._ending = self._ending or "its own RST"
            else:
                await listening
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
        if self._ending == "its own RST":
            self._peer.reset()
        else:
            self._peer.close()
        assert self._ending is not None
        return Played(
            opened=self._opened,
            agreed=self._agreed,
            frames=tuple(self._reader.frames),
            rest=bytes(self._reader.rest),
            ending=self._ending,
            seconds=max(0.0, self._ended_at - self._spoke_at),
        )

    def _request(self) -> bytes:
        fields = [
            b"GET /%s HTTP/1.1" % self._case.goodbye.encode(),
            b"Host: conformance.example",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: " + _KEY,
            b"Sec-WebSocket-Version: 13",
        ]
        if self._case.extensions:
            fields.append(b"Sec-WebSocket-Extensions: " + self._case.extensions.encode())
        return b"\r\n".join([*fields, b"", b""])

    def _switching(self, request: bytes) -> bytes:
        found = re.search(rb"(?im)^sec-websocket-key:\s*(\S+)", request)
        assert found is not None, request
        digest = hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        fields = [
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
        ]
        if self._case.agreed:
            fields.append(b"Sec-WebSocket-Extensions: " + self._case.agreed.encode())
        return b"\r\n".join([*fields, b"", b""])

    async def _listen(self) -> None:
        """Read to the end."""
        ending: Ending = "FIN"
        try:
            with suppress(EOFError):  # a FIN inside of the head, or instead of one
                ending = await self._read_to_end()
        finally:
            self._ended_at = time.perf_counter()
            self._ending = ending
            self._come.set()

    async def _read_to_end(self) -> Ending:
        try:
            if self._client:
                self._take_head(await self._peer.read_head())
            self._opened = True
            self._come.set()
            while data := await self._peer.read_some(patience=_PATIENCE):
                self._reader.feed(data)
                self._come.set()
        except ConnectionResetError:
            return "RST"
        except TimeoutError:
            return "no end"
        # The system tells of a reset once, and may have told the one who was sending.
        return "RST" if self._refused else "FIN"

    def _take_head(self, head: bytes) -> None:
        assert head.startswith(b"HTTP/1.1 101 "), head
        found = re.search(rb"(?im)^sec-websocket-extensions:\s*(.*?)\r", head)
        self._agreed = found[1].decode() if found else ""

    async def _speak(self, opening: bytes) -> None:
        """Say all that is to be said, until it is clear how the connection ends."""
        glued = self._delivery is Delivery.GLUED
        if not glued:
            await self._send(opening)
        if self._client and not glued:
            await self._until(opened=True)
        expected = 0
        for turn in self._case.turns:
            pieces = self._delivery.pieces([each.encode(masked=self._client) for each in turn.frames])
            if glued:
                pieces, glued = iter([opening + b"".join(pieces)]), False
            self._said_close |= any(each.opcode == CLOSE for each in turn.frames)
            await self._send_all(pieces)
            expected += turn.answers
            await self._until(frames=expected)
            if self._heard_close is not None or self._ending is not None:
                break
        await self._leave()

    async def _leave(self) -> None:
        match self._case.goodbye:
            case "close":
                await self._close()
            case "end":
                with suppress(OSError):
                    self._peer.end()
                self._spoke_at = time.perf_counter()

    async def _close(self) -> None:
        """The player's part of the close handshake; a server ends the connection behind it."""
        if not self._said_close:
            heard = self._heard_close
            payload = (1000).to_bytes(2, "big") if heard is None else heard.payload[:2]
            await self._send(Frame(opcode=CLOSE, payload=payload).encode(masked=self._client))
        if not self._client:
            await self._until(close=True)
            with suppress(OSError):
                self._peer.end()
            self._spoke_at = time.perf_counter()

    @property
    def _heard_close(self) -> Seen | None:
        return next((each for each in self._reader.frames if each.opcode == CLOSE), None)

    async def _send_all(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            await self._send(piece)
            await asyncio.sleep(0)

    async def _send(self, data: bytes) -> None:
        if self._refused:
            return
        try:
            await self._peer.send(data, patience=_PATIENCE)
        except ConnectionResetError:
            self._refused = True
        except BrokenPipeError:
            pass  # the end has come already, and is about to be read
        self._spoke_at = time.perf_counter()

    async def _until(self, *, opened: bool = False, frames: int = 0, close: bool = False) -> None:
        """Wait for what is asked for, or for Close, or for the end."""
        while self._ending is None:
            done = self._opened and len(self._reader.frames) >= frames and not close
            if done or (self._heard_close is not None and not opened):
                return
            self._come.clear()
            await self._come.wait()

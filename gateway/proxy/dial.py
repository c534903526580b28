"""Connections of our own to an upstream, and the opening handshake over them.

Strategy
    A WebSocket goes upstream over a connection that belongs to the tunnel alone.  A host name is
    looked up once and remembered for a while, because a look-up takes a thread; all its addresses
    are tried, the next one shortly after the last (RFC 8305).  The one that answered is dialled alone the
    next time, which costs a fraction; where it does not answer at once and has others, all are tried again.

Rules
    * What fails is told as an `UpstreamError`, in words, with the status that the client is answered.
    * From the moment an answer is known, nothing more is read until somebody takes the connection over.
    * A cancelled dial leaves no connection behind.
    * The kernel probes a connection over which nothing comes, so that an upstream that has gone without a
      word is noticed.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import aiohappyeyeballs

from gateway.config.resources.listen import KeepAliveConfig
from gateway.limits import HEADER_FIELDS, OwnLimits
from gateway.proxy.listen import probes
from gateway.proxy.names import AddressInfo, Names, SlowNameError
from gateway.routing import Upstream
from gateway.websocket.handshake import Answer, AnswerReader, Nonsense, Ordinary, Switching

_REMEMBERED: Final = 10.0
"""Seconds for which the addresses of a name are believed."""

_NEXT_ADDRESS: Final = 0.25
"""Seconds after which the next address of a name is tried as well."""

PROBES: Final = probes(KeepAliveConfig())
"""The options of a socket to an upstream: Go's probes."""


class UpstreamError(Exception):
    """An upstream did not do its part.

    `status` is 502, or 504 where it took too long; `did` is the rest of a sentence that begins with the
    upstream's url; `code` is AILERON's (core-v1 section 5.8).
    """

    def __init__(self, status: int, did: str, code: str = "") -> None:
        super().__init__(did)
        self.status = status
        self.did = did
        self.code = code or ("E2123" if status == 504 else "E2124")


def open_socket(address: AddressInfo) -> socket.socket:
    """A socket for a connection to an upstream, which the kernel probes."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    _probe(sock)
    return sock


def _probe(sock: socket.socket) -> None:
    """Let the kernel find out when the peer has vanished, as far as it will."""
    with suppress(OSError):
        for option in PROBES:
            sock.setsockopt(*option)


def failure(error: BaseException, within: float) -> UpstreamError:
    """What an error of the network or of TLS says about the upstream, which had `within` seconds."""
    match error:
        case TimeoutError():
            gone = error.errno == errno.ETIMEDOUT  # the kernel's probes have come to nothing
            silent = f"did not answer within {within:g} s"
            return UpstreamError(504, "has gone: nothing comes back from it any more" if gone else silent)
        case ssl.SSLCertVerificationError():
            return UpstreamError(502, f"has a certificate that cannot be trusted: {error.verify_message}")
        case ssl.SSLError():
            return UpstreamError(502, f"does not speak TLS as it should: {error.reason or error}")
        case socket.gaierror():
            status = 504 if isinstance(error, SlowNameError) else 502
            return UpstreamError(status, f"has a name that cannot be looked up: {error.strerror or error}")
        case UnicodeError():
            return UpstreamError(502, "has a name that cannot be looked up: a label is empty or too long")
        case ConnectionRefusedError():
            return UpstreamError(502, "refused the connection; nothing listens there")
        case ConnectionResetError() | BrokenPipeError():
            return UpstreamError(502, "broke the connection off before it answered")
        case OSError(errno=errno.EMFILE):
            limit = "this process has as many files open as it may; a WebSocket takes two of them"
            return UpstreamError(502, f"cannot be reached: {limit}, and ulimit -Hn tells the limit")
        case OSError():
            return UpstreamError(502, f"cannot be reached: {error.strerror or error}")
    return UpstreamError(502, f"cannot be reached: {error}")


@dataclass(slots=True)
class _Known:
    """What is known of a name."""

    until: float
    """When to look again, by the loop's clock."""
    addresses: list[AddressInfo]
    nearest: str | None = None
    """The one that answered at once, last time."""


class Dialer:
    """Opens connections to upstreams.  Belongs to one event loop."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], names: Names, limits: OwnLimits) -> None:
        self._tls = tls
        self._names = names
        self._within = limits.handshake_timeout
        """Seconds to connect, TLS included; and again for the answer (core-v1 section 5.5)."""
        self._leg = partial(OpeningLeg, limits.header_fields)
        self._known: dict[tuple[str, int], _Known] = {}

    async def open(
        self, upstream: Upstream, head: bytes
    ) -> "tuple[asyncio.Transport, OpeningLeg, Ordinary | Switching]":
        """Connect, send the opening handshake `head` and read the answer; reading is paused behind it.

        Raises UpstreamError.
        """
        transport: asyncio.Transport | None = None
        try:
            transport, leg = await self._connect(upstream)
            answer = await leg.ask(head, self._within)
            if isinstance(answer, OSError):
                raise answer
        except (OSError, UnicodeError) as error:
            # TimeoutError and ssl.SSLError are OSErrors as well; a name that is none is a UnicodeError.
            if transport is not None:
                transport.abort()
            raise failure(error, self._within) from error
        except asyncio.CancelledError:
            if transport is not None:
                transport.abort()
            raise
        if isinstance(answer, Nonsense):
            transport.abort()
            raise UpstreamError(
                502, f"did not answer the upgrade as it should: {answer.reason}", code="E2125"
            )
        return transport, leg, answer

    async def _connect(self, upstream: Upstream) -> "tuple[asyncio.Transport, OpeningLeg]":
        loop = asyncio.get_running_loop()
        known = self._known.get((upstream.host, upstream.port))
        if known and known.nearest and known.until > loop.time() and upstream.scheme == "http":
            others = len(known.addresses) > 1
            try:
                # With no other address, to begin anew would only add to whatever makes it slow.
                async with asyncio.timeout(_NEXT_ADDRESS if others else self._within):
                    # A number, not a name: nothing is looked up, and the loop needs no socket of ours.
                    transport, leg = await loop.create_connection(self._leg, known.nearest, upstream.port)
                _probe(transport.get_extra_info("socket"))
            except OSError as error:
                known.nearest = None
                if isinstance(error, TimeoutError) and not others:
                    raise
            else:
                return transport, leg
        known = await self._look_up(upstream.host, upstream.port)
        async with asyncio.timeout(self._within):
            return await self._connect_to_any(upstream, known)

    async def _connect_to_any(
        self, upstream: Upstream, known: _Known
    ) -> "tuple[asyncio.Transport, OpeningLeg]":
        """A connection to the first of the upstream's addresses that answers."""
        loop = asyncio.get_running_loop()
        tls = self._tls() if upstream.scheme == "https" else None
        started = loop.time()
        try:
            sock = await aiohappyeyeballs.start_connection(
                known.addresses, happy_eyeballs_delay=_NEXT_ADDRESS, loop=loop, socket_factory=open_socket
            )
        except OSError:
            self._known.pop((upstream.host, upstream.port), None)
            raise
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = sock.getpeername()
        except OSError:
            sock.close()
            raise
        # A link-local address is nothing without its scope.
        if loop.time() - started < _NEXT_ADDRESS and not any(peer[3:]):
            known.nearest = peer[0]
        # From here on the socket is the transport's, which closes it whatever happens.
        return await loop.create_connection(
            self._leg, sock=sock, ssl=tls, server_hostname=upstream.host if tls else None
        )

    async def _look_up(self, host: str, port: int) -> _Known:
        loop = asyncio.get_running_loop()
        known = self._known.get((host, port))
        if known is None or known.until < loop.time():
            found = await self._names.look_up(host, port)
            known = self._known[host, port] = _Known(loop.time() + _REMEMBERED, found)
        return known


class OpeningLeg(asyncio.Protocol):
    """An upstream connection from the opening handshake until somebody takes it over."""

    def __init__(self, most_fields: int = HEADER_FIELDS) -> None:
        self._answer: asyncio.Future[Answer | OSError] = asyncio.get_running_loop().create_future()
        """The answer, or why there will be none."""
        self.late = b""
        """What was delivered behind the answer, before the pause took effect."""
        self.lost = False
        """Whether the connection has gone."""
        self._ended = False
        self._error: Exception | None = None
        self._reader = AnswerReader(most_fields)
        self._transport: asyncio.Transport | None = None
        self._successor: asyncio.Protocol | None = None

    async def ask(self, head: bytes, within: float) -> "Answer | OSError":
        """Send the opening handshake `head`; the answer, which has `within` seconds, or why there is none."""
        assert self._transport is not None
        self._transport.write(head)
        # A timer of its own: asyncio.timeout costs more than the rest of this method.
        timer = asyncio.get_running_loop().call_later(within, self._settle, TimeoutError())
        try:
            return await self._answer
        finally:
            timer.cancel()

    def _settle(self, answer: "Answer | OSError") -> None:
        if not self._answer.done():
            self._answer.set_result(answer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Read on until the answer is known."""
        assert self._transport is not None
        if self._successor is not None:
            self._successor.data_received(data)
        elif self._answer.done():
            self.late += data
        else:
            answer = self._reader.receive_data(data)
            if answer is not None:
                self._transport.pause_reading()
                self._answer.set_result(answer)

    def eof_received(self) -> bool | None:
        """End the wait where the answer is not known; else leave open what goes the other way."""
        assert self._transport is not None
        if self._successor is not None:
            return self._successor.eof_received()
        self._ended = True
        if not self._answer.done():
            self._settle(ConnectionResetError())
            return False
        return self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait: the connection has gone."""
        if self._successor is not None:
            self._successor.connection_lost(exc)
            return
        self.lost = True
        self._error = exc
        self._settle(exc if isinstance(exc, OSError) else ConnectionResetError())

    def hand_over(self, successor: asyncio.Protocol, data: bytes) -> None:
        """Let `successor` have the connection, `data` first, then all that has come since the answer.

        TLS may have delivered the end in spite of the pause, and may still deliver it to this object.
        """
        assert self._transport is not None
        self._successor = successor
        if not self.lost:
            self._transport.set_protocol(successor)
            self._transport.resume_reading()
        if data or self.late:
            successor.data_received(data + self.late)
        if self.lost:
            successor.connection_lost(self._error)
        elif self._ended:
            successor.eof_received()

"""Ordinary HTTP with an upstream: a request and its response, both as streams.

Two ways lead to an `UpstreamResponse`: a plain request over the shared connections of one aiohttp
session, and an answer other than 101 to an opening handshake, which h11 reads from the connection that
was meant to become a tunnel.
"""

import asyncio
import ssl
import weakref
from collections.abc import AsyncIterator, Callable
from functools import partial
from http import HTTPStatus
from typing import Final

import aiohttp
import h11
from aiohttp import web
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from gateway.config import host_port
from gateway.headers import Fields, ambiguity, has_control, members
from gateway.limits import OwnLimits
from gateway.proxy.connection import TOO_MANY_FIELDS
from gateway.proxy.dial import OpeningLeg, UpstreamError, failure, open_socket
from gateway.proxy.names import Names, Resolver
from gateway.proxy.responses import BrokenOffError, UpstreamResponse, decoded
from gateway.routing import Forward

_LONGEST_HEAD: Final = 64 * 1024
"""Bytes that the header fields of an upstream's response may have, one alone or all of them."""

_READ: Final = 64 * 1024

_NOT_OURS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Fields that aiohttp would add to a request that has none."""


class UploadError(Exception):
    """The client's request body cannot be read."""


class _Connector(aiohttp.TCPConnector):
    """Keeps connections, but for those over which something came that nobody had asked for.

    Whoever asked next would be given it for an answer.
    """

    def __init__(self, names: Names) -> None:
        # However many clients wait for an upstream, none waits for another.
        super().__init__(limit=0, resolver=Resolver(names), socket_factory=open_socket)
        self._used: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> Connection:
        """A connection, kept or new."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert protocol is not None  # it has one until it is closed or released
            if protocol not in self._used or not protocol.should_close:
                self._used.add(protocol)
                return connection
            connection.close()


class Exchanges:
    """Plain HTTP requests to all upstreams, over connections that are kept and shared."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], names: Names, limits: OwnLimits) -> None:
        self._tls = tls
        self._limits = limits
        self._session = aiohttp.ClientSession(
            connector=_Connector(names),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.handshake_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_OURS,
            max_line_size=_LONGEST_HEAD,
            max_field_size=_LONGEST_HEAD,
            max_headers=limits.header_fields,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def request(self, request: web.BaseRequest, to: Forward, fields: Fields) -> UpstreamResponse:
        """Send the client's request on, with `fields` as its header.

        Raises UpstreamError where no response comes, UploadError where the client's body cannot be read,
        and UnicodeDecodeError where a field cannot be sent as it is.
        """
        upload = _Upload(request) if request.can_read_body else None
        sending = self._session.request(
            request.method,
            URL(
                f"{to.upstream.scheme}://{host_port(to.upstream.host, to.upstream.port)}{to.target}",
                encoded=True,
            ),
            headers=decoded(fields),
            data=None if upload is None else upload.pieces(),
            allow_redirects=False,
            ssl=self._tls() if to.upstream.scheme == "https" else True,
        )
        try:
            response = await sending
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if upload is not None and upload.failed:
                raise UploadError from error
            raise _failure(error, self._limits) from error
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            response.close()
            raise UpstreamError(502, "switched protocols, which nobody had asked it to", code="E2125")
        reason = (response.reason or "").encode("utf-8", "surrogateescape")
        assert response.version is not None  # its head has been read
        try:
            _check(response.status, reason, response.version, response.raw_headers)
        except UpstreamError:
            response.close()  # what comes over it belongs to nothing
            raise
        content = response.content
        return UpstreamResponse(
            status=response.status,
            reason=response.reason or "",
            fields=response.raw_headers,
            body=_body(response),
            whole=content.read_nowait() if content.is_eof() and content.exception() is None else None,
            close=partial(_close, response),
        )


def _check(status: int, reason: bytes, version: tuple[int, int], fields: Fields) -> None:
    """Raise UpstreamError where the head of a response is none that a client may be given."""
    fault = ambiguity(version, fields)
    problem = None if fault is None else fault[1]
    if sum(len(name) + len(value) for name, value in fields) > _LONGEST_HEAD:
        problem = f"it is longer than {_LONGEST_HEAD // 1024} KiB"
    elif status < HTTPStatus.OK:
        problem = f"the status {status:03}"
    elif has_control(reason):
        problem = "its reason has a control character"
    if problem is not None:
        raise UpstreamError(502, f"answered with a head that cannot be passed on: {problem}")


def _close(response: aiohttp.ClientResponse) -> None:
    """Close what is not at its end; a connection that is goes back to be used again."""
    response.release() if response.content.at_eof() else response.close()


class _Upload:
    """The body of the client's request, on its way upstream."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.failed = False
        """Whether it was the client that broke it off."""

    async def pieces(self) -> AsyncIterator[bytes]:
        request = self._request
        yield b""  # so that the head goes out now, and not with the first piece
        if request.version >= (1, 1) and b"100-continue" in members(request.raw_headers, b"expect"):
            # Only now is it known that somebody will take the body (RFC 9110 section 10.1.1).
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            async for piece in request.content.iter_any():
                yield piece
        except (aiohttp.ClientError, web.RequestPayloadError, OSError, ValueError):
            self.failed = True
            raise


async def _body(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_any():
            yield piece
    except (aiohttp.ClientError, OSError) as error:
        raise BrokenOffError from error


def _failure(error: Exception, limits: OwnLimits) -> UpstreamError:
    """What an error of aiohttp's client says about the upstream."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return failure(error.certificate_error, limits.handshake_timeout)
        case aiohttp.ClientConnectorError():
            # What OpenSSL has to say hides behind the error of the system.
            cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error.os_error
            return failure(cause, limits.handshake_timeout)
        case aiohttp.ServerDisconnectedError():
            return failure(ConnectionResetError(), limits.handshake_timeout)
        case aiohttp.ClientResponseError() if error.message.strip().startswith(TOO_MANY_FIELDS):
            return _too_many_fields(limits)
        case aiohttp.ClientResponseError():
            return UpstreamError(
                502, f"answered with something that is not HTTP: {_complaint(error.message)}"
            )
        case aiohttp.ClientOSError():
            return failure(OSError(*error.args), limits.handshake_timeout)  # which knows what its errno means
        case OSError() | UnicodeError():
            return failure(error, limits.handshake_timeout)
    return UpstreamError(502, f"did not answer as it should: {_complaint(str(error))}")


def _complaint(message: str) -> str:
    """What aiohttp or h11 complains of; behind the colon they quote what they were sent, cookies included."""
    return message.partition(":")[0].strip() or "no more is known"


async def ordinary_answer(
    transport: asyncio.Transport, leg: OpeningLeg, data: bytes, head: Fields, limits: OwnLimits
) -> UpstreamResponse:
    """The ordinary response that begins with `data`, on a connection over which `head` asked for an upgrade.

    Raises UpstreamError where it is no response.  The connection is closed in the end.
    """
    reader = asyncio.StreamReader(limit=_READ)
    protocol = asyncio.StreamReaderProtocol(reader)
    protocol.connection_made(transport)
    leg.hand_over(protocol, data)
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
    try:
        parser.send(h11.Request(method="GET", target="/", headers=list(head)))
        parser.send(h11.EndOfMessage())
        response = await _response(parser, reader, limits)
        major, _, minor = bytes(response.http_version).partition(b".")
        fields = response.headers.raw_items()
        _check(response.status_code, bytes(response.reason), (int(major), int(minor)), fields)
    except BaseException:  # also where the client goes away meanwhile
        transport.close()
        raise
    return UpstreamResponse(
        status=response.status_code,
        reason=bytes(response.reason).decode("latin-1"),
        fields=fields,
        body=_pieces(parser, reader),
        close=transport.close,
    )


async def _response(parser: h11.Connection, reader: asyncio.StreamReader, limits: OwnLimits) -> h11.Response:
    """The head of the response, behind the informational ones.  Raises UpstreamError."""
    try:
        async with asyncio.timeout(limits.handshake_timeout):
            event = await _next(parser, reader)
            while isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                event = await _next(parser, reader)
    except (OSError, h11.RemoteProtocolError) as error:
        raise _broken(error, limits) from error
    if not isinstance(event, h11.Response):
        raise UpstreamError(502, "broke the connection off before it answered")
    if len(event.headers) > limits.header_fields:
        raise _too_many_fields(limits)
    return event


def _too_many_fields(limits: OwnLimits) -> UpstreamError:
    return UpstreamError(502, f"answered with more than {limits.header_fields} header fields")


def _broken(error: OSError | h11.RemoteProtocolError, limits: OwnLimits) -> UpstreamError:
    if isinstance(error, OSError):
        return failure(error, limits.handshake_timeout)
    return UpstreamError(
        502, f"answered the upgrade with something that is not HTTP: {_complaint(str(error))}"
    )


async def _pieces(parser: h11.Connection, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while isinstance(event := await _next(parser, reader), h11.Data):
            yield bytes(event.data)
    except (OSError, h11.RemoteProtocolError) as error:
        raise BrokenOffError from error


async def _next(parser: h11.Connection, reader: asyncio.StreamReader) -> h11.Event | type[h11.PAUSED]:
    """The next event of the response."""
    while (event := parser.next_event()) is h11.NEED_DATA:
        parser.receive_data(await reader.read(_READ))
    assert not isinstance(event, type) or event is h11.PAUSED
    return event

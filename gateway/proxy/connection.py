"""One client connection: aiohttp's protocol, with the limits and the words of Go's HTTP server.

Rules (core-v1, sections 4.1 and 4.5)
    * A client that says nothing is closed without a byte after readHeaderTimeout; one that stops inside of a
      head gets a 400; one that is silent behind an answer is closed after idleTimeout.
    * The head of a request has at most maxHeaderBytes and Go's 4096 on top, and so many fields as the command
      line says; more is a 431.
    * A request and its response live while bytes move.  A readTimeout that the file gives bounds a stall of
      the request's body, a writeTimeout a stall of the response; AILERON cuts even those that move.
    * A connection that has become a tunnel is free of all of this.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from aiohttp import StreamReader, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from gateway.config.resources.http_server import HTTPConfig
from gateway.headers import ambiguity, is_host, values
from gateway.limits import OwnLimits
from gateway.proxy.listen import peer_name
from gateway.proxy.responses import ALT_SVC, Done, bare, plainly

_SLACK: Final = 4096
"""Bytes that Go lets a head have on top of maxHeaderBytes."""

TOO_MANY_FIELDS: Final = "Too many headers received"
"""What aiohttp says of a head with more fields than it may have."""

_FOREVER: Final = 1e8
"""Seconds; idle connections are closed here, not by aiohttp."""

_WHY: Final = {
    "Missing 'Host' header in request.": "missing required Host header",
    "Duplicate 'Host' header found.": "too many Host headers",
}
"""What Go says where aiohttp says this."""

_LOOKS: Final = 4
"""How often a stall is looked for within the time that it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of a connection; times in seconds, None: no limit."""

    head: float | None
    idle: float | None
    upload: float | None
    """How long the body of a request may stall."""
    answer: float | None
    """How long a response may stall."""
    head_bytes: int
    head_fields: int

    @classmethod
    def of(cls, config: HTTPConfig, own: OwnLimits) -> "Limits":
        """Those that `config` sets, and `own`."""
        given = config.where.values  # without a 0, which AILERON takes for its default
        return cls(
            head=_limit(config.read_header_timeout),
            idle=_limit(config.idle_timeout),
            upload=_limit(config.read_timeout) if "read_timeout" in given else None,
            answer=_limit(config.write_timeout) if "write_timeout" in given else None,
            # Go takes its own default where the number makes no sense.
            head_bytes=(config.max_header_bytes if config.max_header_bytes > 0 else 1 << 20) + _SLACK,
            head_fields=own.header_fields,
        )


def _limit(seconds: int) -> float | None:
    return None if seconds < 0 else float(seconds)


class Reply(Protocol):
    """An answer that has been decided before aiohttp has read the request."""

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Give it, to `request`."""

    def drop(self) -> None:
        """Nobody is left to be given it."""


class Connection(web.RequestHandler):
    """One client connection."""

    __slots__ = (
        "_at",
        "_left",
        "_limits",
        "_moved",
        "_paused_reading",
        "_progress",
        "_request",
        "_size",
        "_timer",
        "reply",
    )

    def __init__(self, manager: web.Server, limits: Limits, logger: logging.Logger) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_FOREVER,
            tcp_keepalive=False,  # the listening socket has seen to it
            access_log=None,  # type: ignore[arg-type]  # what aiohttp takes for none
            logger=logger,
            auto_decompress=False,
            max_line_size=limits.head_bytes,
            max_field_size=limits.head_bytes,
            max_headers=limits.head_fields,
        )
        self._limits = limits
        self.reply: Reply | None = None
        """The answer to the first request, where it is known."""
        self._at: Literal["silent", "head", "request", "idle"] = "silent"
        """Nothing has come yet; a head is under way; a request is answered; an answer has been sent."""
        self._size = 0
        """Bytes of the head that have come, or more."""
        self._request: web.BaseRequest | None = None
        """The one that is being answered."""
        self._left: StreamReader | None = None
        """The body of the last one, where its answer came first."""
        self._timer: asyncio.TimerHandle | None = None
        self._progress: tuple[int, int, int] = (0, 0, 0)
        self._moved = 0.0
        self._paused_reading = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the client time to say something."""
        super().connection_made(transport)
        self._within(self._limits.head)

    def expect_head(self, *, by: float) -> None:
        """Give the client no longer than until `by`, by the loop's clock: it was here before."""
        self._within(max(0.0, by - self._loop.time()))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the time: the client has gone, or a tunnel has taken the connection over."""
        self._within(None)
        self._request = self._left = None  # no cycle keeps alive what nobody needs
        if (reply := self.take_reply()) is not None:
            reply.drop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of a head, or of a body."""
        self._size += len(data)
        if self._at != "request" and data and not self._reading_body:
            if self._at == "idle":
                self._size = len(data)
                self._within(self._limits.head)
            self._at = "head"
        super().data_received(data)
        if self._at != "head" and self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
            self._read_no_more()
        if self._at == "head" and self._size > self._limits.head_bytes:
            # A head that is whole is taken first, by the task of the requests, which is due already.
            self._loop.call_soon(self._refuse_endless_head)

    def pause_reading(self) -> None:
        """The upstream takes no more for now, for which the client is not to blame."""
        self._paused_reading = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """The upstream takes more again."""
        self._paused_reading = False
        super().resume_reading(resume_parser)

    def take_reply(self) -> Reply | None:
        """The answer that is known, once."""
        reply, self.reply = self.reply, None
        return reply

    def begin(self, request: web.BaseRequest) -> None:
        """A head is whole; its request is going to be answered."""
        self._at = "request"
        self._request = request
        self._left = None
        times = [each for each in (self._limits.upload, self._limits.answer) if each is not None]
        self._moved = self._loop.time()
        self._within(min(times) / _LOOKS if times else None)

    def end(self) -> None:
        """The request has been answered."""
        if self._request is not None:
            self._left = None if self._request.content.is_eof() else self._request.content
            self._request = None
            self._at = "idle"
            self._within(self._limits.idle)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be read, as Go does."""
        del request
        if message == TOO_MANY_FIELDS:
            return self._refuse_head(f"{self._limits.head_fields} fields")
        if isinstance(exc, LineTooLong):
            return self.refuse_long_head()
        self._complain(status, "a request that cannot be read", error=exc)
        return self.say(plainly(status, _WHY.get(message or "", "")), status)

    def say(self, answer: bytes, status: int) -> Done:
        """Send an answer that needs no writer; it is the last one."""
        if self.transport is not None:
            self.transport.write(answer)
        return Done(status, keep_alive=False)

    def has_long_head(self, request: web.BaseRequest) -> bool:
        """Whether the head of `request` has more bytes than it may."""
        if self._size <= self._limits.head_bytes:
            return False
        fields = sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
        line = len(request.method) + len(request.raw_path.encode("utf-8", "surrogateescape")) + 12
        return line + fields + 2 > self._limits.head_bytes

    def refuse_long_head(self) -> Done:
        """Say that a head is too long, to the client and to the log."""
        return self._refuse_head(f"{self._limits.head_bytes} bytes")

    def _refuse_head(self, limit: str) -> Done:
        self._complain(431, f"a request that cannot be read: its head has more than {limit}")
        return self.say(plainly(431), 431)

    def refuse(self, status: int, why: str) -> Done:
        """Say why nobody may be asked to read a request, to the client and to the log."""
        self._complain(status, f"a request that cannot be passed on: {why}")
        return self.say(plainly(status, why), status)

    def _complain(self, status: int | None, message: str, *, error: BaseException | None = None) -> None:
        """Tell the log what is wrong with this client's request, which gets `status` for an answer."""
        client = peer_name(self.peername)
        self.logger.error("%s", message, exc_info=error, extra={"status": status, "client": client})

    @property
    def _reading_body(self) -> bool:
        """Whether what comes belongs to a body of which nobody wants to know any more."""
        return self._left is not None and not self._left.is_eof()

    def _within(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._at == "request":
            self._look_for_stall()
        elif self._at == "head":
            self.say(plainly(400), 400)
            self.force_close()
        else:
            self.force_close()

    def _look_for_stall(self) -> None:
        request, transport = self._request, self.transport
        if request is None or transport is None:
            return
        now = self._loop.time()
        uploading = not request.content.is_eof()
        limit = self._limits.upload if uploading else self._limits.answer
        progress = (self._size, request.writer.output_size, transport.get_write_buffer_size())
        if progress != self._progress or limit is None or (uploading and self._paused_reading):
            self._progress, self._moved = progress, now
        elif now - self._moved >= limit:
            what = "the client stopped sending a request's body" if uploading else "a response stood still"
            self._complain(None, f"{what} for {limit:g} s; its connection was cut")
            transport.abort()
            return
        times = [each for each in (self._limits.upload, self._limits.answer) if each is not None]
        self._within(min(times) / _LOOKS)

    def _read_no_more(self) -> None:
        """What has come while a request is answered cannot be read: its body is broken, or what follows it.

        aiohttp keeps each further piece with an error of its own, and leaves whoever reads the body waiting.
        """
        self.close()  # after this answer
        if self._request is not None and not self._request.content.is_eof():
            self._request.content.set_exception(web.RequestPayloadError("it cannot be read on"))

    def _refuse_endless_head(self) -> None:
        if self._at == "head" and self.transport is not None:
            self.refuse_long_head()
            self.force_close()


def _is_last(message: RawRequestMessage) -> bool:
    """Whether nothing behind `message` can be taken for another request.

    aiohttp's parser takes the last trailer of a chunked body for a field of the next request, drops what came
    along with a request for an upgrade that it does not know, and knows no body of a CONNECT.  Behind an
    upgrade and a CONNECT that are refused, something other than HTTP may follow as well.
    """
    return message.chunked or message.upgrade or message.method == hdrs.METH_CONNECT


class Server(web.Server):
    """Makes the connections of one listener, and answers what Go's own server answers before any handler."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest, Reply | None], Awaitable[web.StreamResponse]],
        config: HTTPConfig,
        limits: Limits,
        logger: logging.Logger,
    ) -> None:
        super().__init__(
            self._answer,
            request_factory=self._request,
            handler_cancellation=True,  # a client that goes away takes its upstream request with it
        )
        self._handler = handler
        self._config = config
        self._limits = limits
        self._logger = logger

    def __call__(self) -> Connection:
        """Make a connection."""
        return Connection(self, self._limits, self._logger)

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        if self._config.disable_keep_alive or _is_last(message):
            message = message._replace(should_close=True)
        request = web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())
        if self._config.alt_svc:
            request[ALT_SVC] = self._config.alt_svc
        assert isinstance(protocol, Connection)  # `__call__` makes no others
        protocol.begin(request)
        return request

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)  # as above
        if connection.has_long_head(request):
            return connection.refuse_long_head()
        if (fault := ambiguity(request.version, request.raw_headers)) is not None:
            return connection.refuse(*fault)
        if not all(map(is_host, values(request.raw_headers, b"host"))):
            return connection.refuse(400, "malformed Host header")
        try:
            if request.method == "OPTIONS" and request.raw_path == "*":
                return await bare(request, 200 if self._config.enable_general_options_handler else 400)
            return await self._handler(request, connection.take_reply())
        finally:
            connection.end()

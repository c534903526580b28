"""One request's story, top to bottom.

    decide where it goes → check it → open the upstream → pass the answer back → tell the log

`Handler` is called by aiohttp for each request of a listener.  A plain request is answered here; an
opening handshake ends, if both legs agree, with both connections handed over to a `Tunnel`, and nothing
of aiohttp's is left with them.
"""

import asyncio
import itertools
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from gateway.config import host_port, is_loopback
from gateway.errors import ErrorAnswers, Fault
from gateway.events import Handshake, HandshakeLeg, Open, Request
from gateway.headers import (
    Field,
    Header,
    Secrets,
    end_to_end,
    for_upstream,
    members,
    readable,
    unsendable,
    values,
)
from gateway.loading import Site
from gateway.proxy.dial import Dialer, OpeningLeg, UpstreamError
from gateway.proxy.exchange import Exchanges, UploadError, ordinary_answer
from gateway.proxy.log import EventLog
from gateway.proxy.responses import ALT_SVC, BrokenOffError, Done, Problem, cut, redirect, refuse, relay
from gateway.proxy.tunnel import Tunnel
from gateway.routing import Forward, Redirect, Refused, RequestHead, Router, Upstream
from gateway.websocket.handshake import (
    Ordinary,
    Switching,
    extensions,
    message_head,
    mismatch,
    refusal,
    upgrading,
    wants_websocket,
)

_CLIENT_LEFT: Final = 499
"""Stands in for a status where nobody was left to be sent one; never on the wire."""


class Proxy:
    """What all listeners share: the ways upstream, the log, the numbers of the tunnels."""

    def __init__(self, log: EventLog, secrets: Secrets, tls: Callable[[], ssl.SSLContext]) -> None:
        self.log = log
        self.secrets = secrets
        self.dialer = Dialer(tls)
        self.exchanges = Exchanges(tls)
        self.stopping = False
        """Whether a tunnel that opens now has to be ended at once."""
        self.numbers = itertools.count(1)
        """The numbers of the tunnels."""


class Tunnels:
    """The WebSockets of one listener."""

    def __init__(self) -> None:
        self.open: set[Tunnel] = set()
        self.all_closed = asyncio.Event()
        """Whether there is none."""
        self.all_closed.set()

    def add(self, tunnel: Tunnel) -> None:
        """A tunnel has opened."""
        self.open.add(tunnel)
        self.all_closed.clear()

    def remove(self, tunnel: Tunnel) -> None:
        """A tunnel has ended."""
        self.open.discard(tunnel)
        if not self.open:
            self.all_closed.set()


class Handler:
    """Answers the requests of one listener, as `site` says at the time."""

    def __init__(self, proxy: Proxy, site: Site) -> None:
        self._proxy = proxy
        self._scheme = "http" if site.tls is None else "https"
        self.serve(site)
        self.tunnels = Tunnels()
        self.busy: set[web.RequestHandler] = set()
        """The connections with a request that is being answered."""
        self.idle = asyncio.Event()
        """Whether there is none."""
        self.idle.set()

    def serve(self, site: Site) -> None:
        """Answer as `site` says from the next request on."""
        self._site = site
        self._router = Router(site.routes)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.busy.add(request.protocol)
        self.idle.clear()
        try:
            response = await self._answer(request)
        finally:
            self.busy.discard(request.protocol)
            if not self.busy:
                self.idle.set()
        if self._proxy.stopping:
            request.protocol.close()  # after this answer
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        story = _Story(self._proxy, request, self._scheme, self.tunnels)
        try:
            return await story.tell(self._site, self._router)
        except asyncio.CancelledError:
            story.record(None)
            raise
        except ConnectionError:
            # The client has gone while it was being answered: nobody is left to be told.
            story.record(None)
        except Exception as error:  # noqa: BLE001 - a bug in one request ends that request alone
            story.complain(f"a fault of the gateway: {type(error).__name__}: {error}", status=500)
            story.record(None)
            cut(request)
        return Done(_CLIENT_LEFT, keep_alive=False)


class _Story:
    """One request, from its head to its record."""

    def __init__(self, proxy: Proxy, request: web.BaseRequest, scheme: str, tunnels: Tunnels) -> None:
        self._proxy = proxy
        self._tunnels = tunnels
        self._request = request
        self._scheme = scheme
        self._fields = Header(request.raw_headers)
        self._started = time.monotonic_ns()
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        self._peer: tuple[str, int] | None = None
        """None for a client of a unix socket, which has no address."""
        if isinstance(peer, tuple):
            # An IPv4 client of a socket for both families is not made an IPv6 one by that.
            self._peer = (peer[0].removeprefix("::ffff:"), peer[1])
        self._upstream: Upstream | None = None
        self._answers: ErrorAnswers | None = None
        self._recorded = False

    async def tell(self, site: Site, router: Router) -> web.StreamResponse:
        """Answer the request."""
        request = self._request
        hosts = values(self._fields, b"host")
        unfit = unsendable(self._fields)
        if unfit is not None:
            return await self._refuse(
                Problem(status=400, what=f"The request cannot be passed on: {unfit}.", close=True)
            )
        host = hosts[0] if hosts else b""
        decision = router.decide(
            RequestHead(
                method=request.method,
                host=host.decode("latin-1"),
                target=request.raw_path,
                headers=self._fields,
                client=self._client,
            )
        )
        self._answers = site.answers_of(decision)
        match decision:
            case Redirect():
                return self.record(await redirect(request, decision.status, decision.location))
            case Refused():
                what = _sentence(decision.reason)
                return await self._refuse(Problem(status=decision.status, what=what), decision.code)
            case Forward():
                self._upstream = decision.upstream
                fields = for_upstream(
                    self._fields,
                    authority=decision.upstream.authority,
                    client=self._peer,
                    host=decision.host.encode("latin-1"),
                    scheme=self._scheme,
                )
                answer = self._upgrade if wants_websocket(self._fields) else self._exchange
                try:
                    return await answer(decision, fields)
                except UpstreamError as error:
                    return await self._fail(error, decision.upstream)
                except BrokenOffError:
                    self.complain(
                        "broke the response off in the middle; the client's connection was cut",
                        decision.upstream,
                    )
                    return self.record(None)

    async def _exchange(self, to: Forward, fields: list[Field]) -> web.StreamResponse:
        """Pass a plain request on, and its response back.  Raises UpstreamError and BrokenOffError."""
        request = self._request
        expectations = members(self._fields, b"expect")
        if expectations not in ([], [b"100-continue"]):
            return await self._refuse(
                Problem(status=417, what="The only expectation that can be met is 100-continue.")
            )
        fields = [field for field in fields if field[0].lower() != b"expect"]
        if b"close" in members(self._fields, b"connection"):
            fields.append((b"Connection", b"close"))
        try:
            async with self._proxy.exchanges.request(request, to, fields) as response:
                return self.record(await relay(request, response))
        except UnicodeDecodeError:
            return await self._refuse(
                Problem(
                    status=400, what="The request cannot be passed on: a header is not UTF-8.", close=True
                )
            )
        except UploadError:
            return await self._refuse(
                Problem(status=400, what="The body of the request is broken.", close=True)
            )

    async def _upgrade(self, to: Forward, fields: list[Field]) -> web.StreamResponse:
        """Open a WebSocket: both legs of the handshake, then the tunnel.

        Raises UpstreamError and BrokenOffError.
        """
        request = self._request
        refused = refusal(request.method, request.version, self._fields)
        if refused is not None:
            # What follows a refused upgrade may have been meant for somebody else: no more is read.
            what = f"This is no opening handshake of a WebSocket: {refused.reason}."
            return await self._refuse(
                Problem(status=refused.status, what=what, fields=refused.fields, close=True)
            )
        sent = upgrading(fields)
        key = b"".join(values(sent, b"sec-websocket-key"))
        head = message_head(b"GET %s HTTP/1.1" % to.target.encode("ascii"), sent)
        transport, leg, answer = await self._proxy.dialer.open(to.upstream, head)
        if isinstance(answer, Ordinary):
            async with ordinary_answer(transport, leg, answer.data, sent) as response:
                return self.record(await relay(request, response, close=True))
        unfit = mismatch(answer, key)
        if unfit is not None:
            transport.abort()
            raise UpstreamError(502, f"did not answer the upgrade as it should: {unfit}", code="E2125")
        self._hand_over(transport, leg, answer, sent)
        return Done(101, keep_alive=False)

    def _hand_over(
        self, up: asyncio.Transport, leg: OpeningLeg, answer: Switching, sent: list[Field]
    ) -> None:
        """Take both connections out of everybody's hands and make a tunnel of them.

        Raises ConnectionResetError where the client has gone in the meantime.
        """
        proxy, request = self._proxy, self._request
        down = request.transport
        if down is None or down.is_closing():
            up.abort()
            raise ConnectionResetError
        glued = _Glued()
        request.protocol.set_parser(glued)  # type: ignore[arg-type]  # a reader of two methods
        answered = upgrading(end_to_end(answer.fields))
        if ALT_SVC in request:
            answered.append((b"Alt-Svc", request[ALT_SVC].encode()))
        agreed = extensions(answer.fields)
        tunnel = Tunnel(
            next(proxy.numbers), down, up, agreed=agreed, log=proxy.log, on_closed=self._tunnels.remove
        )
        self._tunnels.add(tunnel)
        if proxy.log.watching:
            self._record_open(tunnel.conn, answer, sent, answered)
        # To aiohttp, this connection has gone; so no task, parser or timer of its stays behind.
        request.protocol.transport = None
        request.protocol.connection_lost(None)
        self._recorded = True
        down.write(message_head(answer.status_line, answered))
        tunnel.start(bytes(glued.data), leg, answer.rest)
        if proxy.stopping:
            tunnel.stop()

    def _record_open(self, conn: int, answer: Switching, sent: list[Field], answered: list[Field]) -> None:
        secrets = self._proxy.secrets
        hidden = secrets.subprotocols(self._fields)
        request = HandshakeLeg(
            received=secrets.headers(self._fields, hidden), sent=secrets.headers(sent, hidden)
        )
        response = HandshakeLeg(
            received=secrets.headers(answer.fields, hidden), sent=secrets.headers(answered, hidden)
        )
        chosen = values(answer.fields, b"sec-websocket-protocol")
        agreed = values(answer.fields, b"sec-websocket-extensions")
        client, path, upstream = self._client, self._path, self._upstream_url
        self._proxy.log.put(
            lambda time, t_ns: Open(
                time=time,
                t_ns=t_ns,
                conn=conn,
                client=client,
                path=path,
                upstream=upstream or "",
                subprotocol=secrets.subprotocol(chosen[0], hidden) if chosen else None,
                extensions=readable(b", ".join(agreed)) if agreed else None,
                handshake=Handshake(request=request, response=response),
            )
        )

    async def _fail(self, error: UpstreamError, upstream: Upstream) -> web.StreamResponse:
        """Answer for an upstream that did not do its part."""
        self.complain(error.did, upstream, status=error.status)
        hint = command = None
        if is_loopback(upstream.host):
            hint = "Is it running? The kit's own server starts with:"
            command = f"python -m demo_upstream --addr {host_port(upstream.host, upstream.port)}"
        url = self._proxy.secrets.text(upstream.url)
        problem = Problem(
            status=error.status, what=f"{url} {error.did}.", hint=hint, command=command, close=self._unread
        )
        return self.record(await refuse(self._request, self._worded(problem, error.code), url))

    async def _refuse(self, problem: Problem, code: str | None = None) -> web.StreamResponse:
        """Answer with the gateway's own word, or, for an error that has a code, with an ErrorHandler's."""
        if problem.status >= 500:
            self.complain(problem.what, status=problem.status)
        return self.record(await refuse(self._request, self._worded(problem, code)))

    def _worded(self, problem: Problem, code: str | None) -> Problem:
        """`problem` with what an ErrorHandler has to say of it."""
        if self._answers is None or code is None:
            return problem
        path = unquote(self._request.raw_path.partition("?")[0], errors="surrogateescape")
        fault = Fault(status=problem.status, code=code, message=problem.what, path=path)
        accepted = [each.decode("latin-1") for each in members(self._fields, b"accept")]
        return replace(problem, answer=self._answers.answer(fault, accepted))

    def complain(self, message: str, upstream: Upstream | None = None, *, status: int | None = None) -> None:
        """Record an error about this request; with `upstream`, the message says what that did."""
        url = None if upstream is None else self._proxy.secrets.text(upstream.url)
        self._proxy.log.error(
            message if url is None else f"{url} {message}",
            client=self._client,
            method=self._request.method,
            path=self._path,
            upstream=url,
            status=status,
        )

    def record(self, response: Done | None) -> Done:
        """Record the exchange at its end; None where the client was not sent a whole answer."""
        # Not `or`: to Python a response is an empty mapping.
        done = Done(_CLIENT_LEFT, keep_alive=False) if response is None else response
        if self._proxy.log.watching and not self._recorded:
            self._recorded = True
            method, path = self._request.method, self._path
            client, upstream = self._client, self._upstream_url
            ms = round((time.monotonic_ns() - self._started) / 1e6, 3)
            status = None if response is None else response.status
            self._proxy.log.put(
                lambda time, t_ns: Request(
                    time=time,
                    t_ns=t_ns,
                    method=method,
                    path=path,
                    status=status,
                    upstream=upstream,
                    ms=ms,
                    bytes=done.sent,
                    client=client,
                )
            )
        return done

    @property
    def _client(self) -> str:
        return "@" if self._peer is None else host_port(*self._peer)  # as Go shows it

    @property
    def _path(self) -> str:
        target = self._request.raw_path.encode("utf-8", "surrogateescape")
        return self._proxy.secrets.text(readable(target))

    @property
    def _upstream_url(self) -> str | None:
        return None if self._upstream is None else self._proxy.secrets.text(self._upstream.url)

    @property
    def _unread(self) -> bool:
        """Whether the client may still be sending what nobody is going to read."""
        return self._request.can_read_body or wants_websocket(self._fields)


class _Glued:
    """Takes the bytes that came behind the client's opening handshake out of aiohttp's hands."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Nothing more is to come this way."""


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."

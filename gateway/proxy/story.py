"""One request's story, top to bottom.

    decide where it goes → check it → open the upstream → pass the answer back → tell the log

If both legs of an opening handshake agree, it ends with both connections handed over to a `Tunnel`; all else
ends with an answer, which is given through aiohttp.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol
from urllib.parse import unquote

from aiohttp import web

from gateway.config import host_port, is_loopback
from gateway.errors import ErrorAnswers, Fault
from gateway.events import Handshake, HandshakeLeg, Open, Request
from gateway.headers import (
    Field,
    Fields,
    Header,
    end_to_end,
    for_upstream,
    members,
    readable,
    values,
)
from gateway.loading import Site
from gateway.proxy.dial import OpeningLeg, UpstreamError
from gateway.proxy.exchange import UploadError, ordinary_answer
from gateway.proxy.listen import peer_address, peer_name
from gateway.proxy.responses import (
    BrokenOffError,
    Done,
    Problem,
    UpstreamResponse,
    cut,
    redirect,
    refuse,
    relay,
)
from gateway.proxy.shared import Proxy, Tunnels
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
)

_DELIVERY: Final = 0.01
"""Seconds between two looks at what still waits to be delivered."""

CLIENT_LEFT: Final = 499
"""Stands in for a status where nobody was left to be sent one; never on the wire."""

_Answer = Callable[[web.BaseRequest], Awaitable[Done]]


class Downstream(Protocol):
    """Whoever has the client's connection."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The connection; None where the client has gone."""

    def release(self) -> bytes:
        """Let a tunnel have the connection, with what has come behind the request."""


@dataclass(slots=True, kw_only=True)
class Asked:
    """A request, by whomever it was read."""

    method: str
    version: tuple[int, int]
    target: str
    fields: Header
    peer: object
    """Who asks, as the transport has it: address and port; something else where it has none."""
    downstream: Downstream
    upgrade: bool
    """Whether it asks for a WebSocket."""
    unfit: str | None = None
    """Why it cannot be sent on."""


class Story:
    """One request, from its head to its record.

    `begin` goes as far as there is nothing to be said to the client; from there on it is a `Reply`.
    """

    def __init__(self, proxy: Proxy, asked: Asked, scheme: str, tunnels: Tunnels) -> None:
        self._proxy = proxy
        self._tunnels = tunnels
        self._asked = asked
        self._scheme = scheme
        self._fields = asked.fields
        self._started = time.monotonic_ns()
        self._alt_svc = ""
        self._upstream: Upstream | None = None
        self._answers: Callable[[], ErrorAnswers | None] = lambda: None
        """What an ErrorHandler has to say of errors."""
        self._answer: _Answer | None = None
        """How the client is answered; None where the connection is in a tunnel."""
        self._up: asyncio.Transport | None = None
        """Where an answer other than 101 comes from."""
        self._recorded = False

    async def begin(self, site: Site, router: Router) -> "Story | None":
        """Decide, and open what is to be opened; None where there is nothing to be answered any more."""
        self._alt_svc = site.server.spec.http_config.alt_svc
        try:
            self._answer = await self._decide(site, router)
        except asyncio.CancelledError:
            self.record(None)
            raise
        except Exception as error:  # noqa: BLE001 - a bug in one request ends that request alone
            self._end_badly(error)
            if (transport := self._asked.downstream.transport) is not None:
                transport.abort()
        return None if self._answer is None else self

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer the client."""
        assert self._answer is not None
        try:
            try:
                return self.record(await self._answer(request))
            except UpstreamError as error:
                self._complain_of(error)
                return self.record(await self._fail(error, request))
        except asyncio.CancelledError:
            self.record(None)
            raise
        except BrokenOffError:
            words = "broke the response off in the middle; the client's connection was cut"
            self.complain(words, self._upstream)
        except Exception as error:  # noqa: BLE001 - as above
            self._end_badly(error)
            cut(request)
        return self.record(None)

    def drop(self) -> None:
        """The client has gone before it could be answered."""
        if self._up is not None:
            self._up.abort()
        self.record(None)

    def _end_badly(self, error: Exception) -> None:
        """Nobody can be told: the client has gone while it was being answered, or there is a bug."""
        if not isinstance(error, ConnectionError):
            self.complain(f"a fault of the gateway: {type(error).__name__}: {error}", status=500)
        self.record(None)

    async def _decide(self, site: Site, router: Router) -> "_Answer | None":
        """How the client is answered; None where it is in a tunnel now."""
        if self._asked.unfit is not None:
            return self._refusal(f"The request cannot be passed on: {self._asked.unfit}.")
        hosts = values(self._fields, b"host")
        decision = router.decide(
            RequestHead(
                method=self._asked.method,
                host=hosts[0].decode("latin-1") if hosts else "",
                target=self._asked.target,
                headers=self._fields,
                client=self._client,
            )
        )
        self._answers = partial(site.answers_of, decision)
        match decision:
            case Redirect():
                return partial(redirect, status=decision.status, location=decision.location)
            case Refused():
                # A client that asks for what makes no sense may mean something else by what follows.
                close = decision.status == 400
                problem = Problem(status=decision.status, what=_sentence(decision.reason), close=close)
                return self._refused(problem, decision.code)
        self._upstream = decision.upstream
        fields = for_upstream(
            self._fields,
            authority=decision.upstream.authority,
            client=peer_address(self._asked.peer),
            host=decision.host.encode("latin-1"),
            scheme=self._scheme,
        )
        if not self._asked.upgrade:
            return partial(self._exchange, decision, fields)
        try:
            return await self._upgrade(decision, fields)
        except UpstreamError as error:
            self._complain_of(error)
            return partial(self._fail, error)

    async def _exchange(self, to: Forward, fields: list[Field], request: web.BaseRequest) -> Done:
        """Pass a plain request on, and its response back.  Raises UpstreamError and BrokenOffError."""
        expectations = members(self._fields, b"expect")
        if expectations not in ([], [b"100-continue"]):
            problem = Problem(status=417, what="The only expectation that can be met is 100-continue.")
            self._upstream = None  # which has not been asked
            return await self._refused(problem)(request)
        if expectations:
            fields = [field for field in fields if field[0].lower() != b"expect"]
        if b"close" in members(self._fields, b"connection"):
            fields.append((b"Connection", b"close"))
        try:
            return await _pass_on(await self._proxy.exchanges.request(request, to, fields), request)
        except UnicodeDecodeError:
            what = "The request cannot be passed on: a header is not UTF-8."
        except UploadError:
            what = "The body of the request is broken."
        return await self._refusal(what)(request)

    async def _upgrade(self, to: Forward, fields: list[Field]) -> "_Answer | None":
        """Open a WebSocket: both legs of the handshake, then the tunnel.  Raises UpstreamError."""
        refused = refusal(self._asked.method, self._asked.version, self._fields)
        if refused is not None:
            # What follows a refused upgrade may have been meant for somebody else: no more is read.
            what = f"This is no opening handshake of a WebSocket: {refused.reason}."
            self._upstream = None  # which has not been asked
            return self._refused(Problem(status=refused.status, what=what, fields=refused.fields, close=True))
        sent = upgrading(fields)
        key = b"".join(values(self._fields, b"sec-websocket-key"))
        head = message_head(b"GET %s HTTP/1.1" % to.target.encode("ascii"), sent)
        await self._delivered()
        transport, leg, answer = await self._proxy.dialer.open(to.upstream, head)
        if isinstance(answer, Ordinary):
            self._up = transport
            return partial(self._refuse_upgrade, leg, answer.data, sent)
        unfit = mismatch(answer, key)
        if unfit is not None:
            transport.abort()
            raise UpstreamError(502, f"did not answer the upgrade as it should: {unfit}", code="E2125")
        self._hand_over(transport, leg, answer, sent)
        return None

    async def _delivered(self) -> None:
        """Wait until the client has taken all answers that it had asked for before.

        A transport that has said to be full says so once: a tunnel that began on it would never hear of it.
        """
        while (down := self._asked.downstream.transport) is not None and down.get_write_buffer_size():  # noqa: ASYNC110 - tells nobody
            await asyncio.sleep(_DELIVERY)

    async def _refuse_upgrade(
        self, leg: OpeningLeg, data: bytes, head: Fields, request: web.BaseRequest
    ) -> Done:
        """Pass on the ordinary answer that an opening handshake was given.  Raises UpstreamError."""
        assert self._up is not None
        response = await ordinary_answer(self._up, leg, data, head, self._proxy.limits)
        return await _pass_on(response, request, last=True)

    def _hand_over(
        self, up: asyncio.Transport, leg: OpeningLeg, answer: Switching, sent: list[Field]
    ) -> None:
        """Take both connections out of everybody's hands and make a tunnel of them.

        Raises ConnectionResetError where the client has gone in the meantime.
        """
        proxy = self._proxy
        down = self._asked.downstream.transport
        if down is None or down.is_closing():
            up.abort()
            raise ConnectionResetError
        answered = upgrading(end_to_end(answer.fields))
        if self._alt_svc:
            answered.append((b"Alt-Svc", self._alt_svc.encode()))
        agreed = extensions(answer.fields)
        tunnel = Tunnel(
            next(proxy.numbers), down, up, agreed=agreed, log=proxy.log, on_closed=self._tunnels.remove
        )
        self._tunnels.add(tunnel)
        if proxy.log.watching:
            self._record_open(tunnel.conn, answer, sent, answered)
        glued = self._asked.downstream.release()
        self._recorded = True
        head = message_head(answer.status_line, answered)
        tunnel.start(head, glued, leg, answer.rest, proxy.limits.tunnel_buffer)
        if proxy.stopping:
            tunnel.stop()

    def _record_open(self, conn: int, answer: Switching, sent: list[Field], answered: list[Field]) -> None:
        secrets = self._proxy.secrets
        hidden = secrets.subprotocols(self._fields)
        messages = (self._fields, sent, answer.fields, answered)
        received, passed_on, answer_received, answer_passed_on = secrets.all_headers(messages, hidden)
        request = HandshakeLeg(received=received, sent=passed_on)
        response = HandshakeLeg(received=answer_received, sent=answer_passed_on)
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

    async def _fail(self, error: UpstreamError, request: web.BaseRequest) -> Done:
        """Answer for an upstream that did not do its part."""
        upstream = self._upstream
        assert upstream is not None
        hint = command = None
        if is_loopback(upstream.host):
            hint = "Is it running? The kit's own server starts with:"
            command = f"python -m demo_upstream --addr {host_port(upstream.host, upstream.port)}"
        url = self._proxy.secrets.text(upstream.url)
        problem = Problem(
            status=error.status,
            what=f"{url} {error.did}.",
            hint=hint,
            command=command,
            # The client may still be sending what nobody is going to read.
            close=request.can_read_body or self._asked.upgrade,
        )
        return await refuse(request, self._worded(problem, error.code), url)

    def _complain_of(self, error: UpstreamError) -> None:
        self.complain(error.did, self._upstream, status=error.status)

    def _refusal(self, what: str) -> "_Answer":
        """The answer to a request that is wrong; what else its client sends is not read."""
        return self._refused(Problem(status=400, what=what, close=True))

    def _refused(self, problem: Problem, code: str | None = None) -> "_Answer":
        """The gateway's own word, or, for an error that has a code, an ErrorHandler's."""
        if problem.status >= 500:
            self.complain(problem.what, status=problem.status)
        return partial(refuse, problem=self._worded(problem, code))

    def _worded(self, problem: Problem, code: str | None) -> Problem:
        """`problem` with what an ErrorHandler has to say of it."""
        answers = None if code is None else self._answers()
        if answers is None or code is None:
            return problem
        path = unquote(self._asked.target.partition("?")[0], errors="surrogateescape")
        fault = Fault(status=problem.status, code=code, message=problem.what, path=path)
        accepted = [each.decode("latin-1") for each in members(self._fields, b"accept")]
        return replace(problem, answer=answers.answer(fault, accepted))

    def complain(self, message: str, upstream: Upstream | None = None, *, status: int | None = None) -> None:
        """Record an error about this request; with `upstream`, the message says what that did."""
        url = None if upstream is None else self._proxy.secrets.text(upstream.url)
        self._proxy.log.error(
            message if url is None else f"{url} {message}",
            client=self._client,
            method=self._asked.method,
            path=self._path,
            upstream=url,
            status=status,
        )

    def record(self, response: Done | None) -> Done:
        """Record the exchange at its end; None where the client was not sent a whole answer."""
        # Not `or`: to Python a response is an empty mapping.
        done = Done(CLIENT_LEFT, keep_alive=False) if response is None else response
        if self._proxy.log.watching and not self._recorded:
            self._recorded = True
            method, path = self._asked.method, self._path
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
        return peer_name(self._asked.peer)

    @property
    def _path(self) -> str:
        target = self._asked.target.encode("utf-8", "surrogateescape")
        return self._proxy.secrets.text(readable(target))

    @property
    def _upstream_url(self) -> str | None:
        return None if self._upstream is None else self._proxy.secrets.text(self._upstream.url)


async def _pass_on(response: UpstreamResponse, request: web.BaseRequest, *, last: bool = False) -> Done:
    """Pass a response on; with `last` it is the last one of the client's connection."""
    try:
        return await relay(request, response, close=last)
    finally:
        response.close()


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."

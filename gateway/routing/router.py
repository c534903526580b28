"""One request → what becomes of it.  `Router.decide` tells the whole story.

Nothing that a client sends makes it raise: what cannot be routed is `Refused`, with AILERON's status and
code where AILERON has one (core-v1, sections 4.3, 5.1 and 5.8).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from gateway.config import ReverseProxyHandler, Upstream
from gateway.routing.mux import Match, Redirection
from gateway.routing.proxying import Request
from gateway.routing.request import RequestFacts
from gateway.routing.routes import Route, Routes
from gateway.routing.target import InvalidTargetError, RequestTarget, parse_target, upstream_target


@dataclass(slots=True, kw_only=True)
class RequestHead:
    """What a request is routed by."""

    method: str
    host: str
    """The Host field as received; empty where there was none."""
    target: str
    """The request target as received, bytes that are not UTF-8 as surrogate escapes."""
    headers: Sequence[tuple[bytes, bytes]]
    """The header fields in wire order."""
    client: str = ""
    """Address and port, as `127.0.0.1:5000`."""


@dataclass(slots=True, kw_only=True)
class Forward:
    """Send the request on."""

    upstream: Upstream
    target: str
    """What to ask the upstream for, in origin-form: printable ASCII without spaces."""
    host: str
    """The host that the client addressed: the Host field, but where the target has one (absolute-form)."""
    handler: ReverseProxyHandler = field(compare=False, repr=False)
    """Who sends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Send the client to another path of this server."""

    location: str
    """Path and query, printable ASCII without spaces."""
    status: int = HTTPStatus.TEMPORARY_REDIRECT


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Answer with an error."""

    status: int
    code: str | None
    """AILERON's name for it, as `E2122`; None where Go's HTTP server answers in its stead."""
    reason: str
    """For the log and the error page.  Parts of the request in it are not escaped."""
    handler: ReverseProxyHandler | None = field(default=None, compare=False, repr=False)
    """Who refuses; None: the server itself."""


Decision = Forward | Redirect | Refused


class Router:
    """The routes of one server.

    One instance belongs to one event loop: balancers count.
    """

    def __init__(self, routes: Routes) -> None:
        self.routes = routes

    def decide(self, head: RequestHead) -> Decision:
        """What becomes of the request with this `head`.  Never raises."""
        if head.method == "CONNECT":
            return Refused(status=HTTPStatus.BAD_REQUEST, code=None, reason="CONNECT is for forward proxies")
        try:
            target = parse_target(head.target)
        except InvalidTargetError as error:
            return Refused(status=HTTPStatus.BAD_REQUEST, code=None, reason=str(error))
        host = head.host if target.authority is None else target.authority
        match self.routes.find(host, target):
            case Redirection(location=location):
                return Redirect(location=location)
            case None:
                return _not_found("no virtual host of this server has a handler for this path")
            case found:
                return self._route(found, head, target, host)

    def _route(self, found: Match[Route], head: RequestHead, target: RequestTarget, host: str) -> Decision:
        route = found.value
        if route.handler is None:
            return _not_found("no virtual host of this server has a handler for this path")
        if route.methods is not None and head.method not in route.methods:
            return _not_found(f"the handler for this path does not take the method {head.method}")
        handler = route.handler.resource
        request = request_of(found, head, target, host)
        chosen = route.handler.choose(request)
        if chosen is None:
            return Refused(
                status=HTTPStatus.NOT_FOUND,
                code="E2122",
                reason="no load balancer takes this request",
                handler=handler,
            )
        balancer, path = chosen
        upstream = balancer.pick(request)
        if upstream is None:
            return Refused(
                status=HTTPStatus.BAD_GATEWAY,
                code="E2121",
                reason="the load balancer that takes this request has no upstream",
                handler=handler,
            )
        return Forward(
            upstream=upstream,
            target=upstream_target(path, upstream.query, target.query),
            host=host,
            handler=handler,
        )


def request_of(found: Match[Route], head: RequestHead, target: RequestTarget, host: str) -> Request:
    """What the handler of the route that was found looks at."""
    return Request(
        method=head.method,
        host=host,
        path=target.path,
        facts=RequestFacts(
            headers=head.headers, query=target.query, path_params=found.parameters, client=head.client
        ),
    )


def _not_found(reason: str) -> Refused:
    return Refused(status=HTTPStatus.NOT_FOUND, code="E2131", reason=reason)

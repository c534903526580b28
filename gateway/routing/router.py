"""One request → what becomes of it.  `Router.decide` tells the whole story.

Nothing that a client sends makes it raise: what cannot be routed is `Refused`, with AILERON's status and
code where AILERON has one (core-v1, sections 4.3, 5.1 and 5.8).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from random import Random

from gateway.config import Config, HTTPServer, ReverseProxyHandler, Upstream
from gateway.routing.balancers import balancer
from gateway.routing.matchers import PathMatcher
from gateway.routing.mux import handler_of
from gateway.routing.target import InvalidTargetError, parse_target, redirection, upstream_target


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """What a request is routed by."""

    method: str
    host: str
    """The Host field as received; empty where there was none."""
    target: str
    """The request target as received, bytes that are not UTF-8 as surrogate escapes."""
    headers: Sequence[tuple[bytes, bytes]]
    """The header fields in wire order.  No route looks at them so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Send the request on."""

    upstream: Upstream
    target: str
    """What to ask the upstream for, in origin-form: printable ASCII without spaces."""
    host: str
    """The host that the client addressed: the Host field, but where the target has one (absolute-form)."""


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


Decision = Forward | Redirect | Refused


class Router:
    """The routes of one server.

    One instance belongs to one event loop: round robin counts.
    """

    def __init__(self, config: Config, server: HTTPServer) -> None:
        reference = handler_of(server)
        handler = config.resolve(reference) if reference else None
        assert handler is None or isinstance(handler, ReverseProxyHandler)  # load has checked it
        self._handled = handler is not None
        self._balancers = [
            ([PathMatcher(spec) for spec in each.all_path_matchers], balancer(each, Random()))  # noqa: S311 - spreads load
            for each in (handler.spec.load_balancers if handler else ())
        ]

    def decide(self, head: RequestHead) -> Decision:
        """What becomes of the request with this `head`.  Never raises."""
        if head.method == "CONNECT":
            return Refused(status=HTTPStatus.BAD_REQUEST, code=None, reason="CONNECT is for forward proxies")
        try:
            target = parse_target(head.target)
        except InvalidTargetError as error:
            return Refused(status=HTTPStatus.BAD_REQUEST, code=None, reason=str(error))
        if (location := redirection(target)) is not None:
            return Redirect(location=location)
        if not self._handled:
            return Refused(
                status=HTTPStatus.NOT_FOUND,
                code="E2131",
                reason="no virtual host of this server has a handler",
            )
        for matchers, balancer_ in self._balancers:
            paths = (each.match(target.path) for each in matchers)
            if (path := next((each for each in paths if each is not None), None)) is not None:
                upstream = balancer_.pick(b"")
                if upstream is None:
                    return Refused(
                        status=HTTPStatus.BAD_GATEWAY,
                        code="E2121",
                        reason="the load balancer that takes this path has no upstream",
                    )
                return Forward(
                    upstream=upstream,
                    target=upstream_target(path, upstream.query, target.query),
                    host=head.host if target.authority is None else target.authority,
                )
        return Refused(status=HTTPStatus.NOT_FOUND, code="E2122", reason="no load balancer takes this path")

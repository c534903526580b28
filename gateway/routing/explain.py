"""Why a request goes where it goes: every route, condition and matcher that was asked, and its answer.

What answers here is what decides (`Mux.find`, `Condition.holds`, `PathMatcher.match`), so an explanation
cannot differ from what a running gateway does.  Only what counts does: a RoundRobin begins at its first
upstream here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

from gateway.config import HTTPServer
from gateway.config.problems import escaped, quoted
from gateway.config.resources import LBAlgorithm
from gateway.headers import Secrets, for_upstream
from gateway.routing.mux import Match
from gateway.routing.proxying import LoadBalancer, Request
from gateway.routing.router import Forward, Redirect, Refused, RequestHead, Router, request_of
from gateway.routing.routes import Route, Routes
from gateway.routing.target import RequestTarget, parse_target
from gateway.websocket.handshake import refusal, upgrading, wants_websocket

_SECRETS: Final = Secrets()

Outcome = Literal["yes", "no", "end", ""]
"""Whether something took the request; `end` is what becomes of it; empty where nothing was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A line of an explanation, and those below it.

    What it repeats of a request or a config is escaped, and without the secrets in it: explanations are made
    to be shown to others.
    """

    text: str
    outcome: Outcome = ""
    steps: "tuple[Step, ...]" = ()


def explain(server: HTTPServer, routes: Routes, head: RequestHead, client: tuple[str, int]) -> Step:
    """The way of the request with this `head` through `server`; `client` is who sends it."""
    steps: list[Step] = []
    decision = Router(routes).decide(head)
    if not (
        isinstance(decision, Refused) and decision.status == HTTPStatus.BAD_REQUEST
    ):  # which no route sees
        target = parse_target(head.target)
        host = head.host if target.authority is None else target.authority
        steps += _routes(routes, head, target, host)
    match decision:
        case Redirect(location=location, status=status):
            steps.append(_answered(status, f"go to {_SECRETS.text(location)}"))
        case Refused(status=status, reason=reason, code=code):
            steps.append(_answered(status, reason, code))
        case Forward():
            steps.append(_sent(server, head, decision, client))
    request = f'"{head.method} {_SECRETS.text(head.target)}" with Host: {head.host}'
    text = escaped(f"{server.label} at {server.spec.address} is asked {request}")
    return Step(text=text, steps=tuple(steps))


def _answered(status: int, words: str, code: str | None = None) -> Step:
    """What the gateway answers itself."""
    named = f" ({code})" if code else ""
    return Step(
        text=f"answered with {int(status)} {HTTPStatus(status).phrase}{named}: {escaped(words)}",
        outcome="end",
    )


def _routes(routes: Routes, head: RequestHead, target: RequestTarget, host: str) -> Iterator[Step]:
    found = routes.find(host, target)
    for candidate in routes.candidates(host, target):
        route: Route = candidate.value
        name = f"{candidate.host}{candidate.pattern}"
        words = f"route {quoted(name)} of {route.place or 'the server'}"
        if route.handler is None:
            words = f"{words}, which is 404 for all that its handlers do not take"
        if candidate.reason is not None:
            yield Step(text=f"{words}: {candidate.reason}", outcome="no")
            continue
        if not isinstance(found, Match):
            continue  # the client is sent elsewhere, whatever matches
        if route.handler is None:
            yield Step(text=words, outcome="no")
        elif route.methods is not None and head.method not in route.methods:
            methods = ", ".join(sorted(route.methods)) or "none"
            yield Step(text=f"{words}: takes the methods {methods}, not {quoted(head.method)}", outcome="no")
        else:
            request = request_of(found, head, target, host)
            parameters = "".join(f", {name} = {quoted(value)}" for name, value in found.parameters.items())
            steps = tuple(_balancers(route, request))
            yield Step(
                text=f"{words}{parameters} leads to {route.handler.resource.label}",
                outcome="yes",
                steps=steps,
            )
        return


def _balancers(route: Route, request: Request) -> Iterator[Step]:
    assert route.handler is not None  # the caller has looked
    for balancer in route.handler.balancers:
        taken = balancer.path_for(request) is not None
        yield Step(
            text=balancer.place, outcome="yes" if taken else "no", steps=tuple(_asked(balancer, request))
        )
        if taken:
            return


def _asked(balancer: LoadBalancer, request: Request) -> Iterator[Step]:
    for condition in balancer.conditions:
        holds = condition.holds(request)
        yield Step(text=condition.description, outcome="yes" if holds else "no")
        if not holds:
            return
    if not balancer.path_matchers:
        yield Step(text="there is no path matcher, so no path is taken", outcome="no")
    for matcher in balancer.path_matchers:
        path = matcher.match(request.path)
        if path is None:
            yield Step(text=matcher.description, outcome="no")
            continue
        becomes = "" if path == request.path else f"; the path becomes {quoted(path)}"
        yield Step(text=f"{matcher.description}{becomes}", outcome="yes")
        yield Step(text=_chosen(balancer))
        return


def _chosen(balancer: LoadBalancer) -> str:
    """How the upstream is chosen, and among which."""
    spec = balancer.spec
    enabled = [each for each in spec.upstreams if each.weight >= 0]
    urls = ", ".join(
        each.upstream.url if len(enabled) == 1 else f"{each.upstream.url} (weight {max(1, each.weight)})"
        for each in enabled
    )
    if len(enabled) < 2:
        return f"upstream {urls}" if urls else "no upstream is enabled"
    how = spec.lb_algorithm.name
    if spec.lb_algorithm not in (LBAlgorithm.RoundRobin, LBAlgorithm.Random):
        hasher = spec.hasher
        source = "ClientAddr" if hasher is None else f"{hasher.hash_source.name} {hasher.key}".strip()
        how = f"{how} of {quoted(source, marks='')}"
    return f"one of {urls} by {how}"


def _sent(server: HTTPServer, head: RequestHead, to: Forward, client: tuple[str, int]) -> Step:
    """What the upstream is sent; where a WebSocket is asked for in a wrong way, the answer to that."""
    listen = server.spec.http_config.listen_config
    fields = for_upstream(
        head.headers,
        authority=to.upstream.authority,
        client=client,
        host=to.host.encode("latin-1", "replace"),
        scheme="http" if listen is None or listen.tls_config is None else "https",
    )
    if wants_websocket(head.headers):
        refused = refusal(head.method, (1, 1), head.headers)
        if refused is not None:
            return _answered(refused.status, refused.reason)
        fields = upgrading(fields)
    lines = [f"{head.method} {_SECRETS.text(to.target)} HTTP/1.1"]
    hidden = _SECRETS.subprotocols(fields)
    lines += [f"{name}: {value}" for name, value in _SECRETS.headers(fields, hidden)]
    return Step(
        text=f"{to.upstream.url} is sent",
        outcome="end",
        steps=tuple(Step(text=escaped(line)) for line in lines),
    )

"""A ReverseProxyHandler: which of its load balancers takes a request, and for which upstream.

A load balancer takes a request where all of its conditions hold and one of its path matchers takes the path
(core-v1, section 5.1).  Conditions can say in words what they ask for, so that what decides is also what
explains.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from gateway.config import Problem, ReverseProxyHandler, Upstream
from gateway.config.decoding import Where
from gateway.config.problems import quoted
from gateway.config.resources import LoadBalancerSpec, ParamMatcherSpec, known_methods
from gateway.routing.balancers import balancer, hash_key
from gateway.routing.matchers import ParamMatcher, PathMatcher
from gateway.routing.patterns import PatternError
from gateway.routing.request import ParamSource, RequestFacts


@dataclass(slots=True, kw_only=True)
class Request:
    """A request that a route has taken."""

    method: str
    host: str
    """The Host field as received, with its port."""
    path: str
    """Decoded."""
    facts: RequestFacts


@dataclass(frozen=True, slots=True)
class Condition:
    """What a load balancer asks of a request, besides its path."""

    description: str
    """As `method is GET or HEAD`."""
    holds: Callable[[Request], bool]


class LoadBalancer:
    """A load balancer that can be asked."""

    def __init__(
        self, spec: LoadBalancerSpec, place: str, tell: Callable[[Where, str, PatternError], None]
    ) -> None:
        self.spec = spec
        self.place = place
        """As `spec.loadBalancers[0]`."""
        self.path_matchers: list[PathMatcher] = []
        for matcher in spec.all_path_matchers:
            try:
                self.path_matchers.append(PathMatcher(matcher))
            except PatternError as error:
                tell(matcher.where, error.field, error)
        self.conditions = list(_conditions(spec, tell))
        self._balancer = balancer(spec, random.Random())  # noqa: S311  (spreads load, keeps no secret)

    def path_for(self, request: Request) -> str | None:
        """The upstream's path for `request`, decoded; None where this balancer does not take it."""
        if all(condition.holds(request) for condition in self.conditions):
            for matcher in self.path_matchers:
                if (path := matcher.match(request.path)) is not None:
                    return path
        return None

    def pick(self, request: Request) -> Upstream | None:
        """The upstream for `request`; None where there is none, or all are disabled."""
        return self._balancer.pick(hash_key(self.spec.hasher, request.facts))


class ProxyHandler:
    """A ReverseProxyHandler that can be asked.  One instance belongs to one event loop: balancers count."""

    def __init__(self, resource: ReverseProxyHandler) -> None:
        self.resource = resource
        self.problems: list[Problem] = []
        """What is wrong with its patterns."""
        self.balancers = [
            LoadBalancer(spec, f"spec.loadBalancers[{index}]", self._tell)
            for index, spec in enumerate(resource.spec.load_balancers)
        ]

    def choose(self, request: Request) -> tuple[LoadBalancer, str] | None:
        """The first load balancer that takes `request`, and the upstream's path; None where none does."""
        for each in self.balancers:
            if (path := each.path_for(request)) is not None:
                return each, path
        return None

    def _tell(self, where: Where, field: str, error: PatternError) -> None:
        attribute, bracket, item = field.partition("[")
        told = where.problem(self.resource.label, attribute, str(error), "pattern", item=bracket + item)
        self.problems.append(told)


def _conditions(
    spec: LoadBalancerSpec, tell: Callable[[Where, str, PatternError], None]
) -> Iterator[Condition]:
    if spec.methods:
        methods = frozenset(known_methods(spec.methods))
        names = " or ".join(known_methods(spec.methods)) or "none that is known"
        yield Condition(f"method is {names}", lambda request: request.method in methods)
    if spec.hosts:
        hosts = frozenset(spec.hosts)
        names = " or ".join(map(quoted, spec.hosts))
        yield Condition(f"Host is {names}", lambda request: request.host in hosts)
    sources: tuple[tuple[tuple[ParamMatcherSpec, ...], ParamSource], ...] = (
        (spec.header_matchers, "header"),
        (spec.query_matchers, "query"),
        (spec.path_param_matchers, "path parameter"),
    )
    for matchers, source in sources:
        for each in matchers:
            try:
                matcher = ParamMatcher(each, source)
            except PatternError as error:
                tell(each.where, error.field, error)
            else:
                yield Condition(matcher.description, partial(_takes, matcher))


def _takes(matcher: ParamMatcher, request: Request) -> bool:
    return matcher.takes(request.facts)

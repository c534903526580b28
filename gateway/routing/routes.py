"""A server's virtual hosts → its routes (core-v1, section 4.2).

Strategy
    Every handler of every virtual host is mounted at each of its patterns, for each host.  What no handler
    of a virtual host takes is 404: so says a route that fills the rest of the host, unless one is there.

Rules
    * A pattern is made of up to four parts, from the outside in: the virtual host's, the entry's in
      `handlers`, those of HTTPHandlers, and the handler's own.  They stand one behind the other as they are,
      but between the entry's and the handler's own there is always a "/".  A "/" at the end counts where it
      is the handler's own, without an HTTPHandler around it, or the entry's where there is none.
    * Where virtual host and handler both have methods, a method has to be in both lists.
    * What is wrong is told at the part of the pattern that brings it in.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.config import Config, HTTPHandler, HTTPServer, Id, Problem, ReverseProxyHandler, id_of
from gateway.config.decoding import Where
from gateway.config.problems import Mark
from gateway.config.resources import HTTPHandlerSpec, VirtualHostSpec, known_methods
from gateway.routing.mux import ConflictError, Mux, PatternError, parse_pattern
from gateway.routing.proxying import ProxyHandler
from gateway.routing.target import cleaned


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a server mounts a handler."""

    place: str
    """In the server, as `spec.virtualHosts[0].handlers[1]`; of what fills the rest, the virtual host."""
    methods: frozenset[str] | None
    """Other methods get 404.  None: every method is taken."""
    handler: ProxyHandler | None
    """None: 404."""


Routes = Mux[Route]


def build(
    config: Config, server: HTTPServer, handlers: dict[Id, ProxyHandler]
) -> tuple[Routes, list[Problem]]:
    """The routes of `server`, and what is wrong with them.

    `handlers` has those that other servers have brought in, and is added to: a handler is built once.
    """
    builder = _Builder(config, server, handlers)
    for index, host in enumerate(server.spec.virtual_hosts):
        builder.add(host, f"spec.virtualHosts[{index}]")
    builder.fill(("",), "")
    return builder.routes, builder.problems


class _Builder:
    def __init__(self, config: Config, server: HTTPServer, handlers: dict[Id, ProxyHandler]) -> None:
        self._config, self._server, self._handlers = config, server, handlers
        self.routes: Routes = Mux()
        self.problems: list[Problem] = []

    def add(self, host: VirtualHostSpec, place: str) -> None:
        """Mount the handlers of a virtual host, then fill its rest."""
        hosts = host.hosts or ("",)
        for index, mounted in enumerate(host.handlers):
            self._mount(host, hosts, mounted, f"{place}.handlers[{index}]")
        self.fill(hosts, place)

    def fill(self, hosts: Sequence[str], place: str) -> None:
        """Answer with 404 what is left of `hosts`."""
        for each in hosts:
            with contextlib.suppress(ConflictError):  # something takes it all
                self.routes.add(each, _EVERYTHING, Route(place=place, methods=None, handler=None))

    def _mount(
        self, host: VirtualHostSpec, hosts: Sequence[str], mounted: HTTPHandlerSpec, place: str
    ) -> None:
        proxy = self._config.proxy(mounted.handler)
        handler = self._handlers.get(id_of(proxy))
        if handler is None:
            handler = self._handlers[id_of(proxy)] = ProxyHandler(proxy)
            self.problems += handler.problems
        route = Route(place=place, methods=_methods(host, proxy), handler=handler)
        # Two spellings of one pattern are one.
        for text, parts in {each.text: each.parts for each in self._mounted(host, mounted)}.items():
            try:
                for culprit in parts:
                    parse_pattern(cleaned(f"/{culprit.text}"))
                culprit = _innermost(parts)
                pattern = parse_pattern(text)
            except PatternError as error:
                self._tell(culprit, str(error))
                continue
            try:
                for each in hosts:
                    self.routes.add(each, pattern, route)
            except ConflictError as error:
                self._tell(culprit, self._conflict(error))

    def _mounted(self, host: VirtualHostSpec, mounted: HTTPHandlerSpec) -> Iterator["_Joined"]:
        """Every pattern that a handler is mounted at."""
        label = self._server.label
        outer = (
            _Part(host.pattern, label, host.where, "pattern"),
            _Part(mounted.pattern, label, mounted.where, "pattern"),
        )
        own = self._own(mounted)
        for each in own:
            inner = "/".join(part for part in (mounted.pattern, each.text) if part)
            yield _Joined(_path(host.pattern + inner, slash=each.text.endswith("/")), (*outer, *each.parts))
        if not own:
            inner = mounted.pattern
            yield _Joined(_path(host.pattern + inner, slash=inner.endswith("/")), outer)

    def _own(self, mounted: HTTPHandlerSpec) -> list["_Joined"]:
        """The patterns of the handler itself.  An HTTPHandler gives its own only to those that it holds."""
        handler = self._config.handler(mounted.handler)
        label, where = handler.label, handler.spec.where
        if isinstance(handler, ReverseProxyHandler):
            return [
                _Joined(each, (_Part(each, label, where, "patterns", f"[{index}]"),))
                for index, each in enumerate(handler.spec.patterns)
            ]
        assert isinstance(handler, HTTPHandler)  # there are no others
        part = _Part(handler.spec.pattern, label, where, "pattern")
        return [
            _Joined(_path(part.text + each.text, slash=False), (part, *each.parts))
            for each in self._own(handler.spec)
        ]

    def _conflict(self, error: ConflictError) -> str:
        other: Route = error.other.value
        if other.handler is None:
            what = (
                f"{other.place} has its hosts as well, and answers with 404 what its own handlers do not "
                "take; put the handlers of one host into one virtual host"
            )
            return f"this route is never reached: {what}"
        return (
            f"{error}; the other one is at {other.place}, and what differs by method, host or header is for "
            "the load balancers of one handler"
        )

    def _tell(self, part: "_Part", words: str) -> None:
        where = part.where
        mark: Mark = where.of(part.attribute)
        given = part.attribute in where.values
        self.problems.append(
            Problem(
                file=where.file,
                line=mark.line,
                column=mark.column,
                resource=part.label,
                field=f"{where.path}.{part.attribute}{part.item}" if given else where.path,
                message=words,
                rule="route",
            )
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """What one resource adds to a pattern."""

    text: str
    label: str
    """Of the resource."""
    where: Where
    attribute: str
    item: str = ""
    """As `[0]`, of a list."""


@dataclass(frozen=True, slots=True)
class _Joined:
    """A pattern, and what it is made of, from the outside in."""

    text: str
    parts: tuple[_Part, ...]


def _innermost(parts: Sequence[_Part]) -> _Part:
    """The last of `parts` that says anything, else the entry in `handlers`; never the virtual host's."""
    return next((part for part in reversed(parts[1:]) if part.text), parts[1])


def _path(text: str, *, slash: bool) -> str:
    """`text` as a clean path, with a "/" at its end only if `slash`."""
    clean = cleaned(f"/{text}").rstrip("/")
    return f"{clean}/" if slash or not clean else clean


def _methods(host: VirtualHostSpec, proxy: ReverseProxyHandler) -> frozenset[str] | None:
    lists = [set(known_methods(each)) for each in (host.methods, proxy.spec.methods) if each]
    return frozenset(set.intersection(*lists)) if lists else None


_EVERYTHING: Final = parse_pattern("/")

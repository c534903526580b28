"""A server's virtual hosts → its routes (core-v1, section 4.2).

Strategy
    Every handler of every virtual host is mounted at each of its patterns, for each host.  What no handler
    of a virtual host takes is 404: so says a route that fills the rest of the host, unless one is there.

Rules
    * A pattern is made of up to four parts, from the outside in: the virtual host's, the entry's in
      `handlers`, those of HTTPHandlers, and the handler's own.  Only the last keeps a "/" at its end.
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
        for where, parts in self._patterns(host, mounted):
            try:
                for part in parts:
                    if any(character in part for character in " \t"):
                        parse_pattern(part)  # which knows what was meant
                pattern = parse_pattern(_joined(parts))
            except PatternError as error:
                self._tell(where, str(error))
                continue
            for each in hosts:
                try:
                    self.routes.add(each, pattern, route)
                except ConflictError as error:
                    self._tell(where, self._conflict(error))

    def _patterns(
        self, host: VirtualHostSpec, mounted: HTTPHandlerSpec
    ) -> Iterator[tuple[tuple[str, Where, str], tuple[str, ...]]]:
        """Every pattern that a handler is mounted at: where its last part stands, and its parts."""
        outer = (host.pattern, mounted.pattern)
        found = self._inner(mounted)
        if not found:
            label, where = self._server.label, mounted.where
            attribute = "pattern" if mounted.pattern or not host.pattern else ""
            if not attribute:
                where = host.where
            yield (label, where, "pattern"), outer
        for place, inner in found:
            yield place, (*outer, *inner)

    def _inner(self, mounted: HTTPHandlerSpec) -> list[tuple[tuple[str, Where, str], tuple[str, ...]]]:
        """The patterns of the handler itself.  An HTTPHandler gives its own only to those that it holds."""
        handler = self._config.handler(mounted.handler)
        if isinstance(handler, ReverseProxyHandler):
            place = (handler.label, handler.spec.where, "patterns")
            return [(place, (each,)) for each in handler.spec.patterns]
        assert isinstance(handler, HTTPHandler)  # there are no others
        return [
            (where, (cleaned("/" + "".join((handler.spec.pattern, *parts))).rstrip("/") or "/",))
            for where, parts in self._inner(handler.spec)
        ]

    def _conflict(self, error: ConflictError) -> str:
        other: Route = error.other.value
        if other.handler is None:
            what = (
                f"{other.place} has its hosts as well, and answers with 404 what its own handlers do not "
                "take; put the handlers of one host into one virtual host"
            )
            return f"this route is never reached: {what}"
        return f"{error} (the other one is at {other.place})"

    def _tell(self, place: tuple[str, Where, str], words: str) -> None:
        label, where, attribute = place
        mark: Mark = where.of(attribute)
        field = f"{where.path}.{attribute}" if attribute in where.values else where.path
        self.problems.append(
            Problem(
                file=where.file,
                line=mark.line,
                column=mark.column,
                resource=label,
                field=field,
                message=words,
                rule="route",
            )
        )


def _joined(parts: Sequence[str]) -> str:
    """The pattern of `parts`; a "/" at its end stays, unless it is the virtual host's."""
    clean = cleaned("/" + "".join(parts))
    inner = "".join(parts[1:])
    if clean != "/":
        clean = clean.rstrip("/") + ("/" if inner.endswith("/") else "")
    return clean


def _methods(host: VirtualHostSpec, proxy: ReverseProxyHandler) -> frozenset[str] | None:
    lists = [set(known_methods(each)) for each in (host.methods, proxy.spec.methods) if each]
    return frozenset(set.intersection(*lists)) if lists else None


_EVERYTHING: Final = parse_pattern("/")

"""Files → all that a gateway is made of, or what is wrong with them.

What `aileron` starts with, what a reload takes, and what `aileron-demo check` tells, is one and the same.
"""

import ssl
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.advice import advise
from gateway.config import (
    Config,
    ConfigError,
    HTTPServer,
    Id,
    Problem,
    Resource,
    ReverseProxyHandler,
    collect,
    id_of,
    link,
)
from gateway.config.documents import read_all
from gateway.config.problems import tidy
from gateway.errors import ErrorAnswers
from gateway.routing import Decision, Routes, build
from gateway.routing.proxying import ProxyHandler
from gateway.tls import TLSConfigError, server_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A server, ready to be opened."""

    server: HTTPServer
    routes: Routes
    tls: ssl.SSLContext | None
    """None: cleartext."""
    answers: Mapping[Id, ErrorAnswers]
    """What is answered instead of the standard errors, by the resource that makes the error."""

    def answers_of(self, decision: Decision) -> ErrorAnswers | None:
        """The answers for the errors of whoever decided; None for AILERON's standard ones."""
        handler = getattr(decision, "handler", None)
        return self.answers.get(id_of(self.server if handler is None else handler))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A config without errors, and what it comes to."""

    config: Config
    sites: tuple[Site, ...]
    """In the order of the Entrypoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What became of a load."""

    loaded: Loaded | None
    """None where there is an error among the problems."""
    problems: tuple[Problem, ...]
    """Errors and warnings, by position."""
    files: tuple[str, ...]
    """The files that were read, or tried."""
    sources: Mapping[str, Sequence[str]]
    """The lines of each file, for messages to show."""


def inspect(paths: Sequence[Path], environment: MutableMapping[str, str]) -> Loading:
    """Load the config that the files at `paths` (one at least) make together.

    Variables come from `environment`, and `${NAME:=word}` writes into it.
    """
    reading = read_all(paths, environment)
    problems = list(reading.problems)
    config = link(reading.documents, problems, files=[str(path) for path in paths])
    loaded = None
    if config is not None:
        sites, wrong = sites_of(config)
        problems += wrong
        problems += _unused_patterns(config)
        problems += advise(config, [site.routes for site in sites])
        if not any(each.severity == "error" for each in problems):
            loaded = Loaded(config=config, sites=sites)
    return Loading(loaded=loaded, problems=tidy(problems), files=reading.files, sources=reading.sources)


def sites_of(config: Config) -> tuple[tuple[Site, ...], tuple[Problem, ...]]:
    """The servers of `config`, and what is wrong with them; with an error among that, none may be opened.

    Reads the files of error handlers and certificates.
    """
    problems: list[Problem] = []
    handlers: dict[Id, ProxyHandler] = {}
    answers = _answers(config, problems)
    sites: list[Site] = []
    for server in config.servers:
        routes, wrong = build(config, server, handlers)
        problems += wrong
        sites.append(Site(server=server, routes=routes, tls=_tls(server, problems), answers=answers))
    return tuple(sites), tuple(problems)


def _unused_patterns(config: Config) -> Iterator[Problem]:
    """What is wrong with the patterns of handlers that nothing refers to, which AILERON never builds."""
    for resource_id, resource in config.resources.items():
        if resource_id not in config.used and isinstance(resource, ReverseProxyHandler):
            yield from (replace(each, severity="warning") for each in ProxyHandler(resource).problems)


def _answers(config: Config, problems: list[Problem]) -> Mapping[Id, ErrorAnswers]:
    """The error handlers of all resources that have one, each read once."""
    built: dict[Id, ErrorAnswers] = {}
    found: dict[Id, ErrorAnswers] = {}
    for each in config.used:
        handler = config.error_handler(config.resources[each])
        if handler is not None:
            if id_of(handler) not in built:
                built[id_of(handler)] = ErrorAnswers(handler)
                problems += built[id_of(handler)].problems
            found[each] = built[id_of(handler)]
    return found


def _tls(server: HTTPServer, problems: list[Problem]) -> ssl.SSLContext | None:
    """The TLS that `server` speaks, if it does; tells why it cannot."""
    listen = server.spec.http_config.listen_config
    if listen is None or listen.tls_config is None:
        return None
    try:
        return server_context(listen.tls_config)
    except TLSConfigError as error:
        problems.append(replace(error.problem, resource=server.label))
        return None


def load(paths: Sequence[Path], environment: MutableMapping[str, str]) -> Loaded:
    """What the config that the files at `paths` (one at least) make comes to.  Raises ConfigError."""
    loading = inspect(paths, environment)
    if loading.loaded is None:
        raise ConfigError(loading.problems, loading.sources)
    return loading.loaded


def resources(
    paths: Sequence[Path], environment: MutableMapping[str, str]
) -> tuple[Mapping[Id, Resource], tuple[Problem, ...]]:
    """What stands in the files at `paths`, whether or not a gateway can be made of it, and what is wrong."""
    reading = read_all(paths, environment)
    problems = list(reading.problems)
    found = collect(reading.documents, problems)
    return found, tidy(problems)


def changes(before: Config, after: Config) -> tuple[str, ...]:
    """What of the resources in use is another than before, in words."""
    words: list[str] = []
    for each in before.used | after.used:
        old = before.resources[each] if each in before.used else None
        new = after.resources[each] if each in after.used else None
        if old is None and new is not None:
            words.append(f"{new.label} is new")
        elif new is None and old is not None:
            words.append(f"{old.label} is gone")
        elif old != new and new is not None:
            words.append(f"{new.label} has changed")
    return tuple(sorted(words))

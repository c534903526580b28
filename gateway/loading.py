"""Files → all that a gateway is made of, or what is wrong with them.

What `aileron` starts with, what a reload takes, and what `aileron-demo check` tells, is one and the same.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.advice import advise
from gateway.config import Config, ConfigError, HTTPServer, Id, Problem, Resource, collect, link
from gateway.config.documents import read_all
from gateway.config.problems import tidy
from gateway.routing import Routes, build
from gateway.routing.proxying import ProxyHandler


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A config without errors, and what it comes to."""

    config: Config
    routes: tuple[tuple[HTTPServer, Routes], ...]
    """Each server with its routes, in the order of the Entrypoint."""


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
        handlers: dict[Id, ProxyHandler] = {}
        routes: list[tuple[HTTPServer, Routes]] = []
        for server in config.servers:
            built, wrong = build(config, server, handlers)
            routes.append((server, built))
            problems += wrong
        problems += advise(config)
        if not any(each.severity == "error" for each in problems):
            loaded = Loaded(config=config, routes=tuple(routes))
    return Loading(loaded=loaded, problems=tidy(problems), files=reading.files, sources=reading.sources)


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

"""Files → all that a gateway is made of, or what is wrong with them.

What `aileron` starts with, what a reload takes, and what `aileron-demo check` tells, is one and the same.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Config, ConfigError, Id, Problem, Resource, collect, link
from gateway.config.documents import Document, read
from gateway.config.problems import tidy


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What became of a load."""

    config: Config | None
    """None where there is an error among the problems."""
    problems: tuple[Problem, ...]
    """Errors and warnings, by position."""


def inspect(paths: Sequence[Path], environment: MutableMapping[str, str]) -> Loading:
    """Load the config that the files at `paths` (one at least) make together."""
    documents, problems = _read(paths, environment)
    config = link(documents, problems, files=[str(path) for path in paths])
    return Loading(config=config, problems=tidy(problems))


def load(paths: Sequence[Path], environment: MutableMapping[str, str]) -> Config:
    """The config that the files at `paths` (one at least) make together.  Raises ConfigError."""
    loading = inspect(paths, environment)
    if loading.config is None:
        raise ConfigError(loading.problems)
    return loading.config


def resources(
    paths: Sequence[Path], environment: MutableMapping[str, str]
) -> tuple[Mapping[Id, Resource], tuple[Problem, ...]]:
    """What stands in the files at `paths`, whether or not a gateway can be made of it, and what is wrong."""
    documents, problems = _read(paths, environment)
    found = collect(documents, problems)
    return found, tidy(problems)


def _read(
    paths: Sequence[Path], environment: MutableMapping[str, str]
) -> tuple[list[Document], list[Problem]]:
    readings = [read(path) for path in dict.fromkeys(paths)]
    problems = [problem for reading in readings for problem in reading.problems]
    return [document for reading in readings for document in reading.documents], problems

"""Files → all that a gateway is made of, or what is wrong with them.

What `aileron` starts with, what a reload takes, and what `aileron-demo check` tells, is one and the same.
"""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Config, ConfigError, Problem, link
from gateway.config.documents import read_all
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
    reading = read_all(paths, environment)
    problems = list(reading.problems)
    config = link(reading.documents, problems, files=[str(path) for path in paths])
    return Loading(config=config, problems=tidy(problems))


def load(paths: Sequence[Path], environment: MutableMapping[str, str]) -> Config:
    """The config that the files at `paths` (one at least) make together.  Raises ConfigError."""
    loading = inspect(paths, environment)
    if loading.config is None:
        raise ConfigError(loading.problems)
    return loading.config

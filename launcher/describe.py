"""`aileron-demo graph` and `aileron-demo schema`: what a config is made of, and what it may hold."""

import json
import os
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console

from gateway.config import Config
from gateway.config import schema as schemas
from gateway.loading import inspect
from launcher import graph as graphs
from launcher.files import choose_config

ENDLESS: Final = 1_000_000
"""Cells in a line: a long one is the terminal's to fold, and whole in a pipe; rich would cut it."""


def graph(paths: Sequence[Path], form: str) -> int:
    """Draw the config that the files at `paths` make, as `tree`, `mermaid` or `json`; none: as `up` chooses.

    The exit status is 0 for a sound config, 1 for one with problems, 2 for a file that cannot be read.
    """
    loading = inspect(list(paths) or [choose_config(None).path], dict(os.environ))
    for problem in loading.problems:
        if loading.loaded is None:  # else they are warnings, which `check` tells
            sys.stderr.write(f"{problem}\n")
    if loading.loaded is None:
        return 2 if any(each.rule == "unreadable" for each in loading.problems) else 1
    config = loading.loaded.config
    match form:
        case "mermaid":
            text = graphs.mermaid(config)
        case "json":
            text = json.dumps(graphs.data(config), indent=2)
        case _:
            text = _drawn(config)
    _write(text)
    return 0


def _drawn(config: Config) -> str:
    """The trees as standard output can show them: with colours on a terminal, plain in a pipe."""
    console = Console(file=StringIO(), force_terminal=Console().is_terminal, width=ENDLESS)
    for tree in graphs.trees(config):
        console.print(tree)
    assert isinstance(console.file, StringIO)  # given above
    return console.file.getvalue().rstrip("\n")


def schema() -> int:
    """Print the JSON Schema of one resource of a config."""
    _write(json.dumps(schemas.schema(), indent=2))
    return 0


def _write(text: str) -> None:
    """Put `text` out as UTF-8, whatever the locale."""
    sys.stdout.buffer.write(f"{text}\n".encode())

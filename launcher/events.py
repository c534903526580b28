"""The launcher's own records; with `--json` they stand among the gateway's, one JSON object a line.

The rules are those of `gateway.events`: every field is always present, null stands for "there is none".
"""

import time
from typing import Literal

import msgspec

from gateway.events import Record, rfc3339

State = Literal["starting", "ready", "stopping", "exited"]


class Ready(Record, frozen=True, kw_only=True, tag="ready"):
    """Every child itself answers."""

    gateway: tuple[str, ...]
    """The gateway's URLs, one for each server of the config; the first is the one to open."""
    upstream: str | None
    """The demo upstream's URL; null with `--no-upstream`."""


class ChildState(Record, frozen=True, kw_only=True, tag="child"):
    """A child process has come into another state."""

    name: str
    """`gateway` or `upstream`."""
    state: State
    status: int | str | None
    """How it exited: its exit status, or the name of the signal that ended it; null while it runs."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """All that one side of all tunnels sent."""

    frames: int = 0
    bytes: int = 0
    """On the wire, headers included."""


class Summary(Record, frozen=True, kw_only=True, tag="summary"):
    """The last record: everything is over."""

    ms: float
    """From the start of the launcher's children to the end of the last."""
    connections: int
    """Tunnels that were opened."""
    client: Totals
    upstream: Totals


def stamp() -> tuple[str, int]:
    """Return the moment as records carry it: `time` and `t_ns`."""
    return rfc3339(time.time()), time.monotonic_ns()

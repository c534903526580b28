"""What has happened so far, as one value; pure.

Strategy
    `fold(session, event)` gives the session after `event`: a record of the gateway, one of the launcher,
    or a `Tick`, the passing of time, from which the rates come.

Rules
    * Totals are exact: each frame is told once, in a `frame` record or in the count of an `omitted` one.
    * A lost record (the log may leave out even an `open` when nobody reads it) leaves the rest right:
      connections are numbered from 1, so the highest number is how many there were.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.events import Close, Event, Frame, Listening, Omitted, Open, Request, Side
from launcher.events import ChildState, Ready, Summary, Totals

WINDOW_NS: Final = 3_000_000_000
"""Rates are averages over this long, so that they move but do not flicker."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""

    t_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The totals at one moment."""

    t_ns: int
    client: Totals
    upstream: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one side sends, each second."""

    frames: float = 0.0
    bytes: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The kit's story so far."""

    children: Mapping[str, ChildState] = field(default_factory=lambda: MappingProxyType({}))
    """The latest state of each child, in the order of their start."""
    ready: Ready | None = None
    """None until every child answers."""
    paths: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    """The request path of each open tunnel, by its number."""
    connections: int = 0
    """Tunnels that were ever open."""
    requests: int = 0
    """Plain HTTP exchanges."""
    client: Totals = Totals()  # noqa: RUF009  (immutable)
    upstream: Totals = Totals()  # noqa: RUF009  (immutable)
    samples: tuple[Sample, ...] = ()
    """The totals at the ticks of the last `WINDOW_NS`, oldest first."""

    def path_of(self, event: Event) -> str | None:
        """Return the request path of the connection that `event` belongs to, where that is known."""
        conn: int | None = getattr(event, "conn", None)
        return None if conn is None else self.paths.get(conn)

    @property
    def frames(self) -> int:
        """All frames, both ways."""
        return self.client.frames + self.upstream.frames

    def rate(self, side: Side) -> Rate:
        """Return what `side` sent each second of the window."""
        if len(self.samples) < 2:
            return Rate()
        first, last = self.samples[0], self.samples[-1]
        before, after = (first.client, last.client) if side == "client" else (first.upstream, last.upstream)
        seconds = (last.t_ns - first.t_ns) / 1e9
        return Rate(
            frames=(after.frames - before.frames) / seconds,
            bytes=(after.bytes - before.bytes) / seconds,
        )


SessionEvent = Event | ChildState | Ready | Summary | Tick


def fold(session: Session, event: SessionEvent) -> Session:
    """Return `session` as it is after `event`."""
    match event:
        case Frame():
            return _sent(session, event.sender, event.conn, 1, event.header_len + event.len)
        case Omitted():
            return _sent(session, event.sender, event.conn, event.frames, event.bytes)
        case Open():
            paths = MappingProxyType({**session.paths, event.conn: event.path})
            return replace(session, paths=paths, connections=max(session.connections, event.conn))
        case Close():
            left = {conn: path for conn, path in session.paths.items() if conn != event.conn}
            connections = max(session.connections, event.conn)
            return replace(session, paths=MappingProxyType(left), connections=connections)
        case Request():
            return replace(session, requests=session.requests + 1)
        case ChildState():
            children = MappingProxyType({**session.children, event.name: event})
            return replace(session, children=children)
        case Ready():
            return replace(session, ready=event)
        case Listening() if session.ready and event.url not in session.ready.gateway:
            # A reload has moved a server; where there are several, the one to open is the newest.
            ready = msgspec.structs.replace(session.ready, gateway=(event.url, *session.ready.gateway[1:]))
            return replace(session, ready=ready)
        case Tick():
            return replace(session, samples=_sampled(session, event.t_ns))
        case _:
            return session


def _sent(session: Session, side: Side, conn: int, frames: int, size: int) -> Session:
    """Add `frames` frames of together `size` bytes that `side` sent on tunnel `conn`."""
    before = session.client if side == "client" else session.upstream
    after = Totals(frames=before.frames + frames, bytes=before.bytes + size)
    connections = max(session.connections, conn)
    if side == "client":
        return replace(session, client=after, connections=connections)
    return replace(session, upstream=after, connections=connections)


def _sampled(session: Session, now: int) -> tuple[Sample, ...]:
    """Return the samples with one for `now`; those before the window go, but for the one where it begins."""
    samples = [*session.samples, Sample(t_ns=now, client=session.client, upstream=session.upstream)]
    while len(samples) > 2 and samples[1].t_ns <= now - WINDOW_NS:
        samples.pop(0)
    return tuple(samples)

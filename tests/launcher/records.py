"""Records for tests: usual ones, with what a test cares about given by name."""

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.events import (
    Close,
    Error,
    Event,
    Frame,
    Handshake,
    HandshakeLeg,
    Listening,
    Omitted,
    Open,
    Request,
    Side,
    SideTotals,
    Stopping,
    Violation,
)
from launcher.events import ChildState, Ready, Summary, Totals

TIME = "2026-01-31T12:00:00.250Z"
_NOTHING = SideTotals(code=None, reason=None, frames=0, bytes=0)
_LEG = HandshakeLeg(received=(), sent=())


def frame(text: str | None = "Hello", **fields: object) -> Frame:
    """A client's text frame on connection 1."""
    usual = Frame(
        time=TIME,
        t_ns=1,
        conn=1,
        sender="client",
        fin=True,
        rsv=0,
        opcode="text",
        masked=True,
        len=5,
        header_len=6,
        gap_ms=None,
        text=text,
        hex=None,
        truncated=False,
        inflated=False,
        code=None,
        reason=None,
    )
    return replace(usual, **fields)


def opened(conn: int = 1, path: str = "/ws", **fields: object) -> Open:
    """A tunnel that was opened."""
    usual = Open(
        time=TIME,
        t_ns=1,
        conn=conn,
        client="127.0.0.1:5000",
        path=path,
        upstream="http://localhost:9090",
        subprotocol=None,
        extensions=None,
        handshake=Handshake(request=_LEG, response=_LEG),
    )
    return replace(usual, **fields)


def closed(conn: int = 1, **fields: object) -> Close:
    """A tunnel that its client closed with code 1000."""
    first = SideTotals(code=1000, reason="", frames=1, bytes=8)
    usual = Close(
        time=TIME, t_ns=1, conn=conn, by="client", how="close", client=first, upstream=_NOTHING, ms=10.0
    )
    return replace(usual, **fields)


def omitted(frames: int = 3, bytes_: int = 30, sender: Side = "client", conn: int = 1) -> Omitted:
    """Frames that were left out of the log."""
    return Omitted(time=TIME, t_ns=1, conn=conn, sender=sender, frames=frames, bytes=bytes_)


def request(path: str = "/") -> Request:
    """A plain HTTP exchange."""
    return Request(
        time=TIME,
        t_ns=1,
        method="GET",
        path=path,
        status=200,
        upstream="http://localhost:9090",
        ms=1.0,
        bytes=10,
        client="127.0.0.1:5000",
    )


def violation(**fields: object) -> Violation:
    """A client's frame that breaks the protocol."""
    usual = Violation(time=TIME, t_ns=1, conn=1, sender="client", what="a reserved opcode", rfc="5.2")
    return replace(usual, **fields)


def error(message: str = "no answer", conn: int | None = None, path: str | None = None) -> Error:
    """Something that went wrong."""
    return Error(time=TIME, t_ns=1, message=message, conn=conn, path=path)


def listening(url: str = "http://localhost:8080") -> Listening:
    """A listener of the gateway."""
    return Listening(time=TIME, t_ns=1, addr="[::]:8080", url=url)


def stopping() -> Stopping:
    """The gateway stops."""
    return Stopping(time=TIME, t_ns=1, signal="SIGTERM", open=1)


def ready(
    gateway: Sequence[str] = ("http://localhost:8080",), upstream: str | None = "http://localhost:9090"
) -> Ready:
    """Every child answers."""
    return Ready(time=TIME, t_ns=1, gateway=tuple(gateway), upstream=upstream)


def child(name: str = "gateway", state: str = "ready", status: int | str | None = None) -> ChildState:
    """A child is in another state."""
    return ChildState(time=TIME, t_ns=1, name=name, state=state, status=status)  # type: ignore[arg-type]  # tests say it right


def summary(ms: float = 1000.0, connections: int = 2) -> Summary:
    """All is over."""
    sent = Totals(frames=3, bytes=1234567)
    return Summary(time=TIME, t_ns=1, ms=ms, connections=connections, client=sent, upstream=Totals())


EVERY: Sequence[Event] = (
    frame(),
    frame(opcode="close", code=1000, reason="bye"),
    frame(None, opcode="binary", hex="00ff"),
    opened(),
    closed(),
    omitted(),
    request(),
    violation(),
    error(),
    listening(),
    stopping(),
)
"""One of each kind."""

"""The session is what its events say, and nothing else."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from gateway.events import Event, Frame, Omitted
from launcher.events import Totals
from launcher.session import WINDOW_NS, Session, SessionEvent, Tick, fold
from tests.launcher import records


def after(*events: SessionEvent) -> Session:
    """The session after `events`."""
    return reduce(fold, events, Session())


def test_a_frame_counts_with_its_header() -> None:
    """Bytes are those on the wire: header and payload, on the side that sent them."""
    session = after(records.frame(len=5, header_len=6), records.frame(sender="upstream", len=3, header_len=2))
    assert session.client == Totals(frames=1, bytes=11)
    assert session.upstream == Totals(frames=1, bytes=5)
    assert session.frames == 2


def test_omitted_frames_count_as_well() -> None:
    """What the log left out is in the totals."""
    session = after(records.frame(len=5, header_len=6), records.omitted(frames=10, bytes_=100))
    assert session.client == Totals(frames=11, bytes=111)


def test_tunnels_open_and_close() -> None:
    """The paths of open tunnels are known, and only theirs; connections counts all there ever were."""
    session = after(records.opened(1, "/a"), records.opened(2, "/b"), records.closed(1))
    assert dict(session.paths) == {2: "/b"}
    assert session.connections == 2
    assert session.path_of(records.frame(conn=2)) == "/b"
    assert session.path_of(records.frame(conn=1)) is None
    assert session.path_of(records.request()) is None


def test_a_lost_open_is_made_up_for() -> None:
    """A connection whose `open` was lost is counted by its number; its close changes nothing else."""
    assert after(records.frame(conn=7)).connections == 7
    assert after(records.closed(9)).connections == 9


def test_children_and_readiness() -> None:
    """Each child has its latest state; readiness is there once it has been told."""
    session = after(records.child("upstream", "starting"), records.child(), records.child("upstream"))
    assert {name: state.state for name, state in session.children.items()} == {
        "upstream": "ready",
        "gateway": "ready",
    }
    assert session.ready is None
    assert after(records.ready()).ready == records.ready()


def test_requests_are_counted() -> None:
    """A plain exchange is no connection."""
    session = after(records.request(), records.request())
    assert (session.requests, session.connections) == (2, 0)


def test_rates_are_those_of_the_window() -> None:
    """A rate is what passed in the window, by its length; what is older has no part in it."""
    second = 1_000_000_000
    events: list[SessionEvent] = [records.omitted(frames=1000), Tick(0)]
    for at in range(1, 11):
        events += [records.omitted(frames=30, bytes_=60), Tick(at * second)]
    rate = after(*events).rate("client")
    assert (rate.frames, rate.bytes) == (30.0, 60.0)
    assert after(*events).rate("upstream").frames == 0.0


def test_samples_are_bounded() -> None:
    """However often time is told, only the window is kept."""
    session = after(*(Tick(at * 500_000_000) for at in range(1000)))
    assert len(session.samples) <= WINDOW_NS // 500_000_000 + 2


def test_no_rate_before_two_samples() -> None:
    """One moment has no rate."""
    assert after(Tick(0)).rate("client").frames == 0.0


SIDES = st.sampled_from(["client", "upstream"])
EVENTS = st.one_of(
    st.builds(
        records.frame,
        conn=st.integers(1, 5),
        sender=SIDES,
        len=st.integers(0, 1 << 40),
        header_len=st.integers(2, 14),
    ),
    st.builds(records.omitted, st.integers(0, 1 << 20), st.integers(0, 1 << 40), SIDES, st.integers(1, 5)),
    st.builds(records.opened, st.integers(1, 5)),
    st.builds(records.closed, st.integers(1, 5)),
)


@given(st.lists(EVENTS))
def test_totals_are_exact(events: list[Event]) -> None:
    """Whatever happens in whatever order, the totals are the sums of frame and omitted records."""
    session = after(*events)
    for side, totals in (("client", session.client), ("upstream", session.upstream)):
        frames = [event for event in events if isinstance(event, Frame) and event.sender == side]
        left_out = [event for event in events if isinstance(event, Omitted) and event.sender == side]
        assert totals.frames == len(frames) + sum(event.frames for event in left_out)
        assert totals.bytes == sum(event.len + event.header_len for event in frames) + sum(
            event.bytes for event in left_out
        )


@given(st.lists(EVENTS))
def test_folding_changes_no_earlier_session(events: list[Event]) -> None:
    """A session that was handed out stays as it was."""
    sessions = [Session()]
    for event in events:
        sessions.append(fold(sessions[-1], event))
    again = [Session()]
    for event in events:
        again.append(fold(again[-1], event))
    assert sessions == again

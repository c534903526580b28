"""The launcher's own records: the same shape as the gateway's."""

import re
import time

import msgspec
import pytest

from gateway.events import Record, encode
from launcher.events import ChildState, Ready, Summary, stamp
from tests.launcher import records


@pytest.mark.parametrize(
    ("record", "name"),
    [(records.ready(), "ready"), (records.child(status="SIGKILL"), "child"), (records.summary(), "summary")],
)
def test_a_record_is_one_line(record: Record, name: str) -> None:
    """Each has its name, and comes back from JSON as it was."""
    line = encode(record)
    assert line.endswith(b"}\n")
    assert msgspec.json.decode(line)["event"] == record.event == name
    assert msgspec.json.decode(line, type=Ready | ChildState | Summary) == record


def test_the_stamp_is_now() -> None:
    """`time` is RFC 3339 with milliseconds, `t_ns` is monotonic."""
    before = time.monotonic_ns()
    told, t_ns = stamp()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told)
    assert before <= t_ns <= time.monotonic_ns()

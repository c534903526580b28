"""`python -m tests.conformance`: what it prints, and its status."""

import pytest

from tests.conformance.cli import Tally, main


def test_a_case_on_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    """A summary; if asked for, a line for each peer and each way to cut the bytes up as well."""
    assert main(["7.1.1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["7.1.1", "--verbose"]) == 0
    *lines, counts, times = capsys.readouterr().out.splitlines()
    assert len(lines) == 15, "four peers, four ways; a server that takes nothing ahead of its 101"
    assert lines[0].startswith(
        "websockets server 7.1.1 whole: text b'Hello World!', close 1000, FIN | 1 messages"
    )
    assert counts == "15 cases, 0 differences, 0 slow"
    assert times.startswith("gateway minus direct: median ")


def test_no_such_case(capsys: pytest.CaptureFixture[str]) -> None:
    """A number that no case has is wrong usage."""
    assert main(["77"]) == 2
    assert capsys.readouterr().err == "conformance: no case has a number that begins with 77\n"


def test_the_summary_names_what_is_wrong() -> None:
    """A difference and a slow close are named; the largest and the median tell the rest."""
    tally = Tally()
    tally.count("1.1.1", [], 0.5)
    tally.count("1.1.2", ["seen: this; through the gateway: that"], 1.5)
    tally.count("1.1.3", [], 70.0)
    assert tally.summary().splitlines() == [
        "3 cases, 1 differences, 1 slow",
        "gateway minus direct: median 1.50 ms, largest 70.00 ms",
        "different: 1.1.2",
        "later by more than 50 ms: 1.1.3",
    ]

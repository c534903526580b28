"""The verdict on a soak: what fails one, and what the report then says."""

from dataclasses import replace
from typing import Final

import pytest

from tests.soak.report import Round, Soak, failures, markdown
from tests.soak.world import Footprint

MIB: Final = 1 << 20


def footprint(memory: int = 60, descriptors: int = 15, threads: int = 6) -> Footprint:
    """With `memory` in MiB."""
    return Footprint(memory * MIB, descriptors, threads)


def rounds(*calm: Footprint) -> list[Round]:
    """A round for each of these."""
    count = {"polite sessions": 6000, "messages": 5000, "requests": 7, "records": 20_000}
    return [Round(at / 2, count, footprint(90), each) for at, each in enumerate(calm, 1)]


GOOD: Final = Soak(
    sockets=500,
    seed=1,
    before=footprint(50, threads=2),
    rounds=rounds(footprint(60), footprint(65), footprint(70), footprint(77)),
    losses=[],
    messages={"nothing listens there": 3},
    status=0,
    errors="",
)


def test_a_good_one() -> None:
    """Threads start when they are first needed, and memory is warm after 10,000 sessions."""
    assert failures(GOOD) == []
    report = markdown(GOOD)
    assert "nothing was lost, nothing has grown" in report
    assert "| 0.5 min | 6,000 | 5,000 | 7 | 20,000 | 90.0 MiB | 60.0 MiB | 15 | 6 |" in report
    assert "| polite sessions | 24,000 |" in report
    assert "| `nothing listens there` | 3 |" in report


@pytest.mark.parametrize(
    ("soak", "wrong"),
    [
        (replace(GOOD, losses=["/echo?1: gone"]), "lost: /echo?1: gone"),
        (replace(GOOD, status=1), "the gateway ended with status 1 and wrote ''"),
        (replace(GOOD, errors="Traceback"), "the gateway ended with status 0 and wrote 'Traceback'"),
        (
            replace(GOOD, rounds=rounds(footprint(), footprint(descriptors=16))),
            "round 2 left 16 descriptors, where 15 are expected at most",
        ),
        (
            replace(GOOD, rounds=rounds(footprint(), footprint(threads=7), footprint(threads=8))),
            "round 3 left 8 threads, where 7 are expected at most",
        ),
        (
            replace(GOOD, rounds=rounds(footprint(60), footprint(60), footprint(60), footprint(73))),
            "memory has grown by 13.0 MiB since round 2",
        ),
        (
            replace(GOOD, rounds=rounds(footprint(208))),
            "memory has grown by 158.0 MiB since the start",
        ),
    ],
)
def test_a_bad_one(soak: Soak, wrong: str) -> None:
    """Each fault is found, and told in the report."""
    assert failures(soak) == [wrong]
    report = markdown(soak)
    assert "it failed" in report
    assert f"- {wrong}" in report

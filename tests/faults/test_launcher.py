"""Processes of `aileron-demo up` that are killed or stopped, at every stage from start to end."""

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.launcher.conftest import Site, children_of, make_site, wait_until_gone
from tests.launcher.ptys import Pty
from tests.launcher.test_up import READY, restored

Who = Literal["gateway", "demo_upstream", "launcher"]

CHILDREN: tuple[Who, ...] = ("gateway", "demo_upstream")


@dataclass(frozen=True)
class Blow:
    """A signal to one of the processes, so many seconds behind a stage."""

    who: Who
    number: signal.Signals
    stage: Literal["start", "ready", "stop"]
    """From its own start, from the banner, or from `q` on."""
    delay: float = 0.0

    def __str__(self) -> str:
        return f"{self.number.name} to the {self.who} {self.delay:g} s after {self.stage}"


def deal(site: Site, blow: Blow) -> None:
    """Start a kit, deal the blow, and see how it ends: told once, restored, and nobody left."""
    with site.terminal() as terminal:
        if blow.stage != "start":
            terminal.wait_for(READY, 30)
        pid = find(terminal, blow.who)
        children = dict(children_of(terminal.pid))
        if blow.stage == "stop":
            terminal.type("q")
        time.sleep(blow.delay)  # the place of the blow, not a wait
        try:
            os.kill(pid, blow.number)
        except ProcessLookupError:
            assert blow.stage == "stop", "it ended by itself"
        if blow.number == signal.SIGSTOP:
            # Nobody can see that from outside; the stop copes with it.
            terminal.signal(signal.SIGTERM)
            if blow.who == "launcher":
                os.kill(pid, signal.SIGCONT)
        status = terminal.wait(30)
        wait_until_gone(list(children.values()), 5)
        judge(terminal, blow, status)


def find(terminal: Pty, who: Who) -> int:
    """The process, as soon as there is one."""
    if who == "launcher":
        return terminal.pid
    deadline = time.monotonic() + 30
    while (pid := children_of(terminal.pid).get(who)) is None:
        assert time.monotonic() < deadline, f"no {who} has started"
        time.sleep(0.01)
    return pid


def judge(terminal: Pty, blow: Blow, status: int) -> None:
    """Whether status, message and terminal are as they should be."""
    told = re.findall("✗ .*", terminal.text)
    assert "Traceback" not in terminal.text, terminal.text
    if blow.who == "launcher" and blow.number == signal.SIGKILL:
        assert status == -signal.SIGKILL
        return
    assert restored(terminal) or not terminal.raw, terminal.text
    if blow.stage == "stop" or blow.number == signal.SIGSTOP or blow.who == "launcher":
        # Before it listens to signals, it has not started anything yet.
        early = blow.who == "launcher" and blow.stage == "start" and status == -signal.SIGTERM
        assert status == 0 or early, (status, terminal.text)
        assert told == []
        return
    assert status == 1, (status, terminal.text)
    assert len(told) == 1, terminal.text
    words = "gateway" if blow.who == "gateway" else "demo upstream"
    assert re.match(f"✗ The {words} (could not start|has ended by itself)", told[0]), told


SHORT = [
    Blow("gateway", signal.SIGKILL, "start", 0.1),
    Blow("demo_upstream", signal.SIGTERM, "start", 0.2),
    Blow("gateway", signal.SIGSTOP, "ready"),
    Blow("demo_upstream", signal.SIGKILL, "stop", 0.05),
]

WIDE = [
    *(
        Blow(who, number, "start", delay / 10)
        for who in (*CHILDREN, "launcher")
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
        for delay in (0, 1, 2, 4, 6, 8, 12)
    ),
    *(
        Blow(who, number, stage, delay / 50)
        for who in (*CHILDREN, "launcher")
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
        for stage in ("ready", "stop")
        for delay in (0, 2, 5)
    ),
]


def sweep(blows: list[Blow], folder: Path) -> None:
    """Deal all the blows, each to a kit of its own, and report all that go wrong by name."""
    wrong: list[str] = []
    for number, blow in enumerate(blows):
        place = folder / str(number)
        place.mkdir()
        try:
            with make_site(place) as site:
                deal(site, blow)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this blow's
            wrong.append(f"{blow}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)


def test_a_few_blows(tmp_path: Path) -> None:
    """One in each stage."""
    sweep(SHORT, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_many_blows(tmp_path: Path) -> None:
    """Every process, every signal, every stage, at several moments."""
    sweep(WIDE, tmp_path)

"""Signals become messages; the second Ctrl-C works whatever goes on."""

import signal
from collections.abc import Iterator

import pytest

from launcher.signals import Signalled, caught


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    """Fail a test after which a signal is handled otherwise than before."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCONT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGCONT", "SIGTSTP"])
def test_a_signal_is_a_message(name: str) -> None:
    """Each signal that matters is told by its name."""
    told: list[Signalled] = []
    with caught(told.append, job_control=True):
        signal.raise_signal(signal.Signals[name])
    assert told == [Signalled(name)]


def test_without_a_terminal_job_control_is_left_alone() -> None:
    """Ctrl-Z stops a process that draws nothing without any help."""
    with caught(lambda _: None, job_control=False):
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


def test_the_second_interrupt_raises_once() -> None:
    """The second Ctrl-C breaks into anything; a third does not disturb what that has begun."""
    told: list[Signalled] = []
    with caught(told.append, job_control=False):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert told[0] == Signalled("SIGINT")


def test_nohup_is_respected() -> None:
    """A hang-up that is ignored when we start stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with caught(lambda _: pytest.fail("it was to be ignored"), job_control=False):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

"""The lifeline: children learn that the launcher is gone."""

import os
import subprocess
import sys

from launcher.lifeline import ENVIRONMENT, Lifeline

WAIT = f"""
import os
number = int(os.environ['{ENVIRONMENT}'])
print('alive', flush=True)
assert os.read(number, 1) == b''
print('cut')
"""


def start(line: Lifeline) -> "subprocess.Popen[bytes]":
    """Start a child that waits for the lifeline's end."""
    environment, options = line.share()
    command = [sys.executable, "-c", WAIT]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environment}, **options)
    assert child.stdout is not None
    assert child.stdout.readline() == b"alive\n"
    return child


def test_children_read_its_end_when_it_is_cut() -> None:
    """Each child reads the end when the launcher lets go, though the others still hold their ends."""
    line = Lifeline()
    children = [start(line), start(line)]
    assert [child.poll() for child in children] == [None, None]
    line.cut()
    for child in children:
        out, _ = child.communicate(timeout=5)
        assert (out, child.returncode) == (b"cut\n", 0)


def test_nobody_else_inherits_it() -> None:
    """A process that was not given the lifeline (a browser, say) does not hold it."""
    line = Lifeline()
    child = start(line)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        line.cut()
        assert child.communicate(timeout=5)[0] == b"cut\n"
        other.communicate(b"\n", timeout=5)

"""The writing thread: everything in order, whoever reads, and never waited for."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from launcher.output import LIMIT, Output


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's two ends, closed afterwards as far as the test has not done it."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue  # the test has closed it


def read_all(end: int, size: int) -> bytes:
    """Read `size` bytes."""
    data = b""
    while len(data) < size:
        data += os.read(end, 65536)
    return data


def test_everything_arrives_in_order(pipe: tuple[int, int]) -> None:
    """Bytes come out as they were handed over, more than a pipe holds."""
    reading, writing = pipe
    output = Output(writing, on_broken=lambda _: None)
    pieces = [bytes([number % 256]) * 1000 for number in range(300)]
    for piece in pieces:
        output.write(piece)
    assert read_all(reading, 300_000) == b"".join(pieces)
    output.close(5)
    assert output.idle


def test_a_reader_that_does_not_read_is_not_waited_for(pipe: tuple[int, int]) -> None:
    """Handing over returns at once; the output says that it is full, and flushing gives up in time."""
    reading, writing = pipe
    output = Output(writing, on_broken=lambda _: None)
    began = time.monotonic()
    while not output.full:
        output.write(b"x" * 65536)
    output.flush(0.1)
    assert time.monotonic() - began < 2
    assert not output.idle
    os.close(reading)
    output.close(5)


def test_a_reader_that_is_gone_is_told_once(pipe: tuple[int, int]) -> None:
    """The loss is told once, and what comes after is dropped without a word."""
    reading, writing = pipe
    told = threading.Semaphore(0)
    output = Output(writing, on_broken=lambda _: told.release())
    os.close(reading)
    output.write(b"lost")
    assert told.acquire(timeout=5)
    output.write(b"dropped" * LIMIT)
    output.flush(5)
    assert output.idle
    assert not told.acquire(blocking=False)
    output.close(5)


def test_a_pipe_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    """Another program may have made our stdout non-blocking; nothing is lost by it."""
    reading, writing = pipe
    os.set_blocking(writing, False)
    output = Output(writing, on_broken=lambda _: pytest.fail("it is not broken"))
    output.write(b"x" * 1_000_000)
    assert read_all(reading, 1_000_000) == b"x" * 1_000_000
    output.close(5)

"""Standard output: a disk that is full, and has room again."""

import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.events import Error, Stopping, decode
from gateway.proxy.output import Form, Output


def record(number: int) -> Stopping:
    """A record like any other, and recognized."""
    return Stopping(time="2026-11-25T12:00:00.000Z", t_ns=number, signal="SIGTERM", open=number)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_finds_no_room_is_counted(form: Form) -> None:
    """Every line is whole but the one that the disk has torn; what is missing is told when there is room."""
    with tempfile.TemporaryFile() as file:
        output = Output(file.fileno(), form)
        size = len(output.line(record(1)))
        output.write(output.line(record(1)))
        with room_for(size + size // 2):
            output.write(output.line(record(2)) + output.line(record(3)))  # half of the first
            output.write(output.line(record(4)))
        assert not output.lost
        output.write(output.line(record(5)))
        output.write(output.line(record(6)))
        file.seek(0)
        first, torn, told, *rest = file.read().splitlines(keepends=True)
    assert first == output.line(record(1))
    assert torn == output.line(record(2))[: size // 2] + b"\n"
    what = "3 lines are missing from the log: file too large"
    if form == "json":
        assert decode(told).message == what  # type: ignore[union-attr]  # an error, or the test fails
        assert isinstance(decode(told), Error)
    else:
        assert what in told.decode()
    assert rest == [output.line(record(5)), output.line(record(6))]


def test_a_full_disk() -> None:
    """The same with no space left on the device; there, nothing is torn."""
    with tempfile.TemporaryFile() as file:
        descriptor = os.open("/dev/full", os.O_WRONLY)
        try:
            output = Output(descriptor, "json")
            for number in range(3):
                output.write(output.line(record(number)))
            os.dup2(file.fileno(), descriptor)
            output.write(output.line(record(3)))
        finally:
            os.close(descriptor)
        file.seek(0)
        told, last = file.read().splitlines()
    assert b'"3 lines are missing from the log: no space left on device"' in told
    assert decode(last) == record(3)


def test_a_reader_that_has_gone() -> None:
    """That is the end of the output, and no error."""
    reader, writer = os.pipe()
    os.close(reader)
    output = Output(writer, "json")
    output.write(output.line(record(1)))
    os.close(writer)
    assert output.lost
    output.write(output.line(record(2)))

"""Several streams of records as one."""

import os
from typing import IO, Literal

import pytest

from gateway.events import Close, Error, Event, Omitted, SideTotals, decode, encode
from gateway.proxy.log import Frames
from gateway.proxy.output import Output
from gateway.workers.merge import Merge

TIME = "2026-01-31T12:00:00.250Z"
TOTALS = SideTotals(code=1000, reason="", frames=3, bytes=30)


def omitted(conn: int) -> Omitted:
    """A short record of a connection."""
    return Omitted(time=TIME, t_ns=5, conn=conn, sender="client", frames=1, bytes=9)


def closed(conn: int) -> Close:
    """The last record of a connection."""
    return Close(
        time=TIME, t_ns=6, conn=conn, by="client", how="close", client=TOTALS, upstream=TOTALS, ms=1.5
    )


class Merged:
    """Streams that a test writes, and what comes out of them."""

    def __init__(self, form: Literal["text", "json"] = "json", frames: Frames = "json") -> None:
        reader, writer = os.pipe()
        self.out: IO[bytes] = os.fdopen(reader, "rb")
        self._writer = writer
        self.merge = Merge(Output(writer, form), frames)
        self._sources: list[IO[bytes]] = []

    def source(self, name: str = "worker 1", *, ended_well: bool = True) -> IO[bytes]:
        """The writing end of a stream."""
        reader, writer = os.pipe()
        self.merge.follow(os.fdopen(reader, "rb", buffering=0), name, lambda: ended_well)
        self._sources.append(os.fdopen(writer, "wb", buffering=0))
        return self._sources[-1]

    def read(self) -> Event:
        """The next record."""
        return decode(self.out.readline())

    async def rest(self) -> list[bytes]:
        """What is still told once all streams have ended."""
        for each in self._sources:
            each.close()
        await self.merge.close()
        os.close(self._writer)
        with self.out:
            return self.out.readlines()


async def test_each_connection_gets_a_number_of_its_own() -> None:
    """The next one when it is first told of, the same one from then on, and another one after its close."""
    merged = Merged()
    one, two = merged.source(), merged.source("worker 2")
    numbers = []
    for source, record in (
        (one, omitted(7)),
        (two, omitted(7)),
        (one, omitted(1)),
        (two, closed(7)),
        (one, closed(7)),
        (two, omitted(7)),
        (one, omitted(1)),
        (one, closed(1)),
        (two, closed(7)),
    ):
        source.write(encode(record))
        told = merged.read()
        assert isinstance(told, Omitted | Close)
        numbers.append(told.conn)
    assert numbers == [1, 2, 3, 2, 1, 4, 3, 3, 4]
    assert await merged.rest() == []


async def test_all_but_the_number_stays() -> None:
    """Byte by byte."""
    merged = Merged()
    lines = [
        encode(Error(time=TIME, t_ns=1, message="é\x1b", status=502)),
        encode(omitted(1)),
        encode(closed(1)),
    ]
    merged.source().write(b"".join(lines))
    assert await merged.rest() == lines


@pytest.mark.parametrize("size", [1, 2, 100, 70_000])
async def test_a_line_in_pieces(size: int) -> None:
    """It is told once it is whole, however it comes."""
    merged = Merged()
    line = encode(Error(time=TIME, t_ns=1, message="x" * 150_000 if size > 1000 else "x" * 30)) * 2
    source = merged.source()
    told: list[bytes] = []
    for at in range(0, len(line), size):
        source.write(line[at : at + size])
        if size > 1000 and b"\n" in line[at : at + size]:  # more of them than a pipe holds
            told.append(merged.out.readline())
    assert told + await merged.rest() == line.splitlines(keepends=True)


async def test_a_writer_that_is_killed() -> None:
    """Half a line is dropped; the connections that had not ended are told as lost, those alone."""
    merged = Merged()
    source = merged.source("worker 2 (pid 5)", ended_well=False)
    source.write(encode(omitted(1)) + encode(omitted(2)) + encode(closed(2)) + encode(omitted(3)))
    source.write(encode(omitted(4))[:20])
    lines = await merged.rest()
    assert len(lines) == 5
    told = decode(lines[-1])
    assert isinstance(told, Error)
    assert told.message == "2 WebSockets ended with worker 2 (pid 5)"


async def test_a_writer_that_has_left_closes_out() -> None:
    """Nothing was lost with it, where it ended by itself."""
    merged = Merged()
    merged.source().write(encode(omitted(1)))
    assert await merged.rest() == [encode(omitted(1))]


async def test_a_line_that_is_no_record() -> None:
    """Costs that line, and is told."""
    merged = Merged()
    merged.source().write(b"Segmentation fault\n" + encode(omitted(1)) + encode(closed(1)))
    first, *rest = await merged.rest()
    told = decode(first)
    assert isinstance(told, Error)
    assert told.message.startswith("a record of worker 1 could not be told: DecodeError: ")
    assert rest == [encode(omitted(1)), encode(closed(1))]


async def test_lines_for_people() -> None:
    """In the form that was asked for, with the new numbers."""
    merged = Merged(form="text", frames="text")
    merged.source().write(encode(omitted(8)) + encode(closed(8)))
    lines = await merged.rest()
    assert [line.decode().split()[1] for line in lines] == ["#1", "#1"]


@pytest.mark.parametrize("frames", ["json", "off"])
async def test_what_the_parent_says(frames: Frames) -> None:
    """Goes the same way."""
    merged = Merged(frames=frames)
    merged.merge.log.listening("127.0.0.1:1", "http://localhost:1")
    merged.merge.log.error("something")
    merged.merge.log.stopping("SIGTERM", 3)
    assert [decode(line).event for line in await merged.rest()] == ["listening", "error", "stopping"]


async def test_an_output_that_is_lost() -> None:
    """Streams are read on, so that nobody who writes them has to wait."""
    merged = Merged()
    merged.out.close()
    source = merged.source()
    for _ in range(2_000):
        source.write(encode(closed(1)))  # more than a pipe holds
    source.close()
    await merged.merge.close()
    os.close(merged._writer)

"""A tunnel with a flaw is found out: what the conformance cases say of a gateway that is no true one."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.proxy.endings import reset
from tests.conformance.case import Case, Delivery
from tests.conformance.catalogue import catalogue
from tests.conformance.cli import Tally
from tests.conformance.stage import facing
from tests.conformance.verdict import SLOW, differences, later

Spoil = Callable[[bytes], bytes]


def honest(data: bytes) -> bytes:
    """No flaw."""
    return data


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoil: Spoil, *, delay: float, resets: bool
) -> None:
    """Forward, and pass the end on, late or as something else."""
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(spoil(data))
        await asyncio.sleep(delay)
        if resets:
            reset(writer.transport)  # type: ignore[arg-type]  # a socket's transport writes and reads
        else:
            writer.write_eof()


@asynccontextmanager
async def relay(
    upstream: int, spoil: Spoil = honest, *, delay: float = 0.0, resets: bool = False
) -> AsyncIterator[int]:
    """A tunnel that spoils what goes to the client, or the end of it; the port where it listens."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", upstream)
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, up_writer, honest, delay=0.0, resets=False))
            group.create_task(_pump(up_reader, writer, spoil, delay=delay, resets=resets))
        for each in (up_writer, writer):
            each.close()
            with suppress(OSError):
                await each.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, family=socket.AF_INET) as server:
        yield server.sockets[0].getsockname()[1]


def case(name: str) -> Case:
    """The case of this name."""
    return next(each for each in catalogue() if each.name == name)


def swallow_pong(data: bytes) -> bytes:
    """Leave a pong out that is followed by something."""
    return data.replace(b"\x8a\x0cping payload", b"")


def flip_a_bit(data: bytes) -> bytes:
    """Change a letter."""
    return data.replace(b"fragment1", b"fragment3")


def set_another_bit(data: bytes) -> bytes:
    """Set a reserved bit in the header of a text frame of 18 bytes."""
    return data.replace(b"\x81\x12", b"\xa1\x12")


def lengthen(data: bytes) -> bytes:
    """Say a length in more bytes than it takes."""
    return data.replace(b"\x81\x12", b"\x81\x7e\x00\x12")


def change_code(data: bytes) -> bytes:
    """Change the close code from 1000 to 1001."""
    return data.replace(b"\x88\x02\x03\xe8", b"\x88\x02\x03\xe9")


def drop_close(data: bytes) -> bytes:
    """Leave the Close frame out: FIN alone."""
    return data.replace(b"\x88\x02\x03\xe8", b"")


@pytest.mark.parametrize(
    ("spoil", "resets", "seen"),
    [
        (honest, False, False),
        (swallow_pong, False, True),
        (flip_a_bit, False, True),
        (set_another_bit, False, True),
        (lengthen, False, True),
        (change_code, False, True),
        (drop_close, False, True),
        (honest, True, True),
    ],
)
async def test_a_flaw_shows(upstream_port: int, spoil: Spoil, *, resets: bool, seen: bool) -> None:
    """A pong swallowed, a bit flipped, another code or length, no Close frame, RST instead of FIN."""
    async with (
        facing("server", "websockets", upstream_port) as play,
        relay(upstream_port, spoil, resets=resets) as port,
    ):
        direct = await play(case("5.8"), Delivery.WHOLE, upstream_port)
        async with asyncio.timeout(20):
            through = await play(_without_waiting(spoil), Delivery.WHOLE, port)
        assert bool(differences(direct, through, "websockets")) == seen


def _without_waiting(spoil: Spoil) -> Case:
    """Case 5.8; with a pong less to wait for where one is swallowed."""
    if spoil is not swallow_pong:
        return case("5.8")
    whole = case("5.8")
    turn = whole.turns[0]
    return Case(name=whole.name, what=whole.what, turns=(type(turn)(turn.frames, 1),))


async def test_a_late_end_shows(upstream_port: int) -> None:
    """A FIN that comes 100 ms late is no difference, and yet is found."""
    async with facing("server", "websockets", upstream_port) as play, relay(upstream_port, delay=0.1) as port:
        direct = await play(case("7.1.1"), Delivery.WHOLE, upstream_port)
        through = await play(case("7.1.1"), Delivery.WHOLE, port)
    assert not differences(direct, through, "websockets")
    tally = Tally()
    tally.count("7.1.1", [], later([(direct.seconds, through.seconds)]))
    assert tally.slow == ["7.1.1"]


def test_one_accident_is_not_slow() -> None:
    """What counts is the median of several tries."""
    assert later([(0.001, 0.2), (0.001, 0.0012), (0.0011, 0.0012)]) < SLOW
    assert later([(0.001, 0.2), (0.001, 0.3), (0.0011, 0.0012)]) > SLOW

"""A disk full under the log, and standard streams that nobody reads: the traffic does not care."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest

from gateway.events import decode
from tests.gateway.proxy.raw import frame, from_client, open_tunnel
from tests.gateways import config_of, gateway_command
from tests.servers import PATIENCE, Peer, Upstream, reserved_port


def _may_mount() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of `size` bytes at `folder`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@asynccontextmanager
async def started(
    folder: Path, upstream: Upstream, redirected: str, *options: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A gateway whose streams a shell has set up: its process, and the port where it answers."""
    with reserved_port() as port:
        path = folder / "config.yaml"
        path.write_text(config_of(f"http://127.0.0.1:{upstream.port}", addr=f"127.0.0.1:{port}"))
        command = [*gateway_command(), "-f", str(path), *options]
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", f'exec "$@" {redirected}', "sh", *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            await _answers(port)
            yield process, port
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def _answers(port: int) -> None:
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            try:
                (await Peer.connect(port)).close()
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                return


async def talk(port: int, upstream: Upstream) -> None:
    """A WebSocket with a message each way."""
    client, server = await open_tunnel(port, upstream)
    with client, server:
        await client.send(from_client(b"hello"))
        assert await server.read(11) == from_client(b"hello")
        await server.send(frame(b"and hello"))
        assert await client.read(11) == frame(b"and hello")


REDIRECTED = {
    "stdout closed": ">&-",
    "stderr closed": "2>&-",
    "both closed": ">&- 2>&-",
    "both full": ">/dev/full 2>/dev/full",
}


async def test_streams_that_take_nothing(tmp_path: Path, upstream: Upstream) -> None:
    """Traffic goes as ever, and so does the stop."""

    async def attempt(name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        async with started(folder, upstream, REDIRECTED[name], "--frames", "json") as (_, port):
            for _ in range(3):
                await talk(port, upstream)

    for name in REDIRECTED:
        try:
            await attempt(name)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this case's
            pytest.fail(f"{name}: {error!r}")


async def test_a_reader_that_leaves(tmp_path: Path, upstream: Upstream) -> None:
    """Whoever reads the records closes the pipe (EPIPE): they are dropped from then on, and nothing else."""
    async with started(tmp_path, upstream, "", "--frames", "json") as (process, port):
        await talk(port, upstream)
        assert process.stdout is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]  # there is no public way
        for _ in range(3):
            await talk(port, upstream)


@pytest.mark.skipif(not _may_mount(), reason="a small disk needs the right to mount one")
async def test_a_disk_that_is_full_for_a_while(tmp_path: Path, upstream: Upstream) -> None:
    """The log has a gap, which it tells of; the traffic has none."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, 64 * 1024):
        log, filler = disk / "log", disk / "filler"
        async with started(tmp_path, upstream, f">{log}", "--frames", "json") as (_, port):
            await talk(port, upstream)
            await _until(lambda: log.read_bytes().count(b'"close"') == 1)
            _fill(filler)
            for _ in range(40):  # more than what is left of the last page
                await talk(port, upstream)
            filler.unlink()
            async with asyncio.timeout(PATIENCE):
                while b"lines are missing from the log" not in log.read_bytes():
                    await talk(port, upstream)
        lines = log.read_bytes().splitlines()
    broken = [line for line in lines if not _is_record(line)]
    assert len(broken) <= 1, broken  # the one that the disk has torn
    (told,) = [line for line in lines if b"lines are missing" in line]
    assert b"no space left on device" in told


def _fill(path: Path) -> None:
    """Write until there is no space left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            return


def _is_record(line: bytes) -> bool:
    try:
        decode(line)
    except msgspec.DecodeError:
        return False
    return True


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - the system tells nobody
            await asyncio.sleep(0.02)

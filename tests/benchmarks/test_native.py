"""The benchmark's native tools: built, and put against peers that nobody here wrote."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.native import BuildError, Tools, build

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None, reason="the tools are C, for Linux"
)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """Both programs, from the sources as they are."""
    return build(tmp_path_factory.mktemp("build"))


@pytest.fixture
def upstream(tools: Tools) -> Iterator[int]:
    """The port of an echo that runs, and in the end stops when it is told to."""
    with subprocess.Popen([tools.echo, "0"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["port"]
        process.terminate()
        assert process.wait(10) == 0


@pytest_asyncio.fixture
async def server() -> AsyncIterator[int]:
    """The port of an echo of another make, which also pings."""

    async def echo(connection: ServerConnection) -> None:
        await (await connection.ping(b"are you there?"))
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, compression=None, max_size=None) as listening:
        yield next(iter(listening.sockets)).getsockname()[1]


def run(tools: Tools, *arguments: str) -> dict[str, float]:
    """What a load says at its end."""
    ran = subprocess.run([tools.load, *arguments], capture_output=True, text=True, check=True, timeout=50)
    start, end = map(json.loads, ran.stdout.splitlines())
    assert start == {"event": "start"}
    assert isinstance(end, dict)
    return end


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20, 16 << 20])
async def test_echo_returns_a_message_of_any_length(upstream: int, size: int) -> None:
    """Each form of a frame's length, and payloads that come in many reads."""
    payload = os.urandom(size)
    async with connect(f"ws://127.0.0.1:{upstream}/ws", compression=None, max_size=None) as client:
        await client.send(payload)
        assert await client.recv() == payload


async def test_echo_returns_fragments_pings_and_close(upstream: int) -> None:
    """A continuation that is not final, a ping's payload, and the code of a Close."""
    async with connect(f"ws://127.0.0.1:{upstream}/ws", compression=None) as client:
        await client.send([b"a" * 300, b"b" * 300, b"c" * 300])
        assert await client.recv() == b"a" * 300 + b"b" * 300 + b"c" * 300
        await (await client.ping(b"p" * 125))
        await client.close(4321, "enough")
        assert (client.close_code, client.close_reason) == (4321, "enough")


@pytest.mark.parametrize(
    "load",
    [
        ("echo",),
        ("echo", "--size", "16777216", "--connections", "2"),
        ("echo", "--size", "16", "--batch", "64"),
        ("handshake", "--connections", "8"),
        ("http",),
        ("http", "--path", "/big", "--connections", "4"),
        ("tick",),
    ],
    ids=" ".join,
)
def test_load_finds_no_fault_with_echo(tools: Tools, upstream: int, load: tuple[str, ...]) -> None:
    """Every mode counts messages, and no error."""
    seconds = "1.2" if load == ("tick",) else "0.3"  # a tick comes each second
    end = run(tools, *load, "--port", str(upstream), "--warmup", "0.1", "--seconds", seconds)
    assert end["messages"] > 0
    assert end["errors"] == end["reconnects"] == 0
    assert end["p50_us"] <= end["p99_us"] <= end["max_us"]


async def test_load_finds_no_fault_with_another_server(tools: Tools, server: int) -> None:
    """A peer that pings, and drops whoever masks or frames wrongly."""
    for mode in ("echo", "handshake"):
        end = await asyncio.to_thread(run, tools, mode, "--port", str(server), "--seconds", "0.5")
        assert end["messages"] > 0
        assert end["errors"] == 0


def test_load_counts_what_goes_wrong(tools: Tools, upstream: int) -> None:
    """Frames that are not those that were expected are errors."""
    end = run(tools, "echo", "--path", "/tick?ms=20", "--port", str(upstream), "--seconds", "0.5")
    assert end["errors"] > 0


def test_what_the_command_line_lacks_is_said_in_one_line(tools: Tools) -> None:
    """A mistake ends the program with status 1."""
    ran = subprocess.run([tools.load, "echo"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "load: --port is missing\n")


def test_only_what_is_old_is_built(tools: Tools) -> None:
    """A second build leaves both programs as they are; a program older than its sources is replaced."""
    before = tools.load.stat().st_ino
    os.utime(tools.echo, (0, 0))
    build(tools.load.parent)
    assert tools.load.stat().st_ino == before
    assert tools.echo.stat().st_mtime > 0


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler, the message says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="no C compiler"):
        build(tmp_path / "build")

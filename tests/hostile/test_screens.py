"""Hostile strings at every entrance of a gateway: what reaches a terminal, a pipe, a log and a client.

Each kind of output is watched through one long conversation (`conversation`), held by real processes.
"""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gateway.events import Error, Frame, Open, decode
from gateway.proxy.log import Frames
from tests.gateways import GatewayProcess
from tests.hostile.conversation import NEVER, SECRETS, SHOWN, Stage, converse, stage
from tests.hostile.oracles import asked_of_a_terminal, harm, obeyed, records_in, those_in
from tests.hostile.strings import BYTES, STRINGS, piece, raw_piece
from tests.launcher.conftest import CHECKOUT
from tests.launcher.ptys import Pty
from tests.servers import PATIENCE

PREVIEW: Final = ("--preview", "1200000")
"""More than the longest line."""
UP: Final = (sys.executable, "-m", "launcher", "up", "--no-upstream", *PREVIEW)
ENV: Final = {"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin", "TERM": "xterm-256color"}
LINE: Final = re.compile(r"\d\d:\d\d:\d\d\.\d\d\d +(#\d+)? ")
"""How the line of a record begins."""
BELOW: Final = re.compile(
    "─{9}| {10}⋯  [0-9]+ lines? left out: too many at once|"
    " ?STOPPING|● gateway|○ gateway|✗ gateway|→ client|p pause|Stopped after|  [→←] from"
)
"""How the rows of the footer, the summary and the live view itself begin."""


async def no_wait(_path: str) -> bool:
    """Nobody looks on."""
    return True


async def piped(folder: Path, on: Stage, *options: str) -> tuple[bytes, str]:
    """`aileron-demo up` with pipes through the conversation: stdout behind the banner's url, and stderr."""
    (folder / "config.yaml").write_text(on.config)
    process = await asyncio.create_subprocess_exec(
        *UP, *options, cwd=folder, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = b""
            while not (found := re.search(rb"http://localhost:(\d+)", line)):
                line = await process.stdout.readline()
        talk = asyncio.create_task(converse(int(found[1]), on, no_wait), name="conversation")
        reading = asyncio.create_task(process.communicate(), name="outputs")
        await talk
        process.terminate()
        out, errors = await reading
        assert process.returncode == 0, errors
        return out, errors.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_plain_lines(tmp_path: Path) -> None:
    """One printable line a record, of every group in every place, and nothing that is nobody's business."""
    async with stage() as on:
        on.long = 1 << 16
        out, errors = await piped(tmp_path, on, "--plain")
    text = out.decode()
    assert harm(text) == set()
    assert harm(errors) == set()
    assert those_in(text + errors, SECRETS) == set()
    first, *lines, _ = text[text.index("  open ") - 30 :].split("\n")
    assert first
    assert [line for line in lines if line and not LINE.match(line) and not BELOW.match(line)] == []
    for name in (*STRINGS, *BYTES):
        mark = f"<{name}|"
        assert sum(mark in line for line in lines) + text.count(mark.encode().hex(" ")) >= 4, name


async def test_json_lines(tmp_path: Path) -> None:
    """Valid JSON always, one record a line; every text comes back as it was sent; secrets stay secret."""
    async with stage() as on:
        out, errors = await piped(tmp_path, on, "--json")
    told = records_in(out)
    assert harm(errors) == set()
    assert those_in(out.decode() + errors, SECRETS) == set()
    frames = [record for record in told if record["event"] == "frame"]
    assert {piece(name) for name in STRINGS} <= {record["text"] for record in frames}
    assert {raw_piece(name).hex() for name in BYTES} <= {record["hex"] for record in frames}
    # What an upstream says passes; what the gateway says itself repeats nothing that is hostile or secret.
    own = [answer for answer in on.answers if answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))]
    assert len(own) > 4 * len(STRINGS)
    for head, _, body in (answer.partition(b"\r\n\r\n") for answer in own):
        assert those_in((head + body).decode(), SECRETS) == set()
        assert obeyed(body.decode()) == set()
        if b"application/json" in head:
            assert json.loads(body).keys() == {"status", "statusText"}


@pytest.mark.timeout(150)  # an emulator in Python takes its time where others want the machine as well
async def test_a_terminal(tmp_path: Path) -> None:
    """Printable cells are all that changes: no mode, title, reply or row but the live view's own."""
    async with stage() as on:
        (tmp_path / "config.yaml").write_text(on.config)
        with Pty(UP, cwd=tmp_path, env=ENV, columns=150, rows=30) as terminal:
            replies: list[str] = []
            terminal.screen.write_process_input = replies.append  # type: ignore[assignment,method-assign]  # what it answers
            before = set(terminal.screen.mode)
            await asyncio.to_thread(terminal.wait_for, "pause")
            found = re.search(r"http://localhost:(\d+)/", terminal.text)
            assert found is not None

            async def shown(path: str) -> bool:
                said = f"200 {path} via".encode()
                try:
                    await asyncio.to_thread(terminal.wait_for, lambda: said in terminal.raw[-100_000:], 3)
                except AssertionError:
                    return False
                return True

            missing = [*STRINGS, *BYTES]
            while missing:  # what the live view has left out is said again
                await converse(int(found[1]), on, shown, missing)
                rows = rows_of(terminal.text)
                missing = [each for each in missing if sum(f"<{each}|" in row for row in rows) < 2]
            assert terminal.rows[-1].startswith("p pause"), "the footer has gone"
            terminal.type("q")
            assert await asyncio.to_thread(terminal.wait) == 0
            raw, text, screen = terminal.raw, terminal.text, terminal.screen
    assert harm(asked_of_a_terminal(raw)) == set()
    assert those_in(raw.decode(), SECRETS) == set()
    assert (replies, screen.title, screen.icon_name) == ([], "", "")
    assert set(screen.mode) == before
    assert (screen.charset, screen.margins, screen.savepoints) == (0, None, [])
    assert [row for row in rows_of(text) if row and not LINE.match(row) and not BELOW.match(row)] == []


def rows_of(text: str) -> list[str]:
    """The rows of a terminal behind the banner."""
    return text[text.index("open ") - 30 :].split("\n")[1:]


@pytest.mark.parametrize("frames", ["json", pytest.param("text", marks=pytest.mark.long)])
async def test_what_may_be_shown(frames: Frames) -> None:
    """With --show-secrets they are there, but for those that nobody asked for; all else is as harmless."""
    async with stage() as on, asyncio.timeout(4 * PATIENCE):
        on.long = 1 << 16
        with GatewayProcess(on.config, *PREVIEW, "--show-secrets", frames=frames) as gateway:
            await converse(gateway.port, on, no_wait)
    out = b"".join(gateway.records.lines)
    assert those_in(out.decode() + gateway.errors.decode(), NEVER) == set()
    assert harm(gateway.errors.decode()) == set()
    if frames == "json":
        records_in(out)
        told = {type(decode(line)) for line in out.splitlines()}
        assert {Open, Frame, Error} <= told
        assert those_in(out.decode(), SHOWN) == set(SHOWN)
    else:
        assert harm(out.decode()) == set()
        assert those_in(out.decode(), SHOWN) >= {
            "s-query",
            "s-encoded",
            "s-down",
            "s-absolute",
            "s-subprotocol",
        }

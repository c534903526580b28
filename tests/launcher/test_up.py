"""`aileron-demo up` as a person runs it: in a terminal, with the real servers behind it."""

import contextlib
import os
import re
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.launcher.conftest import Site, children_of, make_site, wait_until_gone
from tests.launcher.ptys import Pty

READY = "in a browser"


def ready(terminal: Pty) -> str:
    """Wait for the banner; return the URL in it, without the slash at its end."""
    terminal.wait_for(READY)
    found = re.search(r"Open +(http://\S+?)/ ", terminal.text)
    assert found, terminal.text
    return found[1]


def websocket(url: str, path: str = "/echo") -> ClientConnection:
    """Connect through the gateway."""
    return connect(url.replace("http", "ws") + path, compression=None, open_timeout=10)


def deaf(url: str) -> socket.socket:
    """Open a WebSocket through the gateway that will never answer anything, not even a Close."""
    host, port = url.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), 10)
    sock.sendall(
        f"GET /echo HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert sock.recv(12) == b"HTTP/1.1 101"
    return sock


def restored(terminal: Pty) -> bool:
    """Whether the terminal is as it was: settings, cursor, wrapping."""
    return (
        terminal.modes == terminal.modes_before
        and not terminal.screen.cursor.hidden
        and terminal.raw.rfind(b"\x1b[?7h") > terminal.raw.rfind(b"\x1b[?7l")
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pty]:
    """A running kit that several tests look at; each leaves it as it found it."""
    with make_site(tmp_path_factory.mktemp("site")) as site, site.terminal() as terminal:
        ready(terminal)
        yield terminal


@pytest.fixture
def running(shared: Pty) -> Iterator[tuple[Pty, str]]:
    """The shared terminal and the page's URL; the screen is cleared."""
    url = ready_url(shared)
    shared.type("c")
    shared.wait_for(lambda: not any("●      open" in row for row in shared.rows))
    yield shared, url
    shared.resize(100, 30)


def ready_url(terminal: Pty) -> str:
    """The gateway's URL, from the footer."""
    terminal.wait_for(lambda: bool(re.search(r"● gateway http://\S+", terminal.text)))
    found = re.search(r"● gateway (http://\S+)", terminal.text)
    assert found
    return found[1]


def test_frames_are_shown_as_they_pass(running: tuple[Pty, str]) -> None:
    """Open, frames both ways, close: each on a line of its own; the footer counts."""
    terminal, url = running
    with websocket(url) as client:
        client.send("good morning")
        client.recv(timeout=5)
        client.send(b"\x00\xff")
        client.recv(timeout=5)
        terminal.wait_for(lambda: sum("00 ff" in row for row in terminal.rows) == 2)
        client.close(4001, "that was all")
    terminal.wait_for("closed")
    text = "\n".join(terminal.rows)
    assert re.search(r"#\d+ ●      open +/echo to http", text)
    assert re.search(r"#\d+ ──→    text +12 B  good morning", text)
    assert re.search(r"#\d+    ←── text +12 B  good morning", text)
    assert re.search(r"#\d+ ──→    close +14 B  4001 Private Use \"that was all\"", text)
    assert re.search(r"#\d+ ○      closed +[\d.]+ m?s  client 4001 Private Use → \d frames", text)


def test_hostile_payloads_are_only_text(running: tuple[Pty, str]) -> None:
    """Titles, colours, cursor movements, bidi and markup arrive escaped, and the view stands."""
    terminal, url = running
    terminal.resize(160, 30)
    hostile = "\x1b]0;title\x07\x1b[2J\x1b[31m\x9b5A\u202e[bold]x[/bold]\r\nnext"
    with websocket(url) as client:
        client.send(hostile)
        client.recv(timeout=5)
        client.close(1000, "\x1b]52;c;AAAA\x07")
    terminal.wait_for("]52;c;AAAA")
    shown = r"\x1b]0;title\x07\x1b[2J\x1b[31m\x9b5A\u202e[bold]x[/bold]\r\nnext"
    assert any(shown in row for row in terminal.rows)
    assert b"\x1b]" not in terminal.raw
    assert b"\x1b[31m" not in terminal.raw
    assert "\u202e".encode() not in terminal.raw


def test_wide_characters_do_not_fold(running: tuple[Pty, str]) -> None:
    """A line of wide characters is cut at the edge, and the rows stay one record each."""
    terminal, url = running
    terminal.resize(60, 30)
    with websocket(url) as client:
        client.send("日本語の長いメッセージ" * 5)
        client.recv(timeout=5)
        terminal.wait_for(lambda: sum("日" in row for row in terminal.rows) == 2)
        wide = [row for row in terminal.rows if "日" in row]
        assert all(row.endswith("…") for row in wide)


def test_pause_and_filter_by_keys(running: tuple[Pty, str]) -> None:
    """`p` holds lines back and counts them; `/` chooses; a wrong expression is told in place."""
    terminal, url = running
    with websocket(url) as client:
        terminal.type("p")
        terminal.wait_for("PAUSED")
        for _ in range(5):
            client.send("unseen")
            client.recv(timeout=5)
        # And perhaps the last words of a connection of the test before.
        terminal.wait_for(lambda: re.search(r"1\d frames passed", terminal.text) is not None)
        assert not any("text" in row for row in terminal.rows)
        terminal.type("p")
        terminal.wait_for(lambda: re.search(r"1\d frames left out: paused", terminal.text) is not None)
        assert not any("unseen" in row for row in terminal.rows)

        terminal.type("/from:me\r")
        terminal.wait_for('"me" sends no frames')
        terminal.type("\x7f\x7fupstream\r")
        terminal.wait_for("filter from:upstream")
        client.send("chosen")
        client.recv(timeout=5)
        terminal.wait_for("← text" if terminal.screen.columns < 90 else "←── text")
        assert sum("chosen" in row for row in terminal.rows) == 1
        terminal.type("/\x15\r")
        terminal.wait_for("no filter")


def test_help_opens_and_closes(running: tuple[Pty, str]) -> None:
    """`?` and Esc; arrow keys do nothing."""
    terminal, _ = running
    terminal.type("?")
    terminal.wait_for("clear the screen")
    terminal.type("\x1b[A\x1b")
    terminal.wait_for(lambda: not any("clear the screen" in row for row in terminal.rows))


@pytest.mark.parametrize("columns", [60, 200, 100])
def test_resize(running: tuple[Pty, str], columns: int) -> None:
    """After a resize the footer is drawn for the new width, once."""
    terminal, _ = running
    terminal.resize(columns, 24)
    rule = "─" * (columns - 1)
    terminal.wait_for(lambda: terminal.rows.count(rule) == 1)
    terminal.wait_for(lambda: sum("q quit" in row for row in terminal.rows) == 1)
    assert sum("● gateway" in row for row in terminal.rows) == 1


def test_two_thousand_frames_a_second(running: tuple[Pty, str]) -> None:
    """The view stays alive and samples; the totals are exact."""
    terminal, url = running
    before = totals(terminal)
    number = 5000
    with websocket(url) as client:
        for at in range(number):
            client.send(f"frame {at}")
        for at in range(number):
            assert client.recv(timeout=10) == f"frame {at}"
        client.close()
    terminal.wait_for(lambda: totals(terminal) == (before[0] + number + 1, before[1] + number + 1))
    terminal.wait_for("left out")
    terminal.type("?")
    terminal.wait_for("clear the screen", 2)
    terminal.type("?")


def totals(terminal: Pty) -> tuple[int, int]:
    """Frames each way, from the footer."""
    found = re.search(
        r"→ client ([\d,]+) frames? .*?← upstream ([\d,]+) frame", "\n".join(terminal.rows), re.DOTALL
    )
    return (int(found[1].replace(",", "")), int(found[2].replace(",", ""))) if found else (-1, -1)


def test_ctrl_c_is_a_clean_stop(site: Site) -> None:
    """One Ctrl-C: Close 1001 to the browser, everything gone before any limit, status 0, a summary."""
    with site.terminal() as terminal:
        url = ready(terminal)
        children = children_of(terminal.pid)
        assert set(children) == {"gateway", "demo_upstream"}
        with websocket(url) as client:
            client.send("hello")
            client.recv(timeout=5)
            terminal.wait_for("hello")
            began = time.monotonic()
            terminal.type("\x03")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert terminal.wait() == 0
        assert time.monotonic() - began < 4
        wait_until_gone(list(children.values()), 2)
        assert re.search(r"closed +[\d.]+ m?s  gateway 1001 Going Away → 2 frames", terminal.text)
        assert re.search(
            r"Stopped after .*: 1 WebSocket connection\n +→ from the client +2 frames, \d+ bytes",
            terminal.text,
        )
        assert restored(terminal)


def test_peers_that_do_not_answer_are_not_waited_for(site: Site) -> None:
    """A browser that hangs delays the stop, but not beyond five seconds; the status is still 0."""
    with site.terminal() as terminal:
        with deaf(ready(terminal)):
            terminal.wait_for("open ")
            began = time.monotonic()
            terminal.signal(signal.SIGTERM)
            assert terminal.wait() == 0
            assert time.monotonic() - began < 5
        assert restored(terminal)


def test_a_second_ctrl_c_ends_at_once(site: Site) -> None:
    """While the stop waits for a peer, Ctrl-C ends everything; status 130, nothing is left."""
    with site.terminal() as terminal:
        with deaf(ready(terminal)):
            terminal.wait_for("open ")
            children = children_of(terminal.pid)
            terminal.type("\x03")
            terminal.wait_for("STOPPING")
            began = time.monotonic()
            terminal.type("\x03")
            assert terminal.wait() == 130
            assert time.monotonic() - began < 4
        wait_until_gone(list(children.values()), 2)
        assert restored(terminal)


def test_a_terminal_that_goes_away(site: Site) -> None:
    """SIGHUP, the end of stdin and writes that fail are one clean stop; the browser gets its 1001."""
    with site.terminal() as terminal:
        url = ready(terminal)
        children = children_of(terminal.pid)
        with websocket(url) as client:
            terminal.hang_up()
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        wait_until_gone([terminal.pid, *children.values()], 3)
        assert terminal._process.wait(5) == 0


def test_kill_9_leaves_no_orphan(site: Site) -> None:
    """When the launcher is killed, both children are gone within two seconds, sockets open or not."""
    with site.terminal() as terminal:
        url = ready(terminal)
        children = children_of(terminal.pid)
        with websocket(url), deaf(url), websocket(f"http://127.0.0.1:{site.upstream_port}"):
            terminal.signal(signal.SIGKILL)
            wait_until_gone(list(children.values()), 2)


@pytest.mark.parametrize(
    ("module", "words"), [("demo_upstream", "The demo upstream"), ("gateway", "The gateway")]
)
def test_a_child_that_dies(site: Site, module: str, words: str) -> None:
    """It is named with the signal that ended it; the other is stopped; status 1; the terminal is restored."""
    with site.terminal() as terminal:
        ready(terminal)
        children = children_of(terminal.pid)
        os.kill(children[module], signal.SIGKILL)
        assert terminal.wait() == 1
        assert f"✗ {words} has ended by itself: killed by SIGKILL" in terminal.text
        wait_until_gone(list(children.values()), 2)
        assert restored(terminal)


@pytest.mark.parametrize("which", ["gateway", "upstream"])
def test_a_busy_port(site: Site, which: str) -> None:
    """A stranger on the port is no readiness: which port, who wants it and what to do are said; status 1."""
    with contextlib.ExitStack() as stack:
        if which == "gateway":
            stranger = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = stranger.getsockname()[1]
            site.config(f"127.0.0.1:{port}")
            cure = "change addr in config.yaml"
        else:
            port = site.upstream_port
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
            cure = f"--upstream-addr 127.0.0.1:{port + 1}"
        terminal = stack.enter_context(site.terminal())
        assert terminal.wait(15) == 1
        said = " ".join(terminal.text.split())
        assert f"Port {port} is taken: another program is listening there" in said
        assert cure in said
        assert READY not in said
        assert restored(terminal)


def test_ctrl_z_and_fg(site: Site) -> None:
    """Suspended, the shell has a sane terminal; continued, the footer and the keys are back."""
    with Pty(
        ["bash", "--norc", "--noprofile", "-i"], cwd=site.folder, env={**site.env, "PS1": "prompt> "}
    ) as terminal:
        terminal.wait_for("prompt>")
        terminal.type(" ".join(site.up()) + "\r")
        ready(terminal)
        terminal.type("\x1a")
        terminal.wait_for("Stopped")
        terminal.type("echo shell $((40 + 2))\r")
        terminal.wait_for("shell 42")
        assert "q quit" not in "\n".join(terminal.rows[-8:])
        terminal.type("fg\r")
        terminal.wait_for(lambda: sum("q quit" in row for row in terminal.rows) == 1)
        terminal.type("?")
        terminal.wait_for("clear the screen")
        terminal.type("q")
        terminal.wait_for("Stopped after")
        terminal.type("echo status $?\r")
        terminal.wait_for("status 0")


def test_a_job_in_the_background_keeps_its_hands_off(site: Site) -> None:
    """Started with `&`, it writes plain lines and leaves the keys to the shell."""
    with Pty(
        ["bash", "--norc", "--noprofile", "-i"], cwd=site.folder, env={**site.env, "PS1": "prompt> "}
    ) as terminal:
        terminal.wait_for("prompt>")
        terminal.type(" ".join(site.up()) + " &\r")
        terminal.wait_for(READY)
        terminal.type("echo shell $((40 + 2))\r")
        terminal.wait_for("shell 42")
        assert "q quit" not in terminal.text
        terminal.type("kill %1; wait %1; echo status $?\r")
        terminal.wait_for("status 0")


def test_a_dumb_terminal(site: Site) -> None:
    """With TERM=dumb there are plain lines, no escape codes, no footer; Ctrl-C stops."""
    with site.terminal(TERM="dumb") as terminal:
        with websocket(ready(terminal)) as client:
            client.send("hello")
        terminal.wait_for("hello")
        terminal.type("\x03")
        assert terminal.wait() == 0
        assert b"\x1b" not in terminal.raw
        assert "Stopped after" in terminal.text


def test_in_a_folder_of_ones_own(site: Site) -> None:
    """When the banner is there, its URL answers, with the folder's own page; a folder `gateway` is not ours.

    And as NO_COLOR is set, the live view has bold, but no colour.
    """
    (site.folder / "static").mkdir()
    (site.folder / "static" / "index.html").write_text("<html>mine")
    for name in ("gateway", "demo_upstream"):
        (site.folder / name).mkdir()
        (site.folder / name / "__init__.py").write_text("raise SystemExit('not ours')")
    command = [sys.executable, "-P", *site.up()[1:]]
    with Pty(command, cwd=site.folder, env={**site.env, "NO_COLOR": "1"}) as terminal:
        url = ready(terminal)
        with urllib.request.urlopen(f"{url}/", timeout=5) as response:
            assert response.read() == b"<html>mine"
        terminal.wait_for("GET")
        upstream = f"upstream 127.0.0.1:{site.upstream_port}"
        for words in ("./config.yaml", "./static/index.html", "gateway localhost:", upstream, "q quit"):
            assert words in terminal.text
        cells = [cell for row in terminal.screen.buffer.values() for cell in row.values()]
        assert {cell.fg for cell in cells} | {cell.bg for cell in cells} == {"default"}
        assert b"\x1b[1m" in terminal.raw
        terminal.type("q")
        assert terminal.wait() == 0
        assert READY in terminal.text
        assert "Stopped after" in terminal.text
        assert restored(terminal)

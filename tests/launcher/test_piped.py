"""`aileron-demo up` for programs: pipes, JSON, readers that stop reading or go away."""

import contextlib
import json
import queue
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from gateway.events import decode
from launcher.readiness import is_open
from tests.launcher.conftest import Site, children_of, wait_until_gone


class Lines:
    """The lines of a stream, as they come."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self._stdout = process.stdout
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        self.seen: list[bytes] = []

    def _read(self) -> None:
        for line in self._stdout:
            self._lines.put(line)

    def until(self, what: bytes) -> bytes:
        """Read up to the line that contains `what`."""
        while True:
            self.seen.append(self._lines.get(timeout=15))
            if what in self.seen[-1]:
                return self.seen[-1]

    def rest(self) -> list[bytes]:
        """All lines, once the stream has ended."""
        self._thread.join(15)
        while not self._lines.empty():
            self.seen.append(self._lines.get())
        return self.seen


def test_json(site: Site) -> None:
    """JSON lines and nothing else on stdout: the gateway's records and ours; words for people on stderr."""
    with site.piped("--json", "--preview", "10") as process:
        lines = Lines(process)
        ready: dict[str, Any] = json.loads(lines.until(b'"event":"ready"'))
        url = ready["gateway"][0]
        with connect(url.replace("http", "ws") + "/echo", compression=None) as client:
            client.send("good morning, everybody")
            client.recv(timeout=5)
        lines.until(b'"event":"close"')
        process.send_signal(signal.SIGINT)
        records: list[dict[str, Any]] = [json.loads(line) for line in lines.rest()]
        assert process.wait(10) == 0
        assert process.stderr is not None
        words = process.stderr.read().decode()
    assert ready["upstream"] == f"http://127.0.0.1:{site.upstream_port}"
    events = [record["event"] for record in records]
    assert events[:2] == ["child", "child"]
    assert events[-1] == "summary"
    assert {"listening", "ready", "open", "frame", "close", "stopping"} <= set(events)
    own = ("child", "ready", "summary")
    for line, record in zip(lines.seen, records, strict=True):
        assert {"event", "time", "t_ns"} <= set(record)
        if record["event"] not in own:
            decode(line)
    first = next(record for record in records if record["event"] == "frame")
    assert (first["from"], first["text"], first["truncated"]) == ("client", "good morni", True)
    children = [(each["name"], each["state"], each["status"]) for each in records if each["event"] == "child"]
    assert [each for each in children if each[1] == "exited"] == [
        ("gateway", "exited", 0),
        ("upstream", "exited", 0),
    ]
    frames = [record for record in records if record["event"] == "frame"]
    summary = records[-1]
    for side in ("client", "upstream"):
        sent = [frame for frame in frames if frame["from"] == side]
        size = sum(frame["len"] + frame["header_len"] for frame in sent)
        assert summary[side] == {"frames": len(sent), "bytes": size}
    assert summary["connections"] == 1
    assert f"{url}/" in words
    assert "Stopped after" in words


def test_a_reader_that_goes_away(site: Site) -> None:
    """`up | head`: when the reader has had enough, all ends cleanly, with plain lines up to there."""
    with site.piped("--filter", "!op:ping") as process:
        assert process.stdout is not None
        seen = b""
        while not (found := re.search(rb"Open +(http://\S+)/ ", seen)):
            seen += process.stdout.readline()
        assert b"\x1b" not in seen
        children = children_of(process.pid)
        process.stdout.close()
        # The first line about this connection finds nobody, and ends it before or after it is ours.
        url = found[1].decode().replace("http", "ws")
        with contextlib.suppress(WebSocketException, OSError), connect(f"{url}/ws") as client:
            client.recv(timeout=10)
        assert process.wait(10) == 0
        wait_until_gone(list(children.values()), 0.5)


def test_a_full_disk(site: Site) -> None:
    """Records that find no room are the end of all, with the reason and status 1."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            site.up("--json"), cwd=site.folder, env=site.env, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr.decode().endswith("✗ Standard output takes no more: no space left on device\n")


def test_a_reader_that_stops_reading(site: Site) -> None:
    """`up | less`: the traffic runs on, and a signal still ends everything in time."""
    with site.piped("--frame-rate", "0") as process:
        assert process.stdout is not None
        seen = b""
        while not (found := re.search(rb"Open +(http://\S+)/ ", seen)):
            seen += process.stdout.readline()
        url = found[1].decode().replace("http", "ws")
        with connect(f"{url}/echo", compression=None) as client:
            for _ in range(6):
                for _ in range(1000):
                    client.send("x" * 100)
                for _ in range(1000):
                    client.recv(timeout=10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_closed_standard_streams(site: Site) -> None:
    """Started by something that has closed stdin, stdout and stderr, it runs and stops all the same."""
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *site.up()]
    port = site.free_port()
    site.config(f"127.0.0.1:{port}")
    process = subprocess.Popen(shell, cwd=site.folder, env=site.env)
    try:
        deadline = time.monotonic() + 15
        while not is_open("127.0.0.1", port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(5)


def test_a_wrong_start_in_json(site: Site) -> None:
    """What goes wrong is told on stderr, stdout has the records of it, and the status is 1."""
    with site.piped("--json", "--upstream-addr", "192.0.2.1:0") as process:
        out, err = process.communicate(timeout=15)
    assert process.returncode == 1
    records = [json.loads(line) for line in out.splitlines()]
    assert ("upstream", "exited", 1) in [
        (each["name"], each["state"], each["status"]) for each in records if each["event"] == "child"
    ]
    assert b"The demo upstream could not start" in err
    assert b"192.0.2.1" in err

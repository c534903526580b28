"""The processes: one gateway, two demo upstreams; killed, held, started again, and measured."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.servers import reserved_port
from tests.soak.ledger import GatewayLog, Ledger

PATIENCE: Final = 60.0
"""Seconds that anything may take; a soak shares its machine."""

_AFTERMATH: Final = 5.0
"""Seconds behind the start of an upstream in which a session may still find it away."""

_GIVE_BACK: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""Lets glibc keep little of what is free, so that memory tells of what is not."""

_CONFIG: Final = """\
apiVersion: core/v1
kind: Entrypoint
spec:
  runners:
    - {{apiVersion: core/v1, kind: HTTPServer}}
---
apiVersion: core/v1
kind: HTTPServer
spec:
  addr: "127.0.0.1:{port}"
  virtualHosts:
    - handlers:
        - handler: {{apiVersion: core/v1, kind: ReverseProxyHandler}}
---
apiVersion: core/v1
kind: ReverseProxyHandler
spec:
  loadBalancers:
    - pathMatcher: {{match: "/", matchType: Prefix}}
      lbAlgorithm: {algorithm}
      upstreams:
        - url: http://127.0.0.1:{first}
        - url: http://127.0.0.1:{second}
"""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the gateway has while nobody is connected."""

    memory: int
    """Resident bytes."""
    descriptors: int
    threads: int


class Upstream:
    """A demo upstream that can be killed, held and started again on its port."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._down = False
        self._up_since = 0.0
        self._process = self._start()

    def excuses(self, since: float) -> bool:
        """Whether a session that began at `since` (time.monotonic) may have failed: this was killed."""
        return self._down or since < self._up_since + _AFTERMATH

    async def kill(self, pause: float) -> None:
        """End it the hard way; start it again after `pause` seconds."""
        self._down = True
        self.close()
        await asyncio.sleep(pause)
        self._process = await asyncio.to_thread(self._start)
        self._down = False
        self._up_since = time.monotonic()

    async def hold(self, pause: float) -> None:
        """Let it do nothing for `pause` seconds."""
        self._process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(pause)
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "demo_upstream", "--addr", f"127.0.0.1:{self._port}"],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        with process.stdout as told:
            assert told.readline(), "a demo upstream does not start"
        return process


class World:
    """All processes of a soak; use it as a context manager."""

    def __init__(self, ledger: Ledger) -> None:
        self.log = GatewayLog(ledger)
        self._stack = ExitStack()
        with self._stack as stack:
            self.port, *ports = [stack.enter_context(reserved_port()) for _ in range(3)]
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))
            self._path = Path(folder, "config.yaml")
            self._errors = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
            self.upstreams = [Upstream(port) for port in ports]
            for upstream in self.upstreams:
                stack.callback(upstream.close)
            self._ports = ports
            self._write("RoundRobin")
            self._process = self._start()
            stack.callback(self._kill)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def excuses(self, path: str, since: float) -> bool:
        """Whether a session at `path`, begun at `since`, may have failed: its upstream was killed.

        Where none is known, any may have been meant.
        """
        url = self.log.upstreams.get(path)
        return any(upstream.excuses(since) for upstream in self.upstreams if url in {None, upstream.url})

    def reload(self, algorithm: str) -> None:
        """Let the gateway load a config that balances by `algorithm`."""
        self._write(algorithm)
        self._process.send_signal(signal.SIGHUP)

    def footprint(self) -> Footprint:
        """What the gateway has now."""
        root = Path(f"/proc/{self._process.pid}")
        fields = dict(re.findall(r"(\w+):\s+(\d+)", (root / "status").read_text()))
        return Footprint(
            memory=int(fields["VmRSS"]) * 1024,
            descriptors=len(list((root / "fd").iterdir())),
            threads=int(fields["Threads"]),
        )

    def stop(self) -> tuple[int, str]:
        """Stop the gateway: its exit status and what it wrote to standard error."""
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self._errors.seek(0)
        return status, self._errors.read().decode()

    def _write(self, algorithm: str) -> None:
        first, second = self._ports
        text = _CONFIG.format(port=self.port, algorithm=algorithm, first=first, second=second)
        aside = self._path.with_suffix(".new")
        aside.write_text(text)
        aside.replace(self._path)

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "-f", str(self._path), "--frames", "json"],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **_GIVE_BACK},
        )
        assert process.stdout is not None
        assert process.stdout.readline(), "the gateway does not start"
        self._reader = threading.Thread(target=self.log.read_from, args=[process.stdout], name="records")
        self._reader.start()
        return process

    def _kill(self) -> None:
        self.log.go_on()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

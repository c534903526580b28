"""Demo upstreams for tests: a process as people start it, and an application in the test's own loop."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self

from aiohttp import web

from demo_upstream.access import Access
from demo_upstream.app import make_app
from demo_upstream.connections import Connections
from demo_upstream.page import packaged_page

PATIENCE: Final = 10.0
"""Seconds that anything may take here before it counts as failed."""

ROOT: Final = Path(__file__).parents[2]


class DemoUpstream:
    """`python -m demo_upstream` on a port of the system's choosing, or on `port`."""

    def __init__(
        self,
        *arguments: str,
        addr: str = "localhost:0",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo_upstream", "--addr", addr, *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            pass_fds=pass_fds,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.match(r"demo upstream: listening on (http://\S+:(\d+)) ", self.line)
        if found is None:
            _, errors = self.process.communicate(timeout=PATIENCE)
            raise AssertionError(f"it told {self.line!r} and {errors!r}")
        self.url = found[1]
        self.port = int(found[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def stop(self) -> tuple[int, str]:
        """Stop it by SIGTERM: its exit status and what it wrote besides the first line."""
        self.process.send_signal(signal.SIGTERM)
        try:
            out, errors = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, out + errors


@asynccontextmanager
async def serving(
    connections: Connections, *, page: Path | None = None, access: Access | None = None
) -> AsyncIterator[str]:
    """The application in this loop; gives its URL."""
    app = make_app(page=page or packaged_page(), access=access or Access(), connections=connections)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.3)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()

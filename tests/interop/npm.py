"""Node, and what npm has put into `node/node_modules`: for tests that are skipped where either is missing.

needs_node     marks those tests; its reason says what to do
call           let a JavaScript client hold conversations
running        the server's side of the conversation with `ws`
Process        any program of Node that serves
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import pytest
import trustme

from tests.interop.servers import Listener
from tests.interop.talk import CLIENT_CLOSES, MESSAGES, PIECES, PROTOCOLS, SERVER_CLOSES, Transcript

FOLDER: Final = Path(__file__).parent / "node"
PACKAGES: Final = FOLDER / "node_modules"
NODE: Final = shutil.which("node")

WORDS: Final = {
    "protocols": PROTOCOLS,
    "pieces": PIECES,
    "clientCloses": CLIENT_CLOSES,
    "serverCloses": SERVER_CLOSES,
    "messages": [
        (type(each).__name__, each if isinstance(each, str) else each.decode("latin-1")) for each in MESSAGES
    ],
}
"""What the conversation is made of, as the JavaScript side wants it; octets are U+0000 to U+00FF."""

needs_node = pytest.mark.skipif(
    NODE is None or not PACKAGES.is_dir(),
    reason="needs Node, and: cd tests/interop/node && npm install --no-package-lock --no-audit --no-fund",
)


def command(*arguments: str) -> list[str]:
    """Node with `arguments`."""
    assert NODE is not None
    return [NODE, *arguments]


async def call(client: str, calls: Sequence[tuple[str, bool]], *, size: int = 0) -> list[Transcript]:
    """What the client `ws`, or `standard` for the WebSocket that Node itself has, sees at each url.

    Each comes with whether to offer permessage-deflate; `size` makes for long messages, in bytes.
    """
    process = await asyncio.create_subprocess_exec(
        # Node 20 and 21 have a WebSocket behind this option; later ones have it anyway.
        *command("--experimental-websocket", "--no-warnings", "client.mjs", client),
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wanted = [{"url": url, "deflate": deflate} for url, deflate in calls]
    asked = json.dumps({"words": WORDS, "size": size, "calls": wanted})
    out, errors = await process.communicate(asked.encode())
    assert (process.returncode, errors) == (0, b""), errors.decode()
    transcripts: list[Transcript] = json.loads(out)
    return transcripts


class Process:
    """A program of Node that serves until it is stopped; one that reads its standard input sees its end."""

    def __init__(self, *arguments: str, cwd: Path = FOLDER) -> None:
        self._process = subprocess.Popen(
            command(*arguments),
            cwd=cwd,
            env=os.environ | {"NO_COLOR": "1"},  # where CI is set, some colour even what goes into a pipe
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.terminate()
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise

    def ask(self, question: Any) -> None:
        """Send one line of JSON."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def line(self) -> str:
        """The next line that it prints.  Raises AssertionError where it ends instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "Node has ended"
        return line


@contextmanager
def running(authority: trustme.CA) -> Iterator[list[Listener]]:
    """The servers that `ws` makes, with and without compression and TLS, until the block ends."""
    certificate = authority.issue_cert("127.0.0.1")
    chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
    with Process("server.mjs") as node:
        key = certificate.private_key_pem.bytes().decode()
        node.ask({"words": WORDS, "key": key, "cert": chain.decode()})
        yield [
            Listener(server="ws", deflate=deflate, tls=tls, port=port)
            for deflate, tls, port in json.loads(node.line())
        ]

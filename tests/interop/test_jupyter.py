"""A Jupyter kernel: what is run arrives through the gateway, where Jupyter knows the page's origin."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import aiohttp
import pytest

from gateway.events import Error, Open
from tests.gateways import GatewayProcess, config_of
from tests.servers import PATIENCE, reserved_port

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        any(importlib.util.find_spec(each) is None for each in ("jupyter_server", "ipykernel")),
        reason="needs Jupyter: pip install -e '.[test,devservers]'",
    ),
]

TOKEN: Final = "a-token-of-this-test"
KERNEL_PATIENCE: Final = 3 * PATIENCE
"""Seconds that a kernel may take to start."""


@contextmanager
def _jupyter(folder: Path, port: int, *options: str) -> Iterator[None]:
    """A Jupyter server on `port`, with nothing of this machine's settings."""
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
            *(f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0"),
            *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"),
            *options,
        ],
        env=os.environ | {name: str(folder / name.lower()) for name in places},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    known = threading.Event()
    reader = threading.Thread(target=_read, args=[process.stderr, f"127.0.0.1:{port}/", said, known])
    reader.start()
    with process:
        try:
            assert known.wait(KERNEL_PATIENCE), "".join(said)
            assert _listens(port), "".join(said)
            yield
        finally:
            process.terminate()
            process.wait(KERNEL_PATIENCE)
            reader.join(PATIENCE)


def _read(stderr: IO[str], address: str, said: list[str], known: threading.Event) -> None:
    """Take all that Jupyter says, and tell when it names its address, or ends."""
    for line in stderr:
        said.append(line)
        if address in line:
            known.set()
    known.set()


def _listens(port: int) -> bool:
    """Whether somebody listens on `port` in the end: Jupyter says so shortly before it does."""
    for _ in range(200):
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return True
        time.sleep(0.05)
    return False


def _gateway(upstream: int) -> GatewayProcess:
    return GatewayProcess(config_of(f"http://127.0.0.1:{upstream}"))


async def _result_of(session: aiohttp.ClientSession, url: str, code: str) -> str:
    """What a new kernel answers to `code`, over the channels that a page from `url` would open.

    Raises aiohttp.WSServerHandshakeError where Jupyter does not let it.
    """
    by_token = {"Authorization": f"token {TOKEN}"}
    async with session.post(f"{url}/api/kernels", json={"name": "python3"}, headers=by_token) as response:
        assert response.status == 201, await response.text()
        kernel = (await response.json())["id"]
    try:
        # A request with a token may come from anywhere; a page has the cookie that the first one gave it.
        async with session.get(f"{url}/api/status", params={"token": TOKEN}) as response:
            assert response.status == 200
        async with session.ws_connect(f"{url}/api/kernels/{kernel}/channels", origin=url) as channels:
            header = {"msg_id": "1", "msg_type": "execute_request", "session": "test", "username": ""}
            request = {"code": code, "silent": False}
            await channels.send_json(
                {
                    "channel": "shell",
                    "header": header | {"version": "5.3", "date": "2026-01-31T12:00:00Z"},
                    "parent_header": {},
                    "metadata": {},
                    "content": request,
                    "buffers": [],
                }
            )
            while True:
                message: dict[str, Any] = json.loads(await channels.receive_str(timeout=KERNEL_PATIENCE))
                if message["msg_type"] == "execute_result" and message["parent_header"].get("msg_id") == "1":
                    return str(message["content"]["data"]["text/plain"])
    finally:
        async with session.delete(f"{url}/api/kernels/{kernel}", headers=by_token) as response:
            assert response.status == 204


@pytest.mark.timeout(120)
async def test_a_kernel_adds(tmp_path: Path) -> None:
    """1 + 1 is 2 from a page of the gateway's, whose origin stands in `allow_origin`."""
    with reserved_port() as upstream:
        with _gateway(upstream) as gateway:
            url = f"http://127.0.0.1:{gateway.port}"
            with _jupyter(tmp_path, upstream, f"--ServerApp.allow_origin={url}"):
                async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                    assert await _result_of(session, url, "1 + 1") == "2"
        assert len(gateway.records.all(Open)) == 1
        assert not gateway.records.all(Error)


@pytest.mark.timeout(120)
async def test_an_origin_that_jupyter_does_not_know(tmp_path: Path) -> None:
    """Without `allow_origin` Jupyter refuses the page of another port, and the gateway tells its refusal."""
    with reserved_port() as upstream:
        with _gateway(upstream) as gateway, _jupyter(tmp_path, upstream):
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await _result_of(session, f"http://127.0.0.1:{gateway.port}", "1 + 1")
                assert refused.value.status == 403
                assert await _result_of(session, f"http://127.0.0.1:{upstream}", "1 + 1") == "2"
        assert not gateway.records.all(Open)

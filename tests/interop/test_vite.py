"""Vite: what is edited shows in the page, without a reload, through the gateway."""

import itertools
import re
import shutil
from pathlib import Path

import aiohttp
import pytest

from gateway.events import Error, Frame, Open
from tests.demo_upstream.browser import Browser, find_chromium
from tests.gateways import GatewayProcess, config_of
from tests.interop.npm import FOLDER, PACKAGES, Process, needs_node
from tests.servers import reserved_port

pytestmark = [
    pytest.mark.long,
    needs_node,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium, Chrome or Edge"),
]


def _vite(project: Path) -> Process:
    """Vite as it comes: neither `server.allowedHosts` nor `server.hmr` is set."""
    return Process(str(PACKAGES / "vite/bin/vite.js"), "--host", "127.0.0.1", "--port", "0", cwd=project)


def _url_of(vite: Process) -> str:
    while (found := re.search(r"http://127\.0\.0\.1:\d+", vite.line())) is None:
        pass
    return found[0]


async def test_an_edited_module_shows_without_a_reload(tmp_path: Path) -> None:
    """The socket of the hot reload goes through the gateway; after a restart of that, the page comes back."""
    executable = find_chromium()
    assert executable is not None
    project = tmp_path / "project"
    shutil.copytree(FOLDER / "project", project)
    with reserved_port() as port, _vite(project) as vite:
        url = _url_of(vite)
        config = config_of(url, addr=f"127.0.0.1:{port}")
        async with Browser.launch(executable) as browser, browser.page() as page:
            with GatewayProcess(config) as gateway:
                await page.open(f"http://127.0.0.1:{port}/")
                await page.until("document.getElementById('message').innerText === 'as it was'")
                opened = await gateway.records.wait_for(Open, subprotocol="vite-hmr")
                await page.ask("globalThis.mark = 'not reloaded'")
                (project / "message.js").write_text('export const message = "as it is";\n')
                await page.until("document.getElementById('message').innerText === 'as it is'")
                assert await page.ask("globalThis.mark") == "not reloaded"
                for past in itertools.count():
                    told = await gateway.records.wait_for(Frame, conn=opened.conn, opcode="text", past=past)
                    if (told.text or "").startswith('{"type":"update"'):
                        break
            assert len(gateway.records.all(Open)) == 1
            assert not gateway.records.all(Error)
            (project / "message.js").write_text('export const message = "as it became";\n')
            with GatewayProcess(config) as gateway:
                await gateway.records.wait_for(Open, subprotocol="vite-hmr")
                await page.until("document.getElementById('message').innerText === 'as it became'")


async def test_a_host_that_vite_does_not_know(tmp_path: Path) -> None:
    """Vite sees the Host of the upstream's url, whatever the browser was told to open."""
    shutil.copytree(FOLDER / "project", tmp_path / "project")
    with _vite(tmp_path / "project") as vite:
        url = _url_of(vite)
        with GatewayProcess(config_of(url)) as gateway:
            async with aiohttp.ClientSession(headers={"Host": "shop.example"}) as session:
                async with session.get(url) as response:
                    assert response.status == 403
                async with session.get(f"http://127.0.0.1:{gateway.port}/") as response:
                    assert response.status == 200

"""`/`: the page's headers, its policy, and the one file it comes from."""

import asyncio
import base64
import hashlib
from pathlib import Path

import aiohttp
import pytest

from demo_upstream.connections import Connections
from demo_upstream.page import choose_page, packaged_page, policy
from tests.demo_upstream.running import PATIENCE, ROOT, DemoUpstream, serving


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_policy_names_what_stands_in_the_page() -> None:
    """Each inline script and style is named by its hash; nothing else may run."""
    html = "<STYLE media=all>a{}</STYLE><script>\n1 < 2\n</script ><script>3</script>"
    assert policy(html).split("; ") == [
        "default-src 'none'",
        f"script-src {_source(chr(10) + '1 < 2' + chr(10))} {_source('3')}",
        f"style-src {_source('a{}')}",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]


def test_policy_hashes_as_browsers_do() -> None:
    """CRLF counts as LF, and what stands in a comment does not count."""
    html = "<!-- a <style> of old <script>0</script> --><script>1\r\n2\r3</script>"
    assert f"script-src {_source('1' + chr(10) + '2' + chr(10) + '3')};" in policy(html)
    assert "style-src 'none'" in policy(html)


@pytest.mark.parametrize(
    ("addressed", "sources"),
    [
        ("localhost:8080", " ws://localhost:8080 wss://localhost:8080"),
        ("10.0.0.5", " ws://10.0.0.5 wss://10.0.0.5"),
        ("[::1]:8080", ""),
        ("x; script-src *", ""),
        ("a b", ""),
    ],
)
def test_policy_permits_the_socket(addressed: str, sources: str) -> None:
    """The host that was addressed is named for older browsers; nothing can be smuggled in by a header."""
    assert f"; connect-src 'self'{sources}; " in policy("", [addressed])


async def test_headers_of_the_page(demo: DemoUpstream) -> None:
    """The checkout's page comes with its policy, its type and a tag, and is asked for each time."""
    async with aiohttp.ClientSession() as session:
        async with session.get(demo.url) as answer:
            octets = await answer.read()
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-cache"
            assert "'unsafe" not in answer.headers["Content-Security-Policy"]
            tag = answer.headers["ETag"]
        assert octets == packaged_page().read_bytes()
        for known, status in ((tag, 304), (f'"x", W/{tag}', 304), ("*", 304), ('"x"', 200)):
            async with session.get(demo.url, headers={"If-None-Match": known}) as answer:
                assert answer.status == status
                assert answer.headers["ETag"] == tag
        async with session.head(demo.url) as answer:
            assert answer.headers["Content-Length"] == str(len(octets))


async def test_an_edit_shows_at_the_next_request(tmp_path: Path) -> None:
    """The file is read each time, its policy computed anew; a page that is gone is told."""
    page = tmp_path / "index.html"
    page.write_text("<script>1</script>")
    async with serving(Connections(), page=page) as url, aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            before = answer.headers["ETag"]
        page.write_text("<script>2</script>")
        async with session.get(url, headers={"If-None-Match": before}) as answer:
            assert answer.status == 200
            assert await answer.text() == "<script>2</script>"
            assert _source("2") in answer.headers["Content-Security-Policy"]
        page.unlink()
        async with session.get(url) as answer:
            assert answer.status == 500
            assert "cannot be read" in await answer.text()


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/static/index.html",
        "/../pyproject.toml",
        "/..%2fpyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/C:/Windows/win.ini",
        "/.",
        "/%00",
    ],
)
async def test_no_other_file(demo: DemoUpstream, path: str) -> None:
    """Whatever the path, it is the page or nothing."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", demo.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")) or answer.endswith(
        packaged_page().read_bytes()
    )


def test_which_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's own page goes before the packaged one."""
    monkeypatch.chdir(tmp_path)
    assert choose_page() == packaged_page() == ROOT / "static" / "index.html"
    own = tmp_path / "static" / "index.html"
    own.parent.mkdir()
    own.write_text("mine")
    assert choose_page() == own

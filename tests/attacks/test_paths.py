"""Paths that look like others: what is routed is what is sent on, and the demo has one file alone."""

import re
from pathlib import Path
from typing import Final

from tests.attacks.recorder import Recorder
from tests.demo_upstream.running import DemoUpstream
from tests.gateways import GatewayProcess, config_of
from tests.servers import Peer, reserved_port

SENT_ON: Final = {
    b"/public/": b"/public/",
    b"/%70ublic/a": b"/public/a",
    b"/public/...": b"/public/...",
    b"/public/..%5Cprivate": b"/public/..%5Cprivate",
    b"/public/..\\private": b"/public/..%5Cprivate",
    b"/public/%252e%252e/private": b"/public/%252e%252e/private",
    b"/public/..;/private": b"/public/..;/private",
    b"/public/..;a=b/private": b"/public/..;a=b/private",
    b"/public/..%00/private": b"/public/..%00/private",
    b"/public/a%00.html": b"/public/a%00.html",
    b"/public/%c0%ae%c0%ae/private": b"/public/%C0%AE%C0%AE/private",
    b"/public/%e0%80%ae%e0%80%ae/private": b"/public/%E0%80%AE%E0%80%AE/private",
    b"/public/%ff": b"/public/%FF",
    b"/public/%2f/private": b"/public///private",
    b"/public/a?/../private": b"/public/a?/../private",
    b"/public/a?b\\..\\c": b"/public/a?b\\..\\c",
    b"/public/a%3f%23%25": b"/public/a%3F%23%25",
    b"/public/a%20HTTP/1.1%0d%0aX:%20y": b"/public/a%20HTTP/1.1%0D%0AX:%20y",
    b'/public/<"|{`^>': b"/public/%3C%22%7C%7B%60%5E%3E",
    b"/public/" + b"a" * 7000: b"/public/" + b"a" * 7000,
    b"http://gw/public/a": b"/public/a",
}
"""What is below /public/, to everybody who reads it as RFC 3986 has it."""

CLEANED: Final = {
    b"/public/../private": b"/private",
    b"/public/%2e%2e/private": b"/private",
    b"/public/.%2E/private": b"/private",
    b"/public/..%2fprivate": b"/private",
    b"/public%2F..%2fprivate": b"/private",
    b"/public/%2f%2e%2e%2fprivate": b"/private",
    b"/public;/../private": b"/private",
    b"/public/a%23/../../private": b"/private",
    b"/public/a#/../../private": b"/private",
    b"/private/%2e%2e/public/a": b"/public/a",
    b"//private/public/": b"/private/public/",
    b"//public/a": b"/public/a",
    b"//evil.example/%2e%2e": b"/",
    b"/\\evil.example//": b"/%5Cevil.example/",
    b"/\\evil.example/..": b"/",
    b"/public//private": b"/public/private",
    b"/public/./private": b"/public/private",
    b"/public/..": b"/",
    b"/public/" + b"../" * 1000 + b"private": b"/private",
    b"/public/" + b"%2e%2e/" * 500 + b"private": b"/private",
    b"http://gw/public/../private": b"/private",
}
"""What is not clean: the client is told the clean path, which never is another host's."""

NOWHERE: Final = (
    b"/private",
    b"/%70rivate/public/",
    b"/public",
    b"/publicx",
    b"/PUBLIC/a",
    b"/public\\..\\private",
    b"/public%5c",
    b"/private?/public/",
    b"/private%3f/public/",
    b"/private;/public/",
    b"/private%00/public/",
)
"""What is not below /public/: 404."""

NO_PATHS: Final = (b"/public/%uff0e", b"/public/%", b"/public/\xff", b"/public/\xc0\xae", b"/public/\x00")
"""What is no path: 400."""


async def answer(port: int, target: bytes, host: bytes = b"gw") -> bytes:
    """The answer to a GET, to its end."""
    with await Peer.connect(port) as client:
        await client.send(b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (target, host))
        return await client.read_to_end()


async def test_routing_and_sending_agree() -> None:
    """A matcher for /public/ lets nothing else through, however it is spelled."""
    with reserved_port() as port:
        config = config_of(f"http://127.0.0.1:{port}").replace('match: "/"', 'match: "/public/"')
        with GatewayProcess(config) as gateway:
            async with Recorder(port) as recorder:
                got = {}
                for target in (*SENT_ON, *CLEANED, *NOWHERE, *NO_PATHS):
                    told = await answer(gateway.port, target)
                    led = re.search(rb"\r\nLocation: ([^\r]*)", told)
                    reached = [request.split(b" ")[1] for request in recorder.take()]
                    got[target] = (int(told[9:12]), led[1] if led else None, reached)
    assert got == (
        {target: (200, None, [sent]) for target, sent in SENT_ON.items()}
        | {target: (307, clean, []) for target, clean in CLEANED.items()}
        | {target: (404, None, []) for target in NOWHERE}
        | {target: (400, None, []) for target in NO_PATHS}
    )


FILES: Final = (
    *("/index.html", "/static/index.html", "/static/", "/../secret", "/..%2fsecret", "/%2e%2e/secret"),
    *("/static/../../secret", "/etc/passwd", "//etc/passwd", "/%2fetc%2fpasswd", "/..\\secret", "/%00", "/;"),
    *("/./", "//", "/%2f", "/ws/../secret", "/whoami/..%2fsecret", "/~root", "/.git/config", "/secret"),
    *(
        "/%c0%ae%c0%ae/secret",
        "/%252e%252e/secret",
        "/%5c..%5csecret",
        "file:///etc/passwd",
        "/index.html%00",
    ),
)


async def test_the_demo_has_no_other_file(tmp_path: Path) -> None:
    """Whatever the path, directly and through a gateway, it is the page or nothing."""
    (tmp_path / "secret").write_text("a secret")
    (tmp_path / "site" / "static").mkdir(parents=True)
    (tmp_path / "site" / "static" / "index.html").write_text("the page")
    asked = ("/", "/?../secret", *FILES)
    with DemoUpstream(cwd=tmp_path / "site") as demo, GatewayProcess(config_of(demo.url)) as gateway:
        for port in (demo.port, gateway.port):
            got = {path: await answer(port, path.encode(), b"localhost") for path in asked}
            assert not [path for path, told in got.items() if told.endswith(b"a secret")]
            assert [path for path, told in got.items() if told.endswith(b"the page")] == ["/", "/?../secret"]
            assert {told[9:12] for told in got.values()} <= {b"200", b"404", b"400", b"307"}

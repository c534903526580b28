"""Names of upstreams: looked up in threads of their own, so that one that hangs holds up nobody else."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.events import Stopping
from gateway.proxy import names
from gateway.proxy.names import Names, Resolver, SlowNameError
from tests.gateway.proxy.plain import GET, OK, exchange, words
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING
from tests.gateways import LOOPS, GatewayThread, Loop
from tests.servers import PATIENCE, Peer, Upstream

HANGS = "hangs.example"

Ask = Callable[..., list[Any]]


class Nobody:
    """A name server that does not answer for one name, and has all others on this machine."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = threading.Event()
        self._ask: Ask = socket.getaddrinfo

    def __call__(self, host: str, *args: Any, **options: Any) -> list[Any]:
        """In place of `socket.getaddrinfo`."""
        self.asked.append(host)
        if host == HANGS:
            self.answers.wait(4 * PATIENCE)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self._ask("127.0.0.1", *args, **options)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nobody]:
    """That name server; in the end, it answers."""
    server = Nobody()
    monkeypatch.setattr(socket, "getaddrinfo", server)
    yield server
    server.answers.set()


def two_names(port: int) -> str:
    """A config that knows an upstream by a good name, and another one by the name that hangs."""
    return f"""\
apiVersion: core/v1
kind: Entrypoint
spec: {{runners: [{{apiVersion: core/v1, kind: HTTPServer}}]}}
---
apiVersion: core/v1
kind: HTTPServer
spec:
  addr: 127.0.0.1:0
  shutdownTimeout: 1
  virtualHosts:
    - handlers:
        - handler: {{apiVersion: core/v1, kind: ReverseProxyHandler}}
---
apiVersion: core/v1
kind: ReverseProxyHandler
spec:
  loadBalancers:
    - pathMatcher: {{match: "/hangs", matchType: Prefix}}
      upstreams: [{{url: "http://{HANGS}:{port}"}}]
    - pathMatcher: {{match: "/", matchType: Prefix}}
      upstreams: [{{url: "http://good.example:{port}"}}]
"""


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_name_that_hangs_holds_up_nobody_else(nobody: Nobody, loop: Loop) -> None:
    """However many wait for it, other names are found, and the stop does not wait."""
    async with Upstream() as upstream:
        with GatewayThread(two_names(upstream.port), loop=loop) as gateway:
            waiting = [await Peer.connect(gateway.port) for _ in range(80)]
            for number, each in enumerate(waiting):
                await each.send((HANDSHAKE if number % 2 else GET).replace(b" /", b" /hangs/", 1))
            with await Peer.connect(gateway.port) as client:
                _, head = await exchange(client, upstream, GET, OK)
                assert head.startswith(b"HTTP/1.1 200 ")
            with await Peer.connect(gateway.port) as client:
                _, head = await exchange(client, upstream, HANDSHAKE, SWITCHING)
                assert head.startswith(b"HTTP/1.1 101 ")
            assert nobody.asked.count(HANGS) <= 2  # aiohttp's and ours at the most: they share one
            gateway.signal()
            await gateway.records.wait_for(Stopping)
            await gateway.ended()
        for each in waiting:
            each.close()
    nobody.answers.set()


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_name_that_nobody_answers_for(
    nobody: Nobody, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 504 in words within the limit, on both ways upstream."""
    monkeypatch.setattr(names, "LIMIT", 0.2)
    with GatewayThread(two_names(9), loop=loop) as gateway:
        for request in (GET, HANDSHAKE):
            assert await words(gateway, request.replace(b" /", b" /hangs/", 1)) == (
                504,
                f"http://{HANGS}:9 has a name that cannot be looked up: no name server answered within 0.2 s",
            )
    nobody.answers.set()


async def test_who_wants_the_same_name_shares_the_look_up(nobody: Nobody) -> None:
    """One thread, one question; each is told what came of it, and the next one asks anew."""
    look_up = Names().look_up
    waiting = [asyncio.create_task(look_up(HANGS, 1)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert sum(thread.name == f"look-up of {HANGS}" for thread in threading.enumerate()) == 1
    nobody.answers.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in found] == [asyncio.CancelledError, *[socket.gaierror] * 4]
    assert nobody.asked == [HANGS]
    with pytest.raises(socket.gaierror):
        await look_up(HANGS, 1)
    assert nobody.asked == [HANGS] * 2


async def test_numbers_are_no_names(nobody: Nobody) -> None:
    """They are what they are, without a question."""
    assert await Names().look_up("127.0.0.1", 80) == [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80))
    ]
    assert await Names().look_up("::1", 80) == [
        (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("::1", 80, 0, 0))
    ]
    assert nobody.asked == []


async def test_what_is_no_name_at_all() -> None:
    """It is told as such, not as a fault."""
    with pytest.raises(UnicodeError):
        await Names().look_up("a..example", 80)


async def test_a_thread_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no room for it: an error of the network like others, and the next one tries again."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    looks = Names()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="can't start new thread"):
            await looks.look_up("localhost", 80)
    assert await looks.look_up("localhost", 80)


async def test_a_limit(nobody: Nobody, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits gives up; the look-up goes on for others."""
    looks = Names()
    monkeypatch.setattr(names, "LIMIT", 0.05)
    with pytest.raises(SlowNameError):
        await looks.look_up(HANGS, 1)
    monkeypatch.setattr(names, "LIMIT", 4 * PATIENCE)
    later = asyncio.create_task(looks.look_up(HANGS, 1))
    await asyncio.sleep(0)
    assert nobody.asked == [HANGS]
    nobody.answers.set()
    with pytest.raises(socket.gaierror):
        await later


async def test_aiohttp_is_given_the_family_that_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a link-local address keeps its scope."""
    kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    found = [
        (socket.AF_INET, *kind, ("192.0.2.1", 80)),
        (socket.AF_INET6, *kind, ("2001:db8::1", 80, 0, 0)),
        (socket.AF_INET6, *kind, ("fe80::1", 80, 0, 1)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    resolver = Resolver(Names())
    four = await resolver.resolve("all.example", 80, socket.AF_INET)
    assert [each["host"] for each in four] == ["192.0.2.1"]
    everything = await resolver.resolve("all.example", 80)
    assert [each["host"] for each in everything[:2]] == ["192.0.2.1", "2001:db8::1"]
    assert everything[2]["host"].startswith("fe80::1%")
    await resolver.close()

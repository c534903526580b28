"""Random byte streams through a live gateway come out as they went in.

Strategy
    A tunnel has a plan, and all of it comes from one number, its seed: what either end sends (frames, broken
    frames, noise), where that is cut, when it pauses, how it reads, and how it ends.  Many tunnels run side
    by side through one gateway, to an upstream that speaks TLS or does not.

Oracle
    * Where nobody resets, each end gets exactly what the other one sent, and then its end.  Over TLS, which
      has no half-close here, that holds for what the first to end has sent, unless that is the client
      and the upstream is still sending, and for what it has waited for.
    * After a reset, each end has got the beginning of what was sent; the other end of a side that resets
      without having ended before is reset, and never takes what it has got for the whole.
    * The log counts the bytes that passed, and the gateway keeps no connection.
"""

import asyncio
import random
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme

from gateway.events import Close, Open
from gateway.proxy.log import Frames
from tests.fuzz.ends import End, Plain, Upstreams
from tests.fuzz.plans import How, Plan, Script
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING
from tests.gateways import LOOPS, GatewayProcess, Loop, config_of
from tests.servers import PATIENCE, Peer, Upstream

_AT_ONCE: Final = 8
"""Tunnels side by side."""

_PATIENCE: Final = 3 * PATIENCE
"""Seconds for one tunnel; more than that hangs."""


@dataclass(kw_only=True)
class Lived:
    """What became of one end."""

    got: bytearray = field(default_factory=bytearray)
    how: How | None = None
    """How the other end's direction ended; None where nobody looked to the end."""
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all has come that the other end means to send, or no more will."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no more will come."""


async def _live(end: End, script: Script, lived: Lived, whole: int) -> None:
    """Follow a script, the first piece of which may have been sent; the other end sends `whole` bytes."""
    sent = int(script.glued and bool(script.pieces))
    reading = asyncio.create_task(_read(end, script, lived, whole))
    try:
        last = len(script.pieces) // 2 if script.early else len(script.pieces)
        for pause, piece in list(zip(script.pauses, script.pieces, strict=True))[sent:last]:
            await asyncio.sleep(pause)
            await end.send(piece)
        if not script.early:
            if script.waits:
                await lived.enough.wait()
            if script.stays:
                await lived.over.wait()
            await end.finish()
        if script.how == "fin":
            await reading
    except OSError:  # the connection was reset while this end was writing
        lived.how = "reset"
        await reading
        lived.how = "reset"
    finally:
        if not reading.done():
            reading.cancel()
            await asyncio.wait([reading])
        if script.how == "reset":
            end.peer.reset()
        else:
            end.peer.close()


async def _read(end: End, script: Script, lived: Lived, whole: int) -> None:
    """Read to the end of what the other end sends."""
    if not whole:
        lived.enough.set()
    try:
        while data := await end.read_some():
            lived.got += data
            if len(lived.got) >= whole:
                lived.enough.set()
            await asyncio.sleep(script.lazy)
        lived.how = "fin"
    except OSError:
        lived.how = "reset"
    finally:
        lived.enough.set()
        lived.over.set()


async def open_tunnel(
    port: int, plan: Plan, upstreams: Upstreams, *, receive_buffer: int | None = None
) -> tuple[Peer, End]:
    """A new tunnel: both ends, which may have sent their first pieces already."""
    expected = upstreams.expect(plan.path)
    client = await Peer.connect(port, receive_buffer=receive_buffer)
    first = plan.client.pieces[0] if plan.client.glued and plan.client.pieces else b""
    await client.send(HANDSHAKE.replace(b"/ws", plan.path.encode()) + first)
    upstream = await expected
    first = plan.upstream.pieces[0] if plan.upstream.glued and plan.upstream.pieces else b""
    await upstream.send(SWITCHING + first)
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 101 "), head
    return client, upstream


@dataclass(kw_only=True)
class Site:
    """A gateway, and what is behind it."""

    gateway: GatewayProcess
    upstreams: Upstreams
    watched: bool
    """Whether the gateway tells of its tunnels."""
    tried: int = 0
    """Tunnels so far."""

    async def tunnels(self, plans: Iterable[Plan]) -> list[str]:
        """Live through tunnels, some side by side: what is wrong, each with its seed."""
        waiting = iter(plans)
        wrong: list[str] = []

        async def some() -> None:
            for plan in waiting:
                wrong.extend(f"seed {plan.seed}: {each}" for each in await self._tried(plan))

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
        return wrong

    async def _tried(self, plan: Plan) -> list[str]:
        self.tried += 1
        client, server = Lived(), Lived()
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._tunnel(plan, client, server)
        except TimeoutError:
            sizes = (
                f"{len(server.got)} of {len(plan.client.data)}",
                f"{len(client.got)} of {len(plan.upstream.data)}",
            )
            return [f"it hangs: {sizes[0]} bytes have come from the client, {sizes[1]} from the upstream"]
        except (AssertionError, EOFError, OSError) as error:
            return [f"no tunnel: {error!r}"]

    async def _tunnel(self, plan: Plan, client: Lived, server: Lived) -> list[str]:
        peer, upstream = await open_tunnel(self.gateway.port, plan, self.upstreams)
        await asyncio.gather(
            _live(Plain(peer), plan.client, client, len(plan.upstream.data)),
            _live(upstream, plan.upstream, server, len(plan.client.data)),
        )
        ways = (
            Way("upstream", plan.upstream, plan.client, client, plan),
            Way("client", plan.client, plan.upstream, server, plan),
        )
        wrong = [each for way in ways for each in way.wrong()]
        if self.watched:
            opened = await self.gateway.records.wait_for(Open, path=plan.path)
            told = await self.gateway.records.wait_for(Close, conn=opened.conn)
            counted = (told.upstream.bytes, told.client.bytes)
            wrong += [each for way, size in zip(ways, counted, strict=True) for each in way.miscounted(size)]
        return wrong


@dataclass(frozen=True)
class Way:
    """One direction of a tunnel, as it came out."""

    sender: str
    sent: Script
    read: Script
    """Of the end that has read it."""
    lived: Lived
    """What that end saw."""
    plan: Plan

    @property
    def _whole(self) -> bool:
        """Whether all of it has to arrive."""
        if "reset" in (self.sent.how, self.read.how):
            return False
        if not self.plan.tls:
            return True
        # What an upstream goes on to send costs it what it has not yet got: asyncio's TLS cuts it off then.
        ended_early = not (self.sent.stays or self.sent.waits)
        return self.read.waits or (self.read.stays and not (self.sender == "client" and ended_early))

    def wrong(self) -> Iterator[str]:
        """What the oracle objects to."""
        data, got, how = self.sent.data, bytes(self.lived.got), self.lived.how
        what = f"of {len(data)} bytes from the {self.sender}, {len(got)} came"
        if not data.startswith(got):
            at = next((at for at, (a, b) in enumerate(zip(data, got, strict=False)) if a != b), len(data))
            yield f"{what}, which differ from byte {at} on"
        elif self._whole and len(got) < len(data):
            yield what
        if self._whole and how != "fin":
            yield f"{what}, and then a reset"
        if self.sent.how == "reset" and self.read.how == "fin":
            if self.sent.early and how != "reset":
                yield f"{what}, then it reset, which was told as an end"
            elif how == "fin" and len(got) < len(data):
                yield f"{what}, then it reset, and the rest was passed off as all"

    def miscounted(self, counted: int) -> Iterator[str]:
        """What is wrong with the number of bytes in the log."""
        most, least = len(self.sent.data), len(self.lived.got)
        if not least <= counted <= most or (self._whole and counted != most):
            yield f"of {most} bytes from the {self.sender}, {least} came, and {counted} were counted"


@asynccontextmanager
async def site(loop: Loop, frames: Frames) -> AsyncIterator[Site]:
    """A gateway on `loop` with both upstreams; raises AssertionError where it keeps a connection."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Upstream() as plain, Upstream() as secure:
        with tempfile.TemporaryDirectory(prefix="tunnel-") as folder:
            ca = Path(folder, "ca.pem")
            authority.cert_pem.write_to_path(str(ca))
            config = config_of(f"http://127.0.0.1:{plain.port}").replace(
                "  loadBalancers:\n",
                "  loadBalancers:\n    - pathMatcher: {match: /tls/, matchType: Prefix}\n"
                f"      upstreams: [{{url: 'https://127.0.0.1:{secure.port}'}}]\n",
            )
            env = {"SSL_CERT_FILE": str(ca)}
            with GatewayProcess(config, loop=loop, frames=frames, env=env) as gateway:
                before = gateway.descriptors()
                upstreams = Upstreams(plain, secure, context)
                serving = asyncio.create_task(upstreams.serve())
                try:
                    yield Site(gateway=gateway, upstreams=upstreams, watched=frames == "json")
                    await _back_to(gateway, before)
                finally:
                    serving.cancel()
                    await asyncio.wait([serving])


async def _back_to(gateway: GatewayProcess, before: int) -> None:
    """Wait until the gateway has as many open descriptors as before."""
    for _ in range(500):
        if gateway.descriptors() <= before:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{gateway.descriptors()} descriptors are open, {before} were before")


async def campaign(seconds: float, seed: int | None) -> tuple[int, float, list[str]]:
    """Random tunnels through four gateways for some `seconds`, or the one tunnel with `seed` through each.

    Return how many were tried, in how many seconds, and what is wrong with them.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    tried = 0
    wrong: list[str] = []
    setups: list[tuple[Loop, Frames]] = [(loop, frames) for loop in LOOPS for frames in ("json", "off")]
    for number, (loop, frames) in enumerate(setups, start=1):
        until = began + seconds * number / len(setups)
        plans = _random_plans(until) if seed is None else [Plan.of(seed)]
        try:
            async with site(loop, frames) as place:
                wrong += [f"on {loop}, frames {frames}: {each}" for each in await place.tunnels(plans)]
                tried += place.tried
        except AssertionError as error:
            wrong.append(f"on {loop}, frames {frames}: {error}")
    return tried, clock() - began, wrong


def _random_plans(until: float) -> Iterator[Plan]:
    """New ones until then, by the loop's clock."""
    while asyncio.get_running_loop().time() < until:
        yield Plan.of(random.getrandbits(32))

"""Random byte streams through a live gateway come out as they went in.

Strategy
    A tunnel has a plan, and all of it comes from one number, its seed: what either end sends (frames, broken
    frames, noise), where that is cut, when it pauses, how it reads, and how it ends.  Many tunnels run side by
    side through one gateway, to an upstream that speaks TLS or does not.

Oracle
    * Where nobody resets, each end gets exactly what the other one sent, and then its end.  Over TLS, which
      has no half-close here, that holds for what the first to end has sent, and for what it has waited for.
    * After a reset, each end has got the beginning of what was sent; the other end of a side that resets
      without having ended before is reset, and never takes what it has got for the whole.
    * The log counts the bytes that passed, and the gateway keeps no connection.
"""

import asyncio
import random
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

import trustme

from gateway.events import Close, Open
from gateway.proxy.log import Frames
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame
from tests.gateways import GatewayProcess, Loop, config_of
from tests.servers import PATIENCE, Peer, Upstream

_AT_ONCE: Final = 8
"""Tunnels side by side."""

_PATIENCE: Final = 6 * PATIENCE
"""Seconds for one tunnel; more than that hangs."""

How = Literal["fin", "reset"]

T = TypeVar("T")


@dataclass(kw_only=True)
class Script:
    """What one end does."""

    pieces: list[bytes]
    pauses: list[float]
    """Before each of them, in seconds."""
    lazy: float
    """How long it waits between two reads, in seconds."""
    glued: bool
    """Whether its first piece is sent with its head of the opening handshake."""
    how: How = "fin"
    early: bool = False
    """Whether it resets in the midst of what it sends, instead of behind its end."""
    waits: bool = False
    """Whether it ends only when it has got all that the other end sends."""
    stays: bool = False
    """Whether it ends only after the other end."""

    @property
    def data(self) -> bytes:
        """All that it means to send."""
        return b"".join(self.pieces)


@dataclass(kw_only=True)
class Plan:
    """A tunnel."""

    seed: int
    tls: bool
    client: Script
    upstream: Script

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """The plan that `seed` stands for."""
        dice = random.Random(seed)
        tls = dice.random() < 0.4
        ends = [_script(dice, masked=masked) for masked in (True, False)]
        first, second = dice.sample(ends, 2)
        if dice.random() < 0.3:
            first.how, first.early = "reset", dice.random() < 0.7
        if tls:
            first.waits, second.stays = dice.random() < 0.7, True
        return cls(seed=seed, tls=tls, client=ends[0], upstream=ends[1])


def _script(dice: random.Random, *, masked: bool) -> Script:
    data = b"".join(_said(dice, masked=masked) for _ in range(dice.choice((0, 1, 3, 10, 40))))
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((0, 1, 5, 30))))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
    hurry = dice.random() < 0.5
    return Script(
        pieces=pieces,
        pauses=[0.0 if hurry else dice.choice((0.0, 0.0, 0.001, 0.005)) for _ in pieces],
        lazy=dice.choice((0.0, 0.0, 0.002)),
        glued=dice.random() < 0.3,
    )


def _said(dice: random.Random, *, masked: bool) -> bytes:
    """A frame, something like one, or noise."""
    payload = dice.randbytes(dice.choice((0, 1, 5, 125, 126, 130, 1000, 1000, 70_000, 300_000)))
    match dice.randrange(10):
        case 0:
            return dice.randbytes(dice.randrange(1, 40))
        case 1:
            return frame(payload, opcode=dice.randrange(16), rsv=dice.randrange(8), fin=dice.random() < 0.5)
        case 2:
            return frame(payload[:100], masked=masked, length=dice.choice((3, 200, 1 << 17, 1 << 63)))
        case 3:
            return frame(payload[:100], masked=masked) * dice.randrange(1, 60)
    return frame(payload, opcode=dice.choice((0, 1, 2, 9, 10)), masked=masked, fin=dice.random() < 0.8)


class Plain:
    """One end of a plain connection."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.read_head = peer.read_head

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        await self.peer.send(data, patience=_PATIENCE)

    async def read_some(self) -> bytes:
        """Whatever has come; nothing at the end."""
        return await self.peer.read_some(patience=_PATIENCE)

    async def finish(self) -> None:
        """Say that this is the end of what is sent."""
        self.peer.end()


class Secure:
    """The upstream's end of a connection that speaks TLS, with every byte of it at hand."""

    def __init__(self, peer: Peer, context: ssl.SSLContext) -> None:
        self.peer = peer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._sending = asyncio.Lock()

    async def shake_hands(self) -> None:
        """Do what comes before the first byte."""
        await self._until(self._tls.do_handshake)
        await self._flush()

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._tls.write(data)
        await self._flush()

    async def read_some(self) -> bytes:
        """Whatever has come; nothing at the end."""
        with suppress(ssl.SSLZeroReturnError):
            return await self._until(lambda: self._tls.read(1 << 16))
        return b""

    async def read_head(self) -> bytes:
        """The head of a message, byte by byte: what follows it stays."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self._until(lambda: self._tls.read(1))
        return head

    async def finish(self) -> None:
        """Say that this is the end, which over TLS is that of both directions."""
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        await self._flush()
        self.peer.end()

    async def _until(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self.peer.read_some(patience=_PATIENCE)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    async def _flush(self) -> None:
        async with self._sending:
            if data := self._outgoing.read():
                await self.peer.send(data, patience=_PATIENCE)


End = Plain | Secure


class Upstreams:
    """Both upstreams, and who waits for the connections that the gateway makes to them."""

    def __init__(self, plain: Upstream, secure: Upstream, context: ssl.SSLContext) -> None:
        self._servers = (plain, secure)
        self._context = context
        self._expected: dict[str, asyncio.Future[End]] = {}

    def expect(self, path: str) -> "asyncio.Future[End]":
        """Who asks for `path`, once its opening handshake has been read."""
        self._expected[path] = asyncio.get_running_loop().create_future()
        return self._expected[path]

    async def serve(self) -> None:
        """Take what comes."""
        async with asyncio.TaskGroup() as group:
            for server, tls in zip(self._servers, (False, True), strict=True):
                group.create_task(self._accept(group, server, tls=tls))

    async def _accept(self, group: asyncio.TaskGroup, server: Upstream, *, tls: bool) -> None:
        while True:
            peer = await server.accept(patience=3600)
            group.create_task(self._greet(peer, tls=tls))

    async def _greet(self, peer: Peer, *, tls: bool) -> None:
        end: End
        if tls:
            end = Secure(peer, self._context)
            await end.shake_hands()
        else:
            end = Plain(peer)
        head = await end.read_head()
        self._expected.pop(head.split(b" ")[1].decode()).set_result(end)


@dataclass(kw_only=True)
class Lived:
    """What became of one end."""

    got: bytearray = field(default_factory=bytearray)
    sent: int = 0
    """Bytes of which the system took all."""
    how: How | None = None
    """How the other end's direction ended; None where nobody looked to the end."""


async def _live(end: End, script: Script, sent: int, whole: int) -> Lived:
    """Follow a script, of which the first `sent` pieces have been sent; the other end sends `whole` bytes."""
    lived = Lived(sent=sum(map(len, script.pieces[:sent])))
    enough, over = asyncio.Event(), asyncio.Event()
    reading = asyncio.create_task(_read(end, script, lived, whole, enough, over))
    try:
        last = len(script.pieces) // 2 if script.early else len(script.pieces)
        for pause, piece in list(zip(script.pauses, script.pieces, strict=True))[sent:last]:
            await asyncio.sleep(pause)
            await end.send(piece)
            lived.sent += len(piece)
        if not script.early:
            if script.waits:
                await enough.wait()
            if script.stays:
                await over.wait()
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
    return lived


async def _read(
    end: End, script: Script, lived: Lived, whole: int, enough: asyncio.Event, over: asyncio.Event
) -> None:
    """Read to the end of what the other end sends."""
    if not whole:
        enough.set()
    try:
        while data := await end.read_some():
            lived.got += data
            if len(lived.got) >= whole:
                enough.set()
            await asyncio.sleep(script.lazy)
        lived.how = "fin"
    except OSError:
        lived.how = "reset"
    finally:
        enough.set()
        over.set()


async def _open(port: int, plan: Plan, upstreams: Upstreams) -> tuple[Peer, End]:
    """A new tunnel: both ends, which may have sent their first pieces already."""
    path = f"/{'tls' if plan.tls else 'plain'}/{plan.seed}"
    expected = upstreams.expect(path)
    client = await Peer.connect(port)
    first = plan.client.pieces[0] if plan.client.glued and plan.client.pieces else b""
    await client.send(HANDSHAKE.replace(b"/ws", path.encode()) + first)
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
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._tunnel(plan)
        except TimeoutError:
            return ["it hangs"]

    async def _tunnel(self, plan: Plan) -> list[str]:
        peer, upstream = await _open(self.gateway.port, plan, self.upstreams)
        glued = [int(script.glued and bool(script.pieces)) for script in (plan.client, plan.upstream)]
        client, server = await asyncio.gather(
            _live(Plain(peer), plan.client, glued[0], len(plan.upstream.data)),
            _live(upstream, plan.upstream, glued[1], len(plan.client.data)),
        )
        ways = (
            Way("upstream", plan.upstream, plan.client, client, plan),
            Way("client", plan.client, plan.upstream, server, plan),
        )
        wrong = [each for way in ways for each in way.wrong()]
        if self.watched:
            opened = await self.gateway.records.wait_for(Open, client=peer.name)
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
        return not self.plan.tls or self.read.stays or self.read.waits

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
    try:
        async with asyncio.timeout(PATIENCE):
            while gateway.descriptors() > before:
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{gateway.descriptors()} descriptors are open, {before} were before") from None

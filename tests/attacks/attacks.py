"""Attacks on one client connection, as data: what is sent, what is answered, what reaches the upstream.

Rules
    * Behind each attack, in the same write, comes `PROBE`: a request that a victim might send.  Where the
      attack leaves the connection open, the probe is answered as the request that it is; where the gateway
      closes the connection, nothing of it reaches the upstream.
    * What reaches the upstream is compared byte by byte, and `/smuggled` is in none of it.
"""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tests.attacks.recorder import Recorder
from tests.servers import PATIENCE, Peer

PROBE: Final = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n"

SMUGGLED: Final = b"GET /smuggled HTTP/1.1\r\nHost: gw\r\n\r\n"
"""What an attacker wants to be taken for a request of its own."""

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_END: Final = re.compile(rb"\r\nConnection: close\r\n(?:[^\r\n]+\r\n)*\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack, and what becomes of it."""

    name: str
    sent: bytes
    statuses: tuple[int, ...]
    """Of all answers but the probe's."""
    reached: tuple[bytes, ...] = ()
    """What the upstream gets, as `passed_on` makes it; without the probe."""
    kept: bool = False
    """Whether the connection goes on: the probe is answered."""
    sound: tuple[bytes, ...] = ()
    """What may have reached the upstream where what is wrong comes later."""

    @property
    def outcome(self) -> "Outcome":
        """What is expected of it where it comes all at once."""
        return Outcome(statuses=self.statuses, reached=self.reached, kept=self.kept)

    def allows(self, outcome: "Outcome") -> bool:
        """Whether `outcome` is as good where it comes in pieces, each of which may make a chunk.

        A client that goes on sending may lose the answer.
        """
        reached = tuple(_joined(request) for request in outcome.reached)
        return outcome.kept == self.kept and reached in (self.reached, self.sound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What has become of an attack."""

    statuses: tuple[int, ...]
    reached: tuple[bytes, ...]
    kept: bool


def passed_on(
    line: bytes,
    fields: bytes = b"",
    body: bytes = b"",
    *,
    host: bytes = b"gw",
    framing: bytes = b"",
    before: bytes = b"",
) -> bytes:
    """A request as the upstream gets it.

    `host` is what the client asked for; `framing` are the fields that say where the body ends, where the
    gateway has written them; `before` is what stood in X-Forwarded-For.
    """
    forwarded = (
        b"X-Forwarded-For: %s127.0.0.1\r\nX-Forwarded-Host: %s\r\nX-Forwarded-Port: CLIENT\r\n"
        b"X-Forwarded-Proto: http\r\n" % (before, host)
    )
    return line + b"\r\nHost: UPSTREAM\r\n" + fields + forwarded + framing + b"\r\n" + body


def _joined(request: bytes) -> bytes:
    """`request` with all chunks of its body in one."""
    head, _, body = request.partition(b"\r\n\r\n")
    if b"\r\nTransfer-Encoding: chunked" not in head:
        return request
    data = b""
    while (size := int(body.partition(b"\r\n")[0], 16)) > 0:
        chunk = body.partition(b"\r\n")[2]
        data, body = data + chunk[:size], chunk[size + 2 :]
    return head + b"\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)


async def unexpected(
    port: int, recorder: Recorder, attacks: Iterable[Attack], *, bytewise: bool
) -> dict[str, Outcome]:
    """The attacks that do not end as they should, by their names, and how they end instead.

    Byte by byte, heads of thousands of bytes show nothing that shorter ones do not: they are left out.
    """
    wrong = {}
    for attack in attacks:
        if bytewise and len(attack.sent) > 1000:
            continue
        outcome = await launch(port, recorder, attack.sent, bytewise=bytewise)
        if not (attack.allows(outcome) if bytewise else outcome == attack.outcome):
            wrong[attack.name] = outcome
    return wrong


async def launch(port: int, recorder: Recorder, attack: bytes, *, bytewise: bool = False) -> Outcome:
    """Send an attack and the probe behind it, all at once or byte by byte: what becomes of it."""
    recorder.take()
    with await Peer.connect(port) as client:
        answer, kept = await _converse(client, attack + PROBE, bytewise=bytewise)
        name = client.name.rpartition(":")[2].encode()
    await recorder.until_nothing_is_pending()
    reached = [
        re.sub(rb"\r\nHost: 127\.0\.0\.1:[0-9]+\r\n", b"\r\nHost: UPSTREAM\r\n", request).replace(
            b"X-Forwarded-Port: " + name, b"X-Forwarded-Port: CLIENT"
        )
        for request in recorder.take()
    ]
    statuses = [int(status) for status in _STATUS.findall(answer)]
    if kept:
        assert reached.pop() == passed_on(b"GET /probe HTTP/1.1", host=b"probe"), "the probe has changed"
        assert statuses.pop() == 200
    return Outcome(statuses=tuple(statuses), reached=tuple(reached), kept=kept)


async def _converse(client: Peer, data: bytes, *, bytewise: bool) -> tuple[bytes, bool]:
    """All that the gateway says, and whether it has answered the probe rather than closed the connection."""
    answer = b""
    try:
        for piece in [data[at : at + 1] for at in range(len(data))] if bytewise else [data]:
            await client.send(piece)
            if bytewise:
                await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            while piece := await client.read_some():
                answer += piece
                if answer.endswith(b"GET /probe"):
                    return answer, True
                if _END.search(answer):
                    client.end()  # so that the gateway need not wait for the rest of a body
    except (ConnectionError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
    return answer, False

"""Plain HTTP by hand."""

import json
from typing import Final

from gateway.events import Error
from tests.gateways import GatewayProcess, GatewayThread
from tests.servers import Peer, Upstream

GET: Final = b"GET /path?q=1 HTTP/1.1\r\nHost: gateway.example\r\n\r\n"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def exchange(client: Peer, upstream: Upstream, request: bytes, response: bytes) -> tuple[bytes, bytes]:
    """One request over a new upstream connection: the head that it gets, and the client's."""
    await client.send(request)
    server = await upstream.accept()
    head = await server.read_head()
    await server.send(response)
    return head, await client.read_head()


def field(head: bytes, name: str) -> list[str]:
    """The values of the fields called `name`."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    return [line.partition(": ")[2] for line in lines if line.lower().startswith(f"{name.lower()}:")]


async def read_chunks(peer: Peer) -> bytes:
    """A chunked body, to its end."""
    body = bytearray()
    while size := int(await peer.read_until(b"\r\n"), 16):
        body += await peer.read(size)
        assert await peer.read(2) == b"\r\n"
    assert await peer.read(2) == b"\r\n"
    return bytes(body)


async def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Send a request: status and body of the answer."""
    with await Peer.connect(port) as client:
        await client.send(request)
        head = await client.read_head()
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head.split(b" ")[1]), await client.read(size)


async def words(gateway: GatewayThread | GatewayProcess, request: bytes) -> tuple[int, str]:
    """Send a request that fails: the status of the answer, and what the log says."""
    before = gateway.records.all(Error)
    status, body = await ask(gateway.port, request)
    assert json.loads(body)["status"] == status
    past = sum(error.status == status for error in before)
    error = await gateway.records.wait_for(Error, past=past, status=status)
    return status, error.message

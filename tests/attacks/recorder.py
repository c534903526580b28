"""An upstream that keeps every byte it gets, and reads requests as strictly as RFC 9112 lets it.

What it answers shows what it understood: the body is method and target of the request.  What it cannot read
strictly it does not answer: it keeps it, and waits.
"""

import asyncio
import re
from typing import Final, Self

from tests.servers import PATIENCE

_HEAD: Final = re.compile(
    rb"(?P<method>[A-Z]+) (?P<target>[!-~]+) HTTP/1\.1\r\n"
    rb"(?P<fields>(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*)\r\n"
)
_LENGTH: Final = re.compile(rb"^content-length: ([0-9]+)\r$", re.IGNORECASE | re.MULTILINE)
_CODING: Final = re.compile(rb"^transfer-encoding: chunked\r$", re.IGNORECASE | re.MULTILINE)
_CHUNK: Final = re.compile(rb"(?P<size>[0-9a-fA-F]+)\r\n")


def request_end(data: bytes) -> int | None:
    """Where the request ends that `data` begins with; None where it is not whole, or is none."""
    head = _HEAD.match(data)
    if head is None:
        return None
    lengths, coded = _LENGTH.findall(head["fields"]), _CODING.findall(head["fields"])
    if not coded:
        end = head.end() + (int(lengths[0]) if lengths else 0)
        return end if len(lengths) <= 1 and len(data) >= end else None
    at = head.end()
    while not lengths and (chunk := _CHUNK.match(data, at)) is not None:
        size = int(chunk["size"], 16)
        at = chunk.end() + size + 2
        if data[at - 2 : at] != b"\r\n":
            return None
        if size == 0:
            return at
    return None


class Recorder:
    """The upstream, in the test's own loop."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._requests: list[bytes] = []
        self._pending: dict[asyncio.StreamWriter, bytes] = {}
        """What each open connection has sent of a request that is not whole."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=1 << 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._pending:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def pending(self) -> list[bytes]:
        """What has come of requests that are not whole."""
        return [data for data in self._pending.values() if data]

    def take(self) -> list[bytes]:
        """The requests since the last time, each to its last byte."""
        taken, self._requests = self._requests, []
        return taken

    async def until_pending(self, start: bytes) -> bytes:
        """Wait for a request that is not whole and begins like this: what there is of it."""
        async with asyncio.timeout(PATIENCE):
            while not (found := [data for data in self.pending if data.startswith(start)]):
                self._changed.clear()
                await self._changed.wait()
        return found[0]

    async def until_nothing_is_pending(self) -> None:
        """Wait until whoever has not sent all of a request has gone."""
        async with asyncio.timeout(PATIENCE):
            while self.pending:
                self._changed.clear()
                await self._changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        data = self._pending[writer] = b""
        try:
            while piece := await reader.read(1 << 16):
                data += piece
                while (end := request_end(data)) is not None:
                    request, data = data[:end], data[end:]
                    self._requests.append(request)
                    writer.write(_answer(request))
                self._pending[writer] = data
                self._changed.set()
        except ConnectionError:
            pass
        finally:
            self._tasks.discard(task)
            del self._pending[writer]
            self._changed.set()
            writer.close()


def _answer(request: bytes) -> bytes:
    method, target, _ = request.split(b" ", 2)
    body = b"%s %s" % (method, target)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head if method == b"HEAD" else head + body

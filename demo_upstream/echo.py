"""`/echo`: every message back, as it came: what tests and load tools talk to."""

from aiohttp import web

from demo_upstream.connections import Connections


class Echo:
    """The handler of `/echo`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Send each message back, text as text and binary as binary, before the next is read."""
        async with self._connections.accept(request, compress=True) as (response, connection):
            async for message in connection.messages():
                await connection.send(message)
        return response

"""The requests of one listener, from aiohttp and from those who open a WebSocket right away."""

import asyncio

from aiohttp import web

from gateway.headers import Header, unsendable
from gateway.loading import Site
from gateway.proxy.connection import Reply
from gateway.proxy.responses import Done
from gateway.proxy.shared import Proxy, Tunnels
from gateway.proxy.story import CLIENT_LEFT, Asked, Downstream, Story
from gateway.routing import Router
from gateway.websocket.handshake import OpeningRequest, wants_websocket


class Handler:
    """Answers the requests of one listener, as `site` says at the time."""

    def __init__(self, proxy: Proxy, site: Site) -> None:
        self._proxy = proxy
        self._scheme = "http" if site.tls is None else "https"
        self.serve(site)
        self.tunnels = Tunnels()
        self.busy: set[object] = set()
        """The connections with a request that is being answered."""
        self.idle = asyncio.Event()
        """Whether there is none."""
        self.idle.set()
        self.retired = False
        """Whether each answer is the last one of its connection."""

    def serve(self, site: Site) -> None:
        """Answer as `site` says from the next request on."""
        self._site = site
        self._router = Router(site.routes)

    async def __call__(self, request: web.BaseRequest, reply: Reply | None) -> web.StreamResponse:
        """Answer a request of aiohttp's; with `reply`, it is known how."""
        self.enter(request.protocol)
        try:
            response = await self._answer(request, reply)
        finally:
            self.leave(request.protocol)
        if self._proxy.stopping or self.retired:
            request.protocol.close()  # after this answer
        return response

    async def open(self, client: Downstream, request: OpeningRequest) -> Reply | None:
        """Open a WebSocket; else how to answer.  None where there is nothing to answer any more."""
        asked = Asked(
            method="GET",
            version=(1, 1),
            target=request.target,
            fields=request.fields,
            peer=client.transport.get_extra_info("peername") if client.transport is not None else None,
            downstream=client,
            upgrade=True,
        )
        self.enter(client)
        try:
            story = await self._story(asked).begin(self._site, self._router)
            return None if story is None else _Pending(story, self)
        finally:
            self.leave(client)

    async def _answer(self, request: web.BaseRequest, reply: Reply | None) -> web.StreamResponse:
        if reply is None:
            fields = Header(request.raw_headers)
            asked = Asked(
                method=request.method,
                version=request.version,
                target=request.raw_path,
                fields=fields,
                peer=request.protocol.peername,
                downstream=_OfAiohttp(request),
                upgrade=wants_websocket(fields),
                unfit=unsendable(request.raw_headers),
            )
            reply = await self._story(asked).begin(self._site, self._router)
        return Done(CLIENT_LEFT, keep_alive=False) if reply is None else await reply(request)

    def _story(self, asked: Asked) -> Story:
        return Story(self._proxy, asked, self._scheme, self.tunnels)

    def enter(self, client: object) -> None:
        """From now on, `client` counts as busy."""
        self.busy.add(client)
        self.idle.clear()

    def leave(self, client: object) -> None:
        """`client` does not count as busy any more."""
        self.busy.discard(client)
        if not self.busy:
            self.idle.set()


class _Pending:
    """The answer to a handshake on its way to aiohttp; until it is given, a stop waits for it."""

    def __init__(self, story: Story, handler: Handler) -> None:
        self._story = story
        self._handler = handler
        handler.enter(self)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Give it."""
        try:
            return await self._story(request)
        finally:
            self._handler.leave(self)

    def drop(self) -> None:
        """Nobody is left to be given it."""
        self._story.drop()
        self._handler.leave(self)


class _OfAiohttp:
    """The connection of a request that aiohttp has read."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._request.transport

    def release(self) -> bytes:
        """Let no task, parser or timer of aiohttp's stay behind: to it, this connection has gone."""
        glued = _Glued()
        protocol = self._request.protocol
        protocol.set_parser(glued)  # type: ignore[arg-type]  # a reader of two methods
        protocol.transport = None
        protocol.connection_lost(None)
        return bytes(glued.data)


class _Glued:
    """Takes the bytes that came behind the client's opening handshake out of aiohttp's hands."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Nothing more is to come this way."""

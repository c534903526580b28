"""HTTPServer: a listener and its routes (core-v1, section 4)."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Final

from gateway.config.addresses import ADDR_WORDS, parse_addr
from gateway.config.decoding import (
    INT32,
    INT64,
    Boolean,
    Checked,
    Declared,
    Integer,
    Message,
    MessageOf,
    Refused,
    Sequence,
    Text,
)
from gateway.config.resources.common import HTTPMethod, ResourceBase, methods_decoder
from gateway.config.resources.http_handler import NO_MIDDLEWARE, HTTPHandlerSpec
from gateway.config.resources.listen import ListenConfig

_host: Final = Text(
    re.compile(r"[0-9a-zA-Z.-]+"),
    "a virtual host is a name of letters, digits, dots and hyphens, without a port, a wildcard or brackets",
)
_SECONDS: Final = "it counts seconds, as in 30"
_seconds: Final = Integer(*INT64, _SECONDS)
_bytes: Final = Integer(*INT32, "it counts bytes, as in 8192")
_NO_HTTP2: Final = "it speaks HTTP/1.1 alone; leave this out, and clients that know HTTP/2 will do without"
_NO_DEBUG: Final = "it is a feature of Go's runtime; leave it out, or use a Python profiler such as py-spy"


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPConfig(Message):
    """How HTTP/1.1 is spoken.  Times are in seconds; a negative one means no limit."""

    enable_general_options_handler: Annotated[bool, Declared("EnableGeneralOptionsHandler", Boolean())] = (
        False
    )
    """Whether `OPTIONS *` is answered with 200; else with 400."""
    read_timeout: Annotated[int, Declared("ReadTimeout", _seconds)] = 30
    """Seconds in which a request has to be read, its body included."""
    read_header_timeout: Annotated[int, Declared("ReadHeaderTimeout", _seconds)] = 30
    """Seconds in which the head of a request has to be read."""
    write_timeout: Annotated[int, Declared("WriteTimeout", _seconds)] = 30
    """Seconds in which a response has to be written."""
    idle_timeout: Annotated[int, Declared("IdleTimeout", _seconds)] = 10
    """Seconds for which a connection is kept open for another request."""
    max_header_bytes: Annotated[int, Declared("MaxHeaderBytes", _bytes)] = 8192
    """Bytes that the head of a request may have; 4096 more are let pass, as in Go."""
    disable_keep_alive: Annotated[bool, Declared("DisableKeepAlive", Boolean())] = False
    """Whether each connection carries one request alone."""
    listen_config: Annotated[ListenConfig | None, Declared("ListenConfig", MessageOf(ListenConfig))] = None
    """Who may connect, and how.  None: everybody, without TLS."""
    alt_svc: Annotated[str, Declared("AltSvc", Text())] = ""
    """The value of an Alt-Svc field that goes with every response; empty: no such field."""
    allow_http2: Annotated[bool, Declared("AllowHTTP2", Refused(_NO_HTTP2, False), "allowHTTP2")] = False
    """Whether AILERON speaks HTTP/2 with clients that offer it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualHostSpec(Message):
    """Handlers for requests to some hosts."""

    hosts: Annotated[tuple[str, ...], Declared("Hosts", Sequence(_host, unique=True))] = ()
    """The names in the Host field of the requests meant, without ports.  None: any."""
    pattern: Annotated[str, Declared("Pattern", Text())] = ""
    """Goes before the patterns of all handlers."""
    methods: Annotated[tuple[HTTPMethod, ...], Declared("Methods", methods_decoder)] = ()
    """The methods of the requests meant, as far as the handlers take them too.  None: all."""
    middleware: Annotated[tuple[()], Declared("Middleware", NO_MIDDLEWARE)] = ()
    """What AILERON runs around all handlers."""
    handlers: Annotated[
        tuple[HTTPHandlerSpec, ...], Declared("Handlers", Sequence(MessageOf(HTTPHandlerSpec)))
    ] = ()
    """What answers the requests.  None: they get 404."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPServerSpec(Message):
    """A listener and its routes."""

    addr: Annotated[str, Declared("Addr", Checked(parse_addr, ADDR_WORDS))] = ":8080"
    """Where to listen: `host:port`, `:port` for every interface, or `unix:///path`."""
    shutdown_timeout: Annotated[int, Declared("ShutdownTimeout", Integer(*INT32, _SECONDS))] = 30
    """Seconds that open connections have to end when the server stops; less than 0: none."""
    http_config: Annotated[HTTPConfig, Declared("HTTPConfig", MessageOf(HTTPConfig))] = field(
        default_factory=HTTPConfig
    )
    """How HTTP/1.1 is spoken."""
    http2_config: Annotated[None, Declared("HTTP2Config", Refused(_NO_HTTP2))] = None
    """How AILERON speaks HTTP/2."""
    http3_config: Annotated[None, Declared("HTTP3Config", Refused(_NO_HTTP2.replace("2", "3")))] = None
    """How AILERON speaks HTTP/3."""
    middleware: Annotated[tuple[()], Declared("Middleware", NO_MIDDLEWARE)] = ()
    """What AILERON runs around every request."""
    virtual_hosts: Annotated[
        tuple[VirtualHostSpec, ...], Declared("VirtualHosts", Sequence(MessageOf(VirtualHostSpec)))
    ] = ()
    """The routes.  None: every request gets 404."""
    enable_profile: Annotated[bool, Declared("EnableProfile", Refused(_NO_DEBUG, False))] = False
    """Whether AILERON serves Go's profiles below /debug/pprof/."""
    enable_expvar: Annotated[bool, Declared("EnableExpvar", Refused(_NO_DEBUG, False))] = False
    """Whether AILERON serves Go's variables at /debug/vars."""

    @property
    def address(self) -> str:
        """Where to listen: `httpConfig.listenConfig.addr` where it is given, else `addr`."""
        listen = self.http_config.listen_config
        return (listen.addr if listen is not None else "") or self.addr


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPServer(ResourceBase):
    """A server, the only kind of runner."""

    spec: Annotated[HTTPServerSpec, Declared("Spec", MessageOf(HTTPServerSpec))] = field(
        default_factory=HTTPServerSpec
    )
    """The listener and its routes."""

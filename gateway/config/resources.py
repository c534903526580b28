"""Entrypoint, HTTPServer and ReverseProxyHandler of core/v1, as frozen models.

Field for field as in AILERON's .proto files; a class that has more fields there names them in `later`.
Each attribute says what its default means; where nothing is said, the default is "none".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, ClassVar, Final

from gateway.config.addresses import Upstream, parse_addr, parse_upstream
from gateway.config.decoding import (
    Declared,
    Decoder,
    Message,
    checked,
    enumeration,
    integer,
    matching,
    message,
    sequence,
    text,
)

API_VERSION: Final = "core/v1"

LATER_KINDS: Final = (
    "ErrorHandler",
    "GoPlugin",
    "HTTPClient",
    "HTTPHandler",
    "HTTPLogger",
    "SLogger",
    "StaticFileHandler",
    "TemplateHandler",
)
"""Kinds of core/v1 that AILERON has and this gateway does not support yet."""

_INT32_MAX: Final = (1 << 31) - 1

_name = matching(
    re.compile(r"[0-9A-Za-z.-]*"), "a name holds letters, digits, hyphens and dots, and no underscores"
)


def _checked_addr(addr: str) -> str:
    parse_addr(addr)
    return addr


class MatchType(IntEnum):
    """How a pattern is compared, by AILERON's names and numbers."""

    Exact = 0
    Prefix = 1
    Suffix = 2
    Contains = 3
    Path = 4
    FilePath = 5
    Regex = 6
    RegexPOSIX = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata(Message):
    """What a resource is called."""

    later: ClassVar[Mapping[str, str]] = {"logger": "Logger", "errorHandler": "ErrorHandler"}

    name: Annotated[str, Declared("Name", _name)] = "default"
    namespace: Annotated[str, Declared("Namespace", _name)] = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference(Message):
    """The id of another resource."""

    api_version: Annotated[str, Declared("APIVersion", text)]
    kind: Annotated[str, Declared("Kind", text)]
    name: Annotated[str, Declared("Name", _name)] = "default"
    namespace: Annotated[str, Declared("Namespace", _name)] = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrypointSpec(Message):
    """What the gateway runs."""

    later: ClassVar[Mapping[str, str]] = {
        "defaultLogger": "DefaultLogger",
        "loggers": "Loggers",
        "defaultErrorHandler": "DefaultErrorHandler",
        "errorHandlers": "ErrorHandlers",
        "initializers": "Initializers",
        "finalizers": "Finalizers",
    }

    runners: Annotated[tuple[Reference, ...], Declared("Runners", sequence(message(Reference)))] = ()
    """The servers to start.  None: the gateway ends at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerSpec(Message):
    """A handler of a virtual host (`HTTPHandlerSpec` in AILERON)."""

    later: ClassVar[Mapping[str, str]] = {"pattern": "Pattern", "middleware": "Middleware"}

    handler: Annotated[Reference, Declared("Handler", message(Reference))]


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualHostSpec(Message):
    """Handlers for requests of any host."""

    later: ClassVar[Mapping[str, str]] = {
        "hosts": "Hosts",
        "pattern": "Pattern",
        "methods": "Methods",
        "middleware": "Middleware",
    }

    handlers: Annotated[tuple[HandlerSpec, ...], Declared("Handlers", sequence(message(HandlerSpec)))] = ()
    """None: every request gets 404."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPServerSpec(Message):
    """A listener and its routes."""

    later: ClassVar[Mapping[str, str]] = {
        "httpConfig": "HTTPConfig",
        "http2Config": "HTTP2Config",
        "http3Config": "HTTP3Config",
        "middleware": "Middleware",
        "enableProfile": "EnableProfile",
        "enableExpvar": "EnableExpvar",
    }
    deeper: ClassVar[Mapping[str, str]] = {
        "readTimeout": "httpConfig",
        "readHeaderTimeout": "httpConfig",
        "writeTimeout": "httpConfig",
        "idleTimeout": "httpConfig",
        "maxHeaderBytes": "httpConfig",
        "enableGeneralOptionsHandler": "httpConfig",
        "disableKeepAlive": "httpConfig",
        "altSvc": "httpConfig",
        "allowHTTP2": "httpConfig",
        "listenConfig": "httpConfig",
        "networks": "httpConfig.listenConfig",
        "connectionLimit": "httpConfig.listenConfig",
        "tlsConfig": "httpConfig.listenConfig",
    }

    addr: Annotated[str, Declared("Addr", checked(_checked_addr))] = ":8080"
    """As `host:port`; `:port` means all interfaces.  `gateway.config.parse_addr` takes it apart."""
    shutdown_timeout: Annotated[float, Declared("ShutdownTimeout", integer(-_INT32_MAX - 1, _INT32_MAX))] = 30
    """Seconds that open connections have to end when the server stops; 0 or less: none."""
    virtual_hosts: Annotated[
        tuple[VirtualHostSpec, ...], Declared("VirtualHosts", sequence(message(VirtualHostSpec)))
    ] = ()
    """None: every request gets 404."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatcherSpec(Message):
    """Which paths a load balancer takes, and what becomes of them."""

    later: ClassVar[Mapping[str, str]] = {"rewrite": "Rewrite"}

    match: Annotated[str, Declared("Match", text)] = ""
    match_type: Annotated[
        MatchType,
        Declared(
            "MatchType",
            enumeration(
                MatchType,
                aliases={"Regex_POSIX": "RegexPOSIX"},
                supported=(MatchType.Exact, MatchType.Prefix),
                fallback=MatchType.Prefix,
            ),
        ),
    ] = MatchType.Exact
    trim_prefix: Annotated[str, Declared("TrimPrefix", text)] = ""
    """Taken off a path that begins with it, before it is compared."""
    append_prefix: Annotated[str, Declared("AppendPrefix", text)] = ""
    """Put before a path that matched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSpec(Message):
    """A server that requests are sent to."""

    later: ClassVar[Mapping[str, str]] = {
        "enablePassive": "EnablePassive",
        "enableActive": "EnableActive",
        "initialDelay": "InitialDelay",
        "healthCheckInterval": "HealthCheckInterval",
        "healthCheckAddr": "HealthCheckAddr",
    }

    url: Annotated[Upstream, Declared("URL", checked(parse_upstream))]
    weight: Annotated[int, Declared("Weight", integer(-1, 65535))] = 1
    """Requests in a row before it is the next one's turn; -1: none at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancerSpec(Message):
    """Upstreams that share the requests which the path matcher takes."""

    later: ClassVar[Mapping[str, str]] = {
        "lbAlgorithm": "LBAlgorithm",
        "pathMatchers": "PathMatchers",
        "methods": "Methods",
        "hosts": "Hosts",
        "pathParamMatchers": "PathParamMatchers",
        "headerMatchers": "HeaderMatchers",
        "queryMatchers": "QueryMatchers",
        "hasher": "Hasher",
    }

    upstreams: Annotated[
        tuple[UpstreamSpec, ...], Declared("Upstreams", sequence(message(UpstreamSpec)))
    ] = ()
    """None: what matches gets 502."""
    path_matcher: Annotated[PathMatcherSpec | None, Declared("PathMatcher", message(PathMatcherSpec))] = None
    """None: nothing matches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseProxyHandlerSpec(Message):
    """Load balancers, of which the first that matches takes a request."""

    later: ClassVar[Mapping[str, str]] = {
        "patterns": "Patterns",
        "methods": "Methods",
        "tripperwares": "Tripperwares",
        "roundTripper": "RoundTripper",
    }

    load_balancers: Annotated[
        tuple[LoadBalancerSpec, ...], Declared("LoadBalancers", sequence(message(LoadBalancerSpec)))
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource(Message):
    """What every resource has."""

    api_version: Annotated[str, Declared("APIVersion", text)]
    kind: Annotated[str, Declared("Kind", text)]
    metadata: Annotated[Metadata, Declared("Metadata", message(Metadata))] = field(default_factory=Metadata)

    @property
    def label(self) -> str:
        """What messages call it."""
        return label(self.kind, self.metadata.namespace, self.metadata.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(_Resource):
    """Where the gateway begins.  There is one; its name in the file means nothing."""

    spec: Annotated[EntrypointSpec, Declared("Spec", message(EntrypointSpec))] = field(
        default_factory=EntrypointSpec
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPServer(_Resource):
    """A server, the only kind of runner so far."""

    spec: Annotated[HTTPServerSpec, Declared("Spec", message(HTTPServerSpec))] = field(
        default_factory=HTTPServerSpec
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseProxyHandler(_Resource):
    """A handler that sends requests to upstreams, the only kind of handler so far."""

    spec: Annotated[ReverseProxyHandlerSpec, Declared("Spec", message(ReverseProxyHandlerSpec))] = field(
        default_factory=ReverseProxyHandlerSpec
    )


Resource = Entrypoint | HTTPServer | ReverseProxyHandler

KINDS: Final[Mapping[str, type[Resource]]] = {
    each.__name__: each for each in (Entrypoint, HTTPServer, ReverseProxyHandler)
}

DECODERS: Final[Mapping[str, Decoder[Resource]]] = {kind: message(cls) for kind, cls in KINDS.items()}


def label(kind: str, namespace: str, name: str) -> str:
    """What messages call a resource, as `HTTPServer default/default`."""
    return kind if kind == "Entrypoint" else f"{kind} {namespace}/{name}"

"""The kinds of core/v1 that this gateway has, as frozen models, field for field as in AILERON's .proto files.

    common.py           names, references, methods, ways to match
    entrypoint.py       Entrypoint
    http_server.py      HTTPServer
    listen.py           its listenConfig: networks, limits, TLS
    http_handler.py     HTTPHandler
    reverse_proxy.py    ReverseProxyHandler
    error_handler.py    ErrorHandler

Each attribute says what its default means; the text below it is also what a schema says of the field.
"""

from collections.abc import Mapping
from typing import Final

from gateway.config.decoding import MessageOf
from gateway.config.resources.common import (
    API_VERSION,
    HTTPMethod,
    MatchType,
    Metadata,
    Reference,
    known_methods,
    label,
)
from gateway.config.resources.entrypoint import Entrypoint, EntrypointSpec
from gateway.config.resources.error_handler import (
    ErrorHandler,
    ErrorHandlerSpec,
    ErrorMessageSpec,
    MIMEContentSpec,
    TemplateType,
)
from gateway.config.resources.http_handler import HTTPHandler, HTTPHandlerSpec
from gateway.config.resources.http_server import HTTPConfig, HTTPServer, HTTPServerSpec, VirtualHostSpec
from gateway.config.resources.listen import (
    CertKeyPair,
    ClientAuthType,
    CurveID,
    KeepAliveConfig,
    ListenConfig,
    TLSCipher,
    TLSConfig,
    parse_network,
)
from gateway.config.resources.reverse_proxy import (
    HasherSpec,
    HashSourceType,
    LBAlgorithm,
    LoadBalancerSpec,
    ParamMatcherSpec,
    PathMatcherSpec,
    ReverseProxyHandler,
    ReverseProxyHandlerSpec,
    UpstreamSpec,
)

Resource = Entrypoint | HTTPServer | HTTPHandler | ReverseProxyHandler | ErrorHandler

KINDS: Final[Mapping[str, type[Resource]]] = {
    each.__name__: each for each in (Entrypoint, HTTPServer, HTTPHandler, ReverseProxyHandler, ErrorHandler)
}

OTHER_KINDS: Final = (
    "GoPlugin",
    "HTTPClient",
    "HTTPLogger",
    "SLogger",
    "StaticFileHandler",
    "TemplateHandler",
)
"""Kinds of core/v1 that AILERON has and this gateway does not."""

DECODERS: Final[Mapping[str, MessageOf[Resource]]] = {kind: MessageOf(cls) for kind, cls in KINDS.items()}

__all__ = [
    "API_VERSION",
    "DECODERS",
    "KINDS",
    "OTHER_KINDS",
    "CertKeyPair",
    "ClientAuthType",
    "CurveID",
    "Entrypoint",
    "EntrypointSpec",
    "ErrorHandler",
    "ErrorHandlerSpec",
    "ErrorMessageSpec",
    "HTTPConfig",
    "HTTPHandler",
    "HTTPHandlerSpec",
    "HTTPMethod",
    "HTTPServer",
    "HTTPServerSpec",
    "HashSourceType",
    "HasherSpec",
    "KeepAliveConfig",
    "LBAlgorithm",
    "ListenConfig",
    "LoadBalancerSpec",
    "MIMEContentSpec",
    "MatchType",
    "Metadata",
    "ParamMatcherSpec",
    "PathMatcherSpec",
    "Reference",
    "Resource",
    "ReverseProxyHandler",
    "ReverseProxyHandlerSpec",
    "TLSCipher",
    "TLSConfig",
    "TemplateType",
    "UpstreamSpec",
    "VirtualHostSpec",
    "known_methods",
    "label",
    "parse_network",
]

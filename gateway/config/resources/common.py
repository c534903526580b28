"""What several kinds share: names, references, methods, ways to match."""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Final

from gateway.config.decoding import Declared, Enumeration, Message, MessageOf, Sequence, Text

API_VERSION: Final = "core/v1"

_name: Final = Text(
    re.compile(r"[0-9A-Za-z.-]*"), "a name holds letters, digits, hyphens and dots, and no underscores"
)
_group: Final = Text(re.compile(r"[0-9A-Za-z]+/[0-9A-Za-z]+"), 'it is a group and a version, as in "core/v1"')
_kind: Final = Text(re.compile(r"[0-9A-Za-z]+"), "a kind holds letters and digits")


class HTTPMethod(IntEnum):
    """Request methods, by AILERON's names and numbers."""

    HTTPMethodUnknown = 0
    GET = 1
    HEAD = 2
    POST = 3
    PUT = 4
    PATCH = 5
    DELETE = 6
    CONNECT = 7
    OPTIONS = 8
    TRACE = 9


methods_decoder: Final = Sequence(Enumeration(HTTPMethod, fallback=HTTPMethod.HTTPMethodUnknown), unique=True)


def known_methods(methods: tuple[HTTPMethod, ...]) -> tuple[str, ...]:
    """The names of `methods`, those left out that are unknown: AILERON drops them (core-v1, section 2)."""
    return tuple(each.name for each in methods if each is not HTTPMethod.HTTPMethodUnknown)


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

    name: Annotated[str, Declared("Name", _name)] = "default"
    """Tells the resource from others of its kind and namespace."""
    namespace: Annotated[str, Declared("Namespace", _name)] = "default"
    """A group of resources."""
    logger: Annotated[str, Declared("Logger", Text())] = ""
    """AILERON's logger for this resource.  This gateway has one log for all."""
    error_handler: Annotated[str, Declared("ErrorHandler", Text())] = ""
    """One of the Entrypoint's errorHandlers, as `core/v1/ErrorHandler/default/default`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference(Message):
    """The id of another resource."""

    api_version: Annotated[str, Declared("APIVersion", _group)]
    """The group and version of its kind."""
    kind: Annotated[str, Declared("Kind", _kind)]
    """What it is."""
    name: Annotated[str, Declared("Name", _name)] = "default"
    """Its metadata.name."""
    namespace: Annotated[str, Declared("Namespace", _name)] = "default"
    """Its metadata.namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceBase(Message):
    """What every resource has."""

    api_version: Annotated[str, Declared("APIVersion", Text())]
    """The group and version of the kind."""
    kind: Annotated[str, Declared("Kind", Text())]
    """What the resource is."""
    metadata: Annotated[Metadata, Declared("Metadata", MessageOf(Metadata))] = field(default_factory=Metadata)
    """What it is called."""

    @property
    def label(self) -> str:
        """What messages call it."""
        return label(self.kind, self.metadata.namespace, self.metadata.name)


def label(kind: str, namespace: str, name: str) -> str:
    """What messages call a resource, as `HTTPServer default/default`."""
    return kind if kind == "Entrypoint" else f"{kind} {namespace}/{name}"

"""HTTPHandler: another handler under a path of its own (core-v1, section 7)."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from gateway.config.decoding import Declared, Message, MessageOf, Refused, Text
from gateway.config.resources.common import Reference, ResourceBase

NO_MIDDLEWARE: Final = Refused(
    "middleware comes from kinds that only AILERON has; leave it out here, and run the real gateway for it",
    (),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPHandlerSpec(Message):
    """A handler, and the path it is mounted at; virtual hosts have such entries as well."""

    pattern: Annotated[str, Declared("Pattern", Text())] = ""
    """Goes before the handler's own patterns; where it has none, it is the pattern."""
    middleware: Annotated[tuple[()], Declared("Middleware", NO_MIDDLEWARE)] = ()
    """What AILERON runs around this handler."""
    handler: Annotated[Reference | None, Declared("Handler", MessageOf(Reference))] = None
    """What answers the requests.  It has to be given once something refers to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPHandler(ResourceBase):
    """A handler made of another one."""

    spec: Annotated[HTTPHandlerSpec, Declared("Spec", MessageOf(HTTPHandlerSpec))] = field(
        default_factory=HTTPHandlerSpec
    )
    """The handler, and the path it is mounted at."""

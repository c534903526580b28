"""Entrypoint: where the gateway begins (core-v1, section 3)."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from gateway.config.decoding import Declared, Message, MessageOf, Refused, Sequence
from gateway.config.resources.common import Reference, ResourceBase

_ONE_LOG: Final = "it has one log of its own, on standard output; leave this out"
_NO_PLUGINS: Final = "it has no kind of resource that could stand here; leave this out"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrypointSpec(Message):
    """What the gateway runs."""

    default_logger: Annotated[None, Declared("DefaultLogger", Refused(_ONE_LOG))] = None
    """AILERON's logger for resources that name none."""
    loggers: Annotated[tuple[()], Declared("Loggers", Refused(_ONE_LOG, ()))] = ()
    """AILERON's loggers that resources may name."""
    default_error_handler: Annotated[
        Reference | None, Declared("DefaultErrorHandler", MessageOf(Reference))
    ] = None
    """The ErrorHandler for resources that name none.  None: AILERON's standard answers."""
    error_handlers: Annotated[
        tuple[Reference, ...], Declared("ErrorHandlers", Sequence(MessageOf(Reference)))
    ] = ()
    """The ErrorHandlers that resources may name in metadata.errorHandler."""
    runners: Annotated[tuple[Reference, ...], Declared("Runners", Sequence(MessageOf(Reference)))] = ()
    """The servers to start.  None: the gateway ends at once."""
    initializers: Annotated[tuple[()], Declared("Initializers", Refused(_NO_PLUGINS, ()))] = ()
    """What AILERON runs before the runners."""
    finalizers: Annotated[tuple[()], Declared("Finalizers", Refused(_NO_PLUGINS, ()))] = ()
    """What AILERON runs after the runners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(ResourceBase):
    """Where the gateway begins.  There is one; its name in the file means nothing."""

    spec: Annotated[EntrypointSpec, Declared("Spec", MessageOf(EntrypointSpec))] = field(
        default_factory=EntrypointSpec
    )
    """What the gateway runs."""

"""ErrorHandler: other bodies for the gateway's own errors (core-v1, section 6)."""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Final

from gateway.config.decoding import (
    Boolean,
    Declared,
    Enumeration,
    Integer,
    Message,
    MessageOf,
    Sequence,
    Text,
    TextMap,
)
from gateway.config.resources.common import ResourceBase

_mime_type: Final = Text(
    re.compile(r"[a-z]+/[0-9a-zA-Z.+-]+"), 'a media type is written as in "text/html", without parameters'
)
_patterns: Final = Sequence(Text(), unique=True)


class TemplateType(IntEnum):
    """How a template is filled in, by AILERON's names and numbers."""

    Text = 0
    GoText = 1
    GoHTML = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MIMEContentSpec(Message):
    """A body in one media type."""

    mime_type: Annotated[str, Declared("MIMEType", _mime_type)]
    """The media type."""
    status_code: Annotated[int, Declared("StatusCode", Integer(0, 999))] = 0
    """The status to answer with.  0: the error's own."""
    header: Annotated[tuple[tuple[str, str], ...], Declared("Header", TextMap())] = ()
    """Header fields to answer with."""
    template_type: Annotated[
        TemplateType, Declared("TemplateType", Enumeration(TemplateType, TemplateType.Text))
    ] = TemplateType.Text
    """How the template is filled in."""
    template: Annotated[str, Declared("Template", Text())] = ""
    """The body."""
    template_file: Annotated[str, Declared("TemplateFile", Text())] = ""
    """A file with the body, in place of template; relative to the working directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMessageSpec(Message):
    """Which errors are answered otherwise, and how."""

    paths: Annotated[tuple[str, ...], Declared("Paths", _patterns)] = ()
    """Regular expressions for the request's path; one has to match.  None: every path."""
    codes: Annotated[tuple[str, ...], Declared("Codes", _patterns)] = ()
    """Globs for the error's code, such as E2124."""
    kinds: Annotated[tuple[str, ...], Declared("Kinds", _patterns)] = ()
    """Globs for the error's kind, such as CoreProxyRoundTrip."""
    messages: Annotated[tuple[str, ...], Declared("Messages", _patterns)] = ()
    """Regular expressions for the message in the log."""
    header_template: Annotated[tuple[tuple[str, str], ...], Declared("HeaderTemplate", TextMap())] = ()
    """Header fields to answer with; {{status}}, {{statusText}}, {{code}} and {{kind}} are filled in."""
    mime_contents: Annotated[
        tuple[MIMEContentSpec, ...],
        Declared("MIMEContents", Sequence(MessageOf(MIMEContentSpec))),
    ] = ()
    """The bodies, chosen by Accept; else the first.  None: this entry is passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorHandlerSpec(Message):
    """Which errors are answered otherwise."""

    stack_always: Annotated[bool, Declared("StackAlways", Boolean())] = False
    """Whether AILERON logs a stack for every error; this gateway's log has none."""
    error_messages: Annotated[
        tuple[ErrorMessageSpec, ...], Declared("ErrorMessages", Sequence(MessageOf(ErrorMessageSpec)))
    ] = ()
    """Tried in their order; the first that matches decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorHandler(ResourceBase):
    """Other bodies for the gateway's own errors."""

    spec: Annotated[ErrorHandlerSpec, Declared("Spec", MessageOf(ErrorHandlerSpec))] = field(
        default_factory=ErrorHandlerSpec
    )
    """Which errors are answered otherwise."""

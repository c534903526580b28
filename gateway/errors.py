"""ErrorHandler: what the gateway answers in place of its standard errors (core-v1, section 6).

Strategy
    An error has AILERON's code, kind and message.  The first entry of the ErrorHandler that matches them,
    and the request's path, decides; of its contents the one that the client accepts is sent, else the first.

Rules
    * Patterns and templates are read when the config is loaded; what is wrong with them is told then.
    * An entry without contents is passed over, one without codes, kinds and messages matches nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from gateway.config import ErrorHandler, MatchType, Problem
from gateway.config.decoding import Where
from gateway.config.problems import quoted
from gateway.config.resources import ErrorMessageSpec, MIMEContentSpec, TemplateType
from gateway.headers import is_token
from gateway.routing.patterns import Pattern, PatternError, compile_pattern

KINDS: Final[Mapping[str, str]] = {
    "E2121": "CoreProxyUpstreamUnavailable",
    "E2122": "CoreProxyNoUpstream",
    "E2123": "CoreProxyTimeout",
    "E2124": "CoreProxyRoundtrip",
    "E2125": "CoreProxyProtocolSwitch",
    "E2131": "CoreServerNotFound",
    "E2132": "CoreServerRecover",
}
"""AILERON's codes for what can go wrong here, and the kinds that it calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error that a client is answered."""

    status: int
    code: str
    """As `E2124`."""
    message: str
    """For the log; patterns of an ErrorHandler may look at it."""
    path: str
    """The request's path, decoded."""

    @property
    def kind(self) -> str:
        """AILERON's name for the code."""
        return KINDS.get(self.code, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent in place of the standard answer."""

    status: int
    mime_type: str
    fields: tuple[tuple[str, str], ...]
    body: bytes


class ErrorAnswers:
    """The answers of one ErrorHandler."""

    def __init__(self, resource: ErrorHandler) -> None:
        self.problems: list[Problem] = []
        """What is wrong with its patterns and templates."""
        self._label = resource.label
        self._entries = [
            _Entry(spec, self._tell) for spec in resource.spec.error_messages if spec.mime_contents
        ]

    def answer(self, fault: Fault, accepted: Sequence[str]) -> Answer | None:
        """What to answer a client that accepts these media types; None for the standard answer."""
        entry = next((each for each in self._entries if each.matches(fault)), None)
        return None if entry is None else entry.answer(fault, accepted)

    def _tell(self, where: Where, field: str, words: str) -> None:
        attribute, bracket, item = field.partition("[")
        told = where.problem(self._label, attribute, words, "error-handler", item=bracket + item)
        self.problems.append(told)


_Tell = Callable[[Where, str, str], None]


class _Entry:
    def __init__(self, spec: ErrorMessageSpec, tell: _Tell) -> None:
        self._paths = _patterns(spec, "paths", spec.paths, MatchType.Regex, tell)
        self._codes = _patterns(spec, "codes", spec.codes, MatchType.Path, tell)
        self._kinds = _patterns(spec, "kinds", spec.kinds, MatchType.Path, tell)
        self._messages = _patterns(spec, "messages", spec.messages, MatchType.Regex, tell)
        self._header = spec.header_template
        _check_names(spec.where, "header_template", spec.header_template, tell)
        self._contents = [(content, _body(content, tell)) for content in spec.mime_contents]

    def matches(self, fault: Fault) -> bool:
        """Whether this entry is about `fault`."""
        if self._paths and not any(each.matches(fault.path) for each in self._paths):
            return False
        return (
            any(each.matches(fault.code) for each in self._codes)
            or any(each.matches(fault.kind) for each in self._kinds)
            or any(each.matches(f"{fault.code}.{fault.kind} {fault.message}") for each in self._messages)
        )

    def answer(self, fault: Fault, accepted: Sequence[str]) -> Answer:
        """The content that is accepted, else the first."""
        content, body = next(
            (each for wanted in accepted for each in self._contents if _accepts(wanted, each[0].mime_type)),
            self._contents[0],
        )
        status = content.status_code or fault.status
        values = {
            "status": str(status),
            "statusText": _phrase(status),
            "code": fault.code,
            "kind": fault.kind,
        }
        filled = tuple((name, _filled(template, values)) for name, template in self._header)
        return Answer(
            status=status, mime_type=content.mime_type, fields=(*content.header, *filled), body=body
        )


def _patterns(
    spec: ErrorMessageSpec, field: str, texts: Sequence[str], match_type: MatchType, tell: _Tell
) -> list[Pattern]:
    found: list[Pattern] = []
    for index, text in enumerate(texts):
        try:
            found.append(compile_pattern(match_type, text))
        except PatternError as error:
            tell(spec.where, f"{field}[{index}]", str(error))
    return found


def _body(content: MIMEContentSpec, tell: _Tell) -> bytes:
    """The body that `content` gives; tells why there is none."""
    if content.template_type is not TemplateType.Text:
        words = (
            f"{content.template_type.name} is a template language of Go's, which is not spoken here; use Text"
        )
        tell(content.where, "template_type", words)
    if content.status_code and not 200 <= content.status_code <= 599:
        words = f"{content.status_code} is no status that ends a request; 200 to 599 are"
        tell(content.where, "status_code", words)
    _check_names(content.where, "header", content.header, tell)
    if not content.template_file:
        return content.template.encode()
    try:
        return Path(content.template_file).read_bytes()
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        tell(content.where, "template_file", f"{quoted(content.template_file)} cannot be read: {why}")
        return b""


def _check_names(where: Where, field: str, pairs: Sequence[tuple[str, str]], tell: _Tell) -> None:
    for name, value in pairs:
        if not is_token(name.encode("utf-8", "replace")):
            tell(where, field, f"{quoted(name)} is not the name of a header field")
        elif any(ord(each) < 32 or ord(each) == 127 for each in value):
            tell(where, field, f"the value of {name} holds control characters")


def _accepts(wanted: str, mime_type: str) -> bool:
    """Whether a member of Accept, as `text/*;q=0.5`, takes `mime_type`."""
    group, _, kind = wanted.partition(";")[0].strip().lower().partition("/")
    ours, _, own = mime_type.partition("/")
    return group in ("*", ours) and kind in ("*", own.lower())


def _filled(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values.get(found[1], ""), template)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""

"""Header fields on their way through the gateway: what goes on, what is added, what stays secret.  Pure.

Fields are pairs of bytes, name and value, in wire order, as they were received: nothing here changes a
value.  What cannot be sent on as it was received is found by `unsendable` and refused by the caller.
Of a message on its way through, most fields are asked for by name several times: a `Header` finds them at
once.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise, product
from typing import Final, Self

from gateway.events import Headers

Field = tuple[bytes, bytes]
Fields = Sequence[Field]


class Header(tuple[Field, ...]):  # noqa: SLOT001 - a tuple takes no other slots
    """The fields of one message, indexed by name."""

    names: tuple[bytes, ...]
    """The name of each field, in lower case."""
    by_name: dict[bytes, list[bytes]]
    """The values of all fields by their names in lower case, in wire order."""

    def __new__(cls, fields: Iterable[Field]) -> Self:
        """Index `fields`."""
        header = super().__new__(cls, fields)
        header.names = tuple([name.lower() for name, _ in header])
        by_name = header.by_name = {}
        for name, (_, value) in zip(header.names, header, strict=True):
            if name in by_name:
                by_name[name].append(value)
            else:
                by_name[name] = [value]
        return header


HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",  # belongs to an h2c upgrade, which is never passed on (RFC 9113 section 3.1)
    }
)
"""Fields that concern one connection alone (RFC 9110 section 7.6.1, and what AILERON removes)."""

REDACTED: Final = "[redacted]"

_FORWARDED: Final = ("for", "host", "port", "proto")

_REPLACED: Final = (
    HOP_BY_HOP
    | {b"host"}
    | {f"x{a}forwarded{b}{name}".encode() for name in _FORWARDED for a, b in product("-_", repeat=2)}
)
"""What of a request the upstream does not get, or gets from the gateway.

To an upstream that sees headers as environment variables (CGI, WSGI), `_` in a name is the same as `-`.
"""

_HOST: Final = re.compile(rb"[A-Za-z0-9!$%&'()*+,.:;=\[\]_~-]*")
"""What may stand in a Host (RFC 9110 section 7.2, and what Go's server lets pass); it may be empty."""

_LENGTH: Final = re.compile(rb"[0-9]{1,19}")
_LONGEST: Final = (1 << 63) - 1
"""Bytes of the longest body that every recipient can count."""

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_SECRET_FIELDS: Final = frozenset(
    {b"cookie", b"set-cookie", b"authorization", b"proxy-authorization", b"x-api-key"}
)
_SECRET_ENDINGS: Final = (b"-token", b"-key")
_SECRET_QUERY: Final = (
    "token",
    "access_token",
    "id_token",
    "refresh_token",
    "jwt",
    "key",
    "api_key",
    "apikey",
    "password",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "sig",
    "signature",
    "x-amz-signature",
    "x-amz-security-token",
    "x-goog-signature",
    "code",
)
_LONGEST_SUBPROTOCOL: Final = 64
"""A subprotocol's name is no longer than this; what is longer carries a token."""

_BEARING: Final = re.compile(rb"(?:^|\.)bearer[._-].", re.IGNORECASE)
"""A subprotocol that has the token behind the word, as `base64url.bearer.authorization.k8s.io.TOKEN`."""


def _carries_token(subprotocol: bytes) -> bool:
    return len(subprotocol) > _LONGEST_SUBPROTOCOL or _BEARING.search(subprotocol) is not None


def _in_any_spelling(name: str) -> str:
    """A pattern for `name` as a url may spell it: each character as it is, or percent-encoded."""
    return "".join(f"(?:{char}|%{ord(char):02x}|%{ord(char.upper()):02x})" for char in name)


# One pass finds the secret pairs and nothing else, those of a url inside a url, encoded or not, included.
# The names of a fragment count as well: that is where OAuth puts an access_token into a Location.
_SECRET_PAIR: Final = re.compile(
    "(?:(?<=[?&;#])|(?<=%3f|%26|%3b|%23))"
    f"({'|'.join(map(_in_any_spelling, _SECRET_QUERY))})"
    r"(=|%3d)[^&;#\s]+",
    re.IGNORECASE | re.ASCII,
)
_USERINFO: Final = re.compile(r"(?<=://)([^/?#@\s:]*):[^/?#\s]*@")
# The same in a url that stands percent-encoded in another one; there, what ends it may be encoded or not.
_ENCODED_USERINFO: Final = re.compile(
    r"(?<=%3a%2f%2f)((?:(?!%2f|%3f|%23|%40|%3a)[^/?#@&\s:])*)(%3a|:)(?:(?!%2f|%3f|%23)[^/?#&\s])*(%40|@)",
    re.IGNORECASE | re.ASCII,
)


def is_secret_field(name: bytes) -> bool:
    """Whether the value of a field called `name` (in lower case) is a secret."""
    return name in _SECRET_FIELDS or (name.endswith(_SECRET_ENDINGS) and name != b"sec-websocket-key")


def is_secret_parameter(name: str) -> bool:
    """Whether the value of a query parameter called `name` is a secret."""
    return name.lower() in _SECRET_QUERY


def members(fields: Iterable[Field], name: bytes) -> list[bytes]:
    """The members of the list (RFC 9110 section 5.6.1) in all fields called `name`, in lower case."""
    found = values(fields, name)
    return [member for value in found for part in value.split(b",") if (member := part.strip(b" \t").lower())]


def values(fields: Iterable[Field], name: bytes) -> list[bytes]:
    """The values of all fields called `name` (in lower case), in order."""
    if isinstance(fields, Header):
        return fields.by_name.get(name, [])
    return [value for field, value in fields if field.lower() == name]


def is_token(text: bytes) -> bool:
    """Whether `text` is a token (RFC 9110 section 5.6.2), as every field name is."""
    return _TOKEN.fullmatch(text) is not None


def has_control(text: bytes) -> bool:
    """Whether there is a control character in `text`, other than a tab."""
    return _CONTROL.search(text) is not None


def unsendable(fields: Fields) -> str | None:
    """The first field that no message may carry on unchanged, in words; None where there is none.

    A name must be a token and a value free of control characters (RFC 9110 section 5.5).
    """
    for name, value in fields:
        if not is_token(name):
            return f"the header name {readable(name)!r} is not a token"
        if has_control(value):
            return f"the header {readable(name)} has a control character in its value"
    return None


def is_host(text: bytes) -> bool:
    """Whether `text` has nothing but what a Host may have."""
    return _HOST.fullmatch(text) is not None


def is_length(text: bytes) -> bool:
    """Whether `text` is a Content-Length (RFC 9110 section 8.6) that every recipient can count up to."""
    return _LENGTH.fullmatch(text) is not None and int(text) <= _LONGEST


def ambiguity(version: tuple[int, int], fields: Fields) -> tuple[int, str] | None:
    """Why two recipients of a message might find the end of its body in two places; None where not.

    As Go's words, behind the status that a request gets for it (RFC 9112 sections 2.3, 6.1 and 6.3).
    """
    if version not in {(1, 0), (1, 1)}:
        return 505, "unsupported protocol version"
    codings = values(fields, b"transfer-encoding")
    if codings and [coding.lower() for coding in codings] != [b"chunked"]:
        return 501, "unsupported transfer encoding"
    if codings and version < (1, 1):
        return 400, "unexpected Transfer-Encoding"
    if not all(map(is_length, values(fields, b"content-length"))):
        return 400, "bad Content-Length"
    return None


def end_to_end(fields: Fields) -> list[Field]:
    """The fields that are meant for the other end: not hop-by-hop, and not named by Connection."""
    return _without(HOP_BY_HOP.union(members(fields, b"connection")), fields)


def _without(dropped: AbstractSet[bytes], fields: Fields) -> list[Field]:
    """`fields` but for those whose names, in lower case, are `dropped`."""
    names = fields.names if isinstance(fields, Header) else [name.lower() for name, _ in fields]
    return [field for name, field in zip(names, fields, strict=True) if name not in dropped]


def for_upstream(
    fields: Fields, *, authority: str, client: tuple[str, int] | None, host: bytes, scheme: str
) -> list[Field]:
    """The fields of a request as the upstream gets them (core-v1 section 5.5).

    `authority` becomes the Host; `client` is the address and port of whoever is connected to the gateway,
    None for a client of a unix socket, which adds nothing to X-Forwarded-For and has no X-Forwarded-Port;
    `host` is the Host as the client sent it; `scheme` is that of the client's connection.
    """
    connection = members(fields, b"connection")
    sent = [(b"Host", authority.encode()), *_without(_REPLACED.union(connection), fields)]
    if b"trailers" in members(fields, b"te"):
        sent.append((b"TE", b"trailers"))
    before = [] if b"x-forwarded-for" in connection else values(fields, b"x-forwarded-for")
    through = before if client is None else [*before, client[0].encode()]
    if through:
        sent.append((b"X-Forwarded-For", b", ".join(through)))
    sent.append((b"X-Forwarded-Host", host))
    if client is not None:
        sent.append((b"X-Forwarded-Port", str(client[1]).encode()))
    sent.append((b"X-Forwarded-Proto", scheme.encode()))
    return sent


def readable(data: bytes) -> str:
    r"""Bytes from the wire as text for records and messages; what is not UTF-8 is written as `\xe9`."""
    return data.decode("utf-8", "backslashreplace")


class Secrets:
    """What of a message may be written down.  With `show`, everything."""

    def __init__(self, *, show: bool = False) -> None:
        self._show = show

    def headers(self, fields: Fields, hidden: frozenset[bytes] = frozenset()) -> Headers:
        """`fields` for a record, with secret values redacted; `hidden` are subprotocols known as secret."""
        return self.all_headers([fields], hidden)[0]

    def all_headers(self, messages: Sequence[Fields], hidden: frozenset[bytes]) -> list[Headers]:
        """`headers` of each of several messages that have most of their fields in common."""
        told: dict[Field, tuple[str, str]] = {}
        for fields in messages:
            for field in fields:
                if field not in told:
                    name, value = field
                    told[field] = readable(name), self._value(name.lower(), value, hidden)
        return [tuple([told[field] for field in fields]) for fields in messages]

    def text(self, text: str) -> str:
        """A url, a request target or any text that may contain one, without its secrets.

        Redacts the values of query parameters that are known to carry secrets, and passwords.
        """
        if self._show:
            return text
        # Most texts have nothing of the kind, which is seen faster than with a regular expression.
        if "=" in text or "%" in text:
            text = _SECRET_PAIR.sub(rf"\1\2{REDACTED}", text)
            text = _ENCODED_USERINFO.sub(rf"\1\2{REDACTED}\3", text)
        return _USERINFO.sub(rf"\1:{REDACTED}@", text) if "://" in text else text

    def subprotocols(self, fields: Fields) -> frozenset[bytes]:
        """The secrets among the subprotocols that a client offers: browsers can send a token nowhere else."""
        if self._show:
            return frozenset()
        offered = [
            name
            for value in values(fields, b"sec-websocket-protocol")
            for part in value.split(b",")
            if (name := part.strip(b" \t"))
        ]
        after_bearer = {second for first, second in pairwise(offered) if first.lower() == b"bearer"}
        return frozenset(after_bearer | set(filter(_carries_token, offered)))

    def subprotocol(self, name: bytes, hidden: frozenset[bytes]) -> str:
        """One subprotocol for a record."""
        secret = name in hidden or (not self._show and _carries_token(name))
        return REDACTED if secret else readable(name)

    def _value(self, name: bytes, value: bytes, hidden: frozenset[bytes]) -> str:
        if self._show:
            return readable(value)
        if is_secret_field(name):
            return REDACTED
        if name == b"sec-websocket-protocol":
            return ", ".join(self.subprotocol(part.strip(b" \t"), hidden) for part in value.split(b","))
        return self.text(readable(value))

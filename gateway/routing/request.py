"""What of a request matchers and hashers look at.

Header fields, query parameters and cookies are read as Go reads them, which AILERON is built on.  All text
holds bytes that are not UTF-8 as surrogate escapes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from gateway.headers import is_token, values

ParamSource = Literal["header", "query", "path parameter"]
"""Where the values of a parameter matcher stand."""

_PROMOTED: Final = {b"host", b"transfer-encoding"}
"""Fields that Go takes out of a request's header, so that no matcher and no hasher sees them."""

_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

_COOKIE_VALUE: Final = re.compile(rb"[ !#-:<-\[\]-~]*")
"""What Go takes in a cookie's value: printable ASCII but for quotes, semicolons and backslashes."""


@dataclass(frozen=True, kw_only=True)  # no slots: what is read of a request is kept in the instance
class RequestFacts:
    """One request.  Nothing of it is read before somebody asks."""

    headers: Sequence[tuple[bytes, bytes]] = ()
    """The header fields in wire order."""
    query: str | None = None
    """As received; None where there is no "?"."""
    path_params: Mapping[str, str] = field(default_factory=dict)
    """The decoded values of the route's wildcards by their names."""
    client: str = ""
    """Address and port, as `127.0.0.1:5000` or `[::1]:5000`."""

    def values(self, source: ParamSource, key: str) -> Sequence[str]:
        """All values of the header (in any case), query parameter or path parameter `key`.

        A path parameter has one value, and none where it is empty.
        """
        match source:
            case "header":
                return [_text(each) for each in self.header_values(key)]
            case "query":
                return self._query.get(key, ())
            case "path parameter":
                return [value] if (value := self.path_params.get(key)) else ()

    def header_values(self, name: str) -> Sequence[bytes]:
        """The values of all fields called `name`, in any case.  Host is none of them."""
        wanted = name.lower().encode("utf-8", "replace")
        return () if wanted in _PROMOTED else values(self.headers, wanted)

    def cookie(self, name: str) -> bytes:
        """The value of the first cookie called `name`; empty where there is none."""
        return self._cookies.get(name.encode("utf-8", "replace"), b"")

    @cached_property
    def _query(self) -> Mapping[str, Sequence[str]]:
        """As Go's url.ParseQuery: a pair with ";" or a bad escape in it is left out."""
        found: dict[str, list[str]] = {}
        for pair in (self.query or "").split("&"):
            if pair and ";" not in pair and not _BAD_ESCAPE.search(pair):
                key, _, value = pair.replace("+", " ").partition("=")
                found.setdefault(_unescaped(key), []).append(_unescaped(value))
        return found

    @cached_property
    def _cookies(self) -> Mapping[bytes, bytes]:
        """As Go's Request.Cookie: what is no cookie is left out, quotes around a value are taken off."""
        found: dict[bytes, bytes] = {}
        for line in values(self.headers, b"cookie"):
            for part in line.split(b";"):
                name, _, value = part.strip(_BLANK).partition(b"=")
                if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
                    value = value[1:-1]
                name = name.strip(_BLANK)
                if is_token(name) and _COOKIE_VALUE.fullmatch(value):
                    found.setdefault(name, value)
        return found


_BLANK: Final = b" \t\r\n"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _unescaped(text: str) -> str:
    return _text(unquote_to_bytes(text.encode("utf-8", "surrogateescape"))) if "%" in text else text

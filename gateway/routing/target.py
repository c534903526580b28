"""Request targets (RFC 9112, section 3.2): what a client asks for, made safe to send on.

Strategy
    A target comes as the text of the request line, with bytes that are not UTF-8 as surrogate escapes, and
    is taken apart once.  The path is then used in two forms: as it was received, to see whether it is clean,
    and decoded, to be matched and, encoded again, to be sent upstream (core-v1, sections 4.3 and 5.5).
    All of it follows what Go's net/url and net/http do, which AILERON is built on.

Rules
    * What is sent upstream begins with "/" and is printable ASCII without spaces, whatever came in.
    * A path with an empty segment, "." or ".." is not sent on; the client is sent to the clean one.
      Where AILERON does not see dot segments because they are percent-encoded, the upstream would: they
      count here as well.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f]")
"""Control characters and the space: what ends a request line, or a target in it (RFC 9112, section 3)."""

_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

_ABSOLUTE: Final = re.compile(r"https?://([A-Za-z0-9._~%!$&'()*+,;=:\[\]-]+)(?=[/?]|\Z)", re.IGNORECASE)

_DOT_SEGMENT: Final = re.compile(r"/\.{1,2}(/|\Z)")

_VERBATIM: Final = re.compile(r"[A-Za-z0-9/_.~!$&'()*+,;=:@\[\]-]*")
"""Paths that Go sends as they are ..."""

_SEGMENT_SAFE: Final = "$&+,:;=@"
_PATH_SAFE: Final = f"/{_SEGMENT_SAFE}"
"""... and the characters besides letters, digits and "-_.~" that it leaves alone in all others."""

_RAW_SAFE: Final = "".join(map(chr, range(0x21, 0x7F))).translate({ord(each): None for each in '"#<>\\^`{|}'})
"""What may stand unencoded in a path as it is shown to a client ("%" among it: escapes stay)."""

_QUERY_SAFE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")
"""A query is passed on as it came, but for what is not ASCII, and "#", which would end it."""


class InvalidTargetError(ValueError):
    """A request target that means nothing here; `str()` of it says why."""


@dataclass(slots=True)
class RequestTarget:
    """A request target, taken apart."""

    authority: str | None
    """Of an absolute-form, in place of the Host field (RFC 9112, section 3.2.2); else None."""
    raw_path: str
    """As received; begins with "/"."""
    path: str
    """Decoded, with bytes that are not UTF-8 as surrogate escapes; begins with "/"."""
    query: str | None
    """Fit to be sent on; None where there is no "?"."""


def parse_target(target: str) -> RequestTarget:
    """Take `target` apart.  Raises InvalidTargetError."""
    if found := _FORBIDDEN.search(target):
        raise InvalidTargetError(f"the request target holds the character U+{ord(found[0]):04X}")
    authority = None
    if not target.startswith("/"):
        found = _ABSOLUTE.match(target)
        if found is None:
            raise InvalidTargetError("the request target is neither a path nor an http url")
        authority = found[1]
        target = target[found.end() :]
        if not target.startswith("/"):
            target = f"/{target}"
    raw_path, mark, query = target.partition("?")
    if "%" in raw_path and _BAD_ESCAPE.search(raw_path):
        raise InvalidTargetError('the path holds a "%" that no two hexadecimal digits follow')
    return RequestTarget(
        authority=authority,
        raw_path=raw_path,
        path=_decoded(raw_path),
        query=_encoded(query, _QUERY_SAFE) if mark else None,
    )


def clean_path(target: RequestTarget) -> str:
    """The path without empty and dot segments, not decoded; `raw_path` itself where it has none."""
    clean, path = target.raw_path, target.path
    if "//" in clean or "/." in clean:
        clean = cleaned(clean)
        path = _decoded(clean)
    if "/." in path and _DOT_SEGMENT.search(path):
        return _encoded_path(cleaned(path))
    return clean


def location(path: str, query: str | None) -> str:
    """A Location field that leads to `path`, which is not decoded, with a target's `query`.

    An empty query is left out, as Go does it.
    """
    return _with_query(_encoded(path, _RAW_SAFE), query or None)


def segments_of(path: str) -> list[str]:
    """What stands behind each "/" of `path`, decoded afterwards: a "%2F" does not split.

    The last one is empty where the path ends in "/".
    """
    return [_decoded(each) for each in path[1:].split("/")]


def decoded_segment(text: str) -> str:
    """A segment that a config's author wrote, decoded; as it is where a "%" in it begins no escape."""
    return text if _BAD_ESCAPE.search(text) else _decoded(text)


def encoded_segment(text: str) -> str:
    """The segment of a path that `segments_of` reads as `text`."""
    return _encoded(text, _SEGMENT_SAFE)


def upstream_target(path: str, upstream_query: str, query: str | None) -> str:
    """The origin-form for a decoded `path` and both queries, the upstream's own before the request's."""
    encoded = _encoded_path(path)
    if not encoded.startswith("/"):
        encoded = f"/{encoded}"
    elif encoded.startswith("//"):  # which many a reader takes for an authority
        encoded = f"/%2F{encoded[2:]}"
    if upstream_query:
        query = f"{upstream_query}&{query}" if query else upstream_query
    return _with_query(encoded, query)


def _with_query(path: str, query: str | None) -> str:
    return path if query is None else f"{path}?{query}"


def cleaned(path: str) -> str:
    """`path` without empty and dot segments, as Go's mux cleans it; a "/" at the end stays."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    end = "/" if segments and path.endswith("/") else ""
    return f"/{'/'.join(segments)}{end}"


def _decoded(text: str) -> str:
    if text.isascii() and "%" not in text:
        return text
    return unquote_to_bytes(_bytes(text)).decode("utf-8", "surrogateescape")


def _encoded_path(path: str) -> str:
    return path if _VERBATIM.fullmatch(path) else quote(_bytes(path), safe=_PATH_SAFE)


def _encoded(text: str, safe: str) -> str:
    """`text` with all but the characters `safe` percent-encoded."""
    return quote(_bytes(text), safe=safe)


def _bytes(text: str) -> bytes:
    """The bytes that `text` came from.  Raises InvalidTargetError where it came from none."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidTargetError("the request target does not come from bytes") from None

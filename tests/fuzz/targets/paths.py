"""Request targets and paths.

Oracle: any target is taken apart or refused as `InvalidTargetError`; a clean path has no empty and no dot
segment, decoded or not, and cleaning it again changes nothing; where a client is sent is fit for a header and
needs no further cleaning; what an upstream is asked for begins with one "/", is printable ASCII without
spaces, and is decoded to the path that was meant; a segment that is encoded is read as what it was.
"""

from typing import Final

from gateway.routing.target import (
    InvalidTargetError,
    clean_path,
    cleaned,
    encoded_segment,
    location,
    parse_target,
    segments_of,
    upstream_target,
)
from tests.fuzz.choices import Choices

TOKENS: Final = tuple(
    b"/../ /./ // /.. /. %2e %2E%2e %2f %2F %00 %0d%0a %c3%a9 %ff %25 %252e ? & # ; http:// https://a:1/ @ "
    b"\\ \xc3\xa9 \xff ...".split(b" ")
)


def check(data: bytes) -> None:
    """Take `data` for a request target, behind its first byte."""
    choices = Choices(data)
    upstream_query = ("", "a=b", "x")[choices.below(3)]
    text = choices.rest().decode("utf-8", "surrogateescape")
    _clean(cleaned(text))
    _clean(cleaned(f"/{text}"))
    if "/" not in text:
        assert segments_of(f"/{encoded_segment(text)}") == [text]
    try:
        target = parse_target(text)
    except InvalidTargetError as error:
        assert str(error)
        return
    assert target.raw_path.startswith("/")
    assert target.path.startswith("/")
    clean = clean_path(target)
    _clean(clean)
    sent_to = location(clean, target.query)
    _fit(sent_to)
    again = parse_target(sent_to)
    assert clean_path(again) == again.raw_path, "one redirection has to do"
    _clean(again.path, also_empty="%2F" not in sent_to.upper())
    asked = upstream_target(target.path, upstream_query, target.query)
    _fit(asked)
    assert not asked.startswith("//")
    read = parse_target(asked)
    assert read.path == target.path
    queries = [each for each in (upstream_query, target.query) if each]
    assert (read.query or "") == "&".join(queries)


def _clean(path: str, *, also_empty: bool = True) -> None:
    assert path.startswith("/")
    segments = path[1:].split("/")
    assert {".", ".."}.isdisjoint(segments), path
    assert not also_empty or "" not in segments[:-1], path
    assert not also_empty or cleaned(path) == path


def _fit(text: str) -> None:
    assert text.startswith("/")
    assert all("!" <= each <= "~" for each in text), text

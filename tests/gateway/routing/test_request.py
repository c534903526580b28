"""What of a request matchers and hashers look at, read as Go reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.request import RequestFacts


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x-a", [b"1", b"2"]),
        ("X-A", [b"1", b"2"]),
        ("x-b", [b""]),
        ("x-c", []),
        ("Host", []),
        ("transfer-encoding", []),
        ("x-\ud800", []),
    ],
)
def test_header_values(name: str, expected: list[bytes]) -> None:
    """In any case, in order; Go takes Host and Transfer-Encoding out of the header."""
    fields = [(b"Host", b"h"), (b"X-a", b"1"), (b"X-B", b""), (b"x-A", b"2"), (b"Transfer-Encoding", b"x")]
    assert list(RequestFacts(headers=fields).header_values(name)) == expected


def test_header_values_as_text() -> None:
    """Bytes that are not UTF-8 are surrogate escapes."""
    request = RequestFacts(headers=[(b"x", b"\xc3\xbc\xff")])
    assert request.values("header", "x") == ["ü\udcff"]


@pytest.mark.parametrize(
    ("query", "key", "expected"),
    [
        (None, "a", []),
        ("", "", []),
        ("a=1&b=2&a=3", "a", ["1", "3"]),
        ("a", "a", [""]),
        ("a=", "a", [""]),
        ("a=b=c", "a", ["b=c"]),
        ("=1", "", ["1"]),
        ("&&a=1&", "a", ["1"]),
        ("&&a=1&", "", []),
        ("a=1+2%203%2B", "a", ["1 2 3+"]),
        ("%61%26=1", "a&", ["1"]),
        ("a+b=1", "a b", ["1"]),
        ("a=1;b=2&a=3", "a", ["3"]),
        ("a=1;b=2", "b", []),
        ("a=%zz&a=%2&a=%&a=1", "a", ["1"]),
        ("%zz=1&a=2", "a", ["2"]),
        ("a=%C3%BC&a=%ff&a=ü&a=\udcff", "a", ["ü", "\udcff", "ü", "\udcff"]),
        ("A=1", "a", []),
    ],
)
def test_query_values(query: str | None, key: str, expected: list[str]) -> None:
    """A pair with ";" or a bad escape is left out, the others stay."""
    assert list(RequestFacts(query=query).values("query", key)) == expected


def test_path_parameters() -> None:
    """One value each; an empty one is missing (core-v1, section 5.3)."""
    request = RequestFacts(path_params={"id": "a/b", "rest": ""})
    assert list(request.values("path parameter", "id")) == ["a/b"]
    assert list(request.values("path parameter", "rest")) == []
    assert list(request.values("path parameter", "none")) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], b""),
        ([b"a=1"], b"1"),
        ([b"b=0; a=1; a=2"], b"1"),
        ([b"b=0;a=1"], b"1"),
        ([b"b=0", b" \ta=1 "], b"1"),
        ([b"a=1=2"], b"1=2"),
        ([b'a="1 2"'], b"1 2"),
        ([b'a="'], b""),
        ([b'a=1"; a=2'], b"2"),
        ([b"a=\xff; a=2"], b"2"),
        ([b"a=1\\; a=2"], b"2"),
        ([b"a=1,2"], b"1,2"),
        ([b"a"], b""),
        ([b"a ; a=1"], b""),
        ([b" a = 1"], b" 1"),
        ([b"A=1"], b""),
        ([b";;=x; ;a=1"], b"1"),
    ],
)
def test_the_first_cookie(lines: list[bytes], expected: bytes) -> None:
    """What is no cookie to Go is none, quotes around a value go."""
    assert RequestFacts(headers=[(b"Cookie", line) for line in lines]).cookie("a") == expected


def test_no_cookie_has_no_name() -> None:
    """Nor one that no cookie can have."""
    request = RequestFacts(headers=[(b"cookie", b"=1; a b=2; \xc3\xbc=3")])
    assert [request.cookie(name) for name in ("", "a b", "ü", "\ud800")] == [b""] * 4


@given(st.binary(), st.text(st.characters(exclude_categories=())), st.text())
def test_reading_never_raises(value: bytes, key: str, query: str) -> None:
    """Whatever comes, and whatever is asked for."""
    received = (query.encode() + value).decode("utf-8", "surrogateescape")
    request = RequestFacts(headers=[(b"cookie", value), (value, value)], query=received)
    assert isinstance(request.cookie(key), bytes)
    for each in ("header", "query", "path parameter"):
        assert all(isinstance(found, str) for found in request.values(each, key))

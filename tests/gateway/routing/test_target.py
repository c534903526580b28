"""Request targets: what each becomes, and that none becomes anything that could be two requests."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.target import (
    InvalidTargetError,
    RequestTarget,
    clean_path,
    decoded_segment,
    encoded_segment,
    location,
    parse_target,
    segments_of,
    upstream_target,
)

SAFE = re.compile(r"/[!-~]*")


def redirection(target: RequestTarget) -> str | None:
    """Where a client is sent whose path is not clean."""
    path = clean_path(target)
    return None if path == target.raw_path else location(path, target.query)


def forwarded(target: str) -> str:
    """What an upstream without a query of its own is asked for."""
    parsed = parse_target(target)
    assert redirection(parsed) is None
    return upstream_target(parsed.path, "", parsed.query)


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/", "/"),
        ("/ws?x=1", "/ws?x=1"),
        ("/a/", "/a/"),
        ("/?", "/?"),
        ("/a?b?c=/../d//e", "/a?b?c=/../d//e"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/a.", "/a."),
        ("/a%2Fb", "/a/b"),
        ("/%21", "/!"),
        ("/%e3%81", "/%E3%81"),
        ("/%20", "/%20"),
        ("/%3F", "/%3F"),
        ("/%25", "/%25"),
        ("/%2525", "/%2525"),
        ("/%00%0d%0a", "/%00%0D%0A"),
        ("/%7Euser", "/~user"),
        ("/a!'()*[]", "/a!'()*[]"),
        ("/a!'()*[]%20", "/a%21%27%28%29%2A%5B%5D%20"),
        ("/$&+,:;=@%20", "/$&+,:;=@%20"),
        ('/"<>\\^`{|}#', "/%22%3C%3E%5C%5E%60%7B%7C%7D%23"),
        ("/über?ü", "/%C3%BCber?%C3%BC"),
        ("/\udcff?\udcff", "/%FF?%FF"),
        ("/a?%zz&\"<>\\^`{|}'", "/a?%zz&\"<>\\^`{|}'"),
        ("/a?b#c", "/a?b%23c"),
        ("/a%2F%2Fb", "/a//b"),
        ("/%2Fevil.example/", "/%2Fevil.example/"),
        ("http://h/a?b", "/a?b"),
        ("HTTPS://h:1", "/"),
        ("http://h?b", "/?b"),
    ],
)
def test_what_is_sent_upstream(target: str, sent: str) -> None:
    """Encoded again from the decoded path, as Go's net/url does (core-v1, section 5.5)."""
    assert forwarded(target) == sent


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("//", "/"),
        ("//host/..", "/"),
        ("//evil.example/x", "/evil.example/x"),
        ("/\\evil.example//", "/%5Cevil.example/"),
        ("///a///b///?q=//", "/a/b/?q=//"),
        ("/a//?", "/a/"),
        ("/.", "/"),
        ("/a/.", "/a"),
        ("/a/./", "/a/"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/../../a?b", "/a?b"),
        ("/a/../b%2Fc%20", "/b%2Fc%20"),
        ('/a//%e3"ü', "/a/%e3%22%C3%BC"),
        ("http://h/a/../b", "/b"),
        ("/public/%2e%2e/admin", "/admin"),
        ("/public/.%2E/admin", "/admin"),
        ("/public/..%2fadmin?x", "/admin?x"),
        ("/public%2f..%2fadmin%20", "/admin%20"),
        ("/a/%2e", "/a"),
        ("//a/%2e%2e/b", "/b"),
        ("/a/../..%2fb?c", "/b?c"),
    ],
)
def test_unclean_paths_are_redirected(target: str, wanted: str) -> None:
    """To the clean path with the query, never to another host (core-v1, section 4.3)."""
    assert redirection(parse_target(target)) == wanted


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a%2Fb/", "/a%2Fb/"),
        ("/a/../%41%2F", "/%41%2F"),
        ("/a//ü", "/a/ü"),
        ("/a/%2e%2e/%62%25", "/b%25"),
    ],
)
def test_clean_paths_stay_encoded(target: str, path: str) -> None:
    """They are cleaned as they came; only a hidden dot segment makes another of them."""
    parsed = parse_target(target)
    assert clean_path(parsed) == path
    assert (redirection(parsed) is None) == (path == target)


def test_a_location_is_path_and_query() -> None:
    """What cannot stand in it is encoded; escapes stay, and an empty query goes."""
    assert location("/a%2F\\ü/", "q?") == "/a%2F%5C%C3%BC/?q?"
    assert location("/", "") == location("/", None) == "/"


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/", [""]),
        ("/a", ["a"]),
        ("/a/", ["a", ""]),
        ("/a%2Fb/%C3%BC/\udcc3%BC/%ff", ["a/b", "ü", "ü", "\udcff"]),
    ],
)
def test_paths_are_split_before_they_are_decoded(path: str, segments: list[str]) -> None:
    """A slash that is encoded belongs to its segment."""
    assert segments_of(path) == segments
    assert segments_of("".join(f"/{encoded_segment(each)}" for each in segments)) == segments


@pytest.mark.parametrize(
    ("written", "text"), [("a%20b", "a b"), ("ü%2f", "ü/"), ("%41%", "%41%"), ("%4", "%4")]
)
def test_written_segments_are_decoded_where_they_can_be(written: str, text: str) -> None:
    """One bad escape, and all of the segment is meant as it stands: Go's mux does so."""
    assert decoded_segment(written) == text
    assert decoded_segment(encoded_segment(text)) == text


@pytest.mark.parametrize(
    ("target", "authority"),
    [
        ("/a", None),
        ("http://h/a", "h"),
        ("HTTP://Test.Example:80", "Test.Example:80"),
        ("https://[::1]:8443/a", "[::1]:8443"),
        ("http://h?http://g", "h"),
        ("/http://h/", None),
    ],
)
def test_an_absolute_form_has_an_authority(target: str, authority: str | None) -> None:
    """Which takes the place of the Host field (RFC 9112, section 3.2.2)."""
    try:
        assert parse_target(target).authority == authority
    finally:
        assert (authority is None) == target.startswith("/")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("", "the request target is neither a path nor an http url"),
        ("*", "the request target is neither a path nor an http url"),
        ("a", "the request target is neither a path nor an http url"),
        ("?a", "the request target is neither a path nor an http url"),
        ("%2Fa", "the request target is neither a path nor an http url"),
        ("localhost:8080", "the request target is neither a path nor an http url"),
        ("ftp://h/", "the request target is neither a path nor an http url"),
        ("http:///a", "the request target is neither a path nor an http url"),
        ("http://", "the request target is neither a path nor an http url"),
        ("http:/a", "the request target is neither a path nor an http url"),
        ("http://user@h/", "the request target is neither a path nor an http url"),
        ("http://h#f", "the request target is neither a path nor an http url"),
        ("http://h\\evil/", "the request target is neither a path nor an http url"),
        ("http://ü/", "the request target is neither a path nor an http url"),
        ("/a b", "the request target holds the character U+0020"),
        ("/a?b c", "the request target holds the character U+0020"),
        ("/a\r\nX: y", "the request target holds the character U+000D"),
        ("/\0", "the request target holds the character U+0000"),
        ("/\x7f", "the request target holds the character U+007F"),
        ("/%", 'the path holds a "%" that no two hexadecimal digits follow'),
        ("/%4", 'the path holds a "%" that no two hexadecimal digits follow'),
        ("/%zz", 'the path holds a "%" that no two hexadecimal digits follow'),
        ("/%\uff11\uff11", 'the path holds a "%" that no two hexadecimal digits follow'),
        ("/\ud800", "the request target does not come from bytes"),
        ("/?\ud800", "the request target does not come from bytes"),
    ],
)
def test_targets_that_mean_nothing_here(target: str, words: str) -> None:
    """They are refused, with the reason."""
    with pytest.raises(InvalidTargetError, match=f"^{re.escape(words)}$"):
        parse_target(target)


@pytest.mark.parametrize(
    ("path", "own", "query", "sent"),
    [
        ("/a", "", None, "/a"),
        ("/a", "", "", "/a?"),
        ("/a", "k=v", None, "/a?k=v"),
        ("/a", "k=v", "", "/a?k=v"),
        ("/a", "k=v", "x=1", "/a?k=v&x=1"),
        ("", "", None, "/"),
        ("a", "", None, "/a"),
        ("//a", "", None, "/%2Fa"),
    ],
)
def test_both_queries_and_odd_paths(path: str, own: str, query: str | None, sent: str) -> None:
    """The upstream's query goes first; what a matcher made of the path still begins with one slash."""
    assert upstream_target(path, own, query) == sent


PIECES = st.lists(
    st.sampled_from(
        ["/", "//", ".", "..", "%2e", "%2F", "%", "%00", "a", "?", "#", " ", "\r\n", "\\", "ü", "\udc80"]
    )
    | st.characters(),
    max_size=20,
).map("".join)


@given(PIECES | PIECES.map("/{}".format) | PIECES.map("http://h/{}".format))
def test_whatever_comes_in_what_goes_out_is_safe(target: str) -> None:
    """One line, one token, the same bytes in the path; and a redirection leads to what is clean."""
    try:
        parsed = parse_target(target)
    except InvalidTargetError:
        return
    sent_to = redirection(parsed)
    if sent_to is None:
        sent = upstream_target(parsed.path, "", parsed.query)
        assert SAFE.fullmatch(sent)
        received = parsed.path.encode("utf-8", "surrogateescape")
        assert unquote_to_bytes(sent.partition("?")[0]) == received
        assert not re.search(rb"/\.\.?(/|$)", received)
    else:
        assert SAFE.fullmatch(sent_to)
        assert not sent_to.startswith("//")
        again = parse_target(sent_to)
        assert again.path != parsed.path or again.raw_path != parsed.raw_path
        further = redirection(again)
        assert further is None or redirection(parse_target(further)) is None

"""Which Origin and which Host are welcome."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_upstream.access import Access, Origin, host_of, own_names

ACCESS = Access(
    own_names=own_names("Workshop.lan"),
    allowed=frozenset({Origin.parse("https://demo.example"), Origin.parse("http://other.example:8080")}),
)


@pytest.mark.parametrize(
    ("origin", "addressed"),
    [
        ("http://localhost:8080", "localhost:8080"),
        ("http://localhost:3000", "localhost:8080"),
        ("https://LOCALHOST", "localhost:9090"),
        ("http://app.localhost:8080", "app.localhost:8080"),
        ("http://127.0.0.1:8080", "localhost:9090"),
        ("http://127.8.9.1", "localhost:9090"),
        ("http://[::1]:9090", "localhost:9090"),
        ("http://[::ffff:127.0.0.1]", "localhost:9090"),
        ("http://192.168.1.5:8080", "192.168.1.5:8080"),
        ("http://192.168.1.5:8080", "10.1.1.1, 192.168.1.5"),
        ("http://[fd00::2]:8080", "[fd00::2]:8080"),
        ("http://workshop.lan:8080", "workshop.lan:8080"),
        ("http://workshop:8080", "WORKSHOP:8080"),
        ("http://workshop.local:8080", "workshop.local:8080"),
        ("https://demo.example", "localhost:9090"),
        ("https://demo.example:443", "localhost:9090"),
        ("http://other.example:8080", "localhost:9090"),
    ],
)
def test_welcome_origins(origin: str, addressed: str) -> None:
    """This machine, the address that the browser addressed, and what was allowed."""
    assert ACCESS.refuse_origin([origin], [addressed]) is None


@pytest.mark.parametrize(
    ("origin", "addressed"),
    [
        ("http://evil.example", "localhost:9090"),
        ("http://evil.example:8080", "evil.example:8080"),  # rebound: its name points here
        ("http://localhost.evil.example", "localhost.evil.example"),
        ("http://127.0.0.1.evil.example", "127.0.0.1.evil.example"),
        ("http://notlocalhost", "notlocalhost"),
        ("http://192.168.1.6:8080", "192.168.1.5:8080"),
        ("http://192.168.1.6:8080", ""),
        ("http://workshop.lan:8080", "localhost:8080"),
        ("http://demo.example", "localhost:9090"),
        ("https://demo.example:8443", "localhost:9090"),
        ("http://other.example", "localhost:9090"),
        ("null", "localhost:9090"),
        ("", "localhost:9090"),
        ("file://", "localhost:9090"),
        ("chrome-extension://abcdef", "localhost:9090"),
        ("http://localhost:8080/", "localhost:8080"),
        ("http://user@localhost:8080", "localhost:8080"),
        ("http://localhost@evil.example", "localhost:8080"),
        ("http://localhost:8080 http://evil.example", "localhost:8080"),
        ("ws://localhost:8080", "localhost:8080"),
    ],
)
def test_foreign_origins(origin: str, addressed: str) -> None:
    """Another site, a rebound name, and what is no web origin."""
    assert ACCESS.refuse_origin([origin], [addressed])


def test_no_origin_is_welcome() -> None:
    """Who sends no Origin is not a browser."""
    assert ACCESS.refuse_origin([], ["evil.example"]) is None


def test_every_origin_counts() -> None:
    """A second Origin does not hide behind a welcome first one."""
    assert ACCESS.refuse_origin(["http://localhost", "http://evil.example"], ["localhost"])


def test_a_refusal_names_the_cure() -> None:
    """Whoever owns the refused name learns what to do."""
    refusal = ACCESS.refuse_origin(["https://mine.example:8443"], ["localhost"])
    assert refusal is not None
    assert "--allow-origin https://mine.example:8443" in refusal


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["localhost:9090"],
        ["127.0.0.1"],
        ["[::1]:9090"],
        ["192.168.1.5:8080"],
        ["workshop.local"],
        ["demo.example"],
        ["localhost:9090", "192.168.1.5:8080"],
        ["localhost:9090", "demo.example, 10.0.0.1"],
    ],
)
def test_welcome_hosts(values: list[str]) -> None:
    """This machine's names and addresses, and the hosts of allowed origins."""
    assert ACCESS.refuse_host(values) is None


@pytest.mark.parametrize(
    "values",
    [
        ["evil.example"],
        ["evil.example:9090"],
        ["evil.example", "localhost:9090"],  # a rebound page can add an X-Forwarded-Host
        ["localhost:9090", "evil.example"],
        ["localhost:9090", "localhost, evil.example"],
        ["localhost, "],
        [""],
        ["local host"],
        ["localhost:9090/x"],
    ],
)
def test_foreign_hosts(values: list[str]) -> None:
    """A name that may have been rebound is refused wherever it stands, and so is what is no host."""
    assert ACCESS.refuse_host(values)


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    """Whatever a header holds, the judgement is an answer and never an exception."""
    assert ACCESS.refuse_origin([text], [text]) is None or ACCESS.refuse_origin([text], [text])
    assert ACCESS.refuse_host([text]) is None or ACCESS.refuse_host([text])
    assert (host_of(text) is None) or ACCESS.refuse_host([text]) != f"The host {text!r} is not one."


@pytest.mark.parametrize("text", ["", "*", "demo.example", "ftp://demo.example", "https://demo.example/"])
def test_what_is_no_origin(text: str) -> None:
    """An origin is scheme, host and perhaps a port, and the message says how to write it."""
    with pytest.raises(ValueError, match="write it as https://"):
        Origin.parse(text)


def test_own_names() -> None:
    """A machine without a name has none; one with a name has it in three forms."""
    assert own_names("") == frozenset()
    assert own_names("Box.lan.") == {"box.lan", "box", "box.local"}

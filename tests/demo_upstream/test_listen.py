"""Addresses in words, and the sockets behind them."""

import errno
import socket
from contextlib import ExitStack

import pytest

from demo_upstream import listen
from demo_upstream.listen import Addr, ListenError, bind, parse_addr


def _names(sockets: list[socket.socket]) -> list[tuple[str, int]]:
    """The addresses of `sockets`, which are closed."""
    names = [sock.getsockname()[:2] for sock in sockets]
    for sock in sockets:
        sock.close()
    return names


@pytest.mark.parametrize(
    ("text", "addr", "url"),
    [
        ("localhost:9090", Addr("localhost", 9090), "http://localhost:9090"),
        ("127.0.0.1:0", Addr("127.0.0.1", 0), "http://127.0.0.1:0"),
        (":9090", Addr("", 9090), "http://localhost:9090"),
        ("0.0.0.0:9090", Addr("0.0.0.0", 9090), "http://localhost:9090"),
        ("[::1]:9090", Addr("::1", 9090), "http://[::1]:9090"),
        ("[::]:9090", Addr("::", 9090), "http://localhost:9090"),
    ],
)
def test_addresses(text: str, addr: Addr, url: str) -> None:
    """Each form is read, written back, and has a URL for a browser on this machine."""
    assert parse_addr(text) == addr
    assert str(addr) == text
    assert addr.url == url


@pytest.mark.parametrize("text", ["", "localhost", "9090", "::1:9090", "localhost:x", "a b:1", "http://x:1"])
def test_what_is_no_address(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(ValueError, match="write it as localhost:9090"):
        parse_addr(text)


def test_a_port_alone_is_understood() -> None:
    """Whoever gives a port alone is shown the address it was meant to be."""
    with pytest.raises(ValueError, match="did you mean localhost:9090"):
        parse_addr("9090")


def test_there_is_no_port_65536() -> None:
    """The highest port is told."""
    with pytest.raises(ValueError, match="the highest is 65535"):
        parse_addr("localhost:65536")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_localhost_is_both_families_on_one_port() -> None:
    """Port 0 becomes the same free port on 127.0.0.1 and ::1."""
    (four, port), (six, same) = _names(bind(Addr("localhost", 0)))
    assert (four, six) == ("127.0.0.1", "::1")
    assert port == same != 0


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_taken_on_either_family(host: str) -> None:
    """A stranger on one family is told, and nothing stays bound on the other."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as stranger:
        stranger.bind((host, 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(ListenError, match=f"localhost:{port}: another program has that port.*--addr"):
            bind(Addr("localhost", port))
        other, family = ("127.0.0.1", socket.AF_INET) if ":" in host else ("::1", socket.AF_INET6)
        with socket.socket(family) as free:
            free.bind((other, port))


def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system knows no IPv6 sockets, localhost is 127.0.0.1 alone."""
    real = socket.socket

    def four_alone(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, kind)

    monkeypatch.setattr(socket, "socket", four_alone)
    sockets = bind(Addr("localhost", 0))
    monkeypatch.undo()
    assert [host for host, _ in _names(sockets)] == ["127.0.0.1"]


def test_an_address_that_is_not_ours() -> None:
    """An address of TEST-NET-3 (RFC 5737) belongs to no machine."""
    with pytest.raises(ListenError, match="not an address of this machine"):
        bind(Addr("203.0.113.1", 0))


def test_a_name_that_nobody_knows() -> None:
    """A name under .invalid (RFC 2606) is known nowhere."""
    with pytest.raises(ListenError, match="is not known here"):
        bind(Addr("nobody.invalid", 0))


def test_port_0_finds_a_port_that_is_free_on_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that turns out to be taken on the second family is given up for another."""
    tries: list[int] = []
    real = listen._bind

    def taken_at_first(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        if family == socket.AF_INET6:
            tries.append(port)
            if len(tries) < 3:
                raise OSError(errno.EADDRINUSE, "Address already in use")
        return real(family, host, port)

    monkeypatch.setattr(listen, "_bind", taken_at_first)
    with ExitStack() as stack:
        sockets = [stack.enter_context(sock) for sock in bind(Addr("localhost", 0))]
        assert len(tries) == 3
        assert sockets[0].getsockname()[1] == tries[-1]

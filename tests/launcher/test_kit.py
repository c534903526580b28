"""What `up` is about to start, and what is to be said about it."""

import os
import sys
from pathlib import Path

import pytest

from gateway.config import ConfigError, parse_upstream
from launcher.kit import GATEWAY, UPSTREAM, Address, KitError, Options, opener, plan
from tests.launcher import records

READY = records.ready()

CONFIG = """
apiVersion: core/v1
kind: Entrypoint
spec:
  runners:
    - apiVersion: core/v1
      kind: HTTPServer
---
apiVersion: core/v1
kind: HTTPServer
spec:
  addr: "{addr}"
  virtualHosts:
    - handlers:
        - handler:
            apiVersion: core/v1
            kind: ReverseProxyHandler
---
apiVersion: core/v1
kind: ReverseProxyHandler
spec:
  loadBalancers:
    - pathMatcher:
        match: "/"
        matchType: Prefix
      upstreams:
        - url: {url}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of one's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(addr: str = "localhost:8080", url: str = "http://localhost:9090") -> Path:
    """Write a config, and return its path."""
    path = Path("my.yaml")
    path.write_text(CONFIG.format(addr=addr, url=url))
    return path


def test_the_packaged_config_starts_both() -> None:
    """Without anything said, both children start, and the way leads from one to the other."""
    kit = plan(Options())
    assert [part.name for part in kit.parts] == [UPSTREAM, GATEWAY]
    assert kit.part(GATEWAY).command == (
        *(sys.executable, "-P", "-m", "gateway", "-f", str(kit.config.path), "--watch"),
        *("--frames", "json"),
    )
    assert kit.part(UPSTREAM).command[-2:] == ("--addr", "localhost:9090")
    assert kit.bypassed is None
    assert kit.reachable(READY) == [
        "other machines can reach the gateway: port 8080 is open on every interface"
    ]
    assert "aileron-demo init" in kit.part(GATEWAY).cure


def test_options_go_to_the_child_that_they_concern() -> None:
    """The gateway hears of the log, the upstream of origins and its address."""
    kit = plan(
        Options(
            config=write(),
            upstream_addr="127.0.0.1:9191",
            preview=100,
            frame_rate=0,
            show_secrets=True,
            allow_origin=("https://a.example", "https://b.example"),
        )
    )
    assert kit.part(GATEWAY).command[9:] == ("--preview", "100", "--frame-rate", "0", "--show-secrets")
    assert kit.part(UPSTREAM).command[4:] == (
        *(
            "--addr",
            "127.0.0.1:9191",
            "--allow-origin",
            "https://a.example",
            "--allow-origin",
            "https://b.example",
        ),
    )
    assert kit.part(GATEWAY).cure == "change addr in my.yaml"
    assert "--upstream-addr 127.0.0.1:9192" in kit.part(UPSTREAM).cure


def test_no_upstream() -> None:
    """The gateway alone, and nothing said about an upstream that is not there."""
    kit = plan(Options(config=write(url="http://elsewhere:80"), no_upstream=True))
    assert [part.name for part in kit.parts] == [GATEWAY]
    assert kit.bypassed is None


@pytest.mark.parametrize(
    ("addr", "url", "receives"),
    [
        ("localhost:9090", "http://localhost:9090", True),
        ("localhost:9090", "http://127.0.0.1:9090/path", True),
        ("localhost:9090", "http://[::1]:9090", True),
        (":9090", "http://localhost:9090", True),
        ("0.0.0.0:9090", "http://127.0.0.1:9090", True),
        ("localhost:9090", "http://localhost:9091", False),
        ("localhost:9090", "https://localhost:9090", False),
        ("localhost:9090", "https://echo.websocket.org/", False),
        ("192.0.2.1:9090", "http://localhost:9090", False),
        ("192.0.2.1:9090", "http://192.0.2.1:9090", True),
        ("localhost:80", "http://localhost", True),
    ],
)
def test_whether_the_config_leads_to_the_upstream(addr: str, url: str, receives: bool) -> None:
    """It is said when what the config sends does not arrive at the demo upstream."""
    kit = plan(Options(config=write(addr="localhost:1", url=url), upstream_addr=addr))
    assert (kit.bypassed is None) is receives
    if kit.bypassed:
        assert parse_upstream(url).url in kit.bypassed


@pytest.mark.parametrize(
    ("addr", "reachable"),
    [
        (":8080", True),
        ("0.0.0.0:8080", True),
        ("[::]:8080", True),
        ("192.0.2.1:8080", True),
        ("localhost:8080", False),
        ("127.0.0.1:8080", False),
        ("127.9.9.9:8080", False),
        ("[::1]:8080", False),
    ],
)
def test_what_other_machines_can_reach(addr: str, reachable: bool) -> None:
    """It is said when something listens on more than this machine's own addresses; the same for both."""
    assert bool(plan(Options(config=write(addr=addr))).reachable(READY)) is reachable
    kit = plan(Options(config=write("localhost:1"), upstream_addr=addr))
    assert any("upstream" in each for each in kit.reachable(READY)) is reachable


def test_a_port_that_the_system_chose() -> None:
    """Where any port would do, the one that it became is told."""
    kit = plan(Options(config=write(addr=":0"), no_upstream=True))
    (told,) = kit.reachable(records.ready(["http://localhost:41234"], upstream=None))
    assert "port 41234 is open on every interface" in told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(config=Path("none.yaml")), "none.yaml: no such file"),
        (Options(config=Path()), "is a folder"),
        (Options(config=Path(os.devnull)), "is no regular file"),
        (Options(upstream_addr="9090"), "--upstream-addr 9090: .* as in localhost:9090$"),
        (Options(upstream_addr="name"), "as in name:9090$"),
        (Options(upstream_addr="[::1]"), r"as in \[::1\]:9090$"),
        (Options(upstream_addr=""), "as in localhost:9090$"),
        (Options(upstream_addr="http://localhost:9191/"), "without http://, as in localhost:9191$"),
        (Options(upstream_addr="https://name"), "without https://, as in name:9090$"),
        (Options(upstream_addr="localhost:99999"), "out of range"),
        (Options(upstream_addr="localhost:8080"), "port 8080 is wanted twice"),
    ],
)
def test_what_cannot_be_started(options: Options, words: str) -> None:
    """It is refused before anything runs, with what would be right."""
    with pytest.raises(KitError, match=words):
        plan(options)


@pytest.mark.parametrize(
    ("addr", "url"), [("localhost:8080", "http://localhost:8080"), (":8080", "http://127.0.0.1:8080/x")]
)
def test_a_gateway_that_would_send_to_itself(addr: str, url: str) -> None:
    """A loop is refused, with or without the demo upstream; the message names both ends of it."""
    path = write(addr, url)
    for no_upstream in (False, True):
        with pytest.raises(KitError, match=rf'url http://[\w.]+:8080, .* \(addr "{addr}"\)'):
            plan(Options(config=path, no_upstream=no_upstream))


def test_a_config_that_starts_no_server() -> None:
    """It is refused at once: nothing would ever be ready."""
    path = write()
    path.write_text("apiVersion: core/v1\nkind: Entrypoint\n")
    with pytest.raises(
        KitError, match=r"my\.yaml: the config starts no server; list one under spec\.runners"
    ):
        plan(Options(config=path))


def test_a_wrong_config_is_the_configs_own_error() -> None:
    """Its problems come with file, line and column."""
    path = write()
    path.write_text(path.read_text().replace("upstreams", "upsteams"))
    with pytest.raises(ConfigError, match=r"my\.yaml:26:7: .*upsteams"):
        plan(Options(config=path))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (Address(None, 8080), "localhost:8080"),
        (Address("::", 8080), "localhost:8080"),
        (Address("::1", 8080), "[::1]:8080"),
        (Address("name", 8080), "name:8080"),
    ],
)
def test_addresses_in_words(address: Address, words: str) -> None:
    """An address is shown as this machine reaches it."""
    assert str(address) == words


def test_the_browser_is_opened_by_a_process_of_its_own() -> None:
    """The url is an argument, and no part of any code."""
    assert opener("http://localhost:8080/")[-1] == "http://localhost:8080/"

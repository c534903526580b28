"""The config.yaml that comes with the kit."""

from pathlib import Path

import pytest
import yaml

from gateway.loading import load

CONFIG = Path(__file__).parents[3] / "config.yaml"


def test_it_is_the_examples_with_the_demo_upstream() -> None:
    """A gateway on 8080, everything to localhost:9090."""
    config = load([CONFIG], {}).config
    assert [server.spec.addr for server in config.servers] == [":8080"]
    assert [upstream.url for upstream in config.upstreams] == ["http://localhost:9090"]


def test_it_loads_in_the_real_aileron() -> None:
    """Which cuts files blindly and looks for variables even in comments (core-v1, section 2)."""
    text = CONFIG.read_text(encoding="utf-8")
    assert "${" not in text
    assert "\r" not in text
    assert "---" not in text.replace("\n---\n", "\n")
    pieces = [yaml.safe_load(piece) for piece in text.split("---\n")]
    assert [(piece["apiVersion"], piece["kind"]) for piece in pieces] == [
        ("core/v1", "Entrypoint"),
        ("core/v1", "HTTPServer"),
        ("core/v1", "ReverseProxyHandler"),
    ]


@pytest.mark.parametrize(
    ("right", "other", "addr", "upstream"),
    [
        ('":8080"', '"localhost:8080"', "localhost:8080", "http://localhost:9090"),
        ("http://localhost:9090", "https://echo.websocket.org/", ":8080", "https://echo.websocket.org"),
    ],
)
def test_what_its_comments_promise(tmp_path: Path, right: str, other: str, addr: str, upstream: str) -> None:
    """Another address and another upstream are one change each."""
    text = CONFIG.read_text(encoding="utf-8")
    assert text.count(right) == 1
    path = tmp_path / "config.yaml"
    path.write_text(text.replace(right, other), encoding="utf-8")
    config = load([path], {}).config
    assert (config.servers[0].spec.addr, config.upstreams[0].url) == (addr, upstream)

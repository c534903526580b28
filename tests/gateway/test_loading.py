"""Files → all that a gateway is made of, or what is wrong with them."""

from pathlib import Path

import pytest

from gateway.config import ConfigError
from gateway.loading import inspect, load, resources
from tests.gateway.config.samples import ENTRYPOINT, GOOD, PROXY, SERVER, spoiled

SECOND = SERVER.replace("kind: HTTPServer\n", "kind: HTTPServer\nmetadata: {name: second}\n", 1)
RUNNER = "    - {apiVersion: core/v1, kind: HTTPServer, name: second}\n"


def written(folder: Path, content: str) -> Path:
    """A config.yaml with this content."""
    path = folder / "config.yaml"
    path.write_text(content)
    return path


def test_each_server_is_a_site(tmp_path: Path) -> None:
    """In the Entrypoint's order; a handler that both lead to is one."""
    content = ENTRYPOINT + RUNNER + SECOND.replace(":8080", ":8081") + SERVER + PROXY
    loaded = load([written(tmp_path, content)], {})
    assert [site.server.metadata.name for site in loaded.sites] == ["default", "second"]
    assert [site.tls for site in loaded.sites] == [None, None]
    first, second = (site.routes.entries[0].value.handler for site in loaded.sites)
    assert first is not None
    assert first is second


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Of routes, of matchers and of TLS, by position."""
    content = (
        GOOD.replace(
            "  addr", "  httpConfig: {listenConfig: {tlsConfig: {certKeyPairs: [{certFile: a}]}}}\n  addr"
        )
        .replace("- handler:", "- pattern: /{x\n          handler:")
        .replace('match: "/"\n        matchType: Prefix', "match: (\n        matchType: Regex")
    )
    loading = inspect([written(tmp_path, content)], {})
    assert loading.loaded is None
    assert [(each.line, each.rule, each.severity) for each in loading.problems] == [
        (11, "tls", "error"),
        (15, "route", "error"),
        (25, "pattern", "error"),
    ]
    assert all(each.resource for each in loading.problems)


def test_warnings_do_not_keep_a_config_from_being_loaded(tmp_path: Path) -> None:
    """They come along."""
    path = written(tmp_path, spoiled("http://localhost:9090", "http://localhost:9090/path"))
    loading = inspect([path], {})
    assert loading.loaded is not None
    assert [each.rule for each in loading.problems] == ["ignored-path"]
    assert loading.files == (str(path),)
    assert loading.sources[str(path)][25] == "        - url: http://localhost:9090/path"
    assert len(load([path], {}).sites) == 1


def test_an_error_shows_the_lines_that_are_meant(tmp_path: Path) -> None:
    """It has those of the files."""
    path = written(tmp_path, spoiled("upstreams", "upsteams"))
    with pytest.raises(ConfigError) as error:
        load([path], {})
    assert [each.line for each in error.value.problems] == [25]
    assert error.value.sources[str(path)][24] == "      upsteams:"


def test_variables_come_from_the_environment(tmp_path: Path) -> None:
    """And go into it."""
    environment = {"PORT": "7000"}
    path = written(tmp_path, spoiled("9090", "${PORT}\n          weight: ${W:=3}"))
    assert load([path], environment).config.upstreams[0].port == 7000
    assert environment == {"PORT": "7000", "W": "3"}


def test_resources_need_no_entrypoint(tmp_path: Path) -> None:
    """Nor does what they refer to have to be there."""
    found, problems = resources([written(tmp_path, SERVER)], {})
    assert list(found) == [("core/v1", "HTTPServer", "default", "default")]
    assert problems == ()
    found, problems = resources([tmp_path / "none.yaml"], {})
    assert (dict(found), [each.rule for each in problems]) == ({}, ["unreadable"])

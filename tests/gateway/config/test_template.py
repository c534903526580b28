"""What `aileron -t` prints: everything, and nothing that would not load again."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import HTTPServer, ReverseProxyHandler
from gateway.config.resources import KINDS, Resource
from gateway.config.template import data_of, defaults, json_of, yaml_of

from .samples import ENTRYPOINT, GOOD, loaded, spoiled


def test_the_defaults_of_an_entrypoint() -> None:
    """Its name is always the same (core-v1, section 3); empty lists and messages are printed."""
    assert yaml_of(data_of(defaults("Entrypoint"))) == (
        """\
apiVersion: core/v1
kind: Entrypoint
metadata:
  errorHandler: ""
  logger: ""
  name: ".entrypoint"
  namespace: ".entrypoint"
spec:
  defaultErrorHandler: null
  defaultLogger: null
  errorHandlers: []
  finalizers: []
  initializers: []
  loggers: []
  runners: []"""
    )


def test_the_defaults_of_a_server() -> None:
    """Numbers of 64 bits are strings, smaller ones are not; what is refused is empty."""
    data = json.loads(json_of(data_of(defaults("HTTPServer"))))
    assert list(data) == ["apiVersion", "kind", "metadata", "spec"]
    assert (data["metadata"]["namespace"], data["metadata"]["name"]) == ("default", "default")
    assert data["spec"] == {
        "addr": ":8080",
        "shutdownTimeout": 30,
        "httpConfig": {
            "enableGeneralOptionsHandler": False,
            "readTimeout": "30",
            "readHeaderTimeout": "30",
            "writeTimeout": "30",
            "idleTimeout": "10",
            "maxHeaderBytes": 8192,
            "disableKeepAlive": False,
            "listenConfig": None,
            "altSvc": "",
            "allowHTTP2": False,
        },
        "http2Config": None,
        "http3Config": None,
        "middleware": [],
        "virtualHosts": [],
        "enableProfile": False,
        "enableExpvar": False,
    }
    assert list(data["spec"])[:3] == ["addr", "shutdownTimeout", "httpConfig"]


def test_a_loaded_resource() -> None:
    """What the file says, merged with the defaults; enums by name, nested lists below each other."""
    config = loaded(spoiled("- pathMatcher", "- methods: [GET, 3]\n      pathMatcher"))
    (proxy,) = (each for each in config.resources.values() if isinstance(each, ReverseProxyHandler))
    text = yaml_of(data_of(proxy))
    assert "\n".join(text.split("\n")[7:]) == (
        """\
spec:
  loadBalancers:
    - hasher: null
      headerMatchers: []
      hosts: []
      lbAlgorithm: RoundRobin
      methods:
        - GET
        - POST
      pathMatcher:
        appendPrefix: ""
        match: /
        matchType: Prefix
        rewrite: ""
        trimPrefix: ""
      pathMatchers: []
      pathParamMatchers: []
      queryMatchers: []
      upstreams:
        - enableActive: false
          enablePassive: false
          healthCheckAddr: ""
          healthCheckInterval: 0
          initialDelay: 0
          url: http://localhost:9090
          weight: 1
  methods: []
  patterns: []
  roundTripper: null
  tripperwares: []"""
    )


ERRORS = """\
---
apiVersion: core/v1
kind: ErrorHandler
spec:
  errorMessages: [{headerTemplate: {X-A: "{{status}}", "yes": ""}, mimeContents: [{mimeType: a/b}]}]
"""


def resources() -> list[Resource]:
    """Each kind's defaults, and some that were loaded."""
    return [*map(defaults, KINDS), *loaded(GOOD + ERRORS).resources.values()]


@pytest.mark.parametrize("resource", resources(), ids=lambda each: each.label)
def test_what_is_printed_loads_again(resource: Resource) -> None:
    """In both formats, as the same resource: nothing of it is refused."""
    before = "" if resource.kind == "Entrypoint" else ENTRYPOINT.partition("spec")[0] + "---\n"
    after = GOOD[len(ENTRYPOINT) :] if resource.kind == "Entrypoint" else ""
    for text in (yaml_of(data_of(resource)), json_of(data_of(resource))):
        assert yaml.safe_load(text) == data_of(resource)
        again = list(loaded(f"{before}{text}\n{after}").resources.values())[1 if before else 0]
        assert again.spec == resource.spec


def test_a_server_is_written_as_it_was() -> None:
    """The address and all, with other numbers than the defaults."""
    content = spoiled("  addr", "  httpConfig: {readTimeout: -1, maxHeaderBytes: 5}\n  addr")
    (server,) = loaded(content).servers
    assert isinstance(server, HTTPServer)
    config: Any = data_of(server)["spec"]["httpConfig"]
    assert (config["readTimeout"], config["maxHeaderBytes"]) == ("-1", 5)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("aynot/:.# -\"'\n", max_size=9), inner),
    max_leaves=9,
)


@given(st.dictionaries(st.text("abc"), VALUES) | st.dictionaries(st.text("yesno", max_size=3), VALUES))
def test_any_data_is_read_as_it_was(data: dict[str, Any]) -> None:
    """By a reader that knows all of YAML, and makes numbers and booleans of what looks like them."""
    assert yaml.safe_load(yaml_of(data) or "{}") == data


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    """Values come as they are, controls among them as escapes; what comes back is the same."""
    data = {"a": "\x1b[2J\x9b2J\u202e\u2028é日\U000e0041", "\x85": ["\x7f"]}
    for text in (json_of(data), yaml_of(data)):
        assert all(each.isprintable() for each in text.split("\n"))
        assert "é日" in text
    assert json.loads(json_of(data)) == yaml.safe_load(yaml_of(data)) == data

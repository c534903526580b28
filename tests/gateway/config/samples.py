"""A config to spoil, and what loading says of it."""

from gateway.config import Config, ConfigError
from gateway.config.documents import parse
from gateway.config.graph import link
from gateway.config.problems import tidy

ENTRYPOINT = """\
apiVersion: core/v1
kind: Entrypoint
spec:
  runners:
    - apiVersion: core/v1
      kind: HTTPServer
"""
SERVER = """\
---
apiVersion: core/v1
kind: HTTPServer
spec:
  addr: ":8080"
  virtualHosts:
    - handlers:
        - handler:
            apiVersion: core/v1
            kind: ReverseProxyHandler
"""
PROXY = """\
---
apiVersion: core/v1
kind: ReverseProxyHandler
spec:
  loadBalancers:
    - pathMatcher:
        match: "/"
        matchType: Prefix
      upstreams:
        - url: http://localhost:9090
"""
GOOD = ENTRYPOINT + SERVER + PROXY


def spoiled(right: str, wrong: str) -> str:
    """The good config with the first `right` replaced."""
    assert right in GOOD
    return GOOD.replace(right, wrong, 1)


def loaded(content: str | bytes) -> Config:
    """What a file config.yaml with this content stands for.  Raises ConfigError."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    reading = parse("config.yaml", data)
    problems = list(reading.problems)
    config = link(reading.documents, problems, files=["config.yaml"])
    if config is None:
        raise ConfigError(problems)
    return config


def warned(content: str) -> list[str]:
    """All that is said of a file config.yaml with this content, warnings as well, as it is printed."""
    reading = parse("config.yaml", content.encode())
    problems = list(reading.problems)
    link(reading.documents, problems, files=["config.yaml"])
    return [str(problem) for problem in tidy(problems)]


def told(content: str | bytes) -> list[str]:
    """The problems of a file config.yaml with this content, as they are printed."""
    try:
        loaded(content)
    except ConfigError as error:
        return str(error).split("\n")
    return []

"""config.yaml: text → typed resources.  Pure, but for reading files.

    documents.py    files → YAML documents, as nodes that know where they stand
    syntax.py       what a YAML parser complains of, in words for people
    decoding.py     nodes → typed values; names, defaults and types by protojson's rules
    hints.py         what was probably meant by a value that is none
    addresses.py    listen addresses and upstream urls
    resources.py    Entrypoint, HTTPServer, ReverseProxyHandler, field for field
    graph.py        references followed from the Entrypoint: `load`
    problems.py     what is wrong, where, and what would be right

`load` gives a `Config` or raises a `ConfigError`, which tells every problem at once.
"""

from gateway.config.addresses import Upstream, host_port, is_loopback, parse_addr, parse_upstream
from gateway.config.graph import Config, load
from gateway.config.problems import ConfigError, Problem
from gateway.config.resources import (
    Entrypoint,
    HTTPServer,
    LoadBalancerSpec,
    MatchType,
    PathMatcherSpec,
    Reference,
    Resource,
    ReverseProxyHandler,
    UpstreamSpec,
)

__all__ = [
    "Config",
    "ConfigError",
    "Entrypoint",
    "HTTPServer",
    "LoadBalancerSpec",
    "MatchType",
    "PathMatcherSpec",
    "Problem",
    "Reference",
    "Resource",
    "ReverseProxyHandler",
    "Upstream",
    "UpstreamSpec",
    "host_port",
    "is_loopback",
    "load",
    "parse_addr",
    "parse_upstream",
]

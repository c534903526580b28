"""config.yaml: text → typed resources.  Pure, but for reading files.

documents.py    files → YAML documents, as nodes that know where they stand
composing.py    text → such nodes, in bounds
substitution.py ${VARIABLES} in a text, replaced
envfile.py      env files → environment variables
syntax.py       what a YAML parser complains of, in words for people
decoding.py     nodes → typed values; names, defaults and types by protojson's rules
hints.py        what was probably meant by a value that is none
addresses.py    listen addresses and upstream urls
resources/      the kinds of core/v1, field for field
graph.py        references followed from the Entrypoint: `link`
template.py     resources → all that they say, as YAML and JSON
schema.py       the models → JSON Schema, for editors
problems.py     what is wrong, where, and what would be right
"""

from gateway.config.addresses import (
    Address,
    Upstream,
    host_port,
    is_loopback,
    parse_addr,
    parse_upstream,
)
from gateway.config.graph import Config, Id, collect, id_of, link, target_of
from gateway.config.problems import ConfigError, Problem
from gateway.config.resources import (
    Entrypoint,
    ErrorHandler,
    HTTPHandler,
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
    "Address",
    "Config",
    "ConfigError",
    "Entrypoint",
    "ErrorHandler",
    "HTTPHandler",
    "HTTPServer",
    "Id",
    "LoadBalancerSpec",
    "MatchType",
    "PathMatcherSpec",
    "Problem",
    "Reference",
    "Resource",
    "ReverseProxyHandler",
    "Upstream",
    "UpstreamSpec",
    "collect",
    "host_port",
    "id_of",
    "is_loopback",
    "link",
    "parse_addr",
    "parse_upstream",
    "target_of",
]

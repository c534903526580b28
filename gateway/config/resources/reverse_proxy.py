"""ReverseProxyHandler: requests to upstreams (core-v1, section 5)."""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Final

from gateway.config.addresses import Upstream, parse_upstream
from gateway.config.decoding import (
    INT32,
    Boolean,
    Checked,
    Declared,
    Enumeration,
    Integer,
    Message,
    MessageOf,
    Refused,
    Sequence,
    Text,
)
from gateway.config.resources.common import HTTPMethod, MatchType, ResourceBase, methods_decoder

_NO_CLIENT: Final = "requests go upstream in one way, which is AILERON's default; leave this out"
_match_aliases: Final = (("Regex_POSIX", "RegexPOSIX"),)
_path_match: Final = Enumeration(MatchType, MatchType.Prefix, _match_aliases)
_param_match: Final = Enumeration(MatchType, None, _match_aliases)
_url: Final = Checked(parse_upstream, 'write it as in "http://localhost:9090"', re.compile("https?://"))


class LBAlgorithm(IntEnum):
    """How a load balancer chooses among its upstreams, by AILERON's names and numbers."""

    RoundRobin = 0
    Random = 1
    RingHash = 2
    Maglev = 3
    DirectHash = 4


class HashSourceType(IntEnum):
    """What of a request is hashed, by AILERON's names and numbers."""

    ClientAddr = 0
    Header = 1
    Cookie = 2
    Query = 3
    PathParam = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatcherSpec(Message):
    """Which paths a load balancer takes, and what becomes of them."""

    match: Annotated[str, Declared("Match", Text())] = ""
    """What a path is compared with, trimPrefix having been taken off."""
    match_type: Annotated[MatchType, Declared("MatchType", _path_match)] = MatchType.Exact
    """How it is compared."""
    rewrite: Annotated[str, Declared("Rewrite", Text())] = ""
    """With Regex and RegexPOSIX: what becomes of the path; $1 and $name are the groups."""
    trim_prefix: Annotated[str, Declared("TrimPrefix", Text())] = ""
    """Taken off a path that begins with it, before it is compared."""
    append_prefix: Annotated[str, Declared("AppendPrefix", Text())] = ""
    """Put before a path that matched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamMatcherSpec(Message):
    """Which values of a header, a query parameter or a path parameter a load balancer takes."""

    key: Annotated[str, Declared("Key", Text())]
    """The name of the header or parameter; without it in the request, nothing matches."""
    patterns: Annotated[tuple[str, ...], Declared("Patterns", Sequence(Text()))] = ()
    """What the value is compared with; one that matches is enough.  None: nothing matches."""
    match_type: Annotated[MatchType, Declared("MatchType", _param_match)] = MatchType.Exact
    """How it is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSpec(Message):
    """A server that requests are sent to."""

    url: Annotated[str, Declared("URL", _url)]
    """Its scheme, host and port, as http://localhost:9090; a path in it is ignored."""
    weight: Annotated[int, Declared("Weight", Integer(-1, 65535))] = 1
    """Its share of the requests, in proportion to the others'; -1: none at all."""
    enable_passive: Annotated[bool, Declared("EnablePassive", Boolean())] = False
    """Means nothing, neither in AILERON nor here."""
    enable_active: Annotated[bool, Declared("EnableActive", Boolean())] = False
    """Means nothing, neither in AILERON nor here."""
    initial_delay: Annotated[int, Declared("InitialDelay", Integer(*INT32))] = 0
    """Means nothing, neither in AILERON nor here."""
    health_check_interval: Annotated[int, Declared("HealthCheckInterval", Integer(*INT32))] = 0
    """Means nothing, neither in AILERON nor here."""
    health_check_addr: Annotated[str, Declared("HealthCheckAddr", Text())] = ""
    """Means nothing, neither in AILERON nor here."""

    @property
    def upstream(self) -> Upstream:
        """Where its requests are sent to."""
        return parse_upstream(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class HasherSpec(Message):
    """What of a request decides where the hash algorithms send it (`HTTPHasherSpec` in AILERON)."""

    hash_source: Annotated[
        HashSourceType,
        Declared("HashSource", Enumeration(HashSourceType, HashSourceType.ClientAddr)),
    ] = HashSourceType.ClientAddr
    """Where in the request the value stands; ClientAddr is the client's address and port."""
    key: Annotated[str, Declared("Key", Text())] = ""
    """The name of the header, cookie or parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancerSpec(Message):
    """Upstreams that share the requests which all of the matchers take."""

    lb_algorithm: Annotated[
        LBAlgorithm,
        Declared("LBAlgorithm", Enumeration(LBAlgorithm, LBAlgorithm.RoundRobin)),
    ] = LBAlgorithm.RoundRobin
    """How the upstream for a request is chosen."""
    upstreams: Annotated[
        tuple[UpstreamSpec, ...], Declared("Upstreams", Sequence(MessageOf(UpstreamSpec)))
    ] = ()
    """Where the requests are sent to.  None: they get 502."""
    path_matcher: Annotated[PathMatcherSpec | None, Declared("PathMatcher", MessageOf(PathMatcherSpec))] = (
        None
    )
    """The first of the path matchers.  None, and no pathMatchers either: nothing matches."""
    path_matchers: Annotated[
        tuple[PathMatcherSpec, ...], Declared("PathMatchers", Sequence(MessageOf(PathMatcherSpec)))
    ] = ()
    """Which paths are taken; the first that matches decides what becomes of the path."""
    methods: Annotated[tuple[HTTPMethod, ...], Declared("Methods", methods_decoder)] = ()
    """Which methods are taken.  None: all."""
    hosts: Annotated[tuple[str, ...], Declared("Hosts", Sequence(Text(), unique=True))] = ()
    """Which hosts are taken, as in the Host field, with the port that stands there.  None: all."""
    path_param_matchers: Annotated[
        tuple[ParamMatcherSpec, ...], Declared("PathParamMatchers", Sequence(MessageOf(ParamMatcherSpec)))
    ] = ()
    """Which path parameters are taken; all of these have to match."""
    header_matchers: Annotated[
        tuple[ParamMatcherSpec, ...], Declared("HeaderMatchers", Sequence(MessageOf(ParamMatcherSpec)))
    ] = ()
    """Which headers are taken; all of these have to match."""
    query_matchers: Annotated[
        tuple[ParamMatcherSpec, ...], Declared("QueryMatchers", Sequence(MessageOf(ParamMatcherSpec)))
    ] = ()
    """Which query parameters are taken; all of these have to match."""
    hasher: Annotated[HasherSpec | None, Declared("Hasher", MessageOf(HasherSpec))] = None
    """What the hash algorithms hash.  None: the client's address and port."""

    @property
    def all_path_matchers(self) -> tuple[PathMatcherSpec, ...]:
        """`pathMatcher` and `pathMatchers` in the order in which they are tried."""
        first = () if self.path_matcher is None else (self.path_matcher,)
        return first + self.path_matchers


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseProxyHandlerSpec(Message):
    """Load balancers, of which the first that matches takes a request."""

    patterns: Annotated[tuple[str, ...], Declared("Patterns", Sequence(Text(), unique=True))] = ()
    """The paths at which a server mounts this handler.  None: the pattern that the server gives it."""
    methods: Annotated[tuple[HTTPMethod, ...], Declared("Methods", methods_decoder)] = ()
    """The methods for which a server mounts this handler.  None: all."""
    tripperwares: Annotated[tuple[()], Declared("Tripperwares", Refused(_NO_CLIENT, ()))] = ()
    """What AILERON runs around requests to upstreams."""
    round_tripper: Annotated[None, Declared("RoundTripper", Refused(_NO_CLIENT))] = None
    """How AILERON sends requests to upstreams."""
    load_balancers: Annotated[
        tuple[LoadBalancerSpec, ...], Declared("LoadBalancers", Sequence(MessageOf(LoadBalancerSpec)))
    ] = ()
    """Tried in their order; where none matches, the answer is 404."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseProxyHandler(ResourceBase):
    """A handler that sends requests to upstreams."""

    spec: Annotated[ReverseProxyHandlerSpec, Declared("Spec", MessageOf(ReverseProxyHandlerSpec))] = field(
        default_factory=ReverseProxyHandlerSpec
    )
    """The load balancers."""

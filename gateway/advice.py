"""What loads, but may surprise: warnings about a config that has no errors.  Pure.

Each function looks for one kind of surprise, in the resources that are used; its docstring says what AILERON
makes of it, and so does this gateway (core-v1 has the facts).  The `rule` of a warning is its name in
`docs/compatibility.md`.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from gateway.config import (
    Config,
    Entrypoint,
    ErrorHandler,
    HTTPHandler,
    HTTPServer,
    Problem,
    Resource,
    ReverseProxyHandler,
    is_loopback,
    parse_addr,
)
from gateway.config.decoding import Where
from gateway.config.problems import quoted
from gateway.config.resources import (
    HashSourceType,
    LBAlgorithm,
    LoadBalancerSpec,
    MatchType,
    PathMatcherSpec,
    known_methods,
)
from gateway.routing.mux import PatternError, parse_pattern

_STARVING: Final = 100
"""An upstream that gets less than one in so many requests is told of."""

_REGEXES: Final = (MatchType.Regex, MatchType.RegexPOSIX)
_HASHING: Final = (LBAlgorithm.RingHash, LBAlgorithm.Maglev, LBAlgorithm.DirectHash)


def advise(config: Config) -> list[Problem]:
    """Every warning about `config`, in no order."""
    found: list[Problem] = []
    for resource_id, resource in config.resources.items():
        if resource_id not in config.used:
            words = "nothing refers to this resource, so it does nothing"
            found.append(_warning(resource, resource.where, ("kind",), words, "unreferenced"))
        else:
            found += _about(config, resource)
    return found


def _about(config: Config, resource: Resource) -> Iterator[Problem]:
    if resource.metadata.logger:
        words = "this gateway has one log for all, so a logger that is named has no effect"
        yield _warning(resource, resource.metadata.where, ("logger",), words, "no-effect")
    match resource:
        case Entrypoint():
            if not resource.spec.runners:
                words = "runners are not given, so the gateway ends at once"
                yield _warning(resource, resource.where, ("spec",), words, "no-runners")
        case HTTPServer():
            yield from _unused_settings(resource)
            yield from _virtual_hosts(config, resource)
        case HTTPHandler():
            yield from _lost_pattern(config, resource)
        case ReverseProxyHandler():
            for index, spec in enumerate(resource.spec.load_balancers):
                yield from _path_matchers(resource, spec)
                yield from _parameters(config, resource, spec)
                yield from _unreachable(resource, index)
                yield from _upstreams(config, resource, spec)
                yield from _hasher(resource, spec)
                yield from _hosts(config, resource, spec)
        case ErrorHandler():
            yield from _error_messages(resource)


def _unused_settings(server: HTTPServer) -> Iterator[Problem]:
    """Settings that are read and mean nothing for a listener."""
    listen = server.spec.http_config.listen_config
    if listen is None:
        return
    reason = "the HTTP server's own timeouts overrule it at once, so it has no effect"
    for attribute in ("read_deadline", "write_deadline"):
        if getattr(listen, attribute):
            yield _warning(server, listen.where, (attribute,), reason, "no-effect")
    if listen.tls_config is None:
        return
    if not listen.tls_config.cert_key_pairs:
        words = "certKeyPairs are not given, so every TLS handshake fails"
        yield _warning(server, listen.tls_config.where, ("cert_key_pairs",), words, "no-certificate")
    for attribute in (
        "root_cas",
        "server_name",
        "insecure_skip_verify",
        "renegotiation",
        "root_cas_ignore_system_certs",
    ):
        if getattr(listen.tls_config, attribute):
            words = "this concerns TLS clients, and has no effect on a server"
            yield _warning(server, listen.tls_config.where, (attribute,), words, "no-effect")


def _virtual_hosts(config: Config, server: HTTPServer) -> Iterator[Problem]:
    """Virtual hosts that take nothing, and patterns of theirs that lose their trailing slash."""
    if not server.spec.virtual_hosts:
        words = "virtualHosts are not given, so every request gets 404"
        yield _warning(server, server.where, ("spec",), words, "no-routes")
    for host in server.spec.virtual_hosts:
        if not host.handlers:
            words = "a virtual host without handlers answers every request with 404"
            yield _warning(server, host.where, (), words, "no-routes")
        bare = any(
            not each.pattern and not config.proxy(each.handler).spec.patterns for each in host.handlers
        )
        if bare and host.pattern.endswith("/") and host.pattern.strip("/"):
            words = (
                'the "/" at the end of a virtual host\'s pattern is dropped, so only the very path matches; '
                'write it at the end of the handler\'s pattern: pattern: "/" beside handler'
            )
            yield _warning(server, host.where, ("pattern",), words, "lost-slash")
        for mounted in host.handlers:
            proxy = config.proxy(mounted.handler)
            allowed, own = set(known_methods(host.methods)), set(known_methods(proxy.spec.methods))
            if allowed and own and not allowed & own:
                words = (
                    f"no method is both among those of this virtual host and of {proxy.label}, so every "
                    "request gets 404"
                )
                yield _warning(server, host.where, ("methods",), words, "no-methods")


def _lost_pattern(config: Config, handler: HTTPHandler) -> Iterator[Problem]:
    """An HTTPHandler's pattern goes before its handler's own; where there are none, it is lost."""
    inner = config.handler(handler.spec.handler)
    if handler.spec.pattern and not (isinstance(inner, ReverseProxyHandler) and inner.spec.patterns):
        words = (
            "this pattern goes before the patterns of the handler, which has none, so it has no effect; "
            f"write it into patterns of {inner.label}"
        )
        yield _warning(handler, handler.spec.where, ("pattern",), words, "no-effect")


def _path_matchers(handler: ReverseProxyHandler, spec: LoadBalancerSpec) -> Iterator[Problem]:
    """No path matcher: nothing matches.  No matchType: Exact, not Prefix."""
    if not spec.all_path_matchers:
        words = (
            "without a pathMatcher this load balancer takes no request; for all of them write pathMatcher: "
            '{match: "/", matchType: Prefix}'
        )
        yield _warning(handler, spec.where, (), words, "no-path-matcher")
    for matcher in spec.all_path_matchers:
        match = quoted(matcher.match)
        if "match_type" not in matcher.where.values and not matcher.match:
            words = "neither match nor matchType is given, so no path matches"
            yield _warning(handler, matcher.where, (), words, "never-matches")
        elif "match_type" not in matcher.where.values:
            words = (
                f"matchType is not given, which means Exact: only the path {match} itself matches; for all "
                "paths that begin with it write matchType: Prefix"
            )
            yield _warning(handler, matcher.where, ("match",), words, "absent-match-type")
        elif (
            matcher.match_type in (MatchType.Exact, MatchType.Prefix)
            and matcher.match
            and not matcher.match.startswith("/")
            and not matcher.trim_prefix
        ):
            words = f'every path begins with "/", so none matches; write {quoted("/" + matcher.match)}'
            yield _warning(handler, matcher.where, ("match",), words, "never-matches")
        if matcher.rewrite and matcher.match_type not in _REGEXES:
            words = (
                f"rewrite has an effect with Regex and RegexPOSIX alone, not with {matcher.match_type.name}"
            )
            yield _warning(handler, matcher.where, ("rewrite",), words, "no-effect")


def _parameters(config: Config, handler: ReverseProxyHandler, spec: LoadBalancerSpec) -> Iterator[Problem]:
    """Matchers that match nothing: without patterns, or for a path parameter that no route has."""
    for matcher in (*spec.header_matchers, *spec.query_matchers, *spec.path_param_matchers):
        if not matcher.patterns:
            words = "a matcher without patterns matches nothing, so this load balancer takes no request"
            yield _warning(handler, matcher.where, (), words, "no-patterns")
    names = _path_parameters(config, handler)
    for matcher in spec.path_param_matchers:
        if matcher.key not in names:
            words = _no_parameter(matcher.key, names)
            yield _warning(handler, matcher.where, ("key",), words, "unknown-parameter")
    hasher = spec.hasher
    by_parameter = hasher is not None and hasher.hash_source is HashSourceType.PathParam
    if hasher is not None and by_parameter and hasher.key and hasher.key not in names:
        words = _no_parameter(hasher.key, names)
        yield _warning(handler, hasher.where, ("key",), words, "unknown-parameter")


def _no_parameter(key: str, names: Sequence[str]) -> str:
    there = f"; there is {', '.join(names)}" if names else f', as in "/users/{{{key}}}"'
    return f"no pattern at which this handler is mounted has a parameter {quoted(key)}{there}"


def _path_parameters(config: Config, handler: ReverseProxyHandler) -> list[str]:
    """The names of the wildcards in all patterns at which `handler` may be mounted."""
    texts = list(handler.spec.patterns)
    for resource in config.resources.values():
        if isinstance(resource, HTTPServer):
            texts += [
                host.pattern + each.pattern for host in resource.spec.virtual_hosts for each in host.handlers
            ]
        elif isinstance(resource, HTTPHandler):
            texts.append(resource.spec.pattern)
    names: dict[str, None] = {}
    for text in texts:
        try:
            names |= dict.fromkeys(parse_pattern(f"/{text.lstrip('/')}").names)
        except PatternError:
            continue  # told elsewhere
    return list(names)


def _unreachable(handler: ReverseProxyHandler, index: int) -> Iterator[Problem]:
    """A load balancer whose every path one above it takes, whatever else the request has."""
    spec = handler.spec.load_balancers[index]
    for before, other in enumerate(handler.spec.load_balancers[:index]):
        if (
            _unconditional(other)
            and spec.all_path_matchers
            and all(
                any(_covers(wide, narrow) for wide in other.all_path_matchers)
                for narrow in spec.all_path_matchers
            )
        ):
            words = f"spec.loadBalancers[{before}] above takes every request that this one would"
            yield _warning(handler, spec.where, (), words, "unreachable")
            return


def _unconditional(spec: LoadBalancerSpec) -> bool:
    """Whether `spec` asks of a request nothing but its path."""
    return not (
        spec.methods or spec.hosts or spec.header_matchers or spec.query_matchers or spec.path_param_matchers
    )


def _covers(wide: PathMatcherSpec, narrow: PathMatcherSpec) -> bool:
    """Whether `wide` certainly matches every path that `narrow` matches."""
    if wide.match_type is MatchType.Prefix and wide.match in ("", "/") and not wide.trim_prefix:
        return True
    if wide.trim_prefix != narrow.trim_prefix:
        return False
    if wide.match_type is MatchType.Prefix and narrow.match_type in (MatchType.Prefix, MatchType.Exact):
        return narrow.match.startswith(wide.match)
    return wide.match_type is narrow.match_type and wide.match == narrow.match


def _upstreams(config: Config, handler: ReverseProxyHandler, spec: LoadBalancerSpec) -> Iterator[Problem]:
    """Urls of which a part is ignored, or that lead back here; weights; health checks."""
    enabled = [each for each in spec.upstreams if each.weight >= 0]
    if not enabled:
        words = (
            "no upstream is given" if not spec.upstreams else "every upstream is disabled by its weight, -1"
        )
        words = f"{words}, so the requests that this load balancer takes get 502"
        yield _warning(handler, spec.where, ("upstreams",), words, "no-upstream")
    total = sum(max(1, each.weight) for each in enabled)
    for each in spec.upstreams:
        parts = urlsplit(each.url)
        if parts.path not in ("", "/"):
            words = (
                "the path in an upstream's url is ignored; to put it before the path of each request, use "
                "appendPrefix in pathMatcher"
            )
            yield _warning(handler, each.where, ("url",), words, "ignored-path")
        if parts.username is not None:
            words = "the user name and password in an upstream's url are dropped"
            yield _warning(handler, each.where, ("url",), words, "ignored-credentials")
        if each.weight >= 0 and total > _STARVING * max(1, each.weight):
            words = f"this upstream gets only {max(1, each.weight)} of {total} requests"
            yield _warning(handler, each.where, ("weight", "url"), words, "starving")
        for attribute in (
            "enable_passive",
            "enable_active",
            "initial_delay",
            "health_check_interval",
            "health_check_addr",
        ):
            if getattr(each, attribute):
                words = "there are no health checks, neither in AILERON nor here, so this has no effect"
                yield _warning(handler, each.where, (attribute,), words, "no-effect")
        for server in config.servers:
            address = parse_addr(server.spec.address)
            target = each.upstream
            here = address.host in (None, "0.0.0.0", "::", target.host) or is_loopback(address.host or "")  # noqa: S104  (compared, not bound)
            if (
                address.network != "unix"
                and address.port == target.port
                and here
                and (is_loopback(target.host) or address.host == target.host)
            ):
                words = (
                    f"this is where {server.label} itself listens: each request would come back to it again "
                    "and again"
                )
                yield _warning(handler, each.where, ("url",), words, "loop")


def _hasher(handler: ReverseProxyHandler, spec: LoadBalancerSpec) -> Iterator[Problem]:
    """Hashers without effect, and hashes that are always or never the same."""
    algorithm = spec.lb_algorithm
    if algorithm not in _HASHING:
        if spec.hasher is not None:
            words = (
                f"{algorithm.name} does not hash, so this has no effect; RingHash, Maglev and DirectHash do"
            )
            yield _warning(handler, spec.where, ("hasher",), words, "no-effect")
        return
    source = HashSourceType.ClientAddr if spec.hasher is None else spec.hasher.hash_source
    if source is HashSourceType.ClientAddr:
        words = (
            f"{algorithm.name} hashes the client's address with its port, which is another one for each "
            "connection; for one upstream for each client use a hasher with Header, Cookie or Query"
        )
        where = spec.where if spec.hasher is None else spec.hasher.where
        yield _warning(handler, where, ("hash_source", "lb_algorithm"), words, "hash-source")
    elif spec.hasher is not None and not spec.hasher.key:
        words = f"the key is missing: which {source.name}?  Without it all requests go to one upstream"
        yield _warning(handler, spec.hasher.where, ("hash_source",), words, "hash-source")


def _hosts(config: Config, handler: ReverseProxyHandler, spec: LoadBalancerSpec) -> Iterator[Problem]:
    """A load balancer's hosts are compared with the port that the Host field has, unlike a virtual host's."""
    ports = {parse_addr(server.spec.address).port for server in config.servers}
    if (
        spec.hosts
        and not any(":" in host.rpartition("]")[2] for host in spec.hosts)
        and not ports & {80, 443}
    ):
        port = next(iter(sorted(ports)), 8080)
        words = (
            "these are compared with the whole Host field, in which clients send the port; write "
            f"{quoted(f'{spec.hosts[0]}:{port}')} as well"
        )
        yield _warning(handler, spec.where, ("hosts",), words, "host-port")


def _error_messages(handler: ErrorHandler) -> Iterator[Problem]:
    """Entries that are passed over, or never match."""
    for message in handler.spec.error_messages:
        if not message.mime_contents:
            words = "without mimeContents this entry is passed over"
            yield _warning(handler, message.where, (), words, "no-effect")
        elif not (message.codes or message.kinds or message.messages):
            words = "without codes, kinds and messages this entry matches no error"
            yield _warning(handler, message.where, (), words, "never-matches")


def _warning(resource: Resource, where: Where, attributes: tuple[str, ...], words: str, rule: str) -> Problem:
    """A warning about the first of `attributes` that is given at `where`, else about the whole."""
    mark = where.of(*attributes)
    given = next((each for each in attributes if each in where.values), None)
    field = where.path
    if given is not None:
        name = given.split("_")
        lower = name[0] + "".join(part.title() for part in name[1:])
        field = f"{where.path}.{lower}" if where.path else lower
    return Problem(
        file=where.file,
        line=mark.line,
        column=mark.column,
        resource=resource.label,
        field=field or None,
        message=words,
        severity="warning",
        rule=rule,
    )

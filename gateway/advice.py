"""What loads, but may surprise: warnings about a config that has no errors.  Pure.

Each function looks for one kind of surprise, in the resources that are used; its docstring says what AILERON
makes of it, and so does this gateway (core-v1 has the facts).  The `rule` of a warning is its name in
`docs/compatibility.md`.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from gateway.routing import Routes
from gateway.routing.mux import Kind, PathPattern
from gateway.routing.patterns import PatternError, RegularExpression

_STARVING: Final = 100
"""An upstream that gets less than one in so many requests is told of."""

_REGEXES: Final = (MatchType.Regex, MatchType.RegexPOSIX)
_PROMOTED: Final = {
    "host": '; the field "hosts" of a load balancer asks for the host',
    "transfer-encoding": "",
}
"""Fields that Go takes out of a request's headers, and what to do instead."""

_GLOBS: Final = (MatchType.Path, MatchType.FilePath)
_HASHING: Final = (LBAlgorithm.RingHash, LBAlgorithm.Maglev, LBAlgorithm.DirectHash)


def advise(config: Config, routes: Sequence[Routes]) -> list[Problem]:
    """Every warning about `config`, in no order; `routes` has those of each of its servers."""
    found: list[Problem] = []
    for resource_id, resource in config.resources.items():
        if resource_id not in config.used:
            words = "nothing refers to this resource, so it does nothing"
            found.append(_warning(resource, resource.where, ("kind",), words, "unreferenced"))
        elif isinstance(resource, ReverseProxyHandler):
            if mounts := _mounts(config, routes, resource):  # there are none where all its patterns are wrong
                found += _about_proxy(resource, mounts)
        else:
            found += _about(config, resource)
        if resource.metadata.logger:
            words = "this gateway has one log for all, so a logger that is named has no effect"
            found.append(_warning(resource, resource.metadata.where, ("logger",), words, "no-effect"))
    return found


@dataclass(frozen=True, slots=True)
class _Mount:
    """A route that leads to a handler."""

    server: HTTPServer
    pattern: PathPattern
    methods: frozenset[str] | None


def _mounts(config: Config, routes: Sequence[Routes], handler: ReverseProxyHandler) -> list[_Mount]:
    return [
        _Mount(server, entry.pattern, entry.value.methods)
        for server, own in zip(config.servers, routes, strict=True)
        for entry in own.entries
        if entry.value.handler is not None and entry.value.handler.resource is handler
    ]


def _about_proxy(handler: ReverseProxyHandler, mounts: Sequence[_Mount]) -> Iterator[Problem]:
    for pattern in handler.spec.patterns:
        yield from _no_wildcards(handler, handler.spec.where, "patterns", pattern)
    for index, spec in enumerate(handler.spec.load_balancers):
        yield from _path_matchers(handler, spec, mounts)
        yield from _methods(handler, spec, mounts)
        yield from _parameters(handler, spec, mounts)
        yield from _unreachable(handler, index)
        yield from _upstreams(handler, spec, mounts)
        yield from _hasher(handler, spec)
        yield from _hosts(handler, spec, mounts)
        yield from _host_case(handler, spec.where, spec.hosts)


def _about(config: Config, resource: Resource) -> Iterator[Problem]:
    match resource:
        case Entrypoint():
            if not resource.spec.runners:
                words = "runners are not given, so the gateway ends at once"
                yield _warning(resource, resource.where, ("spec",), words, "no-runners")
        case HTTPServer():
            yield from _unused_settings(resource)
            yield from _virtual_hosts(config, resource)
            for host in resource.spec.virtual_hosts:
                yield from _host_case(resource, host.where, host.hosts)
                yield from _no_wildcards(resource, host.where, "pattern", host.pattern)
                for mounted in host.handlers:
                    yield from _no_wildcards(resource, mounted.where, "pattern", mounted.pattern)
        case HTTPHandler():
            yield from _lost_pattern(config, resource)
            yield from _no_wildcards(resource, resource.spec.where, "pattern", resource.spec.pattern)
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


def _host_case(resource: Resource, where: Where, hosts: Sequence[str]) -> Iterator[Problem]:
    """Hosts are compared as they are written."""
    for host in hosts:
        if host != host.lower():
            words = (
                "hosts are compared letter by letter, and browsers send small ones; write "
                f"{quoted(host.lower())}"
            )
            yield _warning(resource, where, ("hosts",), words, "host-case")


def _no_wildcards(resource: Resource, where: Where, attribute: str, pattern: str) -> Iterator[Problem]:
    """What other routers take for wildcards."""
    for segment in pattern.split("/"):
        if segment.startswith(":") and segment[1:]:
            right = f'a wildcard is written "{{{segment[1:]}}}"'
        elif segment in ("*", "**"):
            right = 'one segment is written "{name}", and all that follows "{rest...}"'
        else:
            continue
        words = f"{quoted(segment)} is matched as it is written; {right}"
        yield _warning(resource, where, (attribute,), words, "no-wildcard")


def _lost_pattern(config: Config, handler: HTTPHandler) -> Iterator[Problem]:
    """An HTTPHandler's pattern goes before its handler's own; where there are none, it is lost."""
    inner = config.handler(handler.spec.handler)
    if handler.spec.pattern and not (isinstance(inner, ReverseProxyHandler) and inner.spec.patterns):
        words = (
            "this pattern goes before the patterns of the handler, which has none, so it has no effect; "
            f"write it into patterns of {inner.label}"
        )
        yield _warning(handler, handler.spec.where, ("pattern",), words, "no-effect")
    elif isinstance(inner, ReverseProxyHandler):
        for pattern in inner.spec.patterns:
            if pattern.strip("/") and pattern.endswith("/"):
                words = (
                    f'inside of an HTTPHandler the "/" at the end of {quoted(pattern)} is dropped, so only '
                    f"the very path matches; write {quoted(f'{pattern}{{rest...}}')} there"
                )
                yield _warning(handler, handler.spec.where, ("handler",), words, "lost-slash")


def _path_matchers(
    handler: ReverseProxyHandler, spec: LoadBalancerSpec, mounts: Sequence[_Mount]
) -> Iterator[Problem]:
    """No path matcher: nothing matches.  No matchType: Exact, not Prefix.  No route with such a path."""
    if not spec.all_path_matchers:
        words = (
            "without a pathMatcher this load balancer takes no request; for all of them write pathMatcher: "
            '{match: "/", matchType: Prefix}'
        )
        yield _warning(handler, spec.where, (), words, "no-path-matcher")
    for matcher in spec.all_path_matchers:
        yield from _paths(handler, matcher, mounts)
        yield from _rewrite(handler, matcher)


def _paths(
    handler: ReverseProxyHandler, matcher: PathMatcherSpec, mounts: Sequence[_Mount]
) -> Iterator[Problem]:
    """The first reason why `matcher` takes less than it seems to."""
    given = "match_type" in matcher.where.values
    name = matcher.match_type.name
    comparing = matcher.match_type in (MatchType.Exact, MatchType.Prefix) and not matcher.trim_prefix
    attributes: tuple[str, ...] = ("match",)
    if not given and not matcher.match:
        words, rule = "neither match nor matchType is given, so no path matches", "never-matches"
        attributes = ()
    elif comparing and matcher.match.startswith("^"):
        words, rule = f"{name} knows no regular expressions; write matchType: Regex", "never-matches"
        attributes = ("match_type", "match")
    elif comparing and "*" in matcher.match:
        words = f'to {name} "*" is a character like any other; write {_without_star(matcher)}'
        rule = "no-wildcard"
    elif matcher.match_type in _GLOBS and "**" in matcher.match:
        words = f'"**" is no more than "*", which does not go beyond a "/"; write {_without_star(matcher)}'
        rule = "no-wildcard"
    elif comparing and matcher.match and not matcher.match.startswith("/"):
        words = f'every path begins with "/", so none matches; write {quoted("/" + matcher.match)}'
        rule = "never-matches"
    elif comparing and not any(_meets(each.pattern, matcher) for each in mounts):
        patterns = ", ".join(sorted({quoted(str(each.pattern)) for each in mounts}))
        words = (
            f"no request with such a path comes here, for this handler is mounted at {patterns}, which is a "
            "part of each path; write match with it, or take it off with trimPrefix"
        )
        rule = "unreachable"
    elif not given:
        words = (
            f"matchType is not given, which means Exact: only the path {quoted(matcher.match)} itself "
            "matches; for all paths that begin with it write matchType: Prefix"
        )
        rule = "absent-match-type"
    else:
        return
    yield _warning(handler, matcher.where, attributes, words, rule)


def _rewrite(handler: ReverseProxyHandler, matcher: PathMatcherSpec) -> Iterator[Problem]:
    """A rewrite without effect, or with groups that are always empty."""
    if not matcher.rewrite:
        return
    if matcher.match_type not in _REGEXES:
        words = f"rewrite has an effect with Regex and RegexPOSIX alone, not with {matcher.match_type.name}"
        yield _warning(handler, matcher.where, ("rewrite",), words, "no-effect")
        return
    if found := re.search(r"\$\{(\d+)\}", matcher.rewrite):
        words = f"AILERON takes {found[0]} for a variable, of which nothing is left; write ${found[1]}"
        yield _warning(handler, matcher.where, ("rewrite",), words, "not-portable")
    with contextlib.suppress(PatternError):  # told elsewhere
        expression = RegularExpression(matcher.match, posix=matcher.match_type is MatchType.RegexPOSIX)
        for group in expression.unknown_groups(matcher.rewrite):
            words = (
                f"{quoted(group)} is always empty, for match has no such group; a name goes as far as there "
                "are letters, digits and underscores"
            )
            yield _warning(handler, matcher.where, ("rewrite",), words, "unknown-group")


def _without_star(matcher: PathMatcherSpec) -> str:
    """What `matcher`, in which there is a "*", was probably meant to be."""
    before, _, after = matcher.match.partition("*")
    if after.strip("*"):
        return "matchType: Regex, with .* for any text"
    return f"match: {quoted(before)}, matchType: Prefix"


def _meets(pattern: PathPattern, matcher: PathMatcherSpec) -> bool:
    """Whether `matcher`, Exact or Prefix, may take some path that `pattern` matches."""
    fixed = ""
    for kind, text in pattern.segments:
        if kind is not Kind.LITERAL:
            break
        fixed += f"/{text}"
    else:
        return (
            fixed.startswith(matcher.match)
            if matcher.match_type is MatchType.Prefix
            else fixed == matcher.match
        )
    fixed += "/"
    return matcher.match.startswith(fixed) or (
        matcher.match_type is MatchType.Prefix and fixed.startswith(matcher.match)
    )


def _methods(
    handler: ReverseProxyHandler, spec: LoadBalancerSpec, mounts: Sequence[_Mount]
) -> Iterator[Problem]:
    """A load balancer for methods that the routes do not let through."""
    let_through = [each.methods for each in mounts]
    if spec.methods and all(
        methods is not None and methods and methods.isdisjoint(known_methods(spec.methods))
        for methods in let_through
    ):
        known = ", ".join(sorted({method for methods in let_through if methods for method in methods}))
        words = f"the routes to this handler let only {known} through, so this load balancer takes no request"
        yield _warning(handler, spec.where, ("methods",), words, "no-methods")


def _parameters(
    handler: ReverseProxyHandler, spec: LoadBalancerSpec, mounts: Sequence[_Mount]
) -> Iterator[Problem]:
    """What looks for a value that no request has, and matchers without patterns."""
    for matcher in (*spec.header_matchers, *spec.query_matchers, *spec.path_param_matchers):
        if not matcher.patterns:
            words = "a matcher without patterns matches nothing, so this load balancer takes no request"
            yield _warning(handler, matcher.where, (), words, "no-patterns")
    names = list(dict.fromkeys(name for mount in mounts for name in mount.pattern.names))
    keys = [("header", each.key, each.where) for each in spec.header_matchers]
    keys += [("path parameter", each.key, each.where) for each in spec.path_param_matchers]
    hasher = spec.hasher
    if hasher is not None and hasher.hash_source is HashSourceType.Header:
        keys.append(("header", hasher.key, hasher.where))
    elif hasher is not None and hasher.hash_source is HashSourceType.PathParam and hasher.key:
        keys.append(("path parameter", hasher.key, hasher.where))
    for source, key, where in keys:
        if source == "header" and key.lower() in _PROMOTED:
            words = f"{key} does not count as a header here, so it is never found{_PROMOTED[key.lower()]}"
            yield _warning(handler, where, ("key",), words, "no-header")
        elif source == "path parameter" and key not in names:
            there = f"; there is {', '.join(names)}" if names else f', as in "/users/{{{key}}}"'
            words = f"no pattern at which this handler is mounted has a parameter {quoted(key)}{there}"
            yield _warning(handler, where, ("key",), words, "unknown-parameter")


def _unreachable(handler: ReverseProxyHandler, index: int) -> Iterator[Problem]:
    """A load balancer whose every path one above it takes, whatever else the request has."""
    spec = handler.spec.load_balancers[index]
    wanted = set(spec.all_path_matchers)
    if not wanted:
        return  # which is told of already
    for before, other in enumerate(handler.spec.load_balancers[:index]):
        taken = set(other.all_path_matchers)
        if _asks_no_more(other, spec) and all(
            any(_covers(wide, narrow) for wide in taken) for narrow in wanted
        ):
            words = f"spec.loadBalancers[{before}] above takes every request that this one would"
            yield _warning(handler, spec.where, (), words, "unreachable")
            return


def _asks_no_more(wide: LoadBalancerSpec, narrow: LoadBalancerSpec) -> bool:
    """Whether `wide` asks of a request, besides its path, nothing that `narrow` does not ask for as well."""
    lists = ((wide.methods, narrow.methods), (wide.hosts, narrow.hosts))
    matchers = (
        (wide.header_matchers, narrow.header_matchers),
        (wide.query_matchers, narrow.query_matchers),
        (wide.path_param_matchers, narrow.path_param_matchers),
    )
    return all(not more or (less and set(less) <= set(more)) for more, less in lists) and all(
        each in others for own, others in matchers for each in own
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


def _upstreams(
    handler: ReverseProxyHandler, spec: LoadBalancerSpec, mounts: Sequence[_Mount]
) -> Iterator[Problem]:
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
        for server in {id(mount.server): mount.server for mount in mounts}.values():
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


def _hosts(
    handler: ReverseProxyHandler, spec: LoadBalancerSpec, mounts: Sequence[_Mount]
) -> Iterator[Problem]:
    """A load balancer's hosts are compared with the port that the Host field has, unlike a virtual host's."""
    ports = {parse_addr(mount.server.spec.address).port for mount in mounts} - {0}  # 0: nobody knows which
    if (
        ports
        and spec.hosts
        and not any(":" in host.rpartition("]")[2] for host in spec.hosts)
        and not ports & {80, 443}
    ):
        port = min(ports)
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
    return replace(where.problem(resource.label, attributes, words, rule), severity="warning")

"""Nodes → typed values: the rules of protojson, and what is said where they are broken."""

import pytest

from gateway.config.resources import HTTPServer, HTTPServerSpec, ReverseProxyHandler

from .samples import ENTRYPOINT, GOOD, PROXY, SERVER, loaded, spoiled, told

MATCH_TYPE = (
    "config.yaml:24:20: ReverseProxyHandler default/default: spec.loadBalancers[0].pathMatcher.matchType: "
)
TIMEOUT = "config.yaml:12:20: HTTPServer default/default: spec.shutdownTimeout: "
ADDR = "config.yaml:11:9: HTTPServer default/default: spec.addr: "
SERVER_AT = "config.yaml:11:3: HTTPServer default/default: "


def server_of(content: str) -> HTTPServer:
    """The one server that the config runs."""
    (server,) = loaded(content).servers
    return server


def proxy_of(content: str) -> ReverseProxyHandler:
    """The config's one proxy."""
    config = loaded(content)
    (proxy,) = (each for each in config.resources.values() if isinstance(each, ReverseProxyHandler))
    return proxy


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            spoiled("upstreams", "upsteams"),
            (
                "config.yaml:25:7: ReverseProxyHandler default/default: spec.loadBalancers[0].upsteams: "
                'unknown field; did you mean "upstreams"?'
            ),
        ),
        (spoiled("  addr", "  zzz: 1\n  addr"), SERVER_AT + "spec.zzz: unknown field"),
        (
            spoiled("  addr", "  ADDR: :1\n  addr"),
            SERVER_AT + 'spec.ADDR: unknown field; did you mean "addr"?',
        ),
        (spoiled("  addr", '  "\\e[31m": 1\n  addr'), SERVER_AT + "spec.\\x1b[31m: unknown field"),
        (
            spoiled('  addr: ":8080"', '  addr: ":1"\n  addr: ":2"'),
            (
                "config.yaml:12:3: HTTPServer default/default: "
                "spec.addr: this field is given twice; the other one stands in line 11"
            ),
        ),
        (
            spoiled('  addr: ":8080"', '  addr: ":1"\n  Addr: ":2"'),
            (
                "config.yaml:12:3: HTTPServer default/default: "
                "spec.Addr: this field is given twice; the other one stands in line 11"
            ),
        ),
        (
            spoiled("  addr", "  ? [a]\n  : b\n  addr"),
            (
                "config.yaml:11:5: HTTPServer default/default: "
                "spec: the name of a field has to stand here, not a list or a mapping"
            ),
        ),
        (
            spoiled("- url: http://localhost:9090", "- weight: 2"),
            (
                "config.yaml:26:11: ReverseProxyHandler default/default: "
                "spec.loadBalancers[0].upstreams[0].url: this field must be given"
            ),
        ),
        (
            spoiled("- url: http://localhost:9090", "- {weight: 2, url: }"),
            (
                "config.yaml:26:23: ReverseProxyHandler default/default: "
                "spec.loadBalancers[0].upstreams[0].url: this field must be given"
            ),
        ),
    ],
)
def test_fields_are_strict(wrong: str, problem: str) -> None:
    """Unknown, doubled, nameless and missing fields, at their names."""
    assert told(wrong) == [problem]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            spoiled("  addr", "  httpConfig: {readTimeout: 3}\n  addr"),
            SERVER_AT
            + 'spec.httpConfig: "httpConfig" is a field of core/v1 that this gateway does not support yet',
        ),
        (
            spoiled("  addr", "  HTTP2Config: {}\n  addr"),
            SERVER_AT
            + 'spec.http2Config: "http2Config" is a field of core/v1 that this gateway does not support yet',
        ),
        (
            spoiled("- handlers", "- hosts: [a.example]\n      handlers"),
            (
                "config.yaml:13:7: HTTPServer default/default: spec.virtualHosts[0].hosts: "
                '"hosts" is a field of core/v1 that this gateway does not support yet'
            ),
        ),
        (
            spoiled("- pathMatcher", "- lbAlgorithm: Maglev\n      pathMatcher"),
            (
                "config.yaml:22:7: ReverseProxyHandler default/default: spec.loadBalancers[0].lbAlgorithm: "
                '"lbAlgorithm" is a field of core/v1 that this gateway does not support yet'
            ),
        ),
    ],
)
def test_fields_that_are_not_built_are_refused_by_name(wrong: str, problem: str) -> None:
    """They are told apart from unknown ones."""
    assert told(wrong) == [problem]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "enableHTTP2",
            'unknown field; did you mean "allowHTTP2" (which this gateway does not support yet)?',
        ),
        (
            "middlewares",
            'unknown field; did you mean "middleware" (which this gateway does not support yet)?',
        ),
        ("shutdownTimeouts", 'unknown field; did you mean "shutdownTimeout"?'),
        *(
            (name, f'"{name}" is a field of core/v1, in {place}, that this gateway does not support yet')
            for name, place in HTTPServerSpec.deeper.items()
        ),
        *(
            (name, f'"{name}" is a field of core/v1 that this gateway does not support yet')
            for name in HTTPServerSpec.later
        ),
    ],
)
def test_names_close_to_what_is_not_built(name: str, words: str) -> None:
    """A suggestion that would be refused says so; what belongs further down is known by name."""
    assert told(spoiled("  addr", f"  {name}: {{a: 1}}\n  addr")) == [SERVER_AT + f"spec.{name}: {words}"]


@pytest.mark.parametrize("value", ["null", "", "~", "0", '""', "false", "[]"])
def test_fields_that_are_not_built_may_be_empty(value: str) -> None:
    """As they are in what `aileron -t` prints."""
    assert told(spoiled("  addr", f"  middleware: {value}\n  addr")) == []


def test_declared_names_are_names() -> None:
    """What the .proto files call a field is accepted as well (core-v1, section 2)."""
    content = ENTRYPOINT + SERVER + PROXY
    for json_name, declared in {
        "apiVersion": "APIVersion",
        "kind": "Kind",
        "spec": "Spec",
        "runners": "Runners",
        "addr": "Addr",
        "virtualHosts": "VirtualHosts",
        "handlers": "Handlers",
        "loadBalancers": "LoadBalancers",
        "upstreams": "Upstreams",
        "pathMatcher": "PathMatcher",
        "matchType": "MatchType",
        "url": "URL",
    }.items():
        content = content.replace(f"{json_name}:", f"{declared}:")
    assert loaded(content).resources == loaded(GOOD).resources


@pytest.mark.parametrize(
    ("value", "addr"),
    [
        ('":9"', ":9"),
        ("':9'", ":9"),
        (":9", ":9"),
        ("localhost:9", "localhost:9"),
        ("!!str :9", ":9"),
        ("! :9", ":9"),
        ("null", ":8080"),
        ("~", ":8080"),
        ("", ":8080"),
        ('""', ":8080"),
    ],
)
def test_strings(value: str, addr: str) -> None:
    """With and without quotes; null and "" leave the default."""
    assert server_of(spoiled('":8080"', value)).spec.addr == addr


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            spoiled('":8080"', "8080"),
            (
                ADDR + 'a port alone is not enough; write "localhost:8080" for this machine only, or ":8080" '
                "for every interface"
            ),
        ),
        (
            spoiled('match: "/"', "match: 1"),
            (
                "config.yaml:23:16: ReverseProxyHandler default/default: "
                "spec.loadBalancers[0].pathMatcher.match: "
                'should be a string, but 1 is a number; write "1" in quotes'
            ),
        ),
        (
            spoiled('":8080"', "true"),
            ADDR + 'should be a string, but true is a boolean; write "true" in quotes',
        ),
        (spoiled('":8080"', "[]"), ADDR + "should be a string, but this is a list"),
        (spoiled('":8080"', "{a: b}"), ADDR + "should be a string, but this is a mapping"),
        (spoiled('":8080"', "!env X"), ADDR + 'the tag "!env" is not allowed; leave it out'),
        (spoiled('":8080"', "!!binary aGk="), ADDR + 'the tag "!!binary" is not allowed; leave it out'),
        (
            spoiled('":8080"', "!!python/object:os.system x"),
            ADDR + 'the tag "!!python/object:os.system" is not allowed; leave it out',
        ),
        (
            spoiled('":8080"', '"\\ud800"'),
            ADDR + "half of a surrogate pair stands for no character",
        ),
        (
            spoiled('":8080"', '":${PORT}"'),
            ADDR + '"${PORT}": variables are not supported yet; write the value itself',
        ),
        (
            spoiled('":8080"', "${ADDR:-hush}"),
            ADDR + '"${ADDR}": variables are not supported yet; write the value itself',
        ),
    ],
)
def test_what_is_no_string(wrong: str, problem: str) -> None:
    """At the value, with the right way to write it."""
    assert told(wrong) == [problem]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5), ('"5"', 5), ("5.0", 5), ("+5", 5), ("-1", -1), ("0", 30), ("null", 30), ('""', 30)],
)
def test_numbers(value: str, seconds: float) -> None:
    """Numbers may stand in quotes; zero means "not given", a negative one does not."""
    content = spoiled('":8080"\n', f'":8080"\n  shutdownTimeout: {value}\n')
    assert server_of(content).spec.shutdown_timeout == seconds


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("abc", 'should be a whole number, but this is "abc"'),
        ("5.5", 'should be a whole number, but this is "5.5"'),
        ("010", 'should be a whole number, but this is "010"'),
        ("0x10", 'should be a whole number, but this is "0x10"'),
        ("1e3", 'should be a whole number, but this is "1e3"'),
        ('"5 "', 'should be a whole number, but this is "5 "'),
        ("true", 'should be a whole number, but this is "true"'),
        ("\uff15", 'should be a whole number, but this is "\uff15"'),
        ("9" * 5000, f'should be a whole number, but this is "{"9" * 59}…"'),
        ("[1]", "should be a whole number, but this is a list"),
        ("3000000000", "3000000000 is out of range; -2147483648 to 2147483647 are allowed"),
    ],
)
def test_what_is_no_number(value: str, words: str) -> None:
    """At the value."""
    assert told(spoiled('":8080"\n', f'":8080"\n  shutdownTimeout: {value}\n')) == [TIMEOUT + words]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Prefix", "Prefix"),
        ('"Prefix"', "Prefix"),
        ("Exact", "Exact"),
        ("1", "Prefix"),
        ("0", "Exact"),
        ("99", "Prefix"),
        ("-1", "Prefix"),
        ("null", "Exact"),
        ("", "Exact"),
    ],
)
def test_enums(value: str, name: str) -> None:
    """By name or number; absent is Exact, an unknown number Prefix (core-v1, sections 2 and 5.2)."""
    spec = proxy_of(spoiled("matchType: Prefix", f"matchType: {value}")).spec
    matcher = spec.load_balancers[0].path_matcher
    assert matcher is not None
    assert matcher.match_type.name == name


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("prefix", '"prefix" is not known here; did you mean "Prefix"?'),
        ("Perfix", '"Perfix" is not known here; did you mean "Prefix"?'),
        ("zzz", '"zzz" is not known here; Exact and Prefix are allowed'),
        ('"1"', '"1" is not known here; Exact and Prefix are allowed'),
        (
            "Regex",
            "Regex is known to core/v1, but this gateway does not support it yet; Exact and Prefix are",
        ),
        ("6", "Regex is known to core/v1, but this gateway does not support it yet; Exact and Prefix are"),
        ("[Prefix]", "should be a name, but this is a list"),
    ],
)
def test_what_is_no_enum(value: str, words: str) -> None:
    """Case matters; a number in quotes is a name."""
    assert told(spoiled("matchType: Prefix", f"matchType: {value}")) == [MATCH_TYPE + words]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            spoiled(
                "    - apiVersion: core/v1\n      kind: HTTPServer",
                "    apiVersion: core/v1\n    kind: HTTPServer",
            ),
            (
                "config.yaml:5:5: Entrypoint: spec.runners: "
                'should be a list (each item begins with "- "), but this is a mapping'
            ),
        ),
        (
            spoiled("    - apiVersion: core/v1\n      kind: HTTPServer", "    - HTTPServer"),
            (
                "config.yaml:5:7: Entrypoint: spec.runners[0]: should be a mapping with apiVersion and kind, "
                "but this is a string"
            ),
        ),
        (
            spoiled("    - apiVersion: core/v1\n      kind: HTTPServer", "    -"),
            "config.yaml:5:6: Entrypoint: spec.runners[0]: this item of the list is empty",
        ),
    ],
)
def test_lists_and_mappings(wrong: str, problem: str) -> None:
    """A missing dash, a missing mapping, an item of nothing."""
    assert told(wrong) == [problem]


def test_merge_keys_give_way_to_the_mappings_own() -> None:
    """And the earlier of two merged ones to none; an alias is what it refers to."""
    content = spoiled(
        "  addr",
        "  <<: [{shutdownTimeout: 4, addr: ':1'}, {shutdownTimeout: 5}]\n  addr",
    )
    spec = server_of(content).spec
    assert (spec.addr, spec.shutdown_timeout) == (":8080", 4)
    content = spoiled('match: "/"', "match: &slash /\n        trimPrefix: *slash")
    matcher = proxy_of(content).spec.load_balancers[0].path_matcher
    assert matcher is not None
    assert (matcher.match, matcher.trim_prefix) == ("/", "/")


@pytest.mark.parametrize("value", ["text", "[a]"])
def test_only_mappings_can_be_merged(value: str) -> None:
    """At what is none."""
    (problem,) = told(spoiled("  addr", f"  <<: {value}\n  addr"))
    assert problem.endswith('HTTPServer default/default: spec: "<<" merges mappings; this is none')


def test_positions_in_crlf_and_flow() -> None:
    """The same places, however lines end; the right columns between brackets."""
    wrong = spoiled("upstreams", "upsteams")
    assert told(wrong.replace("\n", "\r\n")) == told(wrong)
    flow = "{apiVersion: core/v1, kind: Entrypoint, spec: {runers: []}}\n"
    assert told(flow + SERVER + PROXY) == [
        'config.yaml:1:48: Entrypoint: spec.runers: unknown field; did you mean "runners"?'
    ]


def test_what_an_alias_repeats_is_told_once() -> None:
    """One cause, one message."""
    wrong = spoiled("        - url: http://localhost:9090", "        - &u {url: nonsense}\n        - *u")
    assert len(told(wrong)) == 1


def test_all_problems_of_a_load_come_at_once() -> None:
    """Sorted by position."""
    wrong = GOOD.replace("runners", "runers").replace('":8080"', "8080").replace("Prefix", "prefix")
    assert [problem.partition(": ")[0] for problem in told(wrong)] == [
        "config.yaml:4:3",
        "config.yaml:11:9",
        "config.yaml:24:20",
    ]

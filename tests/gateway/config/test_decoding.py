"""Nodes → typed values: the rules of protojson, and what is said where they are broken."""

import pytest

from gateway.config.decoding import fields_of
from gateway.config.resources import (
    ErrorHandler,
    HasherSpec,
    HashSourceType,
    HTTPConfig,
    HTTPServer,
    LBAlgorithm,
    ReverseProxyHandler,
    known_methods,
)

from .samples import ENTRYPOINT, GOOD, PROXY, SERVER, loaded, spoiled, told, warned

MATCH_TYPE = (
    "config.yaml:24:20: ReverseProxyHandler default/default: spec.loadBalancers[0].pathMatcher.matchType: "
)
MATCH_TYPES = "Exact, Prefix, Suffix, Contains, Path, FilePath, Regex and RegexPOSIX"
TIMEOUT = "config.yaml:12:20: HTTPServer default/default: spec.shutdownTimeout: "
ADDR = "config.yaml:11:9: HTTPServer default/default: spec.addr: "
SERVER_IS = "HTTPServer default/default: "
SERVER_AT = f"config.yaml:11:3: {SERVER_IS}"


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


BALANCER = "ReverseProxyHandler default/default: spec.loadBalancers[0]."


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            spoiled("- pathMatcher", "- matchType: Prefix\n      pathMatcher"),
            f'22:7: {BALANCER}matchType: unknown field; "matchType" belongs into pathMatcher',
        ),
        (
            spoiled("- pathMatcher", "- trimPrefix: /a\n      pathMatcher"),
            f'22:7: {BALANCER}trimPrefix: unknown field; "trimPrefix" belongs into pathMatcher',
        ),
        (
            spoiled("- url", "- match: /\n          url"),
            (
                f'26:11: {BALANCER}upstreams[0].match: unknown field; "match" belongs into '
                "spec.loadBalancers[].pathMatcher"
            ),
        ),
        (
            spoiled("kind: HTTPServer\nspec", "kind: HTTPServer\nname: x\nspec"),
            '10:1: HTTPServer default/default: name: unknown field; "name" belongs into metadata',
        ),
        (
            spoiled("  addr", "  hosts: [a.example]\n  addr"),
            (
                '11:3: HTTPServer default/default: spec.hosts: unknown field; "hosts" belongs into '
                "virtualHosts[]"
            ),
        ),
        (
            spoiled("  addr", "  readTimeout: 3\n  addr"),
            (
                '11:3: HTTPServer default/default: spec.readTimeout: unknown field; "readTimeout" belongs '
                "into httpConfig"
            ),
        ),
        (
            spoiled("  addr", "  kind: HTTPServer\n  addr"),
            (
                '11:3: HTTPServer default/default: spec.kind: unknown field; "kind" belongs into '
                "virtualHosts[].handlers[].handler"
            ),
        ),
        (
            spoiled("  addr", "  metadata: {}\n  addr"),
            (
                '11:3: HTTPServer default/default: spec.metadata: unknown field; "metadata" stands at the '
                "top, beside kind"
            ),
        ),
    ],
)
def test_fields_at_the_wrong_level_are_told_where_they_belong(wrong: str, problem: str) -> None:
    """The nearest place, first among those below."""
    assert told(wrong) == [f"config.yaml:{problem}"]


NO_MIDDLEWARE = (
    "middleware comes from kinds that only AILERON has; leave it out here, and run the real gateway for it"
)
NO_HTTP2 = "it speaks HTTP/1.1 alone; leave this out, and clients that know HTTP/2 will do without"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            spoiled("  addr", "  HTTP2Config: {}\n  addr"),
            f'11:16: {SERVER_IS}spec.http2Config: "http2Config" is not supported by this gateway: {NO_HTTP2}',
        ),
        (
            spoiled("  addr", "  httpConfig: {allowHTTP2: true}\n  addr"),
            (
                f'11:28: {SERVER_IS}spec.httpConfig.allowHTTP2: "allowHTTP2" is not supported by this '
                f"gateway: {NO_HTTP2}"
            ),
        ),
        (
            spoiled("- handlers", "- middleware: [{kind: X}]\n      handlers"),
            (
                f'13:19: {SERVER_IS}spec.virtualHosts[0].middleware: "middleware" is not supported by this '
                f"gateway: {NO_MIDDLEWARE}"
            ),
        ),
        (
            spoiled("  loadBalancers", "  roundTripper: {kind: HTTPClient}\n  loadBalancers"),
            (
                '21:17: ReverseProxyHandler default/default: spec.roundTripper: "roundTripper" is not '
                "supported by this gateway: requests go upstream in one way, which is AILERON's default; "
                "leave this out"
            ),
        ),
    ],
)
def test_fields_that_cannot_be_honoured_are_refused_by_name(wrong: str, problem: str) -> None:
    """With the reason, and what to do instead; they are told apart from unknown ones."""
    assert told(wrong) == [f"config.yaml:{problem}"]


@pytest.mark.parametrize("value", ["null", "", "~", "0", '""', "false", "[]"])
def test_refused_fields_may_be_empty(value: str) -> None:
    """As they are in what `aileron -t` prints."""
    assert told(spoiled("  addr", f"  middleware: {value}\n  addr")) == []


def test_names_close_to_others() -> None:
    """A suggestion comes from where the field stands, else from below."""
    for name, words in {
        "middlewares": 'did you mean "middleware"?',
        "shutdownTimeouts": 'did you mean "shutdownTimeout"?',
        "readTimout": 'did you mean "readTimeout"?',
    }.items():
        assert told(spoiled("  addr", f"  {name}: {{a: 1}}\n  addr")) == [
            f"{SERVER_AT}spec.{name}: unknown field; {words}"
        ]


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
    """At the value, with what it counts."""
    unit = "; it counts seconds, as in 30" if words.endswith(('"', "…")) else ""
    assert told(spoiled('":8080"\n', f'":8080"\n  shutdownTimeout: {value}\n')) == [TIMEOUT + words + unit]


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
        ("Regex", "Regex"),
        ("6", "Regex"),
        ("RegexPOSIX", "RegexPOSIX"),
        ("Regex_POSIX", "RegexPOSIX"),
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


@pytest.mark.parametrize("number", [99, -1])
def test_unknown_numbers_of_enums_fall_back(number: int) -> None:
    """To RoundRobin, to ClientAddr, to a method that is dropped (core-v1, section 2)."""
    lines = f"lbAlgorithm: {number}\n      hasher: {{hashSource: {number}}}\n      methods: [{number}, GET]"
    (balancer,) = proxy_of(spoiled("- pathMatcher", f"- {lines}\n      pathMatcher")).spec.load_balancers
    assert balancer.lb_algorithm is LBAlgorithm.RoundRobin
    assert balancer.hasher == HasherSpec(hash_source=HashSourceType.ClientAddr)
    assert known_methods(balancer.methods) == ("GET",)


def test_unknown_numbers_of_parameter_matchers_are_none() -> None:
    """They fail while the handler is built (core-v1, section 5.3), so only where something refers to it."""
    matchers = "headerMatchers: [{key: x, matchType: 99}]"
    words = (
        "ReverseProxyHandler default/default: spec.loadBalancers[0].headerMatchers[0].matchType: "
        f"99 is not known here; {MATCH_TYPES} are allowed"
    )
    wrong = spoiled("- pathMatcher", f"- {matchers}\n      pathMatcher")
    assert told(wrong) == [f"config.yaml:22:44: {words}"]
    unused = wrong.replace(
        "            kind: ReverseProxyHandler",
        "            kind: ReverseProxyHandler\n            name: other",
    )
    unused += PROXY.replace("kind: ReverseProxyHandler", "kind: ReverseProxyHandler\nmetadata: {name: other}")
    assert told(unused) == []
    assert warned(unused)[0] == f"config.yaml:23:44: warning: {words}"


@pytest.mark.parametrize(
    ("field", "values", "shown"),
    [
        ("methods", "[GET, POST, GET]", "GET"),
        ("methods", "[GET, 1]", "1"),
        ("patterns", "[/a, /b, /a]", "/a"),
    ],
)
def test_lists_without_repetition(field: str, values: str, shown: str) -> None:
    """Each further one is told at its place; a name and its number are the same."""
    column = len(f"  {field}: ") + values.rindex(shown) + 1
    index = values.count(",")
    assert told(spoiled("  loadBalancers", f"  {field}: {values}\n  loadBalancers")) == [
        (
            f"config.yaml:21:{column}: ReverseProxyHandler default/default: spec.{field}[{index}]: "
            f'"{shown}" stands in this list already'
        )
    ]


@pytest.mark.parametrize(
    ("field", "value", "default"),
    [
        ("readTimeout", "0", 30),
        ("maxHeaderBytes", '"0"', 8192),
        ("idleTimeout", "null", 10),
        ("readTimeout", "-1", -1),
        ("readTimeout", '"9223372036854775807"', (1 << 63) - 1),
        ("disableKeepAlive", "false", False),
        ("disableKeepAlive", "true", True),
        ("disableKeepAlive", '""', False),
        ("altSvc", '""', ""),
        ("listenConfig", "null", None),
    ],
)
def test_zero_means_not_given(field: str, value: str, default: object) -> None:
    """The default stands (core-v1, section 2)."""
    config = server_of(spoiled("  addr", f"  httpConfig: {{{field}: {value}}}\n  addr")).spec.http_config
    (known,) = (each for each in fields_of(HTTPConfig) if each.name == field)
    assert getattr(config, known.attribute) == default


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("yes", 'should be true or false, but this is "yes"; write true'),
        ("Off", 'should be true or false, but this is "Off"; write false'),
        ('"true"', 'should be true or false, but this is "true"; leave out the quotes'),
        ("1", 'should be true or false, but this is "1"; write true'),
        ("maybe", 'should be true or false, but this is "maybe"'),
        ("[]", "should be true or false, but this is a list"),
    ],
)
def test_what_is_no_boolean(value: str, words: str) -> None:
    """At the value, with the right one where it is known."""
    assert told(spoiled("  addr", f"  httpConfig: {{disableKeepAlive: {value}}}\n  addr")) == [
        f"config.yaml:11:34: {SERVER_IS}spec.httpConfig.disableKeepAlive: {words}"
    ]


def error_handler(message: str) -> str:
    """An ErrorHandler with this entry under errorMessages."""
    return GOOD + f"---\napiVersion: core/v1\nkind: ErrorHandler\nspec:\n  errorMessages:\n    - {message}\n"


def test_mappings_of_any_names() -> None:
    """In the order of the file; an empty value is an empty string."""
    config = loaded(error_handler("headerTemplate: {X-B: '1', X-A: , <<: {X-C: c}}"))
    (handler,) = (each for each in config.resources.values() if isinstance(each, ErrorHandler))
    (entry,) = handler.spec.error_messages
    assert sorted(entry.header_template) == [("X-A", ""), ("X-B", "1"), ("X-C", "c")]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{X: 1}", '32:27: F.X: should be a string, but 1 is a number; write "1" in quotes'),
        ("{X: a, X: b}", "32:30: F.X: this field is given twice; the other one stands in line 32"),
        ("[a]", '32:23: F: should be a mapping, but this is a list; leave out the "- "'),
    ],
)
def test_what_is_no_mapping_of_names(value: str, words: str) -> None:
    """At the value or the name."""
    (problem,) = told(error_handler(f"headerTemplate: {value}"))
    shown = problem.replace("spec.errorMessages[0].headerTemplate", "F").replace("config.yaml:", "", 1)
    assert shown.replace("ErrorHandler default/default: ", "") == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("10.0.0.0", 'the length is missing; for this one address write "10.0.0.0/32"'),
        ("a/8", '"a/8" is not a network; write it as in "10.0.0.0/8" or "::1/128"'),
    ],
)
def test_what_is_found_while_building(value: str, words: str) -> None:
    """An error where something refers to the resource, a warning where nothing does."""
    networks = f"  httpConfig: {{listenConfig: {{networks: ['{value}']}}}}\n"
    where = "spec.httpConfig.listenConfig.networks[0]: "
    assert told(spoiled("  addr", f"{networks}  addr")) == [f"config.yaml:11:42: {SERVER_IS}{where}{words}"]
    unused = f"---\napiVersion: core/v1\nkind: HTTPServer\nmetadata: {{name: b}}\nspec:\n{networks}"
    assert told(GOOD + unused) == []
    assert warned(GOOD + unused)[-1] == (f"config.yaml:32:42: warning: HTTPServer default/b: {where}{words}")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("prefix", '"prefix" is not known here; did you mean "Prefix"?'),
        ("Perfix", '"Perfix" is not known here; did you mean "Prefix"?'),
        (
            "zzz",
            f'"zzz" is not known here; {MATCH_TYPES} are allowed',
        ),
        (
            '"1"',
            f'"1" is not known here; {MATCH_TYPES} are allowed',
        ),
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


def test_a_name_that_is_no_text() -> None:
    """Half of a surrogate pair is no more a name than a value: nothing could print it."""
    (problem,) = told(spoiled('addr: ":8080"', 'addr: ":8080"\n  "\\ud800": 1'))
    assert problem.endswith("half of a surrogate pair stands for no character")

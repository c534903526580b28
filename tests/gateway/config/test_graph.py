"""References from the Entrypoint on, and what is wrong between resources."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigError, ReverseProxyHandler
from gateway.loading import load

from .samples import ENTRYPOINT, GOOD, PROXY, SERVER, loaded, spoiled, told, warned

SECOND_SERVER = (
    "---\napiVersion: core/v1\nkind: HTTPServer\nmetadata: {name: second}\nspec: {addr: ':8081'}\n"
)
KNOWN = "Entrypoint, HTTPServer, HTTPHandler, ReverseProxyHandler and ErrorHandler are known here"
DANGLING = """\
---
apiVersion: core/v1
kind: HTTPServer
metadata: {name: unused}
spec:
  virtualHosts:
    - handlers:
        - handler: {apiVersion: core/v1, kind: ReverseProxyHandler, name: nowhere}
"""


def test_references_are_followed() -> None:
    """From the Entrypoint to the servers, from a server to its handler, to the upstreams."""
    config = loaded(GOOD)
    (server,) = config.servers
    handler = config.handler(server.spec.virtual_hosts[0].handlers[0].handler)
    assert isinstance(handler, ReverseProxyHandler)
    assert [upstream.url for upstream in config.upstreams] == ["http://localhost:9090"]


def test_servers_come_in_the_entrypoints_order_each_once() -> None:
    """Whatever the order of the file."""
    runner = "    - {apiVersion: core/v1, kind: HTTPServer, name: second}\n"
    twice = ENTRYPOINT.replace("runners:\n", f"runners:\n{runner}") + runner
    assert [each.metadata.name for each in loaded(twice + SERVER + PROXY + SECOND_SERVER).servers] == [
        "second",
        "default",
    ]


def test_an_entrypoint_may_run_nothing() -> None:
    """As in AILERON, where such a gateway ends at once; its name means nothing."""
    config = loaded("apiVersion: core/v1\nkind: Entrypoint\nmetadata: {name: any}\n")
    assert (config.servers, config.upstreams) == ((), ())


def test_upstreams_are_those_that_requests_can_reach() -> None:
    """Each once; not the disabled ones, nor those of a balancer that never matches."""
    proxy = PROXY.replace(
        "        - url: http://localhost:9090\n",
        "        - url: http://u:p@b/x\n        - {url: http://c, weight: -1}\n        - url: http://b\n"
        "    - upstreams: [{url: http://never}]\n"
        "    - {pathMatcher: {match: /}, upstreams: [{url: https://d}]}\n",
    )
    assert [upstream.url for upstream in loaded(ENTRYPOINT + SERVER + proxy).upstreams] == [
        "http://b",
        "https://d",
    ]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ("", "config.yaml: there is no resource in it; a config begins with an Entrypoint"),
        ("# nothing\n---\n", "config.yaml: there is no resource in it; a config begins with an Entrypoint"),
        (
            SERVER + PROXY,
            "config.yaml: there is no Entrypoint; the gateway starts what the runners of one refer to",
        ),
        (
            GOOD + "---\n" + ENTRYPOINT.replace("kind: Entrypoint", "kind: Entrypoint\nmetadata: {name: b}"),
            (
                "config.yaml:29:7: Entrypoint: there can be only one Entrypoint, whatever its name; "
                "the other one stands at config.yaml:1:1"
            ),
        ),
        (
            GOOD + SERVER,
            (
                "config.yaml:29:7: HTTPServer default/default: HTTPServer default/default stands at "
                "config.yaml:8:1 already; give one of them another metadata.name"
            ),
        ),
        ("text\n", "config.yaml:1:1: a resource has to stand here, with apiVersion, kind, metadata and spec"),
        ("- a\n", "config.yaml:1:1: a resource has to stand here, with apiVersion, kind, metadata and spec"),
        (spoiled("kind: HTTPServer\nspec", "spec"), 'config.yaml:8:1: "kind" must be given'),
        (spoiled("apiVersion: core/v1\nkind: HTTPServer\nspec", "spec"), None),
        (
            spoiled("apiVersion: core/v1\nkind: HTTPServer\nspec", "kind:\nspec"),
            'config.yaml:8:1: "apiVersion" and "kind" must be given',
        ),
        (
            spoiled("kind: HTTPServer\nspec", "knid: HTTPServer\nspec"),
            'config.yaml:9:1: knid: unknown field; did you mean "kind"?',
        ),
        (
            spoiled("apiVersion: core/v1\nkind: HTTPS", "apiversion: core/v1\nkind: HTTPS"),
            (
                "config.yaml:8:1: HTTPServer default/default: apiversion: "
                'unknown field; did you mean "apiVersion"?'
            ),
        ),
        (
            spoiled("kind: HTTPServer\nspec", "kind: HTTPSever\nspec"),
            (
                'config.yaml:9:7: HTTPSever default/default: kind: "HTTPSever" is not a kind of core/v1; '
                'did you mean "HTTPServer"?'
            ),
        ),
        (
            spoiled("kind: HTTPServer\nspec", "kind: 7\nspec"),
            'config.yaml:9:7: kind: should be a string, but 7 is a number; write "7" in quotes',
        ),
        (
            GOOD + "---\napiVersion: core/v1\nkind: HTTPLogger\nmetadata: {name: log, namespace: n}\n",
            (
                "config.yaml:29:7: HTTPLogger n/log: kind: "
                f"HTTPLogger is a kind of core/v1 that only AILERON has; {KNOWN}"
            ),
        ),
        (
            GOOD + "---\napiVersion: app/v1\nkind: CORSMiddleware\n",
            (
                "config.yaml:28:13: CORSMiddleware default/default: apiVersion: "
                "app/v1 is a group of AILERON that this gateway does not support; core/v1 is"
            ),
        ),
        (
            spoiled("apiVersion: core/v1\nkind: HTTPS", "apiVersion: core/v2\nkind: HTTPS"),
            (
                'config.yaml:8:13: HTTPServer default/default: apiVersion: "core/v2" is not known; '
                'did you mean "core/v1"?'
            ),
        ),
    ],
)
def test_documents_that_are_no_resource(wrong: str, problem: str | None) -> None:
    """One message each, and nothing is called missing on top."""
    if problem is None:
        problem = 'config.yaml:8:1: "apiVersion" and "kind" must be given'
    assert told(wrong) == [problem]


@pytest.mark.parametrize("document", ["", "# comment\n", "foo: bar\n", "null\n", "{}\n"])
def test_documents_that_are_passed_over(document: str) -> None:
    """What is neither a resource nor like one (core-v1, section 2)."""
    assert told(GOOD + "---\n" + document) == []


RUNNER = "config.yaml:6:13: Entrypoint: spec.runners[0]"
HANDLER = "HTTPServer default/default: spec.virtualHosts[0].handlers[0].handler"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            spoiled("      kind: HTTPServer", "      kind: HTTPServer\n      name: defalt"),
            (
                "config.yaml:7:13: Entrypoint: spec.runners[0]: there is no HTTPServer default/defalt; "
                'did you mean "default"?'
            ),
        ),
        (
            spoiled(
                "kind: ReverseProxyHandler",
                "kind: ReverseProxyHandler\n            namespace: a-b-c-d-e-f-g-h-i-j",
            ),
            (
                f"config.yaml:17:24: {HANDLER}: there is no ReverseProxyHandler a-b-c-d-e-f-g-h-i-j/default; "
                'did you mean "default/default"?'
            ),
        ),
        (
            ENTRYPOINT + SERVER,
            (
                f"config.yaml:16:19: {HANDLER}: there is no ReverseProxyHandler default/default; "
                "no ReverseProxyHandler is defined at all"
            ),
        ),
        (
            spoiled("      kind: HTTPServer", "      kind: HTTPSever"),
            f'{RUNNER}.kind: "HTTPSever" is not a kind of core/v1; did you mean "HTTPServer"?',
        ),
        (
            spoiled("    - apiVersion: core/v1", "    - apiVersion: core/v3"),
            (
                'config.yaml:5:19: Entrypoint: spec.runners[0].apiVersion: "core/v3" is not known; '
                'did you mean "core/v1"?'
            ),
        ),
        (
            spoiled("      kind: HTTPServer", "      kind: ReverseProxyHandler"),
            f"{RUNNER}.kind: a runner has to be an HTTPServer, not: ReverseProxyHandler",
        ),
        (
            spoiled("kind: ReverseProxyHandler", "kind: Entrypoint"),
            (
                f"config.yaml:16:19: {HANDLER}.kind: "
                "a handler has to be a ReverseProxyHandler or an HTTPHandler, not: Entrypoint"
            ),
        ),
        (
            spoiled("kind: ReverseProxyHandler", "kind: StaticFileHandler"),
            (
                f"config.yaml:16:19: {HANDLER}.kind: "
                f"StaticFileHandler is a kind of core/v1 that only AILERON has; {KNOWN}"
            ),
        ),
        (
            spoiled("      kind: HTTPServer", "      name: default"),
            "config.yaml:5:7: Entrypoint: spec.runners[0].kind: this field must be given",
        ),
    ],
)
def test_references_that_lead_nowhere(wrong: str, problem: str) -> None:
    """At the part of the reference that is wrong, with what there is."""
    assert told(wrong) == [problem]


def test_what_exists_is_listed_where_nothing_is_close() -> None:
    """But not without end."""
    servers = "".join(SECOND_SERVER.replace("second", f"s{n}") for n in range(8))
    entrypoint = ENTRYPOINT + "      name: something-else-altogether\n"
    (problem,) = told(entrypoint + servers)
    assert problem.endswith(
        "there is no HTTPServer default/something-else-altogether; there is HTTPServer default/s0, "
        "HTTPServer default/s1, HTTPServer default/s2, HTTPServer default/s3, HTTPServer default/s4 "
        "and 3 more"
    )


def test_unreachable_references_may_lead_nowhere() -> None:
    """Resources are built on first reference (core-v1, section 2), so what is wrong there is a warning."""
    assert told(GOOD + DANGLING) == []
    assert warned(GOOD + DANGLING) == [
        (
            "config.yaml:34:75: warning: HTTPServer default/unused: "
            "spec.virtualHosts[0].handlers[0].handler: there is no ReverseProxyHandler default/nowhere; "
            "there is ReverseProxyHandler default/default"
        )
    ]


def test_unreachable_references_are_told_with_others() -> None:
    """A load that fails over a reference tells of all of them."""
    problems = told(ENTRYPOINT + "      name: typo\n" + DANGLING)
    assert [problem.split(": there is no ")[1].partition(";")[0] for problem in problems] == [
        "HTTPServer default/typo",
        "ReverseProxyHandler default/nowhere",
    ]
    assert [": warning: " in problem for problem in problems] == [False, True]


def handler(name: str, inner: str | None, kind: str = "HTTPHandler") -> str:
    """An HTTPHandler of this name around the handler `inner`."""
    spec = "{}" if inner is None else f"{{handler: {{apiVersion: core/v1, kind: {kind}, name: {inner}}}}}"
    return f"---\napiVersion: core/v1\nkind: HTTPHandler\nmetadata: {{name: {name}}}\nspec: {spec}\n"


CIRCLE = "leads back to itself, so no request would ever be answered"
CHAINED = spoiled(
    "            kind: ReverseProxyHandler", "            kind: HTTPHandler\n            name: a"
)


def test_handlers_inside_of_handlers() -> None:
    """A chain of them ends at a proxy, whose upstreams count."""
    config = loaded(CHAINED + handler("a", "b") + handler("b", "default", "ReverseProxyHandler"))
    mounted = config.servers[0].spec.virtual_hosts[0].handlers[0].handler
    assert config.handler(mounted).metadata.name == "a"
    assert config.proxy(mounted).kind == "ReverseProxyHandler"
    assert [upstream.url for upstream in config.upstreams] == ["http://localhost:9090"]
    assert len(config.used) == 5


@pytest.mark.parametrize(
    ("handlers", "problem"),
    [
        (
            handler("a", "a"),
            f"32:17: HTTPHandler default/a: spec.handler: HTTPHandler default/a {CIRCLE}",
        ),
        (
            handler("a", "b") + handler("b", "a"),
            f"37:17: HTTPHandler default/b: spec.handler: HTTPHandler default/b {CIRCLE}",
        ),
        (
            handler("a", "b") + handler("b", "c"),
            (
                "37:64: HTTPHandler default/b: spec.handler: there is no HTTPHandler default/c; there is "
                "HTTPHandler default/a and HTTPHandler default/b"
            ),
        ),
        (handler("a", None), "32:7: HTTPHandler default/a: spec.handler: this field must be given"),
    ],
)
def test_handlers_that_lead_nowhere(handlers: str, problem: str) -> None:
    """In a circle, to nothing, or not on at all; told once, where it can be mended."""
    assert told(CHAINED + handlers)[0] == f"config.yaml:{problem}"
    assert len(told(CHAINED + handlers)) == 1


def test_long_chains() -> None:
    """However long they are, they are followed; a circle of that length is told once."""
    count = 1200  # more than Python lets functions call each other
    chain = "".join(handler(f"a{n}", f"a{n + 1}") for n in range(count))
    first = CHAINED.replace("name: a\n", "name: a0\n")
    config = loaded(first + chain + handler(f"a{count}", "default", "ReverseProxyHandler"))
    assert [upstream.url for upstream in config.upstreams] == ["http://localhost:9090"]
    assert len(config.used) == count + 4
    (problem,) = told(first + chain + handler(f"a{count}", "a0"))
    assert problem.endswith(f"spec.handler: HTTPHandler default/a{count} {CIRCLE}")


def test_a_circle_that_nothing_refers_to_does_no_harm() -> None:
    """It is told as a warning, once."""
    circle = handler("a", "b") + handler("b", "a")
    assert told(GOOD + circle) == []
    (warning,) = warned(GOOD + circle)
    assert warning.endswith(CIRCLE)


def test_a_handler_is_needed_where_one_is_mounted() -> None:
    """Null is none."""
    wrong = GOOD.replace(
        "handler:\n            apiVersion: core/v1\n            kind: Rev", "handler:\n            # Rev"
    )
    assert told(wrong) == ["config.yaml:14:11: " + HANDLER + ": this field must be given"]


def test_a_proxy_mounted_twice_is_one() -> None:
    """It is built once (core-v1, section 2)."""
    config = loaded(
        spoiled(
            "- handlers:",
            "- handlers:\n        - {pattern: /b, handler: {apiVersion: core/v1, kind: ReverseProxyHandler}}",
        )
    )
    one, other = config.servers[0].spec.virtual_hosts[0].handlers
    assert config.proxy(one.handler) is config.proxy(other.handler)
    assert len(config.upstreams) == 1


def errors(name: str) -> str:
    """An ErrorHandler of this name."""
    return f"---\napiVersion: core/v1\nkind: ErrorHandler\nmetadata: {{name: {name}}}\n"


LISTED = ENTRYPOINT + (
    "  errorHandlers: [{apiVersion: core/v1, kind: ErrorHandler, name: listed}]\n"
    "  defaultErrorHandler: {apiVersion: core/v1, kind: ErrorHandler, name: usual}\n"
)
ERRORS = errors("listed") + errors("usual")


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("", "usual"),
        ("__default__", "usual"),
        ("core/v1/ErrorHandler/default/listed", "listed"),
    ],
)
def test_error_handlers(name: str, chosen: str) -> None:
    """One that the Entrypoint lists, by its name; else the default."""
    server = SERVER.replace("spec:", f"metadata: {{errorHandler: '{name}'}}\nspec:")
    config = loaded(LISTED + server + PROXY + ERRORS)
    found = config.error_handler(config.servers[0])
    assert found is not None
    assert found.metadata.name == chosen


def test_what_refers_to_what() -> None:
    """Each once, in the order of the file; an error handler that is named is one of them."""
    named = "metadata: {errorHandler: core/v1/ErrorHandler/default/listed}\nspec:"
    config = loaded(LISTED + SERVER.replace("spec:", named) + PROXY + ERRORS + DANGLING)
    below = {
        each.label: [other.label for other in config.dependencies(each)] for each in config.resources.values()
    }
    assert below == {
        "Entrypoint": [
            "ErrorHandler default/usual",
            "ErrorHandler default/listed",
            "HTTPServer default/default",
        ],
        "HTTPServer default/default": ["ReverseProxyHandler default/default", "ErrorHandler default/listed"],
        "ReverseProxyHandler default/default": [],
        "ErrorHandler default/listed": [],
        "ErrorHandler default/usual": [],
        "HTTPServer default/unused": [],
    }


def test_without_error_handlers_there_is_none() -> None:
    """The answers are AILERON's standard ones."""
    config = loaded(GOOD)
    assert config.error_handler(config.servers[0]) is None


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            LISTED
            + SERVER.replace("spec:", "metadata: {errorHandler: core/v1/ErrorHandler/default/listd}\nspec:"),
            (
                "12:26: HTTPServer default/default: metadata.errorHandler: "
                '"core/v1/ErrorHandler/default/listd" is not among errorHandlers of the Entrypoint; did you '
                'mean "core/v1/ErrorHandler/default/listed"?'
            ),
        ),
        (
            LISTED + SERVER.replace("spec:", "metadata: {errorHandler: mine}\nspec:"),
            (
                '12:26: HTTPServer default/default: metadata.errorHandler: "mine" is not among errorHandlers '
                "of the Entrypoint; core/v1/ErrorHandler/default/listed is there"
            ),
        ),
        (
            LISTED.replace("name: usual", "name: usal") + SERVER,
            (
                "8:72: Entrypoint: spec.defaultErrorHandler: there is no ErrorHandler default/usal; did you "
                'mean "usual"?'
            ),
        ),
        (
            LISTED.replace("kind: ErrorHandler, name: listed", "kind: HTTPServer") + SERVER,
            (
                "7:47: Entrypoint: spec.errorHandlers[0].kind: an error handler has to be an ErrorHandler, "
                "not: HTTPServer"
            ),
        ),
    ],
)
def test_error_handlers_that_are_none(config: str, problem: str) -> None:
    """Where AILERON fails over the first error (core-v1, section 2)."""
    assert told(config + PROXY + ERRORS) == [f"config.yaml:{problem}"]


def test_nothing_is_called_missing_behind_broken_yaml() -> None:
    """It may be in the document that could not be read."""
    assert len(told(ENTRYPOINT + SERVER + PROXY.replace("url: ", "url: ["))) == 1
    assert len(told(ENTRYPOINT.replace("runners:", "runners: '") + SERVER + PROXY)) == 1


def test_what_told_two_apart_may_be_what_was_wrong() -> None:
    """A wrong address is not told again as a collision."""
    both = ENTRYPOINT + "    - {apiVersion: core/v1, kind: HTTPServer, name: second}\n" + SERVER + PROXY
    assert len(told(both + SECOND_SERVER.replace("':8081'", "8080"))) == 1


@pytest.mark.parametrize("hosts", ["", "    - {}\n", "    - {}\n    - handlers: []\n"])
def test_servers_without_handlers_load(hosts: str) -> None:
    """Everything is 404 there."""
    server = SERVER[: SERVER.index("    - handlers")]
    assert told(ENTRYPOINT + server + hosts + PROXY) == []


def test_two_servers_need_two_addresses() -> None:
    """Unless the system chooses the ports."""
    both = ENTRYPOINT + "    - {apiVersion: core/v1, kind: HTTPServer, name: second}\n" + SERVER + PROXY
    assert told(both + SECOND_SERVER) == []
    assert told((both + SECOND_SERVER).replace(":8080", ":0").replace(":8081", ":0")) == []
    assert told(both + SECOND_SERVER.replace(":8081", ":8080")) == [
        (
            'config.yaml:32:14: HTTPServer default/second: spec.addr: ":8080" is where '
            "HTTPServer default/default listens already"
        )
    ]


def test_loading_files(tmp_path: Path) -> None:
    """Several files are one config; what is wrong names the file it is in."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(ENTRYPOINT + SERVER, encoding="utf-8")
    second.write_text(PROXY, encoding="utf-8")
    assert len(load([first, second, tmp_path / "." / "first.yaml"], {}).config.servers) == 1
    second.write_text(PROXY.replace("Prefix", "prefix") + SERVER, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load([first, second], {})
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        (str(second), 8),
        (str(second), 13),
    ]
    assert f"stands at {first}:8:1 already" in str(caught.value)
    with pytest.raises(ConfigError, match=r"absent\.yaml: there is no such file$"):
        load([tmp_path / "absent.yaml"], {})


def test_every_truncation_loads_or_tells() -> None:
    """A file that is cut off anywhere is sound, or wrong in words for people."""
    wrong = {
        (length, problem)
        for length in range(len(GOOD))
        for problem in told(GOOD[:length])
        if not problem.startswith("config.yaml:") or "broken YAML" in problem
    }
    assert not wrong


WORDS = st.sampled_from(
    [*sorted(set(GOOD.replace(":", " : ").split())), "", "null", "[]", "{}", "1", "${X}", "*a"]
)


@given(st.lists(st.tuples(st.integers(0, GOOD.count("\n") - 1), WORDS, WORDS), max_size=4))
def test_loading_raises_nothing_but_config_errors(edits: list[tuple[int, str, str]]) -> None:
    """Lines replaced by the words of others: a config, or problems that all have words and places."""
    lines = GOOD.splitlines()
    for index, key, value in edits:
        indent = len(lines[index]) - len(lines[index].lstrip())
        lines[index] = f"{' ' * indent}{key}: {value}"
    content = "\n".join(lines)
    for problem in told(content):
        assert re.match(r"config\.yaml(:[0-9]+:[0-9]+)?: .", problem)


@pytest.mark.parametrize(
    "content",
    [
        spoiled(
            "  addr",
            "  <<: [&u {"
            + ", ".join(f"upsteam{n}: 1" for n in range(10))
            + "}"
            + ", *u" * 2300
            + "]\n  addr",
        ),
        spoiled('":8080"', '"' + "${" * 50_000 + '"'),
        spoiled('":8080"', '"' + "é." * 5_000 + ':80"'),
        spoiled('":8080"', "1" * 50_000),
        spoiled("http://localhost", "http://" + "a." * 50_000),
        spoiled("  addr", "".join(f"  addr{n}: 1\n" for n in range(1000)) + "  addr"),
    ],
    ids=["merges", "variables", "labels", "digits", "host", "unknown fields"],
)
def test_hostile_configs_are_told_quickly(content: str) -> None:
    """What grows with the file grows no faster than it."""
    begun = time.process_time()
    assert told(content) != []
    assert time.process_time() - begun < 1


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "ignore")))
def test_loading_takes_any_bytes(data: bytes) -> None:
    """Noise holds no config."""
    assert told(data) != []


def test_a_lost_separator_is_told_where_the_next_resource_begins() -> None:
    """Once for each, and what else is wrong is told as well."""
    begins = "a second resource begins here; write --- on a line of its own before it"
    wrong = GOOD.replace("---\n", "").replace("upstreams", "upsteams")
    assert told(wrong) == [
        f"config.yaml:7:1: {begins}",
        f"config.yaml:16:1: {begins}",
        (
            "config.yaml:23:7: ReverseProxyHandler default/default: spec.loadBalancers[0].upsteams: unknown "
            'field; did you mean "upstreams"?'
        ),
    ]


def test_a_kind_given_twice_is_no_second_resource() -> None:
    """As long as nothing stands between."""
    (problem,) = told(GOOD.replace("kind: Entrypoint", "kind: Entrypoint\nkind: HTTPServer", 1))
    assert problem == (
        "config.yaml:3:1: Entrypoint: kind: this field is given twice; the other one stands in line 2"
    )

"""References from the Entrypoint on, and what is wrong between resources."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigError, ReverseProxyHandler, load

from .samples import ENTRYPOINT, GOOD, PROXY, SERVER, loaded, spoiled, told

SECOND_SERVER = (
    "---\napiVersion: core/v1\nkind: HTTPServer\nmetadata: {name: second}\nspec: {addr: ':8081'}\n"
)
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
    handler = config.resolve(server.spec.virtual_hosts[0].handlers[0].handler)
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
            spoiled("kind: HTTPServer\nspec", "kind: ${KIND}\nspec"),
            'config.yaml:9:7: kind: "${KIND}": variables are not supported yet; write the value itself',
        ),
        (
            GOOD + "---\napiVersion: core/v1\nkind: HTTPLogger\nmetadata: {name: log, namespace: n}\n",
            (
                "config.yaml:29:7: HTTPLogger n/log: kind: "
                "HTTPLogger is a kind of core/v1 that this gateway does not support yet"
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
            f"config.yaml:16:19: {HANDLER}.kind: a handler has to be a ReverseProxyHandler, not: Entrypoint",
        ),
        (
            spoiled("kind: ReverseProxyHandler", "kind: StaticFileHandler"),
            (
                f"config.yaml:16:19: {HANDLER}.kind: "
                "StaticFileHandler is a kind of core/v1 that this gateway does not support yet"
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
    """Resources are built on first reference (core-v1, section 2)."""
    assert told(GOOD + DANGLING) == []


def test_unreachable_references_are_told_with_others() -> None:
    """A load that fails over a reference tells of all of them."""
    problems = told(ENTRYPOINT + "      name: typo\n" + DANGLING)
    assert [problem.split(": there is no ")[1].partition(";")[0] for problem in problems] == [
        "HTTPServer default/typo",
        "ReverseProxyHandler default/nowhere",
    ]


def test_nothing_is_called_missing_behind_broken_yaml() -> None:
    """It may be in the document that could not be read."""
    assert len(told(ENTRYPOINT + SERVER + PROXY.replace("url: ", "url: ["))) == 1
    assert len(told(ENTRYPOINT.replace("runners:", "runners: '") + SERVER + PROXY)) == 1


HANDLER_OF_ALL = "{handler: {apiVersion: core/v1, kind: ReverseProxyHandler}}"


@pytest.mark.parametrize(
    ("hosts", "place", "owner"),
    [
        (
            f"    - handlers: [{HANDLER_OF_ALL}, {HANDLER_OF_ALL}]\n",
            "13:79: HTTPServer default/default: spec.virtualHosts[0].handlers[1]",
            "spec.virtualHosts[0].handlers[0]",
        ),
        (
            f"    - handlers: [{HANDLER_OF_ALL}]\n    - handlers: [{HANDLER_OF_ALL}]\n",
            "14:18: HTTPServer default/default: spec.virtualHosts[1].handlers[0]",
            "spec.virtualHosts[0].handlers[0]",
        ),
        (
            f"    - {{}}\n    - handlers: [{HANDLER_OF_ALL}]\n",
            "14:18: HTTPServer default/default: spec.virtualHosts[1].handlers[0]",
            "spec.virtualHosts[0] (which answers everything with 404, for want of handlers)",
        ),
    ],
)
def test_routes_collide_at_load(hosts: str, place: str, owner: str) -> None:
    """As in AILERON (core-v1, section 4.2)."""
    server = SERVER[: SERVER.index("    - handlers")]
    assert told(ENTRYPOINT + server + hosts + PROXY) == [
        f'config.yaml:{place}: the route "/" belongs to {owner} already'
    ]


def test_what_told_two_apart_may_be_what_was_wrong() -> None:
    """A refused field or a wrong address is not told again as a collision."""
    server = SERVER[: SERVER.index("    - handlers")]
    hosts = "".join(f"    - {{hosts: [{name}], handlers: [{HANDLER_OF_ALL}]}}\n" for name in ("a", "b"))
    assert [problem.rpartition(": ")[2] for problem in told(ENTRYPOINT + server + hosts + PROXY)] == [
        '"hosts" is a field of core/v1 that this gateway does not support yet'
    ] * 2
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
    assert len(load([first, second, tmp_path / "." / "first.yaml"]).servers) == 1
    second.write_text(PROXY.replace("Prefix", "prefix") + SERVER, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load([first, second])
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        (str(second), 8),
        (str(second), 13),
    ]
    assert f"stands at {first}:8:1 already" in str(caught.value)
    with pytest.raises(ConfigError, match=r"absent\.yaml: there is no such file$"):
        load([tmp_path / "absent.yaml"])


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_every_truncation_loads_or_tells(length: int) -> None:
    """A file that is cut off anywhere is sound, or wrong in words for people."""
    for problem in told(GOOD[:length]):
        assert problem.startswith("config.yaml:")
        assert "broken YAML" not in problem


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

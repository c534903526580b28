"""ErrorHandler: which errors are answered otherwise, and how (core-v1, section 6)."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from gateway.config import ErrorHandler
from gateway.errors import KINDS, Answer, ErrorAnswers, Fault
from tests.gateway.config.samples import ENTRYPOINT, PROXY, SERVER, loaded
from tests.gateways import GatewayProcess
from tests.servers import PATIENCE

REFUSED = Fault(status=502, code="E2124", message="nothing listens there", path="/api/x")


def answers(messages: str) -> ErrorAnswers:
    """Those of an ErrorHandler with these errorMessages."""
    handler = f"""\
---
apiVersion: core/v1
kind: ErrorHandler
spec:
  errorMessages:
{messages}"""
    entrypoint = f"{ENTRYPOINT}  defaultErrorHandler: {{apiVersion: core/v1, kind: ErrorHandler}}\n"
    config = loaded(entrypoint + handler + SERVER + PROXY)
    (resource,) = (each for each in config.resources.values() if isinstance(each, ErrorHandler))
    return ErrorAnswers(resource)


def body(messages: str, fault: Fault = REFUSED, *accepted: str) -> str | None:
    """The body of the answer to `fault`; None for the standard one."""
    found = answers(messages)
    assert found.problems == []
    answer = found.answer(fault, accepted)
    return None if answer is None else answer.body.decode()


ONE = "mimeContents: [{mimeType: text/plain, template: one}]"


@pytest.mark.parametrize(
    ("patterns", "matches"),
    [
        ("codes: [E2124]", True),
        ("codes: ['E21[0-9]*']", True),
        ("codes: [E2122]", False),
        ("kinds: [CoreProxy*]", True),
        ("kinds: [CoreServer*]", False),
        ("messages: ['listens there$']", True),
        ("messages: ['^E2124.CoreProxyRoundtrip ']", True),
        ("messages: ['nobody']", False),
        ("codes: [E2122], kinds: [CoreProxy*]", True),
        ("codes: [E2124], paths: ['^/api/']", True),
        ("codes: [E2124], paths: ['^/other', x$]", True),
        ("codes: [E2124], paths: ['^/other']", False),
        ("paths: ['^/api/']", False),
        ("codes: ['*']", True),
    ],
)
def test_what_an_entry_is_about(patterns: str, matches: bool) -> None:
    """Codes, kinds and messages are alternatives; paths have to match as well."""
    assert (body(f"    - {{{patterns}, {ONE}}}\n") == "one") is matches


def test_the_first_entry_that_matches_decides() -> None:
    """One without contents is passed over."""
    messages = (
        "    - {codes: [E2124]}\n"
        "    - {codes: [E9999], mimeContents: [{mimeType: text/plain, template: other}]}\n"
        f"    - {{codes: [E2124], {ONE}}}\n"
        "    - {codes: [E2124], mimeContents: [{mimeType: text/plain, template: late}]}\n"
    )
    assert body(messages) == "one"


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ((), "plain"),
        (("*/*",), "plain"),
        (("text/html", "application/json"), "json"),
        (("application/*;q=0.1",), "json"),
        (("image/png",), "plain"),
        (("TEXT/PLAIN",), "plain"),
    ],
)
def test_accept_chooses_among_the_contents(accepted: tuple[str, ...], chosen: str) -> None:
    """In the order of Accept; the first content where nothing fits."""
    contents = "[{mimeType: text/plain, template: plain}, {mimeType: application/json, template: json}]"
    assert body(f"    - {{codes: ['E*'], mimeContents: {contents}}}\n", REFUSED, *accepted) == chosen


def test_status_and_fields_are_filled_in() -> None:
    """With the status that is sent, and the error's code and kind."""
    messages = (
        "    - codes: [E2124]\n"
        '      headerTemplate: {X-Error: "{{status}} {{statusText}} {{code}} {{kind}} {{what}}"}\n'
        "      mimeContents:\n"
        "        - {mimeType: text/plain, template: '{{status}}', statusCode: 503,\n"
        "           header: {Retry-After: '5'}}\n"
    )
    assert answers(messages).answer(REFUSED, ()) == Answer(
        status=503,
        mime_type="text/plain",
        fields=(("Retry-After", "5"), ("X-Error", "503 Service Unavailable E2124 CoreProxyRoundtrip ")),
        body=b"{{status}}",
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (f"codes: ['['], {ONE}", "spec.errorMessages[0].codes[0]: "),
        (f"messages: ['('], {ONE}", "spec.errorMessages[0].messages[0]: "),
        (
            "codes: [E1], mimeContents: [{mimeType: text/plain, templateType: GoText}]",
            "mimeContents[0].templateType: GoText is a template language of Go's",
        ),
        (
            "codes: [E1], mimeContents: [{mimeType: text/plain, templateFile: none.txt}]",
            'templateFile: "none.txt" cannot be read: No such file or directory',
        ),
        (
            "codes: [E1], mimeContents: [{mimeType: text/plain, statusCode: 101}]",
            "statusCode: 101 is no status that ends a request",
        ),
        (
            f'codes: [E1], headerTemplate: {{"a b": c}}, {ONE}',
            'headerTemplate: "a b" is not the name of a header field',
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(entry: str, words: str) -> None:
    """When the config is loaded, not when the error happens."""
    (problem,) = answers(f"    - {{{entry}}}\n").problems
    assert words in str(problem)
    assert str(problem).startswith("config.yaml:13:")


def test_every_code_has_a_kind() -> None:
    """As AILERON calls it; a code that is not known has none."""
    assert all(kind.startswith("Core") for kind in KINDS.values())
    assert Fault(status=400, code="", message="", path="/").kind == ""


async def test_a_client_gets_the_answer(tmp_path: Path) -> None:
    """Of the handler's own ErrorHandler where it names one, else of the default; else AILERON's own."""
    page = tmp_path / "sorry.html"
    page.write_text("<p>sorry</p>", encoding="utf-8")
    config = f"""\
apiVersion: core/v1
kind: Entrypoint
spec:
  runners: [{{apiVersion: core/v1, kind: HTTPServer}}]
  errorHandlers: [{{apiVersion: core/v1, kind: ErrorHandler, name: own}}]
---
apiVersion: core/v1
kind: ErrorHandler
metadata: {{name: own}}
spec:
  errorMessages:
    - codes: [E2124]
      mimeContents: [{{mimeType: text/html, templateFile: {page}, statusCode: 503}}]
---
apiVersion: core/v1
kind: HTTPServer
spec:
  addr: "127.0.0.1:0"
  virtualHosts:
    - handlers:
        - pattern: /api/
          handler: {{apiVersion: core/v1, kind: ReverseProxyHandler}}
---
apiVersion: core/v1
kind: ReverseProxyHandler
metadata: {{errorHandler: core/v1/ErrorHandler/default/own}}
spec:
  loadBalancers:
    - pathMatcher: {{match: /api/, matchType: Prefix}}
      upstreams: [{{url: http://127.0.0.1:1}}]
"""
    with GatewayProcess(config) as gateway:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as client:
            url = f"http://127.0.0.1:{gateway.port}"
            async with client.get(f"{url}/api/x") as response:
                assert (response.status, await response.text()) == (503, "<p>sorry</p>")
                assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            async with client.get(f"{url}/other") as response:
                assert (response.status, await response.json()) == (
                    404,
                    {"status": 404, "statusText": "Not Found"},
                )

"""The schema for editors: it takes what loads, refuses what does not, and leaves nothing out."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from gateway.config.decoding import Message, Refused, fields_of
from gateway.config.resources import KINDS
from gateway.config.schema import descriptions, messages, schema
from gateway.config.template import data_of, defaults

from .samples import ENTRYPOINT, GOOD, PROXY, SERVER, spoiled, told

CONFIG = Path(__file__).parents[3] / "config.yaml"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """A reader of the schema that nobody here wrote."""
    found = json.loads(json.dumps(schema()))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def sound(validator: Draft202012Validator, content: str) -> bool:
    """Whether every document of `content` is valid."""
    return all(validator.is_valid(each) for each in yaml.safe_load_all(content))


@pytest.mark.parametrize("cls", messages(), ids=lambda cls: cls.__name__)
def test_every_field_is_described(cls: type[Message]) -> None:
    """Each model and each attribute has a docstring, which the schema repeats, and both names."""
    definition = schema()["$defs"][cls.__name__]
    doc = inspect.getdoc(cls)
    assert doc is not None
    assert definition["description"] == " ".join(doc.split())
    assert list(definition["properties"]) == [each.name for each in fields_of(cls)]
    for each in fields_of(cls):
        assert descriptions(cls)[each.attribute].endswith((".", ":"))
        found = definition["properties"][each.name]
        assert found["description"].startswith(descriptions(cls)[each.attribute])
        assert f"^{each.declared.proto_name}$" in definition["patternProperties"]
        if isinstance(refused := each.declared.decode, Refused):
            assert refused.reason in found["description"]


def test_all_models_are_there() -> None:
    """Those that a file may hold are all that exist, but for what they are made of."""
    found, pending = set[type[Message]](), [Message]
    while pending:
        inner = [each for each in pending.pop().__subclasses__() if each.__module__.startswith("gateway.")]
        found.update(inner)
        pending += inner
    assert {each.__name__ for each in found} - {each.__name__ for each in messages()} == {"ResourceBase"}


def test_defaults_and_bounds() -> None:
    """As the models have them."""
    found = schema()["$defs"]
    assert found["HTTPConfig"]["properties"]["readTimeout"] == {
        "type": ["integer", "string", "null"],
        "minimum": -(1 << 63),
        "maximum": (1 << 63) - 1,
        "pattern": r"^([+-]?(0|[1-9][0-9]{0,18})(\.0*)?)?$",
        "description": "Seconds in which a request has to be read, its body included.",
        "default": 30,
    }
    assert found["PathMatcherSpec"]["properties"]["matchType"]["default"] == "Exact"
    assert found["HTTPServer"]["properties"]["kind"]["const"] == "HTTPServer"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_template_prints_is_valid(validator: Draft202012Validator, kind: str) -> None:
    """With every field of the kind in it, the refused ones too."""
    assert list(validator.iter_errors(data_of(defaults(kind)))) == []


ALL_KINDS = """\
---
apiVersion: core/v1
kind: HTTPHandler
spec: {pattern: /x, handler: {apiVersion: core/v1, kind: ReverseProxyHandler}}
---
apiVersion: core/v1
kind: ErrorHandler
spec:
  errorMessages:
    - headerTemplate: {X-Status: "{{status}}"}
      mimeContents: [{mimeType: text/html, template: bye}]
"""


@pytest.mark.parametrize(
    "content",
    [
        CONFIG.read_text(encoding="utf-8"),
        GOOD,
        GOOD + ALL_KINDS,
        GOOD + "---\n",
        spoiled("matchType: Prefix", "matchType: 1"),
        spoiled("matchType: Prefix", "matchType: 99"),
        spoiled("matchType: Prefix", "matchType: null"),
        spoiled("matchType: Prefix", "MatchType: Regex"),
        spoiled("matchType: Prefix", "matchType: Regex_POSIX"),
        spoiled("kind: HTTPServer\nspec", "Kind: HTTPServer\nSpec"),
        spoiled("  addr", "  shutdownTimeout: '5'\n  addr"),
        spoiled("  addr", "  shutdownTimeout: 5.0\n  addr"),
        spoiled("  addr", "  httpConfig: {readTimeout: -1}\n  addr"),
        spoiled(
            "  addr", "  httpConfig: \n  middleware: []\n  http2Config: \n  enableProfile: false\n  addr"
        ),
        spoiled("  loadBalancers", "  methods: [GET, 3]\n  loadBalancers"),
    ],
)
def test_what_loads_is_valid(validator: Draft202012Validator, content: str) -> None:
    """The shipped config, and what protojson takes."""
    assert told(content) == []
    assert [error for each in yaml.safe_load_all(content) for error in validator.iter_errors(each)] == []


@pytest.mark.parametrize(
    "content",
    [
        "- a\n",
        "kind: Entrypoint\n",
        "apiVersion: core/v1\n",
        spoiled("kind: Entrypoint", "kind: HTTPLogger"),
        spoiled("apiVersion: core/v1\nkind: Entry", "apiVersion: core/v2\nkind: Entry"),
        spoiled("upstreams", "upsteams"),
        spoiled("- pathMatcher", "- matchType: Prefix\n      pathMatcher"),
        spoiled('":8080"', "8080"),
        spoiled("matchType: Prefix", "matchType: prefix"),
        spoiled("- url: http://localhost:9090", "- weight: 1"),
        spoiled("- url: http://localhost:9090", "- url: "),
        spoiled("http://localhost", "ws://localhost"),
        spoiled("- url", "- weight: 65536\n          url"),
        spoiled("- url", "- enableActive: 'true'\n          url"),
        spoiled("  addr", "  shutdownTimeout: five\n  addr"),
        spoiled("  addr", "  middleware: [{apiVersion: app/v1, kind: CORSMiddleware}]\n  addr"),
        spoiled("  addr", "  enableProfile: true\n  addr"),
        spoiled("  loadBalancers", "  methods: [GET, GET]\n  loadBalancers"),
        spoiled("- pathMatcher", "- headerMatchers: [{key: a, matchType: 99}]\n      pathMatcher"),
        spoiled("kind: HTTPServer\nspec", "kind: HTTPServer\nmetadata: {name: a_b}\nspec"),
        spoiled("    - apiVersion: core/v1\n      kind: HTTPServer", "    - null"),
        GOOD + ALL_KINDS.replace("template: bye", "template: 1"),
        ENTRYPOINT + SERVER + PROXY.replace("    - pathMatcher", "      pathMatcher"),
    ],
)
def test_what_does_not_load_is_not_valid(validator: Draft202012Validator, content: str) -> None:
    """Names, types, bounds, and what this gateway does not have."""
    assert told(content) != []
    assert not sound(validator, content)


def test_both_names_mean_the_same(validator: Draft202012Validator) -> None:
    """A declared name is checked as the other is."""
    document: Any = {"APIVersion": "core/v1", "Kind": "HTTPServer", "Spec": {"Addr": ":1"}}
    assert validator.is_valid(document)
    assert not validator.is_valid(document | {"Spec": {"Addr": 1}})
    assert not validator.is_valid(document | {"Kind": "HTTPSever"})

"""The models: every field of the shipped config, the defaults, and what resources are called."""

import dataclasses

import pytest

from gateway.config import Entrypoint, HTTPServer, ReverseProxyHandler
from gateway.config.decoding import Message, Refused, fields_of
from gateway.config.resources import KINDS, OTHER_KINDS

from .samples import GOOD, loaded, spoiled, told


def test_the_sample_field_by_field() -> None:
    """Each resource under its id, each value where the file has it."""
    config = loaded(GOOD)
    entrypoint, server, proxy = config.resources.values()
    assert isinstance(entrypoint, Entrypoint)
    assert isinstance(server, HTTPServer)
    assert isinstance(proxy, ReverseProxyHandler)
    (reference,) = entrypoint.spec.runners
    assert (reference.api_version, reference.kind, reference.namespace, reference.name) == (
        "core/v1",
        "HTTPServer",
        "default",
        "default",
    )
    assert (server.metadata.namespace, server.metadata.name) == ("default", "default")
    assert (server.spec.addr, server.spec.shutdown_timeout) == (":8080", 30)
    (balancer,) = proxy.spec.load_balancers
    assert balancer.path_matcher is not None
    assert (balancer.path_matcher.match, balancer.path_matcher.match_type.name) == ("/", "Prefix")
    assert [(each.upstream.url, each.weight) for each in balancer.upstreams] == [("http://localhost:9090", 1)]


def test_a_resource_of_nothing_has_defaults() -> None:
    """apiVersion and kind are enough."""
    content = GOOD.partition("---")[0] + "---\napiVersion: core/v1\nkind: HTTPServer\n"
    (server,) = loaded(content).servers
    assert (server.spec.addr, server.spec.shutdown_timeout, server.spec.virtual_hosts) == (":8080", 30, ())


def test_messages_know_where_they_stand() -> None:
    """For whoever has something to say of them later."""
    (server,) = loaded(GOOD).servers
    reference = server.spec.virtual_hosts[0].handlers[0].handler
    assert reference is not None
    where = reference.where
    assert (where.file, where.path) == ("config.yaml", "spec.virtualHosts[0].handlers[0].handler")
    assert (where.mark.line, where.of("name", "kind").line, where.of("name").line) == (15, 16, 15)


@pytest.mark.parametrize("spec", ["", "spec:\n", "spec: null\n"])
def test_messages_of_defaults_stand_where_they_could(spec: str) -> None:
    """At the message around them, under their own path."""
    content = f"{GOOD.partition('---')[0]}---\napiVersion: core/v1\nkind: HTTPServer\n{spec}"
    (server,) = loaded(content).servers
    where = server.spec.where
    assert (where.file, where.path, where.of("addr").line) == ("config.yaml", "spec", 8)


def test_messages_are_equal_by_what_they_say() -> None:
    """Not by where they say it, so that a reload sees what has changed."""
    assert loaded(GOOD).resources == loaded("# a comment\n" + GOOD).resources
    assert loaded(GOOD).resources != loaded(spoiled(":8080", ":8081")).resources


def test_messages_are_frozen() -> None:
    """A config never changes under those who use it."""
    (server,) = loaded(GOOD).servers
    with pytest.raises(dataclasses.FrozenInstanceError):
        server.spec.addr = ":1"  # type: ignore[misc]  # which is what is tested


@pytest.mark.parametrize("name", ["a-b.C9", "default", ""])
def test_names(name: str) -> None:
    """Letters, digits, hyphens and dots; nothing means "default"."""
    content = spoiled("kind: HTTPServer\nspec:", f"kind: HTTPServer\nmetadata: {{name: '{name}'}}\nspec:")
    content = content.replace("      kind: HTTPServer", f"      kind: HTTPServer\n      name: '{name}'", 1)
    (server,) = loaded(content).servers
    assert server.metadata.name == (name or "default")


@pytest.mark.parametrize("name", ["a_b", "a/b", "a b", "ü"])
def test_wrong_names(name: str) -> None:
    """Said once, and what refers to such a name is not called missing as well."""
    content = spoiled("kind: HTTPServer\nspec:", f"kind: HTTPServer\nmetadata: {{name: '{name}'}}\nspec:")
    words = "a name holds letters, digits, hyphens and dots, and no underscores"
    assert told(content) == [
        f'config.yaml:10:18: HTTPServer default/{name}: metadata.name: "{name}" is not allowed here; {words}'
    ]


def messages() -> list[type[Message]]:
    """Every model."""
    found, pending = [], [Message]
    while pending:
        inner = pending.pop().__subclasses__()
        found += inner
        pending += inner
    return found


@pytest.mark.parametrize("cls", messages(), ids=lambda cls: cls.__name__)
def test_every_field_is_declared(cls: type[Message]) -> None:
    """Its two names differ in case alone; what is refused is empty by default."""
    attributes = {each.name for each in dataclasses.fields(cls)}
    assert {each.attribute for each in fields_of(cls)} == attributes - {"where"}
    names = {"tlsCipher": "TLSCiphers"}  # whose names do differ (core-v1, section 4.4)
    for each in fields_of(cls):
        wanted = names.get(each.name, each.name).lower()
        assert each.declared.proto_name.lower() == wanted
        if isinstance(refused := each.declared.decode, Refused):
            defaults = {field.name: field.default for field in dataclasses.fields(cls)}
            assert defaults[each.attribute] == refused.empty


def test_no_kind_is_both_known_and_not() -> None:
    """A kind is either built or refused."""
    assert not set(KINDS) & set(OTHER_KINDS)


def test_no_upstream_shows_credentials() -> None:
    """What is read of a config is where requests go."""
    config = loaded(spoiled("http://localhost", "http://user:hush@localhost"))
    assert "hush" not in repr(config.upstreams)
    assert [each.url for each in config.upstreams] == ["http://localhost:9090"]

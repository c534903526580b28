"""Documents → resources → one graph, from the Entrypoint down.

Strategy
    First each document is decoded on its own.  Then references are followed from the Entrypoint, as AILERON
    does: a resource that nothing refers to may itself refer to nothing that exists.

Rules
    * One cause, one message: where a document could not be told apart (broken YAML, an unknown kind, a wrong
      name), whatever is missing may be that document, so nothing is called missing.
    * Where the load fails anyway because of references, those of the unreachable resources are checked as
      well, so that nobody meets them one by one.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from gateway.config.addresses import Upstream, parse_addr
from gateway.config.decoding import Scope, entries, is_empty, is_null, text
from gateway.config.documents import Document, MappingNode, Node, ScalarNode, read
from gateway.config.problems import ConfigError, Mark, Problem, did_you_mean, escaped, quoted
from gateway.config.resources import (
    API_VERSION,
    DECODERS,
    KINDS,
    LATER_KINDS,
    Entrypoint,
    HTTPServer,
    Reference,
    Resource,
    ReverseProxyHandler,
    label,
)

R = TypeVar("R", Entrypoint, HTTPServer, ReverseProxyHandler)

Id = tuple[str, str, str, str]
"""apiVersion, kind, namespace, name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration in which every reference that is followed leads somewhere."""

    resources: dict[Id, Resource]
    servers: tuple[HTTPServer, ...]
    """The Entrypoint's runners, in its order, each once."""

    def resolve(self, reference: Reference) -> Resource:
        """What `reference` means.  Raises KeyError where it leads nowhere, which none from a server does."""
        return self.resources[_target(reference)]

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """Every upstream that some server may send requests to, in their order, each once."""
        found: dict[Upstream, None] = {}
        for server in self.servers:
            for host in server.spec.virtual_hosts:
                for mounted in host.handlers:
                    handler = self.resolve(mounted.handler)
                    assert isinstance(handler, ReverseProxyHandler)  # load has checked it
                    for balancer in handler.spec.load_balancers:
                        if balancer.path_matcher is not None:  # without one nothing matches
                            found |= {each.url: None for each in balancer.upstreams if each.weight >= 0}
        return tuple(found)


def load(paths: Sequence[Path]) -> Config:
    """The configuration that the files at `paths` (one at least) make together.  Raises ConfigError."""
    readings = [read(path) for path in dict.fromkeys(paths)]
    problems = [problem for reading in readings for problem in reading.problems]
    documents = [document for reading in readings for document in reading.documents]
    return link(documents, problems, files=[str(path) for path in paths])


def link(documents: Iterable[Document], problems: list[Problem], *, files: Sequence[str]) -> Config:
    """One graph of `documents`, in reading which `problems` came up.  Raises ConfigError."""
    linker = _Linker(problems)
    for document in documents:
        linker.add(document)
    servers = linker.link(files)
    if linker.problems:
        raise ConfigError(linker.problems)
    return Config(resources=linker.resources, servers=servers)


class _Linker:
    """Gathers resources, and then the problems between them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.resources: dict[Id, Resource] = {}
        self._all_known = not problems
        """Whether every document could be told apart."""

    def add(self, document: Document) -> None:
        """Decode `document` and keep its resource."""
        parts = _parted(document)
        for part in parts[1:]:
            scope = Scope(file=part.file, resource=None, problems=self.problems)
            words = "a second resource begins here; write --- on a line of its own before it"
            scope.problem(part.root.mark, words)
        for part in parts:
            self._add(part)

    def _add(self, document: Document) -> None:
        told = len(self.problems)
        if (resource := _decode(document, self.problems)) is not None:
            self._keep(resource)
        if any(not (each.field or "").startswith("spec") for each in self.problems[told:]):
            self._all_known = False

    def _keep(self, resource: Resource) -> None:
        other = self.resources.setdefault(_id(resource), resource)
        if other is resource:
            return
        mark = other.where.mark
        place = f"{escaped(other.where.file)}:{mark.line}:{mark.column}"
        if isinstance(resource, Entrypoint):
            words = f"there can be only one Entrypoint, whatever its name; the other one stands at {place}"
        else:
            words = f"{resource.label} stands at {place} already; give one of them another metadata.name"
        self._tell(resource, "", resource.where.of("kind"), words)

    def _tell(self, resource: Resource, path: str, mark: Mark, words: str) -> None:
        scope = Scope(file=resource.where.file, resource=resource.label, problems=self.problems, path=path)
        scope.problem(mark, words)

    def link(self, files: Sequence[str]) -> tuple[HTTPServer, ...]:
        """Follow every reference from the Entrypoint on; the servers to run."""
        told = len(self.problems)
        servers = self._runners(files)
        for server in servers:
            self._check_handlers(server)
        if told == 0:  # else what tells two servers or two routes apart may be what was wrong
            self._check_addresses(servers)
            for server in servers:
                self._check_routes(server)
        if len(self.problems) > told:
            for resource in self.resources.values():
                if isinstance(resource, HTTPServer) and not any(resource is each for each in servers):
                    self._check_handlers(resource)
        return servers

    def _runners(self, files: Sequence[str]) -> tuple[HTTPServer, ...]:
        """The servers that the Entrypoint runs, each once."""
        entrypoint = next((each for each in self.resources.values() if isinstance(each, Entrypoint)), None)
        if entrypoint is not None:
            role = "a runner has to be an HTTPServer"
            found = (self._follow(entrypoint, each, HTTPServer, role) for each in entrypoint.spec.runners)
            return tuple({_id(server): server for server in found if server is not None}.values())
        if self._all_known:
            words = (
                "there is no Entrypoint; the gateway starts what the runners of one refer to"
                if self.resources
                else "there is no resource in it; a config begins with an Entrypoint"
            )
            self.problems.append(Problem(file=files[0], message=words))
        return ()

    def _check_handlers(self, server: HTTPServer) -> None:
        for host in server.spec.virtual_hosts:
            for mounted in host.handlers:
                role = "a handler has to be a ReverseProxyHandler"
                self._follow(server, mounted.handler, ReverseProxyHandler, role)

    def _check_routes(self, server: HTTPServer) -> None:
        """Every route can have only one handler.

        Without patterns and hosts, which are not supported yet, each handler's route is "/".  A virtual host
        without handlers takes that route as well: its requests get 404 (core-v1, section 4.2).
        """
        taken: str | None = None
        for host in server.spec.virtual_hosts:
            for mounted in host.handlers:
                if taken is not None:
                    words = f'the route "/" belongs to {taken} already'
                    self._tell(server, mounted.where.path, mounted.where.mark, words)
                taken = taken or mounted.where.path
            taken = taken or f"{host.where.path} (which answers everything with 404, for want of handlers)"

    def _check_addresses(self, servers: Sequence[HTTPServer]) -> None:
        """No two servers can listen at one address, unless the system chooses their ports."""
        taken: dict[tuple[str | None, int], HTTPServer] = {}
        for server in servers:
            address = parse_addr(server.spec.addr)
            other = taken.setdefault(address, server)
            if other is not server and address[1] != 0:
                words = f"{quoted(server.spec.addr)} is where {other.label} listens already"
                self._tell(server, "spec.addr", server.spec.where.of("addr"), words)

    def _follow(self, owner: Resource, reference: Reference, wanted: type[R], role: str) -> R | None:
        """What `reference` of `owner` means, where it is a `wanted`; tells why it is not."""
        where = reference.where
        found = self.resources.get(_target(reference))
        if isinstance(found, wanted):
            return found
        if reference.api_version != API_VERSION:
            words = _unknown_group(reference.api_version)
            self._tell(owner, f"{where.path}.apiVersion", where.of("api_version"), words)
        elif reference.kind not in KINDS:
            self._tell(owner, f"{where.path}.kind", where.of("kind"), _unknown_kind(reference.kind))
        elif KINDS[reference.kind] is not wanted:
            self._tell(owner, f"{where.path}.kind", where.of("kind"), f"{role}, not: {reference.kind}")
        elif self._all_known:
            words = self._missing(reference)
            self._tell(owner, where.path, where.of("name", "namespace", "kind"), words)
        return None

    def _missing(self, reference: Reference) -> str:
        """What is said of a reference to a resource of a known kind that does not exist."""
        wanted = label(reference.kind, reference.namespace, reference.name)
        there = [each for each in self.resources.values() if each.kind == reference.kind]
        if not there:
            return f"there is no {wanted}; no {reference.kind} is defined at all"
        names = [
            each.metadata.name
            if each.metadata.namespace == reference.namespace
            else f"{each.metadata.namespace}/{each.metadata.name}"
            for each in there
        ]
        hint = did_you_mean(reference.name, names)
        return f"there is no {wanted}{hint or f'; there is {_some([each.label for each in there])}'}"


def _target(reference: Reference) -> Id:
    return _key(reference.api_version, reference.kind, reference.namespace, reference.name)


def _id(resource: Resource) -> Id:
    return _key(resource.api_version, resource.kind, resource.metadata.namespace, resource.metadata.name)


def _key(api_version: str, kind: str, namespace: str, name: str) -> Id:
    if kind == "Entrypoint":  # whose name in the file means nothing
        namespace = name = ".entrypoint"
    return api_version, kind, namespace, name


_TOP_LEVEL: Final = {
    "apiVersion": "apiVersion",
    "APIVersion": "apiVersion",
    "kind": "kind",
    "Kind": "kind",
    "metadata": "metadata",
    "Metadata": "metadata",
    "spec": "spec",
    "Spec": "spec",
}
_METADATA: Final = {"name": "name", "Name": "name", "namespace": "namespace", "Namespace": "namespace"}


def _parted(document: Document) -> list[Document]:
    """`document`, cut where apiVersion or kind of a further resource stands for want of a "---"."""
    root = document.root
    if not isinstance(root, MappingNode):
        return [document]
    starts = [0]
    seen: set[str] = set()
    for index, (key, _) in enumerate(root.entries):
        name = _TOP_LEVEL.get(key.text, "") if isinstance(key, ScalarNode) else ""
        if name in ("apiVersion", "kind") and name in seen and seen & {"metadata", "spec"}:
            starts.append(index)
            seen.clear()
        seen.add(name)
    if len(starts) == 1:
        return [document]
    roots = (
        replace(root, entries=root.entries[start:end], mark=root.entries[start][0].mark)
        for start, end in itertools.pairwise((*starts, len(root.entries)))
    )
    return [replace(document, root=each) for each in roots]


def _decode(document: Document, problems: list[Problem]) -> Resource | None:
    """The resource in `document`, where it is one that is supported; tells why it is not."""
    root = document.root
    scope = Scope(file=document.file, resource=None, problems=problems)
    if is_null(root):
        return None  # between two lines "---" may stand nothing
    if not isinstance(root, MappingNode):
        scope.problem(root.mark, "a resource has to stand here, with apiVersion, kind, metadata and spec")
        return None
    quiet = replace(scope, problems=[])
    top = entries(root, quiet, _TOP_LEVEL)
    if not top and not any(" mean " in problem.message for problem in quiet.problems):
        return None  # AILERON passes over a document that is no resource; here it must not look like one
    scope = replace(scope, resource=_label(top, quiet))
    if missing := [name for name in ("apiVersion", "kind") if name not in top or is_empty(top[name][1])]:
        if quiet.problems:  # a misspelt name
            entries(root, scope, _TOP_LEVEL)
        else:
            scope.problem(root.mark, f"{' and '.join(map(quoted, missing))} must be given")
        return None
    api_version = text(top["apiVersion"][1], scope.at("apiVersion"))
    kind = text(top["kind"][1], scope.at("kind"))
    if api_version is None or kind is None:
        return None
    if api_version != API_VERSION:
        scope.at("apiVersion").problem(top["apiVersion"][1].mark, _unknown_group(api_version))
        return None
    if kind not in DECODERS:
        scope.at("kind").problem(top["kind"][1].mark, _unknown_kind(kind))
        return None
    return DECODERS[kind](root, scope)


def _label(top: dict[str, tuple[Mark, Node]], quiet: Scope) -> str | None:
    """What to call the resource with these fields, as far as they can be read."""
    kind = text(top["kind"][1], quiet) if "kind" in top else None
    if kind is None:
        return None
    metadata = top["metadata"][1] if "metadata" in top else None
    names = entries(metadata, quiet, _METADATA) if isinstance(metadata, MappingNode) else {}
    namespace, name = (
        (text(names[each][1], quiet) if each in names else None) or "default"
        for each in ("namespace", "name")
    )
    return quoted(label(kind, namespace, name), marks="")


def _unknown_group(api_version: str) -> str:
    if api_version == "app/v1":
        return "app/v1 is a group of AILERON that this gateway does not support; core/v1 is"
    hint = did_you_mean(api_version, (API_VERSION,)) or "; core/v1 is"
    return f"{quoted(api_version)} is not known{hint}"


def _unknown_kind(kind: str) -> str:
    if kind in LATER_KINDS:
        return f"{kind} is a kind of core/v1 that this gateway does not support yet"
    hint = did_you_mean(kind, (*KINDS, *LATER_KINDS)) or f"; {_some(list(KINDS))} are"
    return f"{quoted(kind)} is not a kind of core/v1{hint}"


def _some(names: list[str]) -> str:
    """The first few of `names`, in words."""
    shown = names[:5] + ([f"{len(names) - 5} more"] if len(names) > 5 else [])
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)

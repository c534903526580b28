"""Documents → resources → one graph, from the Entrypoint down.

Strategy
    First each document is decoded on its own.  Then references are followed from the Entrypoint, as AILERON
    does: only what something refers to is ever built, and once, however often it is referred to.

Rules
    * One cause, one message: where a document could not be told apart (broken YAML, an unknown kind, a wrong
      name), whatever is missing may be that document, so nothing is called missing.
    * What is wrong with a resource that nothing refers to, and would be found only while it is built, is a
      warning.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from gateway.config.addresses import Upstream, parse_addr
from gateway.config.decoding import Scope, Text, entries, is_empty, is_null
from gateway.config.documents import Document, MappingNode, Node, ScalarNode
from gateway.config.problems import Mark, Problem, did_you_mean, escaped, quoted
from gateway.config.resources import (
    API_VERSION,
    DECODERS,
    KINDS,
    OTHER_KINDS,
    Entrypoint,
    ErrorHandler,
    HTTPHandler,
    HTTPServer,
    Reference,
    Resource,
    ReverseProxyHandler,
    label,
)

R = TypeVar("R", bound=Resource)

Handler = ReverseProxyHandler | HTTPHandler

HANDLERS: Final[tuple[type[Handler], ...]] = (ReverseProxyHandler, HTTPHandler)

Id = tuple[str, str, str, str]
"""apiVersion, kind, namespace, name."""

DEFAULT_ERROR_HANDLER: Final = "__default__"
"""What `metadata.errorHandler` says of the Entrypoint's defaultErrorHandler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration in which every reference that is followed leads somewhere."""

    resources: dict[Id, Resource]
    servers: tuple[HTTPServer, ...]
    """The Entrypoint's runners, in its order, each once."""
    used: frozenset[Id]
    """The resources that the Entrypoint leads to, itself included."""

    @property
    def entrypoint(self) -> Entrypoint:
        """Where the gateway begins."""
        return next(each for each in self.resources.values() if isinstance(each, Entrypoint))

    def resolve(self, reference: Reference) -> Resource:
        """What `reference` means.  Raises KeyError where it leads nowhere, which none from a server does."""
        return self.resources[target_of(reference)]

    def handler(self, reference: Reference | None) -> Handler:
        """The handler that `reference`, which comes from a server, means."""
        assert reference is not None  # link has checked it
        found = self.resolve(reference)
        assert isinstance(found, Handler)  # as above
        return found

    def proxy(self, reference: Reference | None) -> ReverseProxyHandler:
        """The ReverseProxyHandler that answers in the end, inside of any number of HTTPHandlers."""
        found = self.handler(reference)
        while isinstance(found, HTTPHandler):
            found = self.handler(found.spec.handler)
        return found

    def error_handler(self, resource: Resource) -> ErrorHandler | None:
        """What words the errors of `resource`; None for AILERON's standard answers."""
        name = resource.metadata.error_handler
        reference = self.entrypoint.spec.default_error_handler
        if name not in ("", DEFAULT_ERROR_HANDLER):
            reference = next(
                each for each in self.entrypoint.spec.error_handlers if _registered(each) == name
            )
        found = None if reference is None else self.resolve(reference)
        assert found is None or isinstance(found, ErrorHandler)  # as above
        return found

    def dependencies(self, resource: Resource) -> tuple[Resource, ...]:
        """What `resource` refers to, in the order of the file, each once; what leads nowhere is left out."""
        references: list[Reference | None]
        match resource:
            case Entrypoint(spec=spec):
                references = [spec.default_error_handler, *spec.error_handlers, *spec.runners]
            case HTTPServer(spec=spec):
                references = [each.handler for host in spec.virtual_hosts for each in host.handlers]
            case HTTPHandler(spec=spec):
                references = [spec.handler]
            case _:
                references = []
        name = resource.metadata.error_handler
        references += [each for each in self.entrypoint.spec.error_handlers if _registered(each) == name]
        wanted = dict.fromkeys(target_of(each) for each in references if each is not None)
        return tuple(self.resources[each] for each in wanted if each in self.resources)

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """Every upstream that some server may send requests to, in their order, each once."""
        found: dict[Upstream, None] = {}
        for server in self.servers:
            for host in server.spec.virtual_hosts:
                for mounted in host.handlers:
                    for balancer in self.proxy(mounted.handler).spec.load_balancers:
                        if balancer.all_path_matchers:  # without one nothing matches
                            found |= {each.upstream: None for each in balancer.upstreams if each.weight >= 0}
        return tuple(found)


def collect(documents: Iterable[Document], problems: list[Problem]) -> Mapping[Id, Resource]:
    """The resources in `documents`, each by itself; nothing is built yet, and no reference followed."""
    linker = _Linker(problems)
    for document in documents:
        linker.add(document)
    return linker.resources


def link(documents: Iterable[Document], problems: list[Problem], *, files: Sequence[str]) -> Config | None:
    """One graph of `documents`; None where an error is among `problems`, to which this one adds.

    `files` are those that were read, one at least.
    """
    linker = _Linker(problems)
    for document in documents:
        linker.add(document)
    servers = linker.link(files)
    if any(each.severity == "error" for each in problems):
        return None
    return Config(resources=linker.resources, servers=servers, used=frozenset(linker.used))


class _Linker:
    """Gathers resources, and then the problems between them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.resources: dict[Id, Resource] = {}
        self.used: set[Id] = set()
        self._building: dict[Id, list[Problem]] = {}
        """What each resource would have found to be wrong once it is built."""
        self._walked: set[Id] = set()
        """The HTTPHandlers of which it is known whether they go round in a circle."""
        self._all_known = not any(each.severity == "error" for each in problems)
        """Whether every document could be told apart."""

    def add(self, document: Document) -> None:
        """Decode `document` and keep its resource."""
        parts = _parted(document)
        for part in parts[1:]:
            scope = Scope(file=part.file, resource=None, problems=self.problems)
            words = "a second resource begins here; write --- on a line of its own before it"
            scope.problem(part.root.mark, words, "yaml")
        for part in parts:
            self._add(part)

    def _add(self, document: Document) -> None:
        told = len(self.problems)
        building: list[Problem] = []
        if (resource := _decode(document, self.problems, building)) is not None:
            self._keep(resource, building)
        if any(not (each.field or "").startswith("spec") for each in self.problems[told:]):
            self._all_known = False

    def _keep(self, resource: Resource, building: list[Problem]) -> None:
        other = self.resources.setdefault(id_of(resource), resource)
        if other is resource:
            self._building[id_of(resource)] = building
            return
        mark = other.where.mark
        place = f"{escaped(other.where.file)}:{mark.line}:{mark.column}"
        if isinstance(resource, Entrypoint):
            words = f"there can be only one Entrypoint, whatever its name; the other one stands at {place}"
        else:
            words = f"{resource.label} stands at {place} already; give one of them another metadata.name"
        _scope(resource, "", self.problems).problem(resource.where.of("kind"), words, "duplicate")

    def link(self, files: Sequence[str]) -> tuple[HTTPServer, ...]:
        """Follow every reference from the Entrypoint on; the servers to run."""
        told = len(self.problems)
        entrypoint = next((each for each in self.resources.values() if isinstance(each, Entrypoint)), None)
        servers: tuple[HTTPServer, ...] = ()
        if entrypoint is not None:
            servers = self._build_entrypoint(entrypoint)
        elif self._all_known:
            words = (
                "there is no Entrypoint; the gateway starts what the runners of one refer to"
                if self.resources
                else "there is no resource in it; a config begins with an Entrypoint"
            )
            self.problems.append(Problem(file=files[0], message=words, rule="no-entrypoint"))
        if told == 0:  # else what tells two servers apart may be what was wrong
            self._check_addresses(servers)
        for resource_id, resource in self.resources.items():
            if resource_id not in self.used:
                # AILERON never builds it, so its mistakes do no harm yet.
                unbuilt = [*self._building[resource_id]]
                self._follow_all(resource, entrypoint, unbuilt)
                self.problems += [replace(each, severity="warning") for each in unbuilt]
        return servers

    def _build_entrypoint(self, entrypoint: Entrypoint) -> tuple[HTTPServer, ...]:
        self._use(entrypoint)
        scope = _scope(entrypoint, "", self.problems)
        spec = entrypoint.spec
        handlers = (*filter(None, (spec.default_error_handler,)), *spec.error_handlers)
        for reference in handlers:
            role = "an error handler has to be an ErrorHandler"
            if (handler := self._follow(scope, reference, (ErrorHandler,), role)) is not None:
                self._use(handler)
        role = "a runner has to be an HTTPServer"
        found = (self._follow(scope, each, (HTTPServer,), role) for each in spec.runners)
        servers = tuple({id_of(server): server for server in found if server is not None}.values())
        for server in servers:
            self._build(server, entrypoint)
        return servers

    def _use(self, resource: Resource) -> None:
        if id_of(resource) not in self.used:
            self.used.add(id_of(resource))
            self.problems += self._building[id_of(resource)]

    def _build(self, server: HTTPServer, entrypoint: Entrypoint) -> None:
        """Build `server` and all that it refers to, each once."""
        pending: list[Resource] = [server]
        while pending:
            resource = pending.pop()
            if id_of(resource) not in self.used:
                self._use(resource)
                pending += self._follow_all(resource, entrypoint, self.problems)

    def _follow_all(
        self, resource: Resource, entrypoint: Entrypoint | None, problems: list[Problem]
    ) -> list[Handler]:
        """The handlers that `resource` refers to; what is wrong with its references goes to `problems`."""
        self._check_error_handler(resource, entrypoint, problems)
        match resource:
            case HTTPServer():
                mounted = [each for host in resource.spec.virtual_hosts for each in host.handlers]
            case HTTPHandler():
                self._check_circle(resource, problems)
                mounted = [resource.spec]
            case _:
                mounted = []
        found: list[Handler] = []
        for each in mounted:
            if each.handler is None:
                path = f"{each.where.path}.handler"
                words = "this field must be given"
                if "handler" not in each.where.values:
                    _scope(resource, path, problems).problem(each.where.mark, words, "required")
                continue
            role = "a handler has to be a ReverseProxyHandler or an HTTPHandler"
            handler = self._follow(_scope(resource, "", problems), each.handler, HANDLERS, role)
            if handler is not None:
                found.append(handler)
        return found

    def _check_circle(self, handler: HTTPHandler, problems: list[Problem]) -> None:
        """Tell of a circle that `handler` leads into, once: where the reference that closes it stands."""
        path: dict[Id, HTTPHandler] = {}
        inner: Resource | None = handler
        while isinstance(inner, HTTPHandler) and id_of(inner) not in self._walked:
            path[id_of(inner)] = closing = inner
            self._walked.add(id_of(inner))
            inner = self.resources.get(target_of(inner.spec.handler)) if inner.spec.handler else None
        if inner is not None and id_of(inner) in path:
            words = f"{closing.label} leads back to itself, so no request would ever be answered"
            mark = closing.spec.where.of("handler")
            _scope(closing, "spec.handler", problems).problem(mark, words, "loop")

    def _check_error_handler(
        self, resource: Resource, entrypoint: Entrypoint | None, problems: list[Problem]
    ) -> None:
        name = resource.metadata.error_handler
        listed = [_registered(each) for each in entrypoint.spec.error_handlers] if entrypoint else []
        if entrypoint is None or name in ("", DEFAULT_ERROR_HANDLER, *listed):
            return
        hint = did_you_mean(name, listed) or (f"; {_some(listed)} is there" if listed else "")
        words = f"{quoted(name)} is not among errorHandlers of the Entrypoint{hint}"
        mark = resource.metadata.where.of("error_handler")
        _scope(resource, "metadata.errorHandler", problems).problem(mark, words, "reference")

    def _check_addresses(self, servers: Sequence[HTTPServer]) -> None:
        """No two servers can listen at one address, unless the system chooses their ports."""
        for index, server in enumerate(servers):
            address = parse_addr(server.spec.address)
            other = next(
                (each for each in servers[:index] if address.meets(parse_addr(each.spec.address))), None
            )
            if other is not None:
                words = f"{quoted(server.spec.address)} is where {other.label} listens already"
                _scope(server, "spec.addr", self.problems).problem(
                    server.spec.where.of("addr"), words, "address"
                )

    def _follow(self, owner: Scope, reference: Reference, wanted: tuple[type[R], ...], role: str) -> R | None:
        """What `reference` of `owner` means, where it is one of `wanted`; tells why it is not."""
        where = reference.where
        found = self.resources.get(target_of(reference))
        if isinstance(found, wanted):
            return found
        if reference.api_version != API_VERSION:
            place, mark, words = "apiVersion", where.of("api_version"), _unknown_group(reference.api_version)
        elif reference.kind not in KINDS:
            place, mark, words = "kind", where.of("kind"), _unknown_kind(reference.kind)
        elif KINDS[reference.kind] not in wanted:
            place, mark, words = "kind", where.of("kind"), f"{role}, not: {reference.kind}"
        elif self._all_known:
            place, mark, words = "", where.of("name", "namespace", "kind"), self._missing(reference)
        else:
            return None
        scope = replace(owner, path=where.path)
        (scope.at(place) if place else scope).problem(mark, words, "reference")
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


def _scope(resource: Resource, path: str, problems: list[Problem]) -> Scope:
    """The field at `path` of `resource`, whose problems go to `problems`."""
    return Scope(file=resource.where.file, resource=resource.label, problems=problems, path=path)


def _registered(reference: Reference) -> str:
    """The name by which a resource refers to an error handler that the Entrypoint lists."""
    return f"{reference.api_version}/{reference.kind}/{reference.namespace}/{reference.name}"


def target_of(reference: Reference) -> Id:
    """The id of what `reference` means."""
    return _key(reference.api_version, reference.kind, reference.namespace, reference.name)


def id_of(resource: Resource) -> Id:
    """The id of `resource`."""
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


def _decode(document: Document, problems: list[Problem], building: list[Problem]) -> Resource | None:
    """The resource in `document`, where it is one that is supported; tells why it is not."""
    root = document.root
    scope = Scope(file=document.file, resource=None, problems=problems, building=building)
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
    api_version = Text()(top["apiVersion"][1], scope.at("apiVersion"))
    kind = Text()(top["kind"][1], scope.at("kind"))
    if api_version is None or kind is None:
        return None
    if api_version != API_VERSION:
        scope.at("apiVersion").problem(top["apiVersion"][1].mark, _unknown_group(api_version))
        return None
    if kind not in DECODERS:
        scope.at("kind").problem(top["kind"][1].mark, _unknown_kind(kind))
        return None
    return DECODERS[kind](root, replace(scope, root=KINDS[kind]))


def _label(top: dict[str, tuple[Mark, Node]], quiet: Scope) -> str | None:
    """What to call the resource with these fields, as far as they can be read."""
    kind = Text()(top["kind"][1], quiet) if "kind" in top else None
    if kind is None:
        return None
    metadata = top["metadata"][1] if "metadata" in top else None
    names = entries(metadata, quiet, _METADATA) if isinstance(metadata, MappingNode) else {}
    namespace, name = (
        (Text()(names[each][1], quiet) if each in names else None) or "default"
        for each in ("namespace", "name")
    )
    return quoted(label(kind, namespace, name), marks="")


def _unknown_group(api_version: str) -> str:
    if api_version == "app/v1":
        return "app/v1 is a group of AILERON that this gateway does not support; core/v1 is"
    hint = did_you_mean(api_version, (API_VERSION,)) or "; core/v1 is"
    return f"{quoted(api_version)} is not known{hint}"


def _unknown_kind(kind: str) -> str:
    if kind in OTHER_KINDS:
        return f"{kind} is a kind of core/v1 that only AILERON has; {_some(list(KINDS))} are known here"
    hint = did_you_mean(kind, (*KINDS, *OTHER_KINDS)) or f"; {_some(list(KINDS))} are"
    return f"{quoted(kind)} is not a kind of core/v1{hint}"


def _some(names: list[str]) -> str:
    """The first few of `names`, in words."""
    shown = names[:5] + ([f"{len(names) - 5} more"] if len(names) > 5 else [])
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)

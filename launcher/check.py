"""`aileron-demo check`: what is wrong with a config, what may surprise, and where a request would go.

Exit status: 0 sound; 1 errors (with `--strict` warnings too); 2 a file that cannot be read, or a request that
is none.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from io import TextIOWrapper
from json import dumps
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from gateway.config import Problem, host_port, parse_addr
from gateway.config.envfile import load_env
from gateway.config.problems import escaped, excerpt, quoted
from gateway.headers import Field, Secrets, is_token, unsendable
from gateway.loading import Loaded, Site, inspect
from gateway.routing import RequestHead
from gateway.routing.explain import Step, explain
from gateway.text import count
from launcher.files import as_text, choose_config

UNREADABLE: Final = 2

_STYLES: Final = {"error": "bold color(196)", "warning": "bold color(130)"}
_SIGNS: Final = {"yes": ("✓ ", "bold color(29)"), "no": ("✗ ", "dim"), "end": ("➜ ", "bold"), "": ("", "")}

_CLIENT: Final = ("127.0.0.1", 50000)
"""Who sends the request that is explained."""

_HANDSHAKE: Final = (
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
)
"""What a client adds to a request for a ws:// url (RFC 6455, section 4.1; the key is that of section 1.3)."""

_WIDE: Final = 100_000
"""Columns of what is no terminal: nothing is folded or cut there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `check`, as the command line has them."""

    files: Sequence[Path] = ()
    """None given: `./config.yaml`, else the packaged one."""
    env: Sequence[Path] = ()
    """Env files, which are read first."""
    json: bool = False
    strict: bool = False
    explain: str | None = None
    """A request, as `GET http://localhost:8080/`."""
    headers: Sequence[str] = ()
    """Header fields of that request, as `Name: value`."""


class RequestError(Exception):
    """What was to be explained is no request; the message says why, and what would be right."""


def run(options: Options) -> int:
    """Check, say what is to be said, and return the exit status."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for terminals and pipes that lack a sign
    files = list(options.files) or [choose_config(None).path]
    environment = dict(os.environ)
    wrong = load_env(options.env, environment)
    if any(each.severity == "error" for each in wrong):
        # What the config would lack, it lacks for want of these.
        _show(wrong, {}, options.env, json=options.json, strict=options.strict)
        return UNREADABLE if any(each.rule == "unreadable" for each in wrong) else 1
    loading = inspect(files, environment)
    problems = (*wrong, *loading.problems)
    errors = [each for each in problems if each.severity == "error"]
    if options.explain is not None and loading.loaded is not None and not errors:
        try:
            steps = list(explained(loading.loaded, options.explain, options.headers))
        except RequestError as error:
            sys.stderr.write(f"aileron-demo check: --explain: {error}\n")
            return UNREADABLE
        _show_steps(steps, json=options.json)
        return 0
    _show(problems, loading.sources, files, json=options.json, strict=options.strict)
    if any(each.rule == "unreadable" for each in errors):
        return UNREADABLE
    return int(bool(errors or (options.strict and problems)))


def explained(loaded: Loaded, request: str, headers: Sequence[str]) -> Iterator[Step]:
    """The way of `request` through each server that it may have been meant for.  Raises RequestError."""
    method, scheme, authority, target = _request(request)
    fields = [_field(header) for header in headers]
    named = [value for name, value in fields if name.lower() == b"host"]
    fields = [field for field in fields if field[0].lower() != b"host"]
    if scheme in ("ws", "wss"):
        given = {name.lower() for name, _ in fields}
        fields += [field for field in _HANDSHAKE if field[0].lower() not in given]
    for site in _meant(loaded, authority):
        address = parse_addr(site.server.spec.address)
        own = host_port(address.host or "localhost", address.port) if address.port else "localhost"
        host = named[0] if named else (authority or own).encode("utf-8", "surrogateescape")
        head = RequestHead(
            method=method,
            host=host.decode("latin-1"),
            target=target,
            headers=[(b"Host", host), *fields],
            client=host_port(*_CLIENT),
        )
        yield explain(site.server, site.routes, head, _CLIENT)


def _request(text: str) -> tuple[str, str, str, str]:
    """Method, scheme, authority and target of what was written as a request.  Raises RequestError."""
    method, _, url = text.strip().rpartition(" ")
    method = method.strip() or "GET"
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets without an IPv6 address in them
        parts = urlsplit("")
    scheme = parts.scheme.lower()
    if url.startswith("/") and not url.startswith("//"):
        scheme, authority, target = "", "", url
    elif scheme in ("http", "https", "ws", "wss") and parts.netloc:
        authority = parts.netloc.rpartition("@")[2]
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    else:
        method = ""
    if not is_token(method.encode("utf-8", "surrogateescape")):
        raise RequestError(
            f"{quoted(Secrets().text(text))} is no request; write it as in 'GET http://localhost:8080/path?query'"
        )
    return method, scheme, authority, target


def _meant(loaded: Loaded, authority: str) -> Iterator[Site]:
    """The servers that listen on the port of `authority`; all of them where none does."""
    port = authority.rpartition(":")[2]
    meant = [each for each in loaded.sites if str(parse_addr(each.server.spec.address).port) == port]
    yield from meant or loaded.sites


def _field(header: str) -> Field:
    """A header field as curl takes it.  Raises RequestError."""
    name, colon, value = header.partition(":")
    field = name.strip().encode("utf-8", "surrogateescape"), value.strip().encode("utf-8", "surrogateescape")
    if not colon or unsendable([field]) is not None:
        ((told, without_secret),) = Secrets().headers([field])
        shown = quoted(f"{told}: {without_secret}" if colon else header)
        raise RequestError(f"{shown} is no header; write it as in 'X-Env: prod'")
    return field


def _show(
    problems: Sequence[Problem],
    sources: Mapping[str, Sequence[str]],
    files: Sequence[Path],
    *,
    json: bool,
    strict: bool,
) -> None:
    if json:
        _show_json(problems)
        return
    console = _console()
    for problem in problems:
        if console.is_terminal:
            console.print(drawn(problem, sources))
        else:
            sys.stdout.write(f"{problem}\n")
    console.print(_verdict(problems, files, strict=strict))


def _show_json(values: Sequence[Problem | Step]) -> None:
    """One array."""
    told = [replace(each, file=as_text(each.file)) if isinstance(each, Problem) else each for each in values]
    sys.stdout.write(dumps([asdict(each) for each in told]) + "\n")


def _console() -> Console:
    """Colours and the terminal's width on a terminal, neither in a pipe."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def drawn(problem: Problem, sources: Mapping[str, Sequence[str]]) -> Text:
    """A problem for a terminal: its place, what is wrong, and the line with a caret under the place."""
    style = _STYLES[problem.severity]
    place = str(Problem(file=problem.file, line=problem.line, column=problem.column, message=""))
    text = Text.assemble((f"{problem.severity} ", style), (place.rstrip(": "), "bold"))
    subject = " ".join(part for part in (problem.resource, problem.field) if part)
    if subject:
        text.append(f"  {escaped(subject)}", "dim")
    text.append(f"\n  {escaped(problem.message)}")
    shown = excerpt(problem, sources)
    if shown is not None:
        margin = " " * len(str(shown.number))
        text.append(f"\n  {shown.number} │ ", "dim").append(shown.line)
        text.append(f"\n  {margin} │ ", "dim").append(shown.caret, style)
    return text.append("\n")


def _verdict(problems: Sequence[Problem], files: Sequence[Path], *, strict: bool) -> Text:
    errors = sum(each.severity == "error" for each in problems)
    warnings = len(problems) - errors
    told = ", ".join(
        count(number, name) for number, name in ((errors, "error"), (warnings, "warning")) if number
    )
    names = ", ".join(escaped(str(file)) for file in files)
    if errors or (strict and warnings):
        return Text.assemble(("✗ ", _STYLES["error"]), f"{names}: {told}")
    return Text.assemble(
        ("✓ ", "bold color(29)"),
        f"{names} {'is' if len(files) == 1 else 'are'} sound{f', with {told}' if told else ''}",
    )


def _show_steps(steps: Sequence[Step], *, json: bool) -> None:
    if json:
        _show_json(steps)
        return
    console = _console()
    for step in steps:
        console.print(_tree(step))


def _tree(step: Step) -> Tree:
    sign, style = _SIGNS[step.outcome]
    tree = Tree(Text.assemble((sign, style), (step.text, "dim" if step.outcome == "no" else "")))
    for each in step.steps:
        tree.children.append(_tree(each))
    return tree

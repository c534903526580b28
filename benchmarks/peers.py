"""Who is measured: whether it is here, which version it is, how it is started.

Rules
    * One worker or thread where that is a choice; access logs off; connections to the upstream kept for
      plain requests; WebSocket upgrades passed on.  Beyond that, everybody is as it comes.
    * A peer that is not here is skipped by name, with the words that tell how to get it.
"""

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.processes import Output

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
BUILD: Final = HERE / "build"
SETUPS: Final = HERE / "setups"

REFERENCE: Final = "nginx"
"""Whom all are compared with."""
DIRECT: Final = "direct"
"""No proxy at all: what the load generator and the echo server can do by themselves."""

_templates = Environment(
    loader=FileSystemLoader(SETUPS), undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
)


class MissingError(Exception):
    """A peer is not here; the message says what is missing, and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a peer is to run."""

    folder: Path
    """Its own, empty, and its working directory."""
    port: int
    """Where it is to listen, on 127.0.0.1."""
    upstream: int
    """The port of the echo server, on 127.0.0.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A proxy, and how to come by it."""

    name: str
    """For the command line and the results."""
    title: str
    """For people."""
    version: Callable[[], str]
    """Make the peer ready where it has to be built, and return its version.  Raises MissingError."""
    command: Callable[[Site], Sequence[str]]
    """Write what it needs into the site's folder, and return the command that runs it."""
    output: Output = "file"


GATEWAY: Final = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-P", "-m", "gateway")
"""The command `aileron` of this checkout, from any folder."""
KIT: Final = (*GATEWAY[:-1], "launcher")
"""The command `aileron-demo` of this checkout."""


def _program(name: str, get: str) -> str:
    """The path of program `name`.  Raises MissingError."""
    found = shutil.which(name)
    if found is None:
        raise MissingError(f"{name} is not on PATH; {get}")
    return found


def _run(command: Sequence[str], folder: Path = ROOT) -> str:
    """What `command` prints, run in `folder`.  Raises MissingError where it fails."""
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(f"{command[0]}: {error}") from error
    if ran.returncode:
        last = (ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1:]
        raise MissingError(f"{' '.join(command)} ended with status {ran.returncode}: {''.join(last)}")
    return f"{ran.stdout}{ran.stderr}"


def _written(site: Site, template: str) -> str:
    """The path of a configuration, written from its template into the site's folder."""
    path = site.folder / template.removesuffix(".j2")
    path.write_text(_templates.get_template(template).render(port=site.port, upstream=site.upstream))
    return str(path)


def _nginx_version() -> str:
    return _run([_program("nginx", "apt install nginx"), "-v"]).strip().rpartition("/")[2]


def _nginx(site: Site) -> Sequence[str]:
    return ["nginx", "-p", str(site.folder), "-c", _written(site, "nginx.conf.j2"), "-e", "stderr"]


def _haproxy_version() -> str:
    return _run([_program("haproxy", "apt install haproxy"), "-v"]).split()[2]


def _haproxy(site: Site) -> Sequence[str]:
    return ["haproxy", "-db", "-f", _written(site, "haproxy.cfg.j2")]


def _go_version() -> str:
    go = _program("go", "apt install golang-go")
    _run([go, "build", "-o", str(BUILD / "go-proxy"), "."], SETUPS / "go")
    return _run([go, "env", "GOVERSION"]).strip().removeprefix("go")


def _go(site: Site) -> Sequence[str]:
    return [str(BUILD / "go-proxy"), str(site.port), str(site.upstream)]


def _node_version() -> str:
    node = _program("node", "apt install nodejs npm")
    folder = BUILD / "node"
    shutil.copytree(SETUPS / "node", folder, dirs_exist_ok=True)
    if not (folder / "node_modules" / "http-proxy").is_dir():
        _run([_program("npm", "apt install npm"), "install", "--no-audit", "--no-fund"], folder)
    proxy = _run([node, "-p", "require('http-proxy/package.json').version"], folder).strip()
    return f"{proxy}, Node {_run([node, '--version']).strip().removeprefix('v')}"


def _node(site: Site) -> Sequence[str]:
    return ["node", str(BUILD / "node" / "proxy.js"), str(site.port), str(site.upstream)]


def _mitmproxy_version() -> str:
    said = _run([_program("mitmdump", "pipx install mitmproxy"), "--version"])
    return said.splitlines()[0].rpartition(" ")[2]


def _mitmproxy(site: Site) -> Sequence[str]:
    return [
        *("mitmdump", "--quiet", "--mode", f"reverse:http://127.0.0.1:{site.upstream}"),
        *("--listen-host", "127.0.0.1", "--listen-port", str(site.port)),
        *("--set", f"confdir={site.folder}"),
    ]


def _relay_version() -> str:
    return f"{importlib.metadata.version('aiohttp')}, Python {platform.python_version()}"


def _relay(site: Site) -> Sequence[str]:
    return [sys.executable, str(SETUPS / "relay.py"), str(site.port), str(site.upstream)]


def _aileron_version() -> str:
    version = _run([*GATEWAY, "--version"]).split()[1]
    return f"{version}, Python {platform.python_version()}, uvloop {_release('uvloop')}"


def _release(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _aileron(site: Site, *options: str) -> Sequence[str]:
    return [*GATEWAY, "-f", _written(site, "aileron.yaml.j2"), *options]


def _aileron_up(site: Site) -> Sequence[str]:
    return [*KIT, "up", "-f", _written(site, "aileron.yaml.j2"), "--no-upstream"]


def kit_up(site: Site) -> Sequence[str]:
    """The command `aileron-demo up`, both servers, told of in JSON lines."""
    address = f"127.0.0.1:{site.upstream}"
    return [*KIT, "up", "--json", "-f", _written(site, "aileron.yaml.j2"), "--upstream-addr", address]


def _aileron_workers_version() -> str:
    version = _aileron_version()
    if "--workers" not in _run([*GATEWAY, "--help"]):
        raise MissingError("aileron --help does not list --workers")
    return version


def _gateway(name: str, title: str, *options: str, output: Output = "file") -> Peer:
    """The gateway with `options`."""
    return Peer(
        name=name,
        title=title,
        version=_aileron_version,
        command=lambda site: _aileron(site, *options),
        output=output,
    )


NGINX: Final = Peer(name=REFERENCE, title="nginx", version=_nginx_version, command=_nginx)
OFF: Final = _gateway("aileron", "aileron", "--frames", "off")
JSON: Final = _gateway("aileron-json", "aileron (JSON log)", "--frames", "json")
SLOW: Final = _gateway(
    "aileron-slow", "aileron (JSON, slow reader)", "--frames", "json", output="slow reader"
)
UP: Final = Peer(
    name="aileron-up",
    title="aileron-demo up",
    version=_aileron_version,
    command=_aileron_up,
    output="terminal",
)

PROXIES: Final = (
    NGINX,
    Peer(name="haproxy", title="HAProxy", version=_haproxy_version, command=_haproxy),
    OFF,
    JSON,
    Peer(name="go", title="Go ReverseProxy", version=_go_version, command=_go),
    Peer(name="node", title="Node http-proxy", version=_node_version, command=_node),
    Peer(name="relay", title="aiohttp relay", version=_relay_version, command=_relay),
    Peer(name="mitmproxy", title="mitmproxy", version=_mitmproxy_version, command=_mitmproxy),
)
LOGS: Final = (NGINX, OFF, JSON, SLOW, UP)
"""The gateway with each kind of log, beside nginx."""


def workers(number: int) -> Peer:
    """The gateway with `number` workers."""
    return Peer(
        name=f"aileron-workers-{number}",
        title=f"aileron, {number} worker{'s' * (number > 1)}",
        version=_aileron_workers_version,
        command=lambda site: _aileron(site, "--frames", "off", "--workers", str(number)),
    )

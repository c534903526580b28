"""What `up` is about to start, worked out from the options and the config before anything runs."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.config import Config, Upstream, host_port, is_loopback, parse_addr
from gateway.loading import load
from launcher.child import python
from launcher.events import Ready
from launcher.files import ConfigFile, choose_config, own_page
from launcher.filter import Filter

GATEWAY: Final = "gateway"
UPSTREAM: Final = "upstream"


class KitError(Exception):
    """What was asked for cannot be started as it is; the message says why, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `up`, as the command line has them."""

    config: Path | None = None
    """None: `./config.yaml`, else the packaged one."""
    upstream_addr: str = "localhost:9090"
    no_upstream: bool = False
    open_page: bool = False
    plain: bool = False
    json: bool = False
    filter: Filter = Filter()  # noqa: RUF009  (immutable)
    preview: int | None = None
    """Bytes; None leaves the gateway its default."""
    frame_rate: int | None = None
    """Frame records a second; None leaves the gateway its default."""
    show_secrets: bool = False
    allow_origin: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens; no host means every interface."""

    host: str | None
    port: int

    @property
    def everywhere(self) -> bool:
        """Whether every interface is meant."""
        return self.host in (None, "0.0.0.0", "::")  # noqa: S104  (compared, not bound)

    @property
    def private(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host is not None and is_loopback(self.host)

    @property
    def near(self) -> str:
        """The host by which this machine reaches it."""
        return "localhost" if self.host is None or self.everywhere else self.host

    def __str__(self) -> str:
        return host_port(self.near, self.port)

    def receives(self, upstream: Upstream) -> bool:
        """Tell whether what is sent to `upstream` comes here."""
        if upstream.port != self.port or upstream.scheme != "http":
            return False
        if is_loopback(upstream.host):
            return self.private or self.everywhere
        return self.host == upstream.host


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A child that is about to be started."""

    name: str
    command: tuple[str, ...]
    addresses: tuple[Address, ...]
    cure: str
    """What to do where another program has one of its ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Everything that `up` starts, and what is to be said about it."""

    parts: tuple[Part, ...]
    config: ConfigFile
    page: Path | None
    """The user's own page, if there is one."""
    routes: tuple[Upstream, ...]
    """Where the gateway sends requests."""
    open_page: bool
    bypassed: str | None
    """Said where the config sends nothing to the demo upstream; None where it does, or there is none."""

    def part(self, name: str) -> Part:
        """Return the part called `name`."""
        return next(part for part in self.parts if part.name == name)

    def reachable(self, ready: Ready) -> list[str]:
        """Say what other machines can reach of it; `ready` tells the ports, whoever chose them."""
        urls = {GATEWAY: ready.gateway, UPSTREAM: (ready.upstream,) if ready.upstream else ()}
        told = (_reachable(part, urls[part.name]) for part in reversed(self.parts))
        return [words for words in told if words]


def plan(options: Options) -> Kit:
    """Work out what to start.  Raises KitError, and ConfigError where the config itself is wrong."""
    chosen = choose_config(options.config)
    if not chosen.path.is_file():
        what = "no such file"
        if chosen.path.exists():
            what = "is a folder" if chosen.path.is_dir() else "is no regular file"
        raise KitError(f"{chosen.path}: {what}; give another with -f, or write one here: aileron-demo init")
    config = load([chosen.path], dict(os.environ)).config
    if not config.servers:
        raise KitError(
            f"{chosen.path}: the config starts no server; list one under spec.runners of the Entrypoint, "
            "as in - apiVersion: core/v1, kind: HTTPServer"
        )
    gateway = _gateway(options, chosen, config)
    upstream = None if options.no_upstream else _upstream(options)
    if upstream:
        _check_apart(gateway, upstream)
    _check_no_loop(gateway, chosen, config)
    return Kit(
        parts=(upstream, gateway) if upstream else (gateway,),
        config=chosen,
        page=own_page() if upstream else None,
        routes=config.upstreams,
        open_page=options.open_page,
        bypassed=_bypassed(upstream, config) if upstream else None,
    )


def _gateway(options: Options, chosen: ConfigFile, config: Config) -> Part:
    command = ["-f", str(chosen.path), "--watch", "--frames", "json"]
    if options.preview is not None:
        command += ["--preview", str(options.preview)]
    if options.frame_rate is not None:
        command += ["--frame-rate", str(options.frame_rate)]
    if options.show_secrets:
        command.append("--show-secrets")
    change = f"change addr in {chosen.path}"
    return Part(
        name=GATEWAY,
        command=python("gateway", *command),
        addresses=tuple(_address(server.spec.address) for server in config.servers),
        cure=change
        if chosen.own
        else "write a config.yaml here with: aileron-demo init, and change its addr",
    )


def _upstream(options: Options) -> Part:
    address = _upstream_address(options.upstream_addr)
    command = ["--addr", options.upstream_addr]
    for origin in options.allow_origin:
        command += ["--allow-origin", origin]
    other = Address(address.near, address.port + 1 if address.port < 65535 else 9090)
    return Part(
        name=UPSTREAM,
        command=python("demo_upstream", *command),
        addresses=(address,),
        cure=f"choose another, such as --upstream-addr {other}, and say url: http://{other} in config.yaml",
    )


def _upstream_address(text: str) -> Address:
    """Return the address that --upstream-addr means."""
    scheme, slashes, rest = text.rpartition("://")
    authority = rest.partition("/")[0] or "localhost"
    example = f"localhost:{authority}" if authority.isdecimal() else authority
    if ":" not in example.rpartition("]")[2]:
        example += ":9090"
    if slashes:
        raise KitError(f"--upstream-addr {text}: write it without {scheme}://, as in {example}")
    if example != text:
        raise KitError(f"--upstream-addr {text}: host and port are needed, as in {example}")
    try:
        return _address(text)
    except ValueError as error:
        raise KitError(f"--upstream-addr {text}: {error}") from error


def _address(text: str) -> Address:
    """Where `text`, as in addr of an HTTPServer, says to listen.  Raises ValueError."""
    parsed = parse_addr(text)
    return Address(parsed.host, parsed.port)


def _check_apart(gateway: Part, upstream: Part) -> None:
    """Raise KitError where both children would listen on the same port."""
    port = upstream.addresses[0].port
    if port and any(address.port == port for address in gateway.addresses):
        raise KitError(
            f"port {port} is wanted twice: by the gateway (addr in the config) and by the demo upstream "
            f"(--upstream-addr); {upstream.cure}"
        )


def _check_no_loop(gateway: Part, chosen: ConfigFile, config: Config) -> None:
    """Raise KitError where the gateway would send requests to itself."""
    for server, address in zip(config.servers, gateway.addresses, strict=True):
        for upstream in filter(address.receives, config.upstreams):
            raise KitError(
                f"{chosen.path}: upstreams has url {upstream.url}, which is the gateway's own address (addr "
                f'"{server.spec.addr}"): each request would come back to it again and again. '
                "Give the url of another server, such as http://localhost:9090"
            )


def _reachable(part: Part, urls: Sequence[str]) -> str | None:
    """Say which doors of `part`, which listens at `urls`, other machines can reach; None for none."""
    doors = [each for each in zip(part.addresses, urls, strict=True) if not each[0].private]
    if not doors:
        return None
    ports = ", ".join(f"port {urlsplit(url).port or 80}" for _, url in doors)
    where = "every interface" if any(address.everywhere for address, _ in doors) else "an outward address"
    return f"other machines can reach the {part.name}: {ports} is open on {where}"


def _bypassed(upstream: Part, config: Config) -> str | None:
    address = upstream.addresses[0]
    if not address.port or any(map(address.receives, config.upstreams)):
        return None
    targets = ", ".join(each.url for each in config.upstreams) or "nowhere"
    return f"the config sends nothing to the demo upstream at {address}; it sends to {targets}"


def opener(url: str) -> tuple[str, ...]:
    """Return the command line that opens `url` in a browser, and fails where there is none.

    A process of its own: a browser's complaints, or a text browser, must not get at our terminal.
    """
    code = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
    return (sys.executable, "-P", "-c", code, url)

"""The `aileron` command: read the config, run the gateway, say what went wrong."""

import argparse
import os
import platform
import re
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn

from gateway import lifeline, running, watch
from gateway.config import Problem, Reference, Resource, id_of, target_of
from gateway.config.problems import did_you_mean, escaped, excerpt, quoted
from gateway.config.resources import API_VERSION, KINDS, label
from gateway.config.template import data_of, defaults, json_of, yaml_of
from gateway.headers import Secrets
from gateway.limits import DEFAULT_LIMITS, OwnLimits
from gateway.loading import Loaded, Loading, inspect, resources
from gateway.printable import escape
from gateway.proxy.listen import ServeError
from gateway.proxy.log import EventLog, Frames
from gateway.proxy.output import Output, standard_output

if TYPE_CHECKING:
    from gateway.proxy.server import Gateway
    from gateway.workers.parent import Parent

FRAMES: Final[tuple[Frames, ...]] = ("off", "text", "json")

DEFAULT_PREVIEW: Final = 64
"""Bytes of a payload that are shown."""

DEFAULT_FRAME_RATE: Final = 2000
"""Frame records a second."""

MOST_WORKERS: Final = 256
"""Processes; more are a slip of the pen."""

_MOST: Final = 999_999_999
"""Of anything else that is counted."""


class _Parser(argparse.ArgumentParser):
    """argparse, but what it repeats of a mistake is fit for a terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(escape(message))


def parser() -> argparse.ArgumentParser:
    """The command line of `aileron`: AILERON's own (core-v1, section 1), and what this kit adds to it."""
    top = _Parser(
        prog="aileron",
        description="A reverse proxy for HTTP and WebSocket, configured by AILERON Gateway's core/v1 files.",
        epilog="Without --frames, frames are shown as text on a terminal and not at all elsewhere.",
        allow_abbrev=False,
        add_help=False,
    )
    own = top.add_argument_group("options, as AILERON has them")
    own.add_argument(
        "-f",
        "--file",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="a config file, or a directory of them; may be given more than once",
    )
    own.add_argument(
        "-e",
        "--env",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="a file of environment variables; may be given more than once",
    )
    own.add_argument(
        "-t",
        "--template",
        metavar="G/V/K[/NS/NAME]",
        help="print the defaults of a kind, as core/v1/HTTPServer, or a resource of the config, and exit",
    )
    own.add_argument(
        "-o",
        "--out",
        metavar="FORMAT",
        default="yaml",
        help="how --template prints: yaml or json (%(default)s)",
    )
    own.add_argument("-v", "--version", action="store_true", help="print the version and exit")
    own.add_argument("-i", "--info", action="store_true", help="print what this runs on and exit")
    own.add_argument("-h", "--help", action="store_true", help="print this and exit")
    top.add_argument_group("what only this kit has: reloading").add_argument(
        "--watch", action="store_true", help="load the config anew when a file of it changes, as on a SIGHUP"
    )
    top.add_argument_group("what only this kit has: several processes").add_argument(
        "--workers",
        metavar="N",
        type=_whole(1, MOST_WORKERS),
        default=1,
        help="how many processes share the work, each with its own counts and pools (%(default)s)",
    )
    top.add_argument("--worker", metavar="DESCRIPTOR", type=int, help=argparse.SUPPRESS)
    _add_limits(top)
    shown = top.add_argument_group("what only this kit has: the log")
    shown.add_argument(
        "--frames", choices=FRAMES, help="frames as lines for people or as JSON; off: start, stop, errors"
    )
    shown.add_argument(
        "--preview",
        metavar="BYTES",
        type=_whole(0, _MOST),
        default=DEFAULT_PREVIEW,
        help="how much of a payload is shown (%(default)s)",
    )
    shown.add_argument(
        "--frame-rate",
        metavar="N",
        type=_whole(0, _MOST),
        default=DEFAULT_FRAME_RATE,
        help="how many frames a second are recorded (%(default)s; 0: all that standard output takes)",
    )
    shown.add_argument("--show-secrets", action="store_true", help="redact nothing")
    return top


def _add_limits(top: argparse.ArgumentParser) -> None:
    """The options of OwnLimits, one for each field."""
    limits = top.add_argument_group("what only this kit has: limits")
    limits.add_argument(
        "--header-fields",
        metavar="N",
        type=_whole(1, _MOST),
        default=DEFAULT_LIMITS.header_fields,
        help="how many fields the head of a request, or of an upstream's answer, may have (%(default)s)",
    )
    limits.add_argument(
        "--handshake-timeout",
        metavar="SECONDS",
        type=_some_seconds,
        default=DEFAULT_LIMITS.handshake_timeout,
        help="how long an upstream has to accept a connection, and again to answer an opening handshake "
        "(%(default)g)",
    )
    limits.add_argument(
        "--stall-timeout",
        metavar="SECONDS",
        type=_seconds,
        default=DEFAULT_LIMITS.stall_timeout,
        help="how long a WebSocket's peer may take nothing while bytes wait (%(default)g; 0: no limit)",
    )
    limits.add_argument(
        "--tunnel-buffer",
        metavar="BYTES",
        type=_whole(0, _MOST),
        default=DEFAULT_LIMITS.tunnel_buffer,
        help="how much may wait for a WebSocket's peer before the other one is not read (%(default)s)",
    )
    limits.add_argument(
        "--idle-timeout",
        metavar="SECONDS",
        type=_seconds,
        default=DEFAULT_LIMITS.idle_timeout,
        help="how long nothing may pass through a WebSocket (%(default)g: no limit)",
    )


def _limits(options: argparse.Namespace) -> OwnLimits:
    """What the options say of limits."""
    return OwnLimits(**{each.name: getattr(options, each.name) for each in fields(OwnLimits)})


def _whole(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    """A time."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, as 30 or 0.001")
    return float(text)


def _some_seconds(text: str) -> float:
    """A time that is not 0."""
    if not _seconds(text):
        raise argparse.ArgumentTypeError("it has to be more than 0 seconds")
    return _seconds(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 0 after a stop, 1 for what went wrong, 2 for wrong usage."""
    running.keep_standard_descriptors()
    top = parser()
    given = sys.argv[1:] if arguments is None else arguments
    options = top.parse_args(given)
    if options.version:
        return _print(f"aileron-demo {_version()}")
    if options.info:
        return _print(_info())
    if options.help or not given:
        return _print(top.format_help().removesuffix("\n"))
    wanted = _template(options.template, top)
    if options.worker is not None:
        return _work(options)
    environment = dict(os.environ)
    seen = watch.identity([*options.file, *options.env])
    if _tell(_load_env(options.env, environment)):
        return 1
    if wanted is not None:
        return _print_template(wanted, options.file, options.out, environment)
    if not options.file:
        print("aileron: there is no Entrypoint to start from; name a config file with -f", file=sys.stderr)
        return 1
    loading = inspect(options.file, environment)
    _tell(loading.problems, loading.sources)
    if loading.loaded is None:
        return 1
    changes = watch.changes([*options.file, *options.env], seen) if options.watch else None
    make = partial(_gateway if options.workers == 1 else _parent, loading.loaded, options)
    return _run(running.serve(make, changes))


def _tell(problems: Sequence[Problem], sources: Mapping[str, Sequence[str]] = MappingProxyType({})) -> bool:
    """Print `problems`, on a terminal with the lines in question; whether there is an error among them."""
    for problem in problems:
        print(problem, file=sys.stderr)
        if sys.stderr.isatty() and (shown := excerpt(problem, sources)):
            print(f"    {shown.number} | {shown.line}", file=sys.stderr)
            print(f"    {' ' * len(str(shown.number))} | {shown.caret}", file=sys.stderr)
    return any(problem.severity == "error" for problem in problems)


def _load_env(paths: Sequence[Path], environment: dict[str, str]) -> tuple[Problem, ...]:
    """Put the variables of the env files at `paths` into `environment`."""
    if not paths:
        return ()
    from gateway.config.envfile import load_env  # noqa: PLC0415  (few starts need it)

    return load_env(paths, environment)


def _reload(options: argparse.Namespace) -> Loading:
    """What the files say now, the env files included."""
    environment = dict(os.environ)
    problems = _load_env(options.env, environment)
    loading = inspect(options.file, environment)
    wrong = any(problem.severity == "error" for problem in problems)
    loaded = None if wrong else loading.loaded
    return replace(loading, loaded=loaded, problems=(*problems, *loading.problems))


def _template(text: str | None, top: argparse.ArgumentParser) -> list[str] | None:
    """The parts of what --template asks for; ends with status 2 where nothing could be meant by it."""
    if text is None:
        return None
    parts = text.split("/")
    if len(parts) not in (3, 5):
        top.error("-t takes group/version/kind or group/version/kind/namespace/name, as core/v1/HTTPServer")
    if "/".join(parts[:2]) != API_VERSION or parts[2] not in KINDS:
        hint = did_you_mean("/".join(parts[:3]), [f"{API_VERSION}/{kind}" for kind in KINDS])
        top.error(f"-t: {quoted(text)} names no kind that is known here{hint or f'; {_kinds()} are'}")
    return parts


def _kinds() -> str:
    *most, last = (f"{API_VERSION}/{kind}" for kind in KINDS)
    return f"{', '.join(most)} and {last}"


def _print_template(wanted: list[str], files: Sequence[Path], form: str, environment: dict[str, str]) -> int:
    """Print the defaults of a kind, or a resource that `files` have."""
    found, problems = resources(files, environment)
    if _tell(problems):
        return 1
    group, version, kind, *names = wanted
    resource: Resource | None
    if names:
        namespace, name = names
        reference = Reference(api_version=f"{group}/{version}", kind=kind, namespace=namespace, name=name)
        resource = found.get(target_of(reference))
    else:
        resource = defaults(kind)
    if resource is None:
        there = [label(each.kind, *id_of(each)[2:]) for each in found.values() if each.kind == kind]
        hint = f"; there is {', '.join(there)}" if there else ""
        words = quoted(label(kind, *names), marks="")
        print(f"aileron: -t: {words} is not in the config{escaped(hint)}", file=sys.stderr)
        return 2
    return _print(json_of(data_of(resource)) if form == "json" else yaml_of(data_of(resource)))


def _print(words: str) -> int:
    """Print what was asked for: 0, or 1 where it could not go."""
    try:
        print(words, flush=True)
    except OSError as error:
        # Python has nothing to flush at its end; a reader that has read enough may leave.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"aileron: standard output: {error.strerror}", file=sys.stderr)
            return 1
    return 0


def _version() -> str:
    try:
        return metadata.version("aileron-demo")
    except metadata.PackageNotFoundError:
        return "(a checkout)"


def _info() -> str:
    """What this runs on: Python, the platform, and the dependencies with their versions."""
    lines = [
        f"aileron-demo {_version()}",
        f"{platform.python_implementation()} {platform.python_version()}",
        platform.platform(),
        f"{running.file_limit()} open files, of which a WebSocket takes two",
    ]
    for name in _dependencies():
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{name} (not installed)")
    return "\n".join(lines)


def _dependencies() -> list[str]:
    """The names of the packages that this one needs to run; none where it is not installed itself."""
    try:
        needed = metadata.requires("aileron-demo") or []
    except metadata.PackageNotFoundError:
        return []
    return [re.split(r"[^\w.-]", each)[0] for each in needed if "extra ==" not in each]


def _gateway(loaded: Loaded, options: argparse.Namespace) -> "Gateway":
    """A gateway in this process."""
    from gateway.proxy.server import Gateway  # noqa: PLC0415  (a parent needs no aiohttp)

    frames = _frames(options)
    log = EventLog(standard_output(), frames, preview=options.preview, frame_rate=options.frame_rate)
    secrets = Secrets(show=options.show_secrets)
    return Gateway(loaded, log, secrets, partial(_reload, options), limits=_limits(options))


def _parent(loaded: Loaded, options: argparse.Namespace) -> "Parent":
    """A gateway in several processes.  Raises ServeError where the system cannot do that."""
    if not hasattr(socket, "send_fds"):
        raise ServeError("this system cannot share sockets among processes; leave --workers out")
    from gateway.workers.crew import Crew  # noqa: PLC0415  (exists where descriptors can be sent)
    from gateway.workers.merge import Merge  # noqa: PLC0415  (as above)
    from gateway.workers.parent import Parent  # noqa: PLC0415  (as above)

    frames = _frames(options)
    merge = Merge(Output(standard_output(), "json" if frames == "json" else "text"), frames)
    crew = Crew(options.workers, partial(_worker_command, options, frames), merge)
    return Parent(loaded, partial(_reload, options), crew, merge)


def _worker_command(options: argparse.Namespace, frames: Frames, descriptor: int) -> list[str]:
    """The command line of a worker, which has its share of the frame rate."""
    rate = -(-options.frame_rate // options.workers)
    # -P: whatever lies in the working directory.
    command = [sys.executable, "-P", "-m", "gateway", "--worker", str(descriptor), "--frames", frames]
    for each in fields(OwnLimits):  # each has an option of its name
        command += [f"--{each.name.replace('_', '-')}", str(getattr(options, each.name))]
    command += ["--preview", str(options.preview), "--frame-rate", str(rate)]
    return [*command, "--show-secrets"] if options.show_secrets else command


def _work(options: argparse.Namespace) -> int:
    """Be a worker."""
    ignored = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)  # a terminal or a supervisor may mean all processes at once
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ignored)  # blocked by the parent until now
    from gateway.workers.worker import Worker, WorkerLog  # noqa: PLC0415  (nobody else needs it)

    try:
        channel = socket.socket(fileno=options.worker)
    except OSError:
        print("aileron: --worker is for a parent to give; say --workers N", file=sys.stderr)
        return 1
    log = WorkerLog(
        channel,
        standard_output(),
        _frames(options),
        preview=options.preview,
        frame_rate=options.frame_rate,
    )
    return _run(Worker(channel, log, Secrets(show=options.show_secrets), _limits(options)).run())


def _frames(options: argparse.Namespace) -> Frames:
    """What is told of the frames."""
    output = standard_output()
    frames: Frames = options.frames or ("text" if output is not None and os.isatty(output) else "off")
    return frames


def _run(serving: Coroutine[object, object, int]) -> int:
    """Run to its end what gives an exit status, and say what it failed of."""
    try:
        return running.run(serving)
    except (ServeError, lifeline.LifelineError) as error:
        print(f"aileron: {escape(str(error))}", file=sys.stderr)
        return 1

"""The command line: `aileron-demo up`, `check`, `graph`, `schema` and `init`.

Exit status of `up`: 0 after a clean stop; 1 where something could not start or has ended by itself; 2 for
usage, a missing file and a wrong config; 130 after a second Ctrl-C.  Of `check` and `graph`: 0 for a sound
config, 1 for one with errors, 2 for usage and a file that cannot be read.

What needs time to import is imported where it is used: `--help` answers at once.
"""

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from gateway.printable import escape
from launcher.filter import FilterError, parse

USAGE: Final = 2
UPSTREAM_ADDR: Final = "localhost:9090"
FORMATS: Final = ("tree", "mermaid", "json")

_ABOUT: Final = """\
Two real servers and a live view of every WebSocket frame between them.

  browser  ←──→  gateway :8080  ←──→  upstream :9090
"""
_FIRST: Final = """\
first steps:
  aileron-demo up          start both servers, then open http://localhost:8080/ in a browser
  aileron-demo init        write config.yaml and static/index.html here, to be changed
  aileron-demo check       say what is wrong with config.yaml, and what may surprise

Each command tells more with --help: aileron-demo up --help
"""
_UP_MORE: Final = """\
filter expressions (--filter, and the key / while it runs); all terms must hold, ! before one negates it:
  from:client  op:text|ping  conn:3  path:/ws  /regular expression/

stop with Ctrl-C; a second Ctrl-C ends at once.
"""
_CHECK_MORE: Final = """\
where would a request go?
  aileron-demo check --explain 'GET http://localhost:8080/api?x=1' -H 'X-Env: prod'

exit status: 0 sound; 1 errors (with --strict warnings too); 2 usage, or a file that cannot be read
"""


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line and a hint."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {escape(message)} ({self.prog} --help tells more)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    arguments, unknown = _parser().parse_known_args(argv)
    if unknown:
        arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if arguments.command is None:
        arguments.parser.error("a command is missing: up starts the kit, init writes files to change")
    if arguments.command == "init":
        return _init()
    if arguments.command == "check":
        return _check(arguments)
    if arguments.command in ("graph", "schema"):
        from launcher import describe  # noqa: PLC0415  (brings rich and the config's reader)

        if arguments.command == "schema":
            return _printed("schema", describe.schema)
        return _printed("graph", lambda: describe.graph(arguments.file, arguments.format))
    _check_upstream_is_wanted(arguments)
    try:
        chosen = parse(arguments.filter)
    except FilterError as error:
        sys.stderr.write(f"aileron-demo up: --filter: {error}\n")
        return USAGE
    from launcher import up  # noqa: PLC0415  (brings rich and the config's reader)
    from launcher.kit import Options  # noqa: PLC0415  (as above)

    options = Options(
        config=arguments.file,
        upstream_addr=arguments.upstream_addr or UPSTREAM_ADDR,
        no_upstream=arguments.no_upstream,
        open_page=arguments.open,
        plain=arguments.plain,
        json=arguments.json,
        filter=chosen,
        preview=arguments.preview,
        frame_rate=arguments.frame_rate,
        show_secrets=arguments.show_secrets,
        allow_origin=tuple(arguments.allow_origin),
    )
    try:
        return up.run(options, _version())
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="aileron-demo", description=_ABOUT, epilog=_FIRST, formatter_class=layout, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"aileron-demo {_version()}")
    # Whoever complains names the command, and points to its help.
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    up = commands.add_parser(
        "up",
        help="start the gateway and the demo upstream, and show every frame that passes",
        description="Start the gateway and the demo upstream behind it, and show every frame that passes.",
        epilog=_UP_MORE,
        formatter_class=layout,
        allow_abbrev=False,
    )
    _add_up(up)
    up.set_defaults(parser=up)
    init = commands.add_parser(
        "init",
        help="write config.yaml and static/index.html into this folder, to be changed",
        description="Write config.yaml and static/index.html into this folder, to be changed. "
        "A file that is there already is left as it is.",
        allow_abbrev=False,
    )
    init.set_defaults(parser=init)
    check = commands.add_parser(
        "check",
        help="say what is wrong with a config, what may surprise, and where a request would go",
        description="Say what is wrong with a config, what may surprise, and where a request would go.",
        epilog=_CHECK_MORE,
        formatter_class=layout,
        allow_abbrev=False,
    )
    _add_check(check)
    check.set_defaults(parser=check)
    graph = commands.add_parser(
        "graph",
        help="draw the resources of a config, and what they refer to",
        description="Draw the resources of a config, from the Entrypoint on, and what they refer to.",
        allow_abbrev=False,
    )
    graph.add_argument(
        "-f",
        dest="file",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="a config file, or a directory of them; may be given more than once "
        "(default: ./config.yaml, else the one that comes with this)",
    )
    graph.add_argument(
        "--format",
        choices=FORMATS,
        default="tree",
        help="tree for people, mermaid for Markdown, json for programs (default: tree)",
    )
    graph.set_defaults(parser=graph)
    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of config files, for editors",
        description="Print the JSON Schema of config files.  Editors with a YAML language server take it by "
        "a line at the top of the file: # yaml-language-server: $schema=PATH",
        allow_abbrev=False,
    )
    schema.set_defaults(parser=schema)
    return parser


def _add_up(up: argparse.ArgumentParser) -> None:
    what = up.add_argument_group("what to start")
    what.add_argument(
        "-f",
        dest="file",
        metavar="FILE",
        type=Path,
        help="the gateway's config (default: ./config.yaml, else the one that comes with this)",
    )
    what.add_argument(
        "--upstream-addr",
        metavar="HOST:PORT",
        help=f"where the demo upstream listens (default: {UPSTREAM_ADDR})",
    )
    what.add_argument("--no-upstream", action="store_true", help="start the gateway alone")
    what.add_argument(
        "--allow-origin",
        metavar="ORIGIN",
        type=_origin,
        action="append",
        default=[],
        help="a web origin that may use the demo upstream besides this machine's own, such as "
        "https://name.example; may be given more than once",
    )
    what.add_argument("--open", action="store_true", help="open the page in a browser when it is ready")
    see = up.add_argument_group("what to see")
    how = see.add_mutually_exclusive_group()
    how.add_argument("--plain", action="store_true", help="plain lines, as in a pipe")
    how.add_argument("--json", action="store_true", help="records as JSON lines, for programs")
    see.add_argument("--filter", metavar="EXPR", default="", help="show only these records")
    see.add_argument(
        "--preview", metavar="BYTES", type=_number, help="how much of a payload is shown (default: 64)"
    )
    see.add_argument(
        "--frame-rate",
        metavar="N",
        type=_number,
        help="frames that the gateway tells of each second; the rest is counted "
        "(default: 2000; 0: all it can)",
    )
    see.add_argument("--show-secrets", action="store_true", help="show cookies, tokens and passwords")


def _add_check(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        *("-f", "--file"),
        dest="files",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="a config, or a folder of them; may be given more than once (default: ./config.yaml, else the "
        "one that comes with this)",
    )
    check.add_argument(
        *("-e", "--env"),
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="a file of variables, read before the config; may be given more than once",
    )
    check.add_argument("--json", action="store_true", help="one JSON array, for editors and programs")
    check.add_argument("--strict", action="store_true", help="let warnings count as errors")
    check.add_argument(
        "--explain", metavar="REQUEST", help="say which way this request would take, and why no other"
    )
    check.add_argument(
        *("-H", "--header"),
        dest="headers",
        metavar="HEADER",
        action="append",
        default=[],
        help="a header field of that request, as 'X-Env: prod'; may be given more than once",
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def _origin(text: str) -> str:
    """`text`, if it looks like a web origin; the demo upstream looks more closely."""
    scheme, _, rest = text.rpartition("://")
    host = rest.partition("/")[0]
    if scheme.lower() not in ("http", "https") or not host or host != rest:
        example = f"{'http' if scheme == 'http' else 'https'}://{host or 'name.example'}"
        raise argparse.ArgumentTypeError(f"{text!r} is no origin; write it as {example}")
    return text


def _check_upstream_is_wanted(arguments: argparse.Namespace) -> None:
    """End with a message where options tell how to start what is not to be started."""
    given = {"--upstream-addr": arguments.upstream_addr, "--allow-origin": arguments.allow_origin}
    for option in (option for option, value in given.items() if arguments.no_upstream and value):
        arguments.parser.error(f"{option} is about the demo upstream, which --no-upstream does not start")


def _version() -> str:
    try:
        return importlib.metadata.version("aileron-demo")
    except importlib.metadata.PackageNotFoundError:
        return "(a checkout)"


def _check(arguments: argparse.Namespace) -> int:
    if arguments.headers and arguments.explain is None:
        arguments.parser.error("-H is about the request that --explain gives; give that as well")
    from launcher import check  # noqa: PLC0415  (brings rich and the config's reader)

    options = check.Options(
        files=tuple(arguments.files),
        env=tuple(arguments.env),
        json=arguments.json,
        strict=arguments.strict,
        explain=arguments.explain,
        headers=tuple(arguments.headers),
    )
    return _printed("check", lambda: check.run(options))


def _printed(command: str, run: Callable[[], int]) -> int:
    """Run what prints, and see that all of it has gone; its status, or 1 where it could not go."""
    try:
        status = run()
        sys.stdout.flush()
    except OSError as error:
        # Python has nothing to flush at its end; a reader that has read enough may leave.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 0
        sys.stderr.write(f"aileron-demo {command}: standard output: {error.strerror}\n")
        return 1
    return status


def _init() -> int:
    from launcher.files import write_own  # noqa: PLC0415  (brings the upstream's page)

    try:
        for path, written in write_own():
            sys.stdout.write(f"{'wrote' if written else 'left as it is'}: {path}\n")
    except OSError as error:
        sys.stderr.write(f"aileron-demo init: {error.filename}: {error.strerror}\n")
        return 1
    sys.stdout.write("Change them as you like; aileron-demo up takes them from here.\n")
    return 0

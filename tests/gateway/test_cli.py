"""The `aileron` command: options, what can be wrong, and where its output goes."""

import asyncio
import importlib.metadata
import json
import os
import platform
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import yaml

from gateway import cli
from gateway.cli import main, parser
from gateway.limits import OwnLimits
from tests.gateway.proxy.raw import close, from_client, handshake, open_tunnel
from tests.gateways import GatewayProcess, Loop, config_of, gateway_command
from tests.servers import PATIENCE, Peer, Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process, to its end."""

    def run(*options: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            sys.exit(main(options))
        assert isinstance(ended.value.code, int)
        output = capfd.readouterr()
        return Done(status=ended.value.code, stdout=output.out, stderr=output.err)

    return run


def run_process(*options: str, loop: Loop = "uvloop") -> Done:
    """Run the command in a process of its own, to its end."""
    command = [*gateway_command(loop), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return Done(status=done.returncode, stdout=done.stdout, stderr=done.stderr)


def written(folder: Path, config: str) -> str:
    """The path of a config file with this content."""
    path = folder / "config.yaml"
    path.write_text(config)
    return str(path)


def test_help_tells_every_option(run: Run) -> None:
    """--help is for people: each option with what it does and its default; status 0."""
    done = run("--help")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: aileron ")
    for option in (
        "-f PATH",
        "-e PATH",
        "-t G/V/K[/NS/NAME]",
        "-o FORMAT",
        "-v, ",
        "-i, ",
        "-h, ",
        "--workers N",
        "--header-fields N",
        "--handshake-timeout SECONDS",
        "--stall-timeout SECONDS",
        "--tunnel-buffer BYTES",
        "--idle-timeout SECONDS",
        "--frames",
        "--preview BYTES",
        "--frame-rate N",
        "--show-secrets",
    ):
        assert option in done.stdout
    assert "(64)" in done.stdout
    assert "(2000;" in done.stdout
    for default in ("(256)", "(10)", "(60; 0: no limit)", "(65536)", "(0: no limit)"):
        assert default in " ".join(done.stdout.split())


def test_what_the_kit_adds_stands_apart(run: Run) -> None:
    """In a group of its own, below what AILERON has."""
    own, _, added = run("--help").stdout.partition("what only this kit has")
    assert "--show-secrets  " not in own
    assert "--file" not in added
    options = (
        "--watch",
        "--workers",
        "--idle-timeout",
        "--frames",
        "--preview",
        "--frame-rate",
        "--show-secrets",
    )
    assert all(option in added for option in options)
    assert "--worker " not in added
    _, _, limits = added.partition("what only this kit has: limits")
    assert all(f"--{each.name.replace('_', '-')}" in limits for each in fields(OwnLimits))
    assert (
        OwnLimits(**{each.name: parser().get_default(each.name) for each in fields(OwnLimits)}) == OwnLimits()
    )


def test_a_worker_has_the_limits_of_its_parent() -> None:
    """All of them, as they were given."""
    given = ["--header-fields=7", "--handshake-timeout=0.5", "--stall-timeout=0", "--tunnel-buffer=0"]
    options = parser().parse_args([*given, "--idle-timeout=86400.125"])
    command = cli._worker_command(options, "off", 9)
    limits = cli._limits(parser().parse_args(command[command.index("--worker") :]))
    assert limits == OwnLimits(
        header_fields=7, handshake_timeout=0.5, stall_timeout=0, tunnel_buffer=0, idle_timeout=86400.125
    )


def test_info_tells_how_many_files_may_be_open() -> None:
    """All that the system grants, whatever the shell began with."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shell = ["sh", "-c", 'ulimit -Sn 99; exec "$@"', "sh"]
    done = subprocess.run([*shell, *gateway_command(), "-i"], capture_output=True, text=True, check=True)
    assert f"\n{hard} (raised from 99) open files, of which a WebSocket takes two\n" in done.stdout


async def test_limits_of_the_command_line_hold(upstream: Upstream) -> None:
    """In a gateway that runs, which has raised that of the system as well."""
    config = config_of(f"http://127.0.0.1:{upstream.port}")
    with GatewayProcess(config, "--idle-timeout", "1", "--header-fields", "5") as gateway:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE) == (hard, hard)
        client, server = await open_tunnel(gateway.port, upstream)
        with client, server:
            assert await client.read(4) == close(1001)
        with await Peer.connect(gateway.port) as client:
            await client.send(handshake("One: too many"))
            assert (await client.read_head()).startswith(b"HTTP/1.1 431 ")


ROOT = Path(__file__).parents[2]
VERSION = f"aileron-demo {importlib.metadata.version('aileron-demo')}\n"


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        ((), "usage: aileron "),
        (("-h",), "usage: aileron "),
        (("-h", "-i"), VERSION + platform.python_implementation()),
        (("-h", "-i", "-v"), VERSION),
        (("--version", "-f", "nowhere.yaml", "-e", "nowhere.env", "-t", "x"), VERSION),
        (("--info", "-f", "nowhere.yaml"), VERSION),
        (("--help", "-f", "nowhere.yaml"), "usage: aileron "),
    ],
)
def test_what_needs_no_config(run: Run, options: tuple[str, ...], begins: str) -> None:
    """Version before info before help, before any file is read; nothing is help (core-v1, section 1)."""
    done = run(*options)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith(begins)
    if "-v" in options or "--version" in options:
        assert done.stdout == VERSION


def test_info_names_every_dependency(run: Run) -> None:
    """With its version, as it is installed."""
    lines = run("-i").stdout.splitlines()
    told = dict(line.split(" ", 1) for line in lines[4:])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [re.split(r"[^\w-]", each)[0] for each in project["dependencies"]]
    assert sorted(map(str.lower, told)) == sorted(map(str.lower, wanted))
    assert told["aiohttp"] == importlib.metadata.version("aiohttp")
    assert re.fullmatch(r"\d+( \(raised from \d+\))? open files, of which a WebSocket takes two", lines[3])


@pytest.mark.parametrize("options", [("-o", "json"), ("--frames", "json")])
def test_without_a_config_there_is_no_entrypoint(run: Run, options: tuple[str, ...]) -> None:
    """One line that says what to give; status 1."""
    done = run(*options)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == "aileron: there is no Entrypoint to start from; name a config file with -f\n"


def test_a_template_is_the_defaults_of_a_kind(run: Run) -> None:
    """As YAML with sorted keys, or as JSON in the order of the fields; any other word means YAML."""
    done = run("-t", "core/v1/HTTPServer")
    assert (done.status, done.stderr) == (0, "")
    assert '\n    readTimeout: "30"\n' in done.stdout
    assert run("-t", "core/v1/HTTPServer", "-o", "toml").stdout == done.stdout
    in_json = run("-t", "core/v1/HTTPServer", "--out", "json").stdout
    assert json.loads(in_json) == yaml.safe_load(done.stdout)
    assert list(json.loads(in_json)) == ["apiVersion", "kind", "metadata", "spec"]


def test_a_template_of_what_was_loaded(run: Run, tmp_path: Path) -> None:
    """The resource with its defaults; an Entrypoint is not needed for that."""
    path = written(tmp_path, config_of("http://localhost:1", addr=":7").partition("---\n")[2])
    done = run("-f", path, "-t", "core/v1/HTTPServer/default/default")
    assert (done.status, done.stderr) == (0, "")
    spec = yaml.safe_load(done.stdout)["spec"]
    assert (spec["addr"], spec["shutdownTimeout"], spec["httpConfig"]["idleTimeout"]) == (":7", 2, "10")


@pytest.mark.parametrize(
    ("template", "spoilt", "status", "says"),
    [
        (
            "core/v1/HTTPServer/default/nobody",
            False,
            2,
            "HTTPServer default/nobody is not in the config; there is HTTPServer default/default\n",
        ),
        ("core/v1/ErrorHandler/a/b", False, 2, "ErrorHandler a/b is not in the config\n"),
        ("core/v1/HTTPServer", True, 1, 'did you mean "addr"?\n'),
    ],
)
def test_a_template_that_cannot_be_printed(
    run: Run, tmp_path: Path, template: str, *, spoilt: bool, status: int, says: str
) -> None:
    """What was not loaded is 2; files are loaded first, and can fail."""
    config = config_of("http://localhost:1")
    done = run("-f", written(tmp_path, config.replace("addr:", "adr:") if spoilt else config), "-t", template)
    assert (done.status, done.stdout) == (status, "")
    assert done.stderr.endswith(says)


def test_several_files_are_one_config(run: Run, tmp_path: Path) -> None:
    """-f may be given more than once; a comma is part of a name."""
    first, second = tmp_path / "a,b.yaml", tmp_path / "c.yaml"
    entrypoint, _, rest = config_of("http://localhost:1", addr="192.0.2.1:0").partition("---\n")
    first.write_text(entrypoint)
    second.write_text(rest)
    done = run("-f", str(first), "--file", str(second))
    assert (done.status, done.stderr.partition(":")[0]) == (1, "aileron")
    assert "cannot listen on 192.0.2.1:0" in done.stderr


def test_warnings_come_before_the_start(run: Run, tmp_path: Path) -> None:
    """One line each on standard error, with its place; they stop nothing."""
    unused = "---\napiVersion: core/v1\nkind: HTTPHandler\nmetadata: {name: unused}\n"
    path = written(tmp_path, f"apiVersion: core/v1\nkind: Entrypoint\n{unused}")
    done = run("-f", path)
    assert (done.status, done.stdout) == (0, "")
    assert done.stderr == (
        f"{path}:1:1: warning: Entrypoint: runners are not given, so the gateway ends at once\n"
        f"{path}:4:1: warning: HTTPHandler default/unused: spec.handler: this field must be given\n"
        f"{path}:5:7: warning: HTTPHandler default/unused: kind: nothing refers to this resource, so it does "
        "nothing\n"
    )


def test_env_files_come_first(run: Run, tmp_path: Path) -> None:
    """A file that is missing ends it with status 1, before any config is read."""
    done = run("-e", str(tmp_path / "no.env"), "-f", str(tmp_path / "no.yaml"))
    assert (done.status, done.stdout) == (1, "")
    assert "no.env" in done.stderr
    assert "no.yaml" not in done.stderr


def test_the_console_script_is_the_module() -> None:
    """`aileron` where the package is installed; `python -m gateway` everywhere."""
    script = shutil.which("aileron", path=str(Path(sys.executable).parent))
    if script is None:
        pytest.skip("the package is not installed here")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == run_process("--help").stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-f",), "expected one argument"),
        (("-f", "x", "--frames", "yes"), "invalid choice: 'yes'"),
        (("-f", "x", "--preview", "-1"), "'-1' is not a whole number from 0 to 999999999"),
        (("-f", "x", "--preview", "1.5"), "'1.5' is not a whole number from 0 to 999999999"),
        (("-f", "x", "--frame-rate", "many"), "'many' is not a whole number from 0 to 999999999"),
        (("-f", "x", "--frame-rate", "9" * 40), "is not a whole number"),
        (
            ("-f", "x", "--header-fields", "0"),
            "'0' is not a whole number from 1 to 999999999",
        ),
        (
            ("-f", "x", "--tunnel-buffer", "64k"),
            "'64k' is not a whole number from 0 to 999999999",
        ),
        (("-f", "x", "--handshake-timeout", "0"), "--handshake-timeout: it has to be more than 0 seconds"),
        (("-f", "x", "--stall-timeout", "1m"), "'1m' is not a number of seconds, as 30 or 0.001"),
        (("-f", "x", "--idle-timeout", "-1"), "'-1' is not a number of seconds, as 30 or 0.001"),
        (("-f", "x", "--idle-timeout", "nan"), "'nan' is not a number of seconds, as 30 or 0.001"),
        (("-f", "x", "--show"), "unrecognized arguments: --show"),
        (("-f", "x", "more"), "unrecognized arguments: more"),
        (("--fil", "x"), "unrecognized arguments: --fil x"),
        (("-v", "--what"), "unrecognized arguments: --what"),
        (("-t", "core/v1"), "-t takes group/version/kind or group/version/kind/namespace/name"),
        (("-t", "core/v1/HTTPServer/default"), "-t takes group/version/kind or"),
        (("-t", "core/v1/HTTPSever"), 'names no kind that is known here; did you mean "core/v1/HTTPServer"?'),
        (("-t", "app/v9/X"), "core/v1/ReverseProxyHandler and core/v1/ErrorHandler are"),
    ],
)
def test_wrong_options(run: Run, options: tuple[str, ...], says: str) -> None:
    """Usage and one line that names the option; status 2, nothing on standard output."""
    done = run(*options)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: aileron ")
    assert says in done.stderr.splitlines()[-1]


def test_a_missing_file(run: Run, tmp_path: Path) -> None:
    """One line that names it; status 1."""
    done = run("-f", str(tmp_path / "nowhere.yaml"))
    assert (done.status, done.stdout) == (1, "")
    assert "nowhere.yaml" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_broken_config_tells_all_its_problems(run: Run, tmp_path: Path) -> None:
    """One line for each, with its position; status 1, and no traceback."""
    config = config_of("ftp://nowhere").replace("matchType: Prefix", "matchType: Prefiks")
    done = run("-f", written(tmp_path, config + "      upsteams: []\n"))
    assert (done.status, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 3
    assert 'did you mean "upstreams"?' in done.stderr
    assert "Traceback" not in done.stderr
    for line in done.stderr.splitlines():
        file, row, column, _ = line.split(":", 3)
        assert file.endswith("config.yaml")
        assert int(row) > 0
        assert int(column) > 0


@pytest.mark.parametrize(
    ("host", "loop"), [("127.0.0.1", "uvloop"), ("localhost", "asyncio"), ("", "uvloop")]
)
def test_a_busy_port(tmp_path: Path, host: str, loop: Loop) -> None:
    """One line that names the address; status 1."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        addr = f"{host}:{busy.getsockname()[1]}"
        done = run_process("-f", written(tmp_path, config_of("http://localhost:1", addr=addr)), loop=loop)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == f"aileron: cannot listen on {addr}: the port is taken by another program\n"


def test_an_address_of_another_machine(run: Run, tmp_path: Path) -> None:
    """One line; status 1."""
    done = run("-f", written(tmp_path, config_of("http://localhost:1", addr="192.0.2.1:0")))
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == "aileron: cannot listen on 192.0.2.1:0: it is no address of this machine\n"


def test_a_lifeline_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong environment is said in one line; status 1."""
    monkeypatch.setenv("AILERON_DEMO_LIFELINE", "777")
    done = run_process("-f", written(tmp_path, config_of("http://localhost:1")))
    assert done.status == 1
    assert "AILERON_DEMO_LIFELINE='777' does not name an open descriptor" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("addr", "shown"),
    [
        ("127.0.0.1:0", ("127.0.0.1",)),
        ("localhost:0", ("127.0.0.1", "[::1]")),
        (":0", ("[::]", "0.0.0.0")),
    ],
)
async def test_where_it_listens(addr: str, shown: tuple[str, ...]) -> None:
    """The real port, in the address and in what to open; and somebody answers there."""
    with GatewayProcess(config_of("http://localhost:1", addr=addr), frames="off") as gateway:
        line = gateway.records.lines[0].decode()
        assert f"http://localhost:{gateway.port}" in line
        assert any(f"({host}:{gateway.port})" in line for host in shown)
        _, writer = await asyncio.open_connection("localhost", gateway.port)
        writer.close()
        await writer.wait_closed()


def _start(path: str, output: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*gateway_command(), "-f", path], stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )


async def test_in_a_pipe_frames_are_off(upstream: Upstream, tmp_path: Path) -> None:
    """Without --frames, a program that reads the output gets start, stop and errors."""
    assert parser().parse_args(["-f", "x"]).frames is None
    path = written(tmp_path, config_of(f"http://127.0.0.1:{upstream.port}"))
    process = _start(path, subprocess.PIPE)
    try:
        assert process.stdout is not None
        first = await asyncio.to_thread(process.stdout.readline)
        await _talk(int(first.rpartition(b":")[2].strip(b")\n")), upstream)
        process.send_signal(signal.SIGTERM)
        rest, errors = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert rest.count(b"\n") == 1
    assert b"stops" in rest


async def test_on_a_terminal_frames_are_text(upstream: Upstream, tmp_path: Path) -> None:
    """Without --frames, a person who runs it by hand sees the frames, one line each, without escape codes."""
    path = written(tmp_path, config_of(f"http://127.0.0.1:{upstream.port}"))
    ours, theirs = pty.openpty()
    process = _start(path, theirs)
    os.close(theirs)
    shown = bytearray()

    def read_until(words: bytes) -> None:
        while words not in shown:
            shown.extend(os.read(ours, 65536))

    try:
        await asyncio.to_thread(read_until, b")\r\n")
        await _talk(int(bytes(shown).rpartition(b":")[2].strip(b")\r\n")), upstream)
        await asyncio.to_thread(read_until, b"hello from the client")
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(read_until, b"stops")
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"\x1b" not in shown
    assert b"Traceback" not in shown


async def _talk(port: int, upstream: Upstream) -> None:
    """One tunnel with one frame."""
    client, server = await open_tunnel(port, upstream)
    with client, server:
        await client.send(from_client(b"hello from the client"))
        await server.read(27)
        client.end()
        await server.read_to_end()
        server.end()
        await client.read_to_end()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such device")
@pytest.mark.parametrize("options", [["-v"], ["-h"], ["-i"], ["-t", "core/v1/HTTPServer"]])
def test_a_full_disk(options: list[str]) -> None:
    """What was asked for finds no room: one line, and status 1."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*gateway_command(), *options], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"aileron: standard output: No space left on device\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such shell")
def test_without_standard_error() -> None:
    """What is wrong is not told where the records of the log go."""
    for options in (["-f", "/nonexistent"], ["--nonsense"]):
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *gateway_command(), *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        assert (done.returncode > 0, done.stdout) == (True, b"")


def test_no_runner_is_no_work(run: Run, tmp_path: Path) -> None:
    """An Entrypoint without runners ends at once, as AILERON does."""
    done = run("-f", written(tmp_path, "apiVersion: core/v1\nkind: Entrypoint\nspec: {}\n"))
    assert (done.status, done.stdout) == (0, "")
    assert "so the gateway ends at once" in done.stderr

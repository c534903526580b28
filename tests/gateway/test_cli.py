"""The `aileron` command: options, what can be wrong, and where its output goes."""

import asyncio
import importlib.metadata
import json
import os
import platform
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from gateway.cli import main, parser
from tests.gateway.proxy.raw import from_client, open_tunnel
from tests.gateways import GatewayProcess, Loop, config_of, gateway_command
from tests.servers import PATIENCE, Upstream


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
        "--frames",
        "--preview BYTES",
        "--frame-rate N",
        "--show-secrets",
    ):
        assert option in done.stdout
    assert "(64)" in done.stdout
    assert "(2000;" in done.stdout


def test_what_the_kit_adds_stands_apart(run: Run) -> None:
    """In a group of its own, below what AILERON has."""
    own, _, added = run("--help").stdout.partition("what only this kit has")
    assert "--show-secrets  " not in own
    assert "--file" not in added
    options = ("--watch", "--workers", "--frames", "--preview", "--frame-rate", "--show-secrets")
    assert all(option in added for option in options)
    assert "--worker " not in added


def test_a_worker_without_a_parent(run: Run) -> None:
    """Is what somebody typed who meant something else."""
    done = run("--worker", "9999")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == "aileron: --worker is for a parent to give; say --workers N\n"


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
    told = dict(line.split(" ", 1) for line in run("-i").stdout.splitlines()[3:])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [re.split(r"[^\w-]", each)[0] for each in project["dependencies"]]
    assert sorted(map(str.lower, told)) == sorted(map(str.lower, wanted))
    assert told["aiohttp"] == importlib.metadata.version("aiohttp")


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
        (("-f", "x", "--preview", "-1"), "'-1' is not a whole number from 0 on"),
        (("-f", "x", "--preview", "1.5"), "'1.5' is not a whole number from 0 on"),
        (("-f", "x", "--frame-rate", "many"), "'many' is not a whole number from 0 on"),
        (("-f", "x", "--frame-rate", "9" * 40), "is not a whole number"),
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


def test_no_runner_is_no_work(run: Run, tmp_path: Path) -> None:
    """An Entrypoint without runners ends at once, as AILERON does."""
    done = run("-f", written(tmp_path, "apiVersion: core/v1\nkind: Entrypoint\nspec: {}\n"))
    assert (done.status, done.stdout) == (0, "")
    assert "so the gateway ends at once" in done.stderr

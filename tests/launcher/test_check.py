"""`aileron-demo check`: what it says in a pipe, on a terminal and to programs, and its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from launcher import check, cli
from tests.gateway.config.samples import ENTRYPOINT, GOOD, PROXY, SERVER, spoiled
from tests.launcher.conftest import CHECKOUT
from tests.launcher.ptys import Pty

BAD: Final = spoiled("upstreams", "upsteams").replace("matchType: Prefix", "matchType: prefix")
SURPRISING: Final = spoiled('        match: "/"\n        matchType: Prefix', "        match: /a")
WORDS: Final = (
    'matchType is not given, which means Exact: only the path "/a" itself matches; for all paths that begin '
    "with it write matchType: Prefix"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *argv: str, status: int = 0) -> list[str]:
    """Run `check` with this command line; its lines on stdout."""
    assert cli.main(["check", *argv]) == status
    out, err = capsys.readouterr()
    assert err == ""
    return out.splitlines()


def test_a_sound_config(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the folder, else the one that comes with the kit."""
    (folder / "config.yaml").write_text(GOOD)
    assert said(capsys) == ["✓ config.yaml is sound"]
    assert said(capsys, "--strict") == ["✓ config.yaml is sound"]
    assert said(capsys, "--json") == ["[]"]
    (folder / "config.yaml").unlink()
    assert said(capsys) == [f"✓ {CHECKOUT / 'config.yaml'} is sound"]


def test_errors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, by position, one a line; status 1."""
    (folder / "config.yaml").write_text(BAD)
    lines = said(capsys, status=1)
    assert lines == [
        (
            "config.yaml:24:20: ReverseProxyHandler default/default: "
            'spec.loadBalancers[0].pathMatcher.matchType: "prefix" is not known here; did you mean "Prefix"?'
        ),
        (
            "config.yaml:25:7: ReverseProxyHandler default/default: spec.loadBalancers[0].upsteams: unknown "
            'field; did you mean "upstreams"?'
        ),
        "✗ config.yaml: 2 errors",
    ]


def test_warnings_count_only_if_strict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are told of either way."""
    (folder / "config.yaml").write_text(SURPRISING)
    place = (
        "config.yaml:23:16: warning: ReverseProxyHandler default/default: spec.loadBalancers[0].pathMatcher"
    )
    lines = [f"{place}.match: {WORDS}", "✓ config.yaml is sound, with 1 warning"]
    assert said(capsys) == lines
    assert said(capsys, "--strict", status=1)[0] == lines[0]


def test_json_for_editors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One array, of objects with the same keys always; the status is the same."""
    (folder / "config.yaml").write_text(SURPRISING)
    (line,) = said(capsys, "--json", "--strict", status=1)
    assert json.loads(line) == [
        {
            "file": "config.yaml",
            "line": 23,
            "column": 16,
            "resource": "ReverseProxyHandler default/default",
            "field": "spec.loadBalancers[0].pathMatcher.match",
            "message": WORDS,
            "severity": "warning",
            "rule": "absent-match-type",
        }
    ]
    (line,) = said(capsys, "--json", "-f", "none.yaml", status=2)
    (found,) = json.loads(line)
    assert (found["rule"], found["line"], found["resource"]) == ("unreadable", None, None)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-f", "none.yaml"], "none.yaml: there is no such file"),
        (["-e", "none.env"], "none.env: there is no such file"),
    ],
)
def test_what_cannot_be_read(
    folder: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    """Is status 2, not 1."""
    (folder / "config.yaml").write_text(GOOD)
    assert said(capsys, *argv, status=2)[0] == words


def test_several_files_and_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Make one config together."""
    (folder / "a.yaml").write_text(ENTRYPOINT + SERVER)
    (folder / "more").mkdir()
    (folder / "more" / "b.yaml").write_text(PROXY)
    assert said(capsys, "-f", "a.yaml", "--file", "more") == ["✓ a.yaml, more are sound"]
    assert said(capsys, "-f", "a.yaml", status=1)[-1] == "✗ a.yaml: 1 error"


def test_env_files_come_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The later one wins; what is wrong with one is told of like what is wrong with the config."""
    (folder / "config.yaml").write_text(GOOD.replace("localhost:9090", "${UP}"))
    (folder / "a.env").write_text("UP=bad host\n")
    (folder / "b.env").write_text("UP=good:1\n")
    assert said(capsys, "-e", "a.env", "--env", "b.env") == ["✓ config.yaml is sound"]
    assert said(capsys, "-e", "a.env", status=1)[0].startswith("config.yaml:26:16: ReverseProxyHandler")
    (folder / "a.env").write_text("UP\n")
    assert said(capsys, "-e", "a.env", "-e", "b.env", status=1) == [
        'a.env:1:1: a "=" is missing; write NAME=VALUE, or "#" before a comment',
        "✗ a.env, b.env: 1 error",
    ]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-H", "X: y"], "-H is about the request that --explain gives; give that as well"),
        (["config.yaml"], "unrecognized arguments: config.yaml (aileron-demo check --help"),
        (["--explain", "GET"], '--explain: "GET" is no request; write it as in '),
        (
            ["--explain", "GET localhost:8080/"],
            "is no request; write it as in 'GET http://localhost:8080/path",
        ),
        (["--explain", "GET ftp://localhost/"], "is no request"),
        (["--explain", "GET http://[::1"], "is no request"),
        (["--explain", "G\x1b http://a/"], '"G\\x1b http://a/" is no request'),
        (["--explain", "/", "-H", "X"], "--explain: \"X\" is no header; write it as in 'X-Env: prod'"),
        (["--explain", "/", "-H", "X Y: z"], "is no header"),
        (["--explain", "/", "-H", "X: \x1b[2J"], '"X: \\x1b[2J" is no header'),
    ],
)
def test_usage(folder: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    """Is one line on stderr and status 2."""
    (folder / "config.yaml").write_text(GOOD)
    status: object
    try:
        status = cli.main(["check", *argv])
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert err.startswith("aileron-demo check: ")


def test_an_explanation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tree, of which nothing is cut however long a line is."""
    (folder / "config.yaml").write_text(GOOD)
    request = f"POST http://test.example:8080/{'a' * 200}?q=1"
    assert said(capsys, "--explain", request, "-H", "X-Env: prod", "-H", "X-Long: " + "b" * 200) == [
        (
            "HTTPServer default/default at :8080 is asked "
            f'"POST /{"a" * 200}?q=1" with Host: test.example:8080'
        ),
        '├── ✓ route "/" of spec.virtualHosts[0].handlers[0] leads to ReverseProxyHandler default/default',
        "│   └── ✓ spec.loadBalancers[0]",
        '│       ├── ✓ path begins with "/"',
        "│       └── upstream http://localhost:9090",
        "└── ➜ http://localhost:9090 is sent",
        f"    ├── POST /{'a' * 200}?q=1 HTTP/1.1",
        "    ├── Host: localhost:9090",
        "    ├── X-Env: prod",
        f"    ├── X-Long: {'b' * 200}",
        "    ├── X-Forwarded-For: 127.0.0.1",
        "    ├── X-Forwarded-Host: test.example:8080",
        "    ├── X-Forwarded-Port: 50000",
        "    └── X-Forwarded-Proto: http",
    ]


def steps(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, Any]]:
    """The explanation of a request, as JSON: one for each server."""
    (line,) = said(capsys, "--json", "--explain", *argv)
    found: list[dict[str, Any]] = json.loads(line)
    return found


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (["/a?b"], '"GET /a?b" with Host: localhost:8080'),
        (["http://x.example"], '"GET /" with Host: x.example'),
        (["HEAD http://u:p@x.example/a?b#c"], '"HEAD /a?b" with Host: x.example'),
        (["GET http://[::1]:8080/"], '"GET /" with Host: [::1]:8080'),
        (["  GET   /a  "], '"GET /a" with Host: localhost:8080'),
        (["http://x.example/", "-H", "host: y.example"], '"GET /" with Host: y.example'),
        (["WS://x.example/ws"], '"GET /ws" with Host: x.example'),
    ],
)
def test_how_a_request_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], argv: list[str], asked: str
) -> None:
    """As a url or a path, perhaps with a method; a Host given with -H counts."""
    (folder / "config.yaml").write_text(GOOD)
    (step,) = steps(capsys, *argv)
    assert step["text"] == f"HTTPServer default/default at :8080 is asked {asked}"
    assert step["steps"][-1]["text"] == "http://localhost:9090 is sent"


def test_a_url_of_a_websocket_brings_its_handshake(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is given with -H stays as it is."""
    (folder / "config.yaml").write_text(GOOD)
    (step,) = steps(capsys, "ws://localhost:8080/ws", "-H", "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==")
    sent = [each["text"] for each in step["steps"][-1]["steps"]]
    assert sent[-2:] == ["Connection: Upgrade", "Upgrade: websocket"]
    assert "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==" in sent
    assert sum(each.lower().startswith("sec-websocket-key") for each in sent) == 1


def test_the_port_chooses_the_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where none listens on it, each is asked."""
    second = SERVER.replace("kind: HTTPServer\n", "kind: HTTPServer\nmetadata: {name: second}\n", 1)
    entrypoint = f"{ENTRYPOINT}    - {{apiVersion: core/v1, kind: HTTPServer, name: second}}\n"
    (folder / "config.yaml").write_text(entrypoint + SERVER + second.replace(":8080", ":8081") + PROXY)
    assert [each["text"].partition(" at ")[0] for each in steps(capsys, "http://x:8081/")] == [
        "HTTPServer default/second"
    ]
    assert len(steps(capsys, "http://x:9/")) == 2
    assert len(steps(capsys, "/")) == 2


def test_nothing_is_explained_of_a_config_with_errors(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are told of instead."""
    (folder / "config.yaml").write_text(BAD)
    assert said(capsys, "--explain", "/", status=1)[-1] == "✗ config.yaml: 2 errors"


def test_run_by_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check.run` is all that the command line calls."""
    (folder / "config.yaml").write_text(SURPRISING)
    assert check.run(check.Options()) == 0
    assert check.run(check.Options(strict=True)) == 1
    assert check.run(check.Options(files=(folder / "none.yaml",))) == 2
    assert check.run(check.Options(explain="/")) == 0
    assert "➜ answered with 404 Not Found" in capsys.readouterr().out


COMMAND: Final = [sys.executable, "-m", "launcher", "check"]


def test_in_a_pipe(folder: Path) -> None:
    """Plain lines without colours, and the status of the process."""
    (folder / "config.yaml").write_text(BAD)
    done = subprocess.run(
        COMMAND, env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True, check=False, timeout=30, cwd=folder
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"\x1b" not in done.stdout
    assert done.stdout.startswith(b"config.yaml:24:20: ")
    assert done.stdout.decode().splitlines()[-1] == "✗ config.yaml: 2 errors"


def test_in_a_pipe_that_takes_only_ascii(folder: Path) -> None:
    """Signs and names that it lacks are written out."""
    (folder / "config.yaml").write_text(GOOD)
    env = {"PYTHONPATH": str(CHECKOUT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(COMMAND, env=env, capture_output=True, check=False, timeout=30, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\u2713 config.yaml is sound\n", b"")


def test_names_that_are_not_utf_8_or_move_the_cursor(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Are written out for people; programs get them as they are, but for what no JSON text may hold."""
    name = "\x1b[2J\udcff.yaml"
    (folder / name).write_text(BAD)
    lines = said(capsys, "-f", name, status=1)
    assert lines[0].startswith("\\x1b[2J\\udcff.yaml:24:20: ")
    assert lines[-1] == "✗ \\x1b[2J\\udcff.yaml: 2 errors"
    (line,) = said(capsys, "--json", "-f", name, status=1)
    assert line.isascii()
    # A lone surrogate is no Unicode text (RFC 8259 section 8.2), and stricter readers refuse it.
    assert msgspec.json.decode(line)[0]["file"] == json.loads(line)[0]["file"] == "\x1b[2J\\xff.yaml"


def test_on_a_terminal(folder: Path) -> None:
    """Colours, the line that is meant, and a caret under the place, behind wide characters too."""
    wide = 'metadata: {name: b}\nspec: {"漢字": 1, adr: ":1"}\n'
    (folder / "config.yaml").write_text(f"{BAD}---\napiVersion: core/v1\nkind: HTTPServer\n{wide}")
    with Pty(COMMAND, cwd=folder, env={"PYTHONPATH": str(CHECKOUT)}) as terminal:
        assert terminal.wait() == 1
        terminal.wait_for("✗ config.yaml: 4 errors")
        rows = terminal.rows
        assert b"\x1b[1;38;5;196m" in terminal.raw
    at = rows.index('  unknown field; did you mean "upstreams"?')
    assert rows[at - 1].startswith("error config.yaml:25:7  ReverseProxyHandler default/default spec.")
    assert rows[at + 1 : at + 3] == ["  25 │       upsteams:", "     │       ^"]
    at = rows.index('  unknown field; did you mean "addr"?')
    assert rows[at + 2] == "     │" + " " * len(' spec: {"xxxx": 1, ') + "^"


def test_an_explanation_on_a_terminal(folder: Path) -> None:
    """In colours."""
    (folder / "config.yaml").write_text(GOOD)
    command = [*COMMAND, "--explain", "/ws"]
    with Pty(command, cwd=folder, env={"PYTHONPATH": str(CHECKOUT)}) as terminal:
        assert terminal.wait() == 0
        terminal.wait_for("➜ http://localhost:9090 is sent")
        assert b"\x1b[1;38;5;29m" in terminal.raw


def test_strict_calls_nothing_sound_that_it_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict goes with the exit status."""
    (folder / "config.yaml").write_text(GOOD.replace("9090", "9090/path"), encoding="utf-8")
    assert said(capsys)[-1].startswith("✓ config.yaml is sound, with 1 warning")
    assert said(capsys, "--strict", status=1)[-1] == "✗ config.yaml: 1 warning"


def test_a_reader_that_has_read_enough(folder: Path) -> None:
    """It ends quietly; a full disk is told in one line."""
    (folder / "config.yaml").write_text(GOOD.replace("9090", "9090/path") * 40, encoding="utf-8")
    command = [sys.executable, "-m", "launcher", "check"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    piped = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert piped.stdout is not None
    piped.stdout.close()
    assert piped.communicate(timeout=30)[1] == b""
    if Path("/dev/full").exists():
        with Path("/dev/full").open("wb") as full:
            ran = subprocess.run(
                command, env=environment, stdout=full, stderr=subprocess.PIPE, check=False, timeout=30
            )
        assert (ran.returncode, ran.stderr.count(b"\n")) == (1, 1)
        assert b"aileron-demo check: standard output: " in ran.stderr


def test_no_secret_is_explained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Explanations are made to be shown to others: the request's secrets and the config's are kept."""
    text = GOOD.replace("http://localhost:9090", "http://user:config-password@localhost:9090/?key=config-key")
    text += "      headerMatchers: [{key: X-Api-Key, patterns: [field-secret]}]\n"
    text += "      queryMatchers: [{key: token, patterns: [query-secret]}]\n"
    (folder / "config.yaml").write_text(text)
    fields = ("-H", "X-Api-Key: field-secret", "-H", "Cookie: id=cookie-secret")
    lines = said(capsys, "--explain", "ws://u:password-secret@x/?token=query-secret&a=1", *fields)
    told = "\n".join(lines)
    assert "secret" not in told.replace("[redacted]", "")
    assert "config-" not in told
    for words in (
        "header X-Api-Key is [redacted]",
        "query token is [redacted]",
        "GET /?key=[redacted]&token=[redacted]&a=1 HTTP/1.1",
        "Cookie: [redacted]",
    ):
        assert words in told
    for argv in (["http://u:password-secret@[/?token=query-secret"], ["/", "-H", "Cookie: secret\x1b"]):
        assert cli.main(["check", "--explain", *argv]) == 2
        shown = capsys.readouterr().err
        assert "[redacted]" in shown
        assert "secret" not in shown


def test_an_address_is_escaped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A unix socket is called what its config calls it."""
    (folder / "config.yaml").write_text(GOOD.replace('addr: ":8080"', r'addr: "unix:///tmp/\e[2J"'))
    assert r" at unix:///tmp/\x1b[2J is asked " in said(capsys, "--explain", "/")[0]


def test_values_of_variables_are_not_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with a value that came from a variable, the variable is named in its place."""
    for value in ("hunter2", "hunter2:x", "!hunter2", "123456789012", "http://hunter2:hunter2/"):
        monkeypatch.setenv("V", value)
        for place in ("addr: ${V}", "shutdownTimeout: ${V}", "${V}: 1", "virtualHosts: ${V}", "spec: ${V}"):
            text = GOOD.replace("spec:\n  addr", f"spec:\n  {place}\n  xaddr")
            (folder / "config.yaml").write_text(text)
            assert cli.main(["check"]) == 1
            told = capsys.readouterr().out
            assert value.strip("!") not in told
            assert "hunter2" not in told
        for field in ("match: ", "matchType: ", "rewrite: "):
            text = GOOD.replace('match: "/"', f'match: "/"\n        {field}{"${V}"}')
            (folder / "config.yaml").write_text(text)
            cli.main(["check"])
            assert "hunter2" not in capsys.readouterr().out
        (folder / "config.yaml").write_text(GOOD.replace("http://localhost:9090", "${V}"))
        assert cli.main(["check"]) == 1
        told = capsys.readouterr().out
        assert "hunter2" not in told
        assert '"${V}" is not what it should be here' in told or value.startswith(("!", "1"))

"""`aileron-demo graph` and `schema`, as processes: what they print, where, and their status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config.schema import schema

ROOT = Path(__file__).parents[2]
UNUSED = "---\napiVersion: core/v1\nkind: HTTPHandler\nmetadata: {name: unused}\n"


def run(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end, in a pipe."""
    command = [sys.executable, "-m", "launcher", *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "LC_ALL": "C", "PATH": ""},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=30,
    )


def test_a_tree_in_a_pipe_is_plain(tmp_path: Path) -> None:
    """Without colours, in UTF-8 whatever the locale; without -f, the config that `up` would take."""
    for folder in (ROOT, tmp_path):
        done = run("graph", cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            "Entrypoint default/default",
            "└── HTTPServer default/default  :8080",
            "    └── ReverseProxyHandler default/default  → http://localhost:9090",
        ]
    (tmp_path / "config.yaml").write_text("apiVersion: core/v1\nkind: Entrypoint\n")
    assert run("graph", cwd=tmp_path).stdout == "Entrypoint default/default\n"


def test_the_other_formats(tmp_path: Path) -> None:
    """Several files are one config."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("apiVersion: core/v1\nkind: Entrypoint\n")
    second.write_text(UNUSED.replace("---\n", ""))
    done = run("graph", "-f", str(first), "-f", str(second), "--format", "json")
    assert [each["kind"] for each in json.loads(done.stdout)["resources"]] == ["Entrypoint", "HTTPHandler"]
    assert (done.returncode, done.stderr) == (0, "")
    assert run("graph", "--format", "mermaid").stdout.startswith("graph TD\n")


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        ("apiVersion: core/v1\nkind: Entrypoint\nspek: 1\n", 1, "config.yaml:3:1: Entrypoint: spek: unknown"),
        ("", 1, "config.yaml: there is no resource in it"),
        (None, 2, "config.yaml: there is no such file"),
    ],
)
def test_what_cannot_be_drawn(tmp_path: Path, content: str | None, status: int, says: str) -> None:
    """1 for a config with problems, 2 for a file that cannot be read; nothing on standard output."""
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_text(content)
    done = run("graph", "-f", str(path))
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_long_line_is_whole(tmp_path: Path) -> None:
    """It is not cut to any width."""
    path = tmp_path / "config.yaml"
    shipped = (ROOT / "config.yaml").read_text(encoding="utf-8")
    path.write_text(shipped.replace("localhost:9090", "a." * 100 + "example"))
    assert run("graph", "-f", str(path)).stdout.endswith("a." * 100 + "example\n")


def test_schema() -> None:
    """The whole schema, as JSON."""
    done = run("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads(json.dumps(schema()))


def test_a_reader_may_leave() -> None:
    """As `head` does: no traceback."""
    command = [sys.executable, "-m", "launcher", "schema"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0

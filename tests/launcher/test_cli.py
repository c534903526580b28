"""The command line: what a newcomer types, and what is said when it is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from launcher import cli, up
from launcher.kit import Options

CHECKOUT = Path(cli.__file__).parent.parent


def refuse(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Run a wrong command line; return its status and what it says on stderr."""
    status: object
    try:
        status = cli.main(argv)
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    assert out == ""
    return status, err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["go"], "invalid choice: 'go'"),
        (["up", "--plain", "--json"], "not allowed with argument"),
        (["up", "--preview", "many"], "'many' is not a whole number"),
        (["up", "--frame-rate", "-1"], "--frame-rate"),
        (["up", "--what"], "unrecognized arguments: --what"),
        (["up", "-f", "none.yaml"], "none.yaml: no such file"),
    ],
)
def test_usage_is_one_line_and_status_2(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake is told in one line with a hint, without the whole usage."""
    status, err = refuse(argv, capsys)
    assert status == 2
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_wrong_filter_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    """The expression is repeated with a caret below the place."""
    status, err = refuse(["up", "--filter", "from:client op:tex"], capsys)
    assert status == 2
    assert err.splitlines()[1:] == ["  from:client op:tex", "                 ^"]


def test_a_wrong_config_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All problems of a config come on stderr, and the status is 2."""
    path = tmp_path / "config.yaml"
    path.write_text("apiVersion: core/v1\nkind: Entrypoint\nspek: 1\n")
    status, err = refuse(["up", "-f", str(path)], capsys)
    assert status == 2
    assert f"{path}:3:1:" in err


def test_options_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed is what `up` gets."""
    taken: list[Options] = []

    def run(options: Options, _version: str) -> int:
        taken.append(options)
        return 5

    monkeypatch.setattr(up, "run", run)
    argv = "up -f a.yaml --upstream-addr localhost:1 --no-upstream --open --json --filter conn:1 --preview 10"
    argv += " --frame-rate 0 --show-secrets --allow-origin https://a.example --allow-origin https://b.example"
    assert cli.main(argv.split()) == 5
    (options,) = taken
    assert options.filter.expression == "conn:1"
    assert (options.config, options.upstream_addr) == (Path("a.yaml"), "localhost:1")
    assert (options.no_upstream, options.open_page, options.plain, options.json) == (True, True, False, True)
    assert (options.preview, options.frame_rate, options.show_secrets) == (10, 0, True)
    assert options.allow_origin == ("https://a.example", "https://b.example")


def test_init_says_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file is named with what became of it; a hindrance is one line."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init"]) == 0
    page = Path("static", "index.html")
    assert capsys.readouterr().out.splitlines()[:2] == ["wrote: config.yaml", f"wrote: {page}"]
    assert cli.main(["init"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "left as it is: config.yaml",
        f"left as it is: {page}",
    ]
    page.unlink()
    page.parent.rmdir()
    page.parent.write_text("")
    assert cli.main(["init"]) == 1
    assert capsys.readouterr().err == "aileron-demo init: static: is not a folder\n"


@pytest.mark.parametrize("argv", [["--help"], ["up", "--help"], ["init", "--help"], ["--version"]])
def test_help_needs_no_heavy_imports(argv: list[str]) -> None:
    """Help and version answer without rich, YAML or a web server."""
    code = (
        "import sys; from launcher.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('heavy:', sorted({'rich', 'yaml', 'aiohttp'} & set(sys.modules)), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *argv]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "aileron-demo" in done.stdout
    assert done.stderr == "heavy: []\n"


def test_python_m_launcher() -> None:
    """`python -m launcher` is the same command."""
    command = [sys.executable, "-m", "launcher", "--help"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "aileron-demo up" in done.stdout

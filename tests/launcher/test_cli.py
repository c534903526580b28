"""The command line: what a newcomer types, and what is said when it is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import DEFAULT_FRAME_RATE, DEFAULT_PREVIEW
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
        ([], "aileron-demo: a command is missing: up starts the kit, init writes files"),
        (["go"], "invalid choice: 'go'"),
        (["up", "--plain", "--json"], "not allowed with argument"),
        (["up", "--preview", "many"], "'many' is not a whole number, 0 or more"),
        (["up", "--preview", "-1"], "'-1' is not a whole number, 0 or more"),
        (["up", "--frame-rate", "-1"], "--frame-rate"),
        (["--what"], "unrecognized arguments: --what (aileron-demo --help"),
        (["up", "--what"], "unrecognized arguments: --what (aileron-demo up --help"),
        (["up", "what"], "unrecognized arguments: what (aileron-demo up --help"),
        (["init", "--what"], "unrecognized arguments: --what (aileron-demo init --help"),
        (["graph", "config.yaml"], "unrecognized arguments: config.yaml (aileron-demo graph --help"),
        (["graph", "--format", "dot"], "invalid choice: 'dot'"),
        (["schema", "-f", "x"], "unrecognized arguments: -f x (aileron-demo schema --help"),
        (["up", "--allow-origin", "a.example"], "'a.example' is no origin; write it as https://a.example"),
        (["up", "--allow-origin", "http://a.example/"], "write it as http://a.example"),
        (["up", "--allow-origin", "https://"], "write it as https://name.example"),
        (["up", "--allow-origin", "null"], "'null' is no origin"),
        (["up", "--no-upstream", "--upstream-addr", "localhost:1"], "--upstream-addr is about"),
        (["up", "--no-upstream", "--allow-origin", "https://a.example"], "--allow-origin is about"),
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


def test_a_file_that_is_no_config_by_its_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is passed over, as in AILERON; then there is nothing left."""
    monkeypatch.chdir(tmp_path)
    Path("config.txt").write_text("", encoding="utf-8")
    status, err = refuse(["up", "-f", "config.txt"], capsys)
    passed, empty = err.splitlines()
    assert status == 2
    assert "config.txt: warning: this file is passed over" in passed
    assert "config.txt: there is no resource in it" in empty


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
    argv = "up -f a.yaml --upstream-addr localhost:1 --open --json --filter conn:1 --preview 10"
    argv += " --frame-rate 0 --show-secrets --allow-origin https://a.example --allow-origin https://b.example"
    assert cli.main(argv.split()) == 5
    (options,) = taken
    assert options.filter.expression == "conn:1"
    assert (options.config, options.upstream_addr) == (Path("a.yaml"), "localhost:1")
    assert (options.no_upstream, options.open_page, options.plain, options.json) == (False, True, False, True)
    assert (options.preview, options.frame_rate, options.show_secrets) == (10, 0, True)
    assert options.allow_origin == ("https://a.example", "https://b.example")


def test_the_defaults_are_the_gateways(capsys: pytest.CaptureFixture[str]) -> None:
    """What help says of options that go to the gateway is what that does without them."""
    with pytest.raises(SystemExit):
        cli.main(["up", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert f"how much of a payload is shown (default: {DEFAULT_PREVIEW})" in words
    assert f"(default: {DEFAULT_FRAME_RATE}; 0: all it can)" in words
    assert f"where the demo upstream listens (default: {Options().upstream_addr})" in words


def test_no_upstream_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default address of what is not started disturbs nobody."""
    taken: list[Options] = []

    def run(options: Options, _version: str) -> int:
        taken.append(options)
        return 0

    monkeypatch.setattr(up, "run", run)
    assert cli.main(["up", "--no-upstream"]) == 0
    assert taken[0].no_upstream


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


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["up", "--help"],
        ["init", "--help"],
        ["check", "--help"],
        ["graph", "--help"],
        ["schema", "--help"],
        ["--version"],
    ],
)
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


@pytest.mark.parametrize(
    "argv",
    [
        ["\x1b[2J"],
        ["--\x9b2J"],
        ["up", "\x1b]0;t\x07"],
        ["up", "-f", "\x1b[2J\u202e.yaml"],
        ["up", "-f", "\udcff\x1b[2J.yaml"],
        ["up", "--upstream-addr", "\x1b[2J"],
        ["up", "--upstream-addr", "http://\x1b[2J"],
        ["up", "--allow-origin", "https://\x1b[2J/"],
        ["up", "--preview", "\x1b[2J"],
        ["up", "--filter", "\x1b[2J"],
        ["up", "--filter", "op:\u202e"],
        ["up", "--filter", "/\x1b[2J"],
        ["graph", "-f", "\x1b[2J.yaml"],
        ["check", "--explain", "\x1b[2J"],
        ["check", "--explain", "/", "-H", "\x1b[2J"],
    ],
)
def test_what_is_repeated_of_a_mistake_is_escaped(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A command line may come from anywhere; nothing in it reaches the terminal as more than text."""
    status, err = refuse(argv, capsys)
    assert status == 2
    assert all(line.isprintable() for line in err.splitlines())
    assert "\\x" in err or "\\u" in err


def test_python_m_launcher() -> None:
    """`python -m launcher` is the same command."""
    command = [sys.executable, "-m", "launcher", "--help"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "aileron-demo up" in done.stdout

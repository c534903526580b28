"""Hostile strings in configs, names of files, variables and arguments: what the commands say of them."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import pytest

from demo_upstream.cli import main as demo_upstream
from gateway.cli import main as aileron
from launcher.cli import main as aileron_demo
from tests.hostile.oracles import asked_of_a_terminal, harm, obeyed
from tests.hostile.strings import BYTES, STRINGS, piece, raw_piece
from tests.launcher.conftest import CHECKOUT
from tests.launcher.ptys import Pty

Main = Callable[[Sequence[str]], int]

PLACES: Final = """\
---
apiVersion: core/v1
kind: HTTPServer
metadata: {name: TEXT, namespace: TEXT, logger: TEXT, errorHandler: TEXT}
spec:
  addr: TEXT
  shutdownTimeout: TEXT
  TEXT: 1
  httpConfig: {listenConfig: {networks: [TEXT], tlsConfig: {certKeyPairs: [{certFile: TEXT, keyFile: TEXT}]}}}
  virtualHosts:
    - {hosts: [TEXT], methods: [TEXT], pattern: TEXT, handlers: [{handler: {kind: TEXT, name: TEXT}}]}
---
apiVersion: core/v1
kind: TEXT
---
apiVersion: core/v1
kind: ReverseProxyHandler
metadata: {name: hNUMBER}
spec:
  patterns: [TEXT]
  loadBalancers:
    - hosts: [TEXT]
      pathMatcher: {match: TEXT, matchType: Regex, rewrite: TEXT}
      headerMatchers: [{key: TEXT, patterns: [TEXT], matchType: Path}]
      upstreams: [{url: TEXT, weight: TEXT}, {url: http://localhost, enableActive: TEXT}]
---
apiVersion: core/v1
kind: ErrorHandler
metadata: {name: hNUMBER}
spec:
  errorMessages:
    - paths: [TEXT]
      mimeContents: [{mimeType: TEXT, header: {TEXT: TEXT}, templateFile: TEXT, templateType: TEXT}]
"""

SOUND: Final = """\
apiVersion: core/v1
kind: Entrypoint
spec: {runners: [{apiVersion: core/v1, kind: HTTPServer}]}
---
apiVersion: core/v1
kind: HTTPServer
spec:
  addr: "unix:///run/\\e[2J\\u202e<b>[bold]"
  virtualHosts: [{handlers: [{handler: {apiVersion: core/v1, kind: ReverseProxyHandler}}]}]
---
apiVersion: core/v1
kind: ReverseProxyHandler
spec:
  loadBalancers:
    - pathMatchers: [PATHS, {match: /, matchType: Prefix}]
      hosts: TEXTS
      headerMatchers: [{key: X-Any, patterns: TEXTS, matchType: Exact}]
      upstreams: [{url: "http://localhost:9090/?<b>"}]
"""


def filled(config: str, text: str) -> str:
    """`config` with `text` in each place that is left for it, in YAML's own escapes."""
    inner = json.dumps(text)[1:-1]
    return config.replace("TEXT", f'"{inner}"')


def told(capsys: pytest.CaptureFixture[str], main: Main, *argv: str) -> str:
    """Run a command; all that it says."""
    with suppress(SystemExit):
        main(argv)
    out, errors = capsys.readouterr()
    return out + errors


def named(text: str) -> str:
    """A name that a file may have, with `text` in it."""
    return text.replace("/", "").replace("\0", "").encode()[:200].decode(errors="ignore")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that are wrong in all ways, whose names are no better."""
    for number, name in enumerate(STRINGS):
        text = piece(name)
        wrong = filled(PLACES.replace("NUMBER", str(number)), text)
        (tmp_path / f"{named(text)}.yaml").write_text(wrong)
        (tmp_path / f"broken {number}.yaml").write_text(f'a: ["{text}"\nb: {text}')
        (tmp_path / f"broken {number}.json").write_text(f'{{"{text}": {text}')
    for number, name in enumerate(BYTES):
        (tmp_path / f"bytes {number}.yaml").write_bytes(b"a: " + raw_piece(name))
    (tmp_path / "\udcff\udc9b2J.yaml").write_text("a: [")
    return tmp_path


def test_what_is_wrong_with_configs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each problem is one printable line; as JSON, any reader takes it."""
    lines = told(capsys, aileron_demo, "check", "-f", str(folder))
    assert harm(lines) == set()
    assert lines.count("\n") > 15 * len(STRINGS)
    for name in STRINGS:
        assert lines.count(f"<{name}|") > 10, name
    (array,) = told(capsys, aileron_demo, "check", "--json", "-f", str(folder)).splitlines()
    assert array.isascii()
    problems = msgspec.json.decode(array)
    assert problems == json.loads(array)
    assert len(problems) > 15 * len(STRINGS)
    json.dumps(problems, ensure_ascii=False).encode()
    assert harm(told(capsys, aileron, "-f", str(folder))) == set()


def test_what_is_wrong_on_a_terminal(folder: Path) -> None:
    """With the lines in question below; nothing but colours is asked of the terminal."""
    for path in folder.glob("<*"):  # a few are enough for an emulator, which is slow
        if not path.name.startswith(("<c0|", "<bidi|", "<rich|")):
            path.unlink()
    command = [sys.executable, "-m", "launcher", "check", "-f", str(folder)]
    with Pty(command, cwd=CHECKOUT, env={"PYTHONPATH": str(CHECKOUT)}, columns=200) as terminal:
        assert terminal.wait() == 1
        assert harm(asked_of_a_terminal(terminal.raw)) == set()
        assert " │ ".encode() in terminal.raw


def test_sound_configs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Graphs and explanations of what is permitted, however it is called; Mermaid gets nothing but text."""
    texts = [piece(name) for name in STRINGS]
    paths = [
        f"{{match: {json.dumps(each)}, matchType: Exact, rewrite: {json.dumps(each)}}}" for each in texts
    ]
    path = tmp_path / "config.yaml"
    path.write_text(
        SOUND.replace("TEXTS", json.dumps([*texts, "localhost"])).replace("PATHS", ", ".join(paths))
    )
    config = ("-f", str(path))
    assert " is sound" in told(capsys, aileron_demo, "check", *config)
    for form in ("tree", "mermaid", "json"):
        said = told(capsys, aileron_demo, "graph", *config, "--format", form)
        assert "ReverseProxyHandler" in said
        assert (obeyed if form == "json" else harm)(said) == set(), form
    request = ["--explain", "GET http://localhost/", "-H", "X-Any: localhost"]
    for text in texts:
        request += ["-H", f"X-Other: {text.translate(dict.fromkeys([*range(0x20), 0x7F]))}"]
    said = told(capsys, aileron_demo, "check", *config, *request)
    assert harm(said) == set()
    assert "is sent" in said
    for name in STRINGS:  # among the paths, the hosts, the patterns and the fields that are sent
        assert said.count(f"<{name}|") == 4, name
    (array,) = told(capsys, aileron_demo, "check", *config, *request, "--json").splitlines()
    assert msgspec.json.decode(array) == json.loads(array)


ARGUMENTS: Final[Sequence[tuple[Main, Sequence[str]]]] = [
    (aileron_demo, ["TEXT"]),
    (aileron_demo, ["up", "--TEXT"]),
    (aileron_demo, ["up", "-f", "TEXT"]),
    (aileron_demo, ["up", "--filter", "TEXT"]),
    (aileron_demo, ["up", "--filter", "/(TEXT"]),
    (aileron_demo, ["up", "--upstream-addr", "TEXT"]),
    (aileron_demo, ["up", "--allow-origin", "TEXT"]),
    (aileron_demo, ["graph", "-f", "TEXT"]),
    (aileron_demo, ["check", "-f", "TEXT", "-e", "TEXT"]),
    (aileron, ["TEXT"]),
    (aileron, ["-f", "TEXT"]),
    (aileron, ["-t", "TEXT"]),
    (aileron, ["--preview", "TEXT"]),
    (demo_upstream, ["TEXT"]),
    (demo_upstream, ["--addr", "TEXT"]),
    (demo_upstream, ["--allow-origin", "TEXT"]),
]


def test_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """What is repeated of a command line is text, in as many lines as it always is."""
    texts = {name: piece(name).replace("\0", "") for name in STRINGS} | {"no UTF-8": "\udcff\udc9b2J\udced"}
    for main, argv in ARGUMENTS:
        usual = told(capsys, main, *(each.replace("TEXT", "<|>") for each in argv)).count("\n")
        for name, text in texts.items():
            said = told(capsys, main, *(each.replace("TEXT", text) for each in argv))
            # The demo upstream lets a letter be that nobody sees; it repeats nothing but its command line.
            assert (obeyed if main is demo_upstream else harm)(said) == set(), (argv, name)
            assert 0 < said.count("\n") <= usual, (argv, name, said)

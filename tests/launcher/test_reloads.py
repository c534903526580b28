"""Editing config.yaml while `aileron-demo up` runs: what is shown of it."""

import json
import re
import signal
import urllib.request

from tests.launcher.conftest import Site
from tests.launcher.test_piped import Lines
from tests.launcher.test_up import ready


def broken(site: Site) -> int:
    """Misspell a field of the config; the number of its line."""
    path = site.folder / "config.yaml"
    text = path.read_text().replace("loadBalancers:", "loadBalancer:")
    path.write_text(text)
    return text[: text.index("loadBalancer:")].count("\n") + 1


def changed(site: Site) -> None:
    """Put the config right, and change its server."""
    site.config("localhost:0")
    path = site.folder / "config.yaml"
    path.write_text(path.read_text().replace("  virtualHosts:", "  shutdownTimeout: 7\n  virtualHosts:"))


def test_in_the_live_view(site: Site) -> None:
    """A wrong config: that the old one goes on, and each problem, whole; a right one: what has changed."""
    with site.terminal(columns=90) as terminal:
        url = ready(terminal)
        line = broken(site)
        terminal.wait_for("the one before goes on (1 problem)")
        terminal.wait_for(f"config.yaml:{line}:")
        terminal.wait_for("loadBalancers")
        assert urllib.request.urlopen(f"{url}/").status == 200
        changed(site)
        terminal.wait_for("HTTPServer default/default has changed")
        terminal.type("q")
        assert terminal.wait() == 0


def test_in_plain_lines(site: Site) -> None:
    """The same, without a terminal: one line each, the problems below."""
    with site.piped() as process:
        lines = Lines(process)
        lines.until(b"in a browser")
        line = broken(site)
        lines.until(b"(1 problem)")
        told = lines.until(b"config.yaml:").decode()
        assert re.match(rf"  \S*config\.yaml:{line}:\d+: ", told), told
        assert "loadBalancers" in told
        changed(site)
        lines.until(b"reloads           HTTPServer default/default has changed")
        process.send_signal(signal.SIGINT)
        lines.rest()
        assert process.wait(10) == 0


def test_as_records(site: Site) -> None:
    """`--json` passes the gateway's own on."""
    with site.piped("--json") as process:
        lines = Lines(process)
        lines.until(b'"event":"ready"')
        line = broken(site)
        wrong = json.loads(lines.until(b'"event":"reload"'))
        assert (wrong["ok"], wrong["changes"], len(wrong["problems"])) == (False, [], 1)
        assert f"config.yaml:{line}:" in wrong["problems"][0]
        changed(site)
        right = json.loads(lines.until(b'"event":"reload"'))
        assert (right["ok"], right["changes"]) == (True, ["HTTPServer default/default has changed"])
        process.send_signal(signal.SIGINT)
        lines.rest()
        assert process.wait(10) == 0

"""Make `docs/demo.png`: the kit as it really runs, page and terminal side by side.

    python docs/capture.py

Strategy
    Nothing in the picture is staged.  The kit runs in a pseudo-terminal, a browser without a window opens its
    page through the gateway and types into the page's own form, and a terminal emulator holds what a person
    would see.  Both are taken at the same moment, set into one HTML page, and drawn by that browser as well.

Rules
    * Each step waits for what the step before has caused, so the same picture comes again, but for the times.
    * What was started is stopped, whatever happens.
    * Lengths are in CSS pixels of a README about 900 wide; the picture has two of its own for each.

Needs the `test` extra, a Chromium (or Chrome, or Edge), ports 8080 and 9090, and Linux or macOS, for the
pseudo-terminal.
"""

import asyncio
import base64
import html
import itertools
import os
import signal
import socket
import struct
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import pyte
from pyte.screens import Char

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
if sys.platform == "win32":
    sys.exit("this needs a pseudo-terminal as Linux and macOS have it; on Windows, use WSL")
sys.path.insert(0, str(ROOT))

from tests.demo_upstream.browser import Browser, Page, find_chromium, launched  # noqa: E402  (found through the line above)
from tests.launcher.ptys import Pty  # noqa: E402  (as above)

PICTURE: Final = HERE / "demo.png"
URL: Final = "http://localhost:8080/"
PORTS: Final = (8080, 9090)

WIDTH: Final = 900
"""Of the whole picture."""
SHARPNESS: Final = 2
"""Pixels of the picture for each of ours."""
COLUMNS: Final = 92
ROWS: Final = 38
"""The terminal, in cells."""
BROWSER: Final = 308
"""The browser's window; what is left of the width is the terminal's."""
ZOOM: Final = 0.64
"""How large the browser's window shows the page, which is laid out for more room."""
BAR: Final = 24
"""The height of a window's title bar."""
LINE: Final = 13.5
"""The height of a row of the terminal."""
EDGE: Final = 7
"""Between the terminal's first and last row and its window."""
GROUND: Final = 13
"""Around the windows."""
WINDOW: Final = BAR + round(ROWS * LINE) + 2 * EDGE
HEIGHT: Final = WINDOW + 2 * GROUND
"""Of a window, and of the whole picture."""


class Terminal(pyte.Screen):
    """A screen that knows faint text, too, which pyte leaves out; it takes the place of blinking."""

    def select_graphic_rendition(self, *attrs: int) -> None:
        """Set attributes (ECMA-48 section 8.3.117).  A 2 among the numbers of a colour is none of them."""
        colours = next((at for at, number in enumerate(attrs) if number in (38, 48)), len(attrs))
        known = (5 if number == 2 else number for number in attrs[:colours])
        super().select_graphic_rendition(*known, *attrs[colours:])


async def main() -> None:
    """Run the kit, use it, and write the picture."""
    chromium = find_chromium()
    if chromium is None or not chromium.is_file():
        sys.exit("no Chromium, Chrome or Edge was found; the variable CHROMIUM may give the path of one")
    for port in PORTS:
        if taken(port):
            sys.exit(f"port {port} is taken: stop what listens there, then try again")
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    os.environ["TZ"] = "UTC"  # for the kit and the browser: all times in the picture agree with the server's
    with kit() as terminal, launched(chromium) as url:
        async with Browser.connect(url) as browser:
            page, address, output = await use(browser, terminal)
            screen = Terminal(COLUMNS, ROWS)
            pyte.ByteStream(screen).feed(output)
            picture = await draw(browser, composition(page, address, screen))
    PICTURE.write_bytes(picture)
    print(f"{PICTURE.relative_to(ROOT)}: {len(picture) / 1024:.0f} KiB")


def taken(port: int) -> bool:
    """Whether something answers at `port` of this machine."""
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def kit() -> Iterator[Pty]:
    """A terminal in which `aileron-demo up` runs, ready, for as long as the block lasts."""
    hidden = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env["TERM"] = "xterm-256color"
    command = [sys.executable, "-m", "launcher", "up"]
    with Pty(command, cwd=ROOT, env=env, columns=COLUMNS, rows=ROWS) as terminal:
        terminal.wait_for("in a browser")
        yield terminal
        terminal.type("q")
        status = terminal.wait()
        if status != 0:
            sys.exit(f"the kit ended with status {status}; it said:\n{terminal.text}")


async def use(browser: Browser, terminal: Pty) -> tuple[bytes, str, bytes]:
    """Do what a person would; return the page as PNG, its address, and the terminal's output."""
    async with opened(browser) as page:
        await send(page, "Hello World !!")
        await ticks(page, 2)
        async with opened(browser) as second:
            await send(second, "Hi from tab two")
        await asyncio.to_thread(terminal.wait_for, "1 of 2")
        await send(page, "é is two bytes")
        await ticks(page, 4)
        await page.type("Your turn")
        await asyncio.to_thread(terminal.wait_for, lambda: terminal.screen.cursor.y == ROWS - 1)
        await asyncio.to_thread(terminal.wait_for, await page.text("#raw"))  # the page's tick, here too
        output = terminal.raw
        return await page.screenshot(), str(await page.ask("location.host")), output


@asynccontextmanager
async def opened(browser: Browser) -> AsyncIterator[Page]:
    """The demo's page in a tab, seen through the gateway; it has ticked."""
    async with browser.page() as page:
        await page.call("Emulation.setScrollbarsHidden", hidden=True)
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        await page.call("Emulation.setEmulatedMedia", features=[still])
        await resize(page, round(BROWSER / ZOOM), round((WINDOW - BAR) / ZOOM), SHARPNESS * ZOOM)
        await page.open(URL)
        await ticks(page, 1)
        yield page


async def resize(page: Page, width: int, height: int, sharpness: float) -> None:
    """Give the tab another size, and `sharpness` pixels of a picture for each of its own."""
    await page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=sharpness,
        mobile=False,
    )


async def ticks(page: Page, number: int) -> None:
    """Wait until the page has seen so many ticks of the server's clock."""
    await page.until(f"parseInt(document.querySelector('#ticks').textContent) >= {number}")


async def send(page: Page, message: str) -> None:
    """Send `message` through the page's form; wait for the answer."""
    answers = "document.querySelectorAll('#log .received em').length"
    before = await page.ask(answers)
    await page.ask("document.querySelector('#message').select()")
    await page.type(message)
    await page.press("Enter")
    await page.until(f"{answers} > {before}")


async def draw(browser: Browser, document: str) -> bytes:
    """Let the browser draw an HTML document, as PNG."""
    with tempfile.TemporaryDirectory(prefix="capture-") as folder:
        path = Path(folder) / "picture.html"
        path.write_text(document, encoding="utf-8")
        async with browser.page() as page:
            await resize(page, WIDTH, HEIGHT, SHARPNESS)
            await page.open(path.as_uri())
            drawn = f"data:image/png;base64,{base64.b64encode(await page.screenshot()).decode()}"
            pixels = await page.ask(f"({PIXELS})({drawn!r})")
    return packed(base64.b64decode(pixels.partition(",")[2]), WIDTH * SHARPNESS, HEIGHT * SHARPNESS)


def packed(rgba: bytes, width: int, height: int) -> bytes:
    """Opaque pixels, four bytes each, as PNG (ISO/IEC 15948) in true colour.

    The rows are not filtered: letters on flat ground take a quarter less room so than as browsers pack them.
    """
    rgb = bytearray(width * height * 3)
    for channel in range(3):
        rgb[channel::3] = rgba[channel::4]
    rows = b"".join(b"\0" + rgb[at : at + width * 3] for at in range(0, len(rgb), width * 3))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),  # 8 bits a channel, RGB
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


PIXELS: Final = """async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    return new Promise((done) => {
        const reader = new FileReader();
        reader.onload = () => done(reader.result);
        reader.readAsDataURL(new Blob([data]));
    });
}"""
"""The pixels of an image as a data URL: red, green, blue and alpha, row by row."""


def composition(page_png: bytes, address: str, screen: Terminal) -> str:
    """The picture as an HTML document: two windows on a calm ground."""
    rows = "\n".join(row(screen, number) for number in range(screen.lines))
    return f"""<!doctype html>
<meta charset="utf-8">
<style>{STYLE}</style>
<figure class="browser">
<figcaption><i></i><i></i><i></i><span>{html.escape(address)}</span></figcaption>
<img alt="" src="data:image/png;base64,{base64.b64encode(page_png).decode()}">
</figure>
<figure class="terminal">
<figcaption><i></i><i></i><i></i><span>aileron-demo up</span></figcaption>
<pre>{rows}</pre>
</figure>
"""


def row(screen: Terminal, number: int) -> str:
    """One row of the terminal as HTML: a box of whole cells for each run of characters that look the same."""
    cells = [screen.buffer[number][column] for column in range(screen.columns)]
    boxes = []
    for style, group in itertools.groupby(cells, key=style_of):
        run = list(group)
        text = html.escape("".join(cell.data for cell in run))
        boxes.append(f'<b style="width:{len(run)}ch;{style}">{text}</b>')
    return "".join(boxes)


def style_of(cell: Char) -> str:
    """How a cell looks, in CSS."""
    ink, ground = (None if colour == "default" else f"#{colour}" for colour in (cell.fg, cell.bg))
    if cell.reverse:
        ink, ground = ground or "var(--ground)", ink or "var(--ink)"
    parts = {
        "color": ink,
        "background": ground,
        "font-weight": "700" if cell.bold else None,
        "opacity": "0.6" if cell.blink else None,
    }
    return ";".join(f"{name}:{value}" for name, value in parts.items() if value)


STYLE: Final = f"""
:root {{ --ground: #10151c; --ink: #e3e9ee; }}
* {{ box-sizing: border-box; margin: 0; }}
body {{ width: {WIDTH}px; height: {HEIGHT}px; padding: {GROUND}px; display: flex; gap: 10px;
  background: #cdd6dc; }}
figure {{ border-radius: 7px; overflow: hidden; box-shadow: 0 0 0 0.5px #0006, 0 3px 9px #1b2b3a40; }}
figcaption {{ height: {BAR}px; display: flex; align-items: center; gap: 5px; padding: 0 9px;
  font: 10.5px system-ui, sans-serif; }}
figcaption i {{ width: 8px; height: 8px; border-radius: 50%; background: #8b98a4; }}
figcaption span {{ flex: 1; text-align: center; margin: 0 34px 0 6px; border-radius: 5px; padding: 1px; }}
.browser {{ width: {BROWSER}px; }}
.browser figcaption {{ background: #e2e5e6; color: #38444e; }}
.browser span {{ background: #fff; }}
.browser img {{ display: block; width: 100%; }}
.terminal {{ flex: 1; background: var(--ground); }}
.terminal figcaption {{ background: #1c242e; color: #b4bfc9; }}
pre {{ padding: {EDGE}px 9px; color: var(--ink);
  font: 9.6px/{LINE}px "SF Mono", Menlo, "Cascadia Mono", Consolas, "DejaVu Sans Mono", monospace; }}
pre b {{ display: inline-block; height: {LINE}px; vertical-align: top; white-space: pre; font-weight: 400; }}
"""


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except* AssertionError as failures:  # what did not come, and what was there instead
        sys.exit("\n".join(map(str, failures.exceptions)))
    except* (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped; no picture was made")

"""Real gateways on ports of the system's choosing, for all tests.

config_of       a config.yaml
Records         what a gateway tells, to be waited for
GatewayProcess  what `python -m gateway` does, in a process of its own
GatewayThread   the same in this process, where a test has to look inside
"""

import asyncio
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Final, Literal, Self, TypeVar

import uvloop

from gateway.cli import main
from gateway.events import Event, Record, Reload, decode
from gateway.headers import Secrets
from gateway.limits import DEFAULT_LIMITS, OwnLimits
from gateway.loading import Loading, inspect
from gateway.proxy.log import EventLog, Frames
from gateway.proxy.server import Gateway
from tests.servers import PATIENCE

Loop = Literal["uvloop", "asyncio"]
"""Which event loop a gateway runs on; Windows has asyncio's own alone."""

LOOPS: Final[tuple[Loop, ...]] = ("uvloop", "asyncio")

_FORKS: Final = multiprocessing.get_context("forkserver")
"""Forks processes off one that has imported a gateway already, which is most of the work of a start."""
_FORKS.set_forkserver_preload(["__main__", "tests.gateways", "gateway.proxy.server"])

R = TypeVar("R", bound=Record)
T = TypeVar("T")


def config_of(url: str, *, addr: str = "127.0.0.1:0", shutdown_timeout: int = 2) -> str:
    """A config.yaml that sends everything to `url`."""
    return f"""\
apiVersion: core/v1
kind: Entrypoint
spec:
  runners:
    - {{apiVersion: core/v1, kind: HTTPServer}}
---
apiVersion: core/v1
kind: HTTPServer
spec:
  addr: "{addr}"
  shutdownTimeout: {shutdown_timeout}
  virtualHosts:
    - handlers:
        - handler: {{apiVersion: core/v1, kind: ReverseProxyHandler}}
---
apiVersion: core/v1
kind: ReverseProxyHandler
spec:
  loadBalancers:
    - pathMatcher: {{match: "/", matchType: Prefix}}
      upstreams:
        - url: {url}
"""


class Records:
    """The lines of one gateway, and the records in them, as a thread reads them."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._all: list[Event] = []
        self._lock = threading.Lock()
        self._waiting: list[tuple[type[Record], Callable[[], None]]] = []
        self._reading = threading.Event()
        self._reading.set()
        self._started = threading.Event()
        self._ended = False

    def read_from(self, file: IO[bytes]) -> None:
        """Take lines until there are no more.  The thread's."""
        with file:
            for line in file:
                self._reading.wait()
                self._take(line)
        with self._lock:
            self._ended = True
            self._wake(Record)
        self._started.set()

    def pause(self) -> None:
        """Read no more lines for now."""
        self._reading.clear()

    def go_on(self) -> None:
        """Read again."""
        self._reading.set()

    def port(self) -> int:
        """Where the gateway listens, as soon as its first line tells it."""
        assert self._started.wait(PATIENCE), "the gateway does not listen"
        assert self.lines, "the gateway ended before it listened"
        found = re.search(rb"https?://localhost:(\d+)", self.lines[0])
        assert found is not None, self.lines[0]
        return int(found[1])

    def all(self, kind: type[R], **fields: object) -> list[R]:
        """What has been told so far of this `kind`, with these `fields`."""
        with self._lock:
            return self._found(kind, fields)

    async def wait_for(
        self, kind: type[R], *, patience: float = PATIENCE, past: int = 0, **fields: object
    ) -> R:
        """The record of this `kind` with these `fields`, the first one behind `past` others like it."""
        loop = asyncio.get_running_loop()
        while True:
            come = asyncio.Event()
            with self._lock:
                found = self._found(kind, fields)
                if len(found) > past:
                    return found[past]
                assert not self._ended, f"the gateway has ended without telling {kind.__name__} {fields}"
                self._waiting.append((kind, partial(_set, loop, come)))
            try:
                async with asyncio.timeout(patience):
                    await come.wait()
            except TimeoutError:
                raise AssertionError(f"no {kind.__name__} with {fields} within {patience:g} s") from None

    def _take(self, line: bytes) -> None:
        with self._lock:
            self.lines.append(line)
            if line.startswith(b"{"):
                record = decode(line)
                self._all.append(record)
                self._wake(type(record))
        self._started.set()

    def _wake(self, told: type[Record]) -> None:
        """Wake those who wait for this kind of record; all of them where it is `Record` itself."""
        due = [each for each in self._waiting if issubclass(each[0], told)]
        self._waiting = [each for each in self._waiting if each not in due]
        for _, tell in due:
            tell()

    def _found(self, kind: type[R], fields: dict[str, object]) -> list[R]:
        return [each for each in self._all if isinstance(each, kind) and _has(each, fields)]


def _set(loop: asyncio.AbstractEventLoop, come: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the test has given up and closed its loop
        loop.call_soon_threadsafe(come.set)


def _has(record: Record, fields: dict[str, object]) -> bool:
    return all(getattr(record, name) == value for name, value in fields.items())


def gateway_command(loop: Loop = "uvloop") -> list[str]:
    """The command of a gateway that runs on `loop`."""
    if loop == "uvloop":
        return [sys.executable, "-m", "gateway"]
    # A module that is None in sys.modules cannot be imported: as if it had never been installed.
    without = "import sys; sys.modules['uvloop'] = None; from gateway.cli import main; sys.exit(main())"
    return [sys.executable, "-c", without]


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _be_gateway(  # noqa: PLR0917 - a process is given its arguments in order
    arguments: list[str],
    loop: Loop,
    env: dict[str, str],
    daemon: bool,
    prepare: Callable[[], object],
    pipes: tuple[Connection, Connection],
) -> None:
    """What `gateway_command` does; the process's own."""
    if daemon:
        os.setsid()
    prepare()
    os.environ.clear()
    os.environ.update(env)
    if loop == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # as in `gateway_command`
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for descriptor, pipe in enumerate(pipes, 1):
        os.dup2(pipe.fileno(), descriptor)
        pipe.close()
    sys.exit(main(arguments))


def _pipe() -> tuple[IO[bytes], Connection]:
    """Both ends of a pipe; the one that is written to can be given to a process."""
    reader, writer = _FORKS.Pipe(duplex=False)
    with reader:
        return os.fdopen(os.dup(reader.fileno()), "rb"), writer


class GatewayProcess:
    """What `python -m gateway` does with a config of its own."""

    def __init__(
        self,
        config: str,
        *options: str,
        frames: Frames = "json",
        loop: Loop = "uvloop",
        env: Mapping[str, str] | None = None,
        daemon: bool = False,
        prepare: Callable[[], object] = bool,
    ) -> None:
        """As a `daemon`, it has no terminal, whatever this process has.

        `prepare` is called in the new process before the gateway begins; it has to be picklable.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="gateway-")
        self.path = Path(self._folder.name, "config.yaml")
        """The config file."""
        self.path.write_text(config)
        self.records = Records()
        self.errors = b""
        output, its_output = _pipe()
        errors, its_errors = _pipe()
        with its_output, its_errors:
            arguments = ["-f", str(self.path), "--frames", frames, *options]
            self._process = _FORKS.Process(
                target=_be_gateway,
                args=(arguments, loop, os.environ | (env or {}), daemon, prepare, (its_output, its_errors)),
            )
            self._process.start()
        self._threads = [
            threading.Thread(target=self.records.read_from, args=[output], name="records"),
            threading.Thread(target=self._read_errors, args=[errors], name="errors"),
        ]
        for thread in self._threads:
            thread.start()
        try:
            self.port = self.records.port()
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Stop, and see that it was a clean stop of a gateway that never complained."""
        if kind is not None:
            self.kill()
            return
        self.signal(signal.SIGTERM)
        status = self.wait()
        errors = [each for each in self.errors.decode().splitlines() if ": warning: " not in each]
        assert (status, errors) == (0, []), self.errors.decode()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it has not ended yet."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait for its end: its exit status."""
        self._process.join(patience)
        status = self._process.exitcode
        if status is None:
            self.kill()
            raise AssertionError("the gateway does not end")
        self._clean_up()
        return status

    async def ended(self, patience: float = PATIENCE) -> int:
        """Wait for its end, in a coroutine: its exit status."""
        return await asyncio.to_thread(self.wait, patience)

    def kill(self) -> None:
        """End it the hard way."""
        self._process.kill()
        self._process.join()
        self._clean_up()

    def rss(self) -> int:
        """Bytes of memory in use."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def descriptors(self) -> int:
        """Open file descriptors."""
        return _descriptors(self.pid)

    def _read_errors(self, file: IO[bytes]) -> None:
        with file:
            self.errors = file.read()

    def _clean_up(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
        self._folder.cleanup()


class GatewayThread:
    """A gateway in this process, on an event loop of its own in a thread of its own."""

    def __init__(
        self,
        config: str,
        *,
        loop: Loop = "uvloop",
        frames: Frames = "json",
        preview: int = 64,
        frame_rate: int = 2000,
        limits: OwnLimits = DEFAULT_LIMITS,
    ) -> None:
        self._limits = limits
        self._next = config
        loading = self._load()
        assert loading.loaded is not None, loading.problems
        self._config = loading.loaded
        self.records = Records()
        self._options: tuple[Frames, int, int] = (frames, preview, frame_rate)
        reader, self._writer = os.pipe()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gateway: Gateway | None = None
        self._fault: BaseException | None = None
        factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.SelectorEventLoop
        self._threads = [
            threading.Thread(target=self._run, args=[factory], name="gateway"),
            threading.Thread(target=self.records.read_from, args=[os.fdopen(reader, "rb")], name="records"),
        ]
        for thread in self._threads:
            thread.start()
        self.port = self.records.port()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._threads[0].is_alive():
            self.signal()
            self.signal()
        self.wait()

    def signal(self, name: str = "SIGTERM") -> None:
        """As the signal `name` would do."""
        assert self._loop is not None
        assert self._gateway is not None
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._gateway.signal, name)

    async def reload(self, config: str) -> Reload:
        """Let it reload, with `config` in its file: what it tells of that."""
        past = len(self.records.all(Reload))
        self._next = config
        assert self._gateway is not None
        await self.call(self._gateway.reload)
        return await self.records.wait_for(Reload, past=past)

    def wait(self, patience: float = PATIENCE) -> None:
        """Wait for its end.  Raises what it ended with."""
        for thread in self._threads:
            thread.join(patience)
            assert not thread.is_alive(), f"the {thread.name} does not end"
        if self._fault is not None:
            raise self._fault

    async def ended(self, patience: float = PATIENCE) -> None:
        """Wait for its end, in a coroutine."""
        await asyncio.to_thread(self.wait, patience)

    async def tasks(self) -> set[str]:
        """The names of the tasks that its loop has."""
        return await self.call(
            lambda: {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        )

    def descriptors(self) -> int:
        """Open file descriptors of this process."""
        return _descriptors(os.getpid())

    async def call(self, function: Callable[[], T]) -> T:
        """What `function` gives when called in its loop."""

        async def called() -> T:
            return function()

        assert self._loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(called(), self._loop))

    def _load(self) -> Loading:
        with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
            path = Path(folder, "config.yaml")
            path.write_text(self._next)
            return inspect([path], dict(os.environ))

    def _run(self, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told by `wait`, in the test's own thread
            self._fault = error
        finally:
            os.close(self._writer)

    async def _serve(self) -> None:
        frames, preview, frame_rate = self._options
        log = EventLog(self._writer, frames, preview=preview, frame_rate=frame_rate)
        self._loop = asyncio.get_running_loop()
        self._gateway = Gateway(self._config, log, Secrets(), self._load, limits=self._limits)
        await self._gateway.run()

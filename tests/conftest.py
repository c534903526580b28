"""What all tests share: a gateway that stays up, a port behind it, and an eye on what is left over."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
import pytest_asyncio

from tests.gateways import LOOPS, GatewayProcess, config_of
from tests.servers import Upstream, reserved_port

# Hundreds of processes start here, none of which has to compile what another one has compiled before it,
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# or to read the system's certificate authorities, as aiohttp does wherever it is imported.
os.environ["SSL_CERT_FILE"] = os.devnull

# How long an example takes says more about the machine than about the code.  Each run draws others, so that
# few of them come to many; whoever has changed a decoder may want more at once.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "40")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Watch the tasks of every test that has a loop."""
    if isinstance(item, pytest.Function) and pytest_asyncio.is_async_test(item):
        item.fixturenames.insert(0, "no_task_left_over")


def pytest_xdist_auto_num_workers() -> int:
    """Processes to test with: one more than there are cores, since real sockets are mostly waited for."""
    return (os.cpu_count() or 1) + 1


@pytest_asyncio.fixture
async def no_task_left_over() -> AsyncIterator[None]:
    """Fail a test that leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    left: set[asyncio.Task[object]] = set()
    for _ in range(100):  # what has been cancelled needs a turn of the loop, or a few, to end
        left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"tasks are left over: {left}")


@pytest.fixture(autouse=True)
def no_thread_left_over() -> Iterator[None]:
    """Fail a test that leaves a thread behind, but for those of an event loop's executor."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith("asyncio_"):
            thread.join(5)
            assert not thread.is_alive(), f"a thread is left over: {thread}"


@pytest.fixture(scope="session")
def upstream_port() -> Iterator[int]:
    """The port that the gateways below send everything to."""
    with reserved_port() as port:
        yield port


@pytest.fixture(scope="session")
def gateway(upstream_port: int) -> Iterator[GatewayProcess]:
    """A gateway that many tests share."""
    with GatewayProcess(config_of(f"http://127.0.0.1:{upstream_port}")) as running:
        yield running


@pytest.fixture(scope="session", params=LOOPS)
def gateway_on(request: pytest.FixtureRequest, upstream_port: int) -> Iterator[GatewayProcess]:
    """Two gateways that many tests share, one on either event loop."""
    if request.param == "uvloop":
        yield request.getfixturevalue("gateway")
        return
    with GatewayProcess(config_of(f"http://127.0.0.1:{upstream_port}"), loop="asyncio") as running:
        yield running


@pytest_asyncio.fixture
async def upstream(upstream_port: int) -> AsyncIterator[Upstream]:
    """A raw TCP server behind those gateways."""
    async with Upstream(upstream_port) as server:
        yield server

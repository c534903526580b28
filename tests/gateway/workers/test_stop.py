"""The end of a gateway of several workers: all at once, in time, and nobody is left."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from gateway import lifeline
from gateway.events import Close, Error, Reload, Stopping, decode
from tests.gateway.proxy.reloading import until
from tests.gateway.proxy.stopping import answer, expect_going_away
from tests.gateway.test_cli import written
from tests.gateway.workers.crews import all_gone, close_all, kill, open_over_all, start, workers_of
from tests.gateways import config_of, gateway_command
from tests.servers import PATIENCE, Peer, Upstream


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_sends_close_1001_through_all(upstream: Upstream, number: signal.Signals) -> None:
    """To the WebSockets of every worker; the stop is told once, with all of them; status 0, nobody left."""
    with start(upstream, shutdown_timeout=10) as gateway:
        workers = workers_of(gateway.pid)
        pairs = await open_over_all(gateway, upstream)
        gateway.signal(number)
        for client, server in pairs:
            await expect_going_away(client, masked=False)
            await expect_going_away(server, masked=True)
            await answer(client, server)
        assert await gateway.ended() == 0
    await all_gone(workers)
    stopping = gateway.records.all(Stopping)
    assert [(each.signal, each.open) for each in stopping] == [(number.name, len(pairs))]
    assert len(gateway.records.all(Close)) == len(pairs)
    close_all(pairs)


async def test_nobody_listens_during_a_stop(upstream: Upstream) -> None:
    """Not even a copy of a socket from a reload is left open while WebSockets are being waited for."""

    async def refused() -> bool:
        try:
            (await Peer.connect(gateway.port)).close()
        except ConnectionRefusedError:
            return True
        return False

    with start(upstream, shutdown_timeout=60) as gateway:
        pairs = await open_over_all(gateway, upstream)
        for past in range(2):
            gateway.signal(signal.SIGHUP)
            await gateway.records.wait_for(Reload, past=past)
        gateway.signal(signal.SIGTERM)
        await gateway.records.wait_for(Stopping)
        await until(refused)
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    close_all(pairs)


async def test_a_second_signal_ends_it_at_once(upstream: Upstream) -> None:
    """Though nobody has answered the Close frames and there would be time for it."""
    with start(upstream, shutdown_timeout=60) as gateway:
        workers = workers_of(gateway.pid)
        pairs = await open_over_all(gateway, upstream)
        gateway.signal(signal.SIGTERM)
        await gateway.records.wait_for(Stopping, open=len(pairs))
        gateway.signal(signal.SIGINT)
        assert await gateway.ended() == 0
    await all_gone(workers)
    assert len(gateway.records.all(Close)) == len(pairs)
    close_all(pairs)


async def test_a_signal_to_the_whole_group_counts_once(upstream: Upstream) -> None:
    """A supervisor may send it to every process: the workers wait for their parent's word all the same."""
    with start(upstream, shutdown_timeout=10) as gateway:
        pairs = await open_over_all(gateway, upstream)
        for each in [*workers_of(gateway.pid), gateway.pid]:
            os.kill(each, signal.SIGTERM)
        for client, server in pairs:
            await expect_going_away(client, masked=False)
            await expect_going_away(server, masked=True)
            await answer(client, server)
        assert await gateway.ended() == 0
    close_all(pairs)
    assert gateway.records.all(Error) == []


@pytest.mark.parametrize("moment", ["serving", "open", "restart", "stop"])
async def test_a_parent_that_is_killed_leaves_nobody(upstream: Upstream, moment: str) -> None:
    """Whatever it was about to do."""
    gateway = start(upstream, shutdown_timeout=60)
    workers: list[int] = []

    async def two() -> bool:
        workers[:] = workers_of(gateway.pid)
        return len(workers) == 2

    try:
        pairs = [] if moment == "serving" else await open_over_all(gateway, upstream)
        if moment == "restart":
            await kill(workers_of(gateway.pid)[0])
            await gateway.records.wait_for(Error)
        elif moment == "stop":
            gateway.signal(signal.SIGTERM)
            await gateway.records.wait_for(Stopping)
        await until(two)
    finally:
        await asyncio.to_thread(gateway.kill)
    await all_gone(workers)
    assert gateway.errors == b""
    close_all(pairs)


async def test_a_worker_that_hangs_is_killed(upstream: Upstream) -> None:
    """Some seconds behind its time, and that is told; the others have long gone."""
    with start(upstream, shutdown_timeout=-100) as gateway:
        hanging, other = workers_of(gateway.pid)
        os.kill(hanging, signal.SIGSTOP)
        gateway.signal(signal.SIGTERM)
        await all_gone([other])
        assert await gateway.ended() == 0
    assert [each.message for each in gateway.records.all(Error)] == [
        f"worker 1 (pid {hanging}) has not stopped within 5 s, and was killed"
    ]


async def test_a_worker_that_is_killed_while_it_stops(upstream: Upstream) -> None:
    """It is told, it gets no successor, and the stop goes on."""
    with start(upstream, shutdown_timeout=60) as gateway:
        pairs = await open_over_all(gateway, upstream)
        victim, other = workers_of(gateway.pid)
        gateway.signal(signal.SIGTERM)
        await gateway.records.wait_for(Stopping)
        os.kill(victim, signal.SIGKILL)
        close_all(pairs)
        assert await gateway.ended() == 0
    await all_gone([victim, other])
    messages = {each.message for each in gateway.records.all(Error)}
    assert f"worker 1 (pid {victim}) was killed by SIGKILL while it stopped" in messages


async def test_a_lifeline_that_is_cut(tmp_path: Path) -> None:
    """The program that has started the gateway is gone: parent and workers stop, and say why."""
    path = written(tmp_path, config_of("http://127.0.0.1:1"))
    command = [*gateway_command(), "-f", path, "--workers", "2", "--frames", "json"]
    reader, writer = os.pipe()
    environment = os.environ | {lifeline.ENVIRONMENT: str(reader)}
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, pass_fds=[reader], env=environment)
    os.close(reader)
    try:
        assert process.stdout is not None
        assert b"listening" in await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        workers = workers_of(process.pid)
        assert len(workers) == 2
    finally:
        os.close(writer)
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    await all_gone(workers)
    told = decode(out.splitlines()[0])
    assert isinstance(told, Stopping)
    assert told.signal == "lifeline"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_an_end_during_the_start(tmp_path: Path, number: signal.Signals) -> None:
    """While the workers are about to begin: they never listen, and none is left."""
    path = written(tmp_path, config_of("http://127.0.0.1:1"))
    command = [*gateway_command(), "-f", path, "--workers", "2", "--frames", "json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    workers: list[int] = []

    async def there() -> bool:
        workers[:] = workers_of(process.pid)
        return len(workers) == 2

    try:
        await until(there)
    finally:
        process.send_signal(number)
    out, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    await all_gone(workers)
    assert (process.returncode, errors) == (0 if number == signal.SIGTERM else -number, b"")
    assert b"listening" not in out

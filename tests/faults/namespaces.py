"""Networks of a test's own, with cables that can be pulled.

A network namespace belongs to a thread: what that thread opens or starts is in it, and stays there whoever
uses it afterwards.  So a `Network` is a thread, and `run` is how to be there for a moment.
"""

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Final, Self, TypeVar

import pytest

from tests.servers import Peer

_NEW_NETWORK: Final = 0x40000000
"""CLONE_NEWNET."""

_OWN_FILES: Final = 0x00000200
"""CLONE_FS."""

_NEW_MOUNTS: Final = 0x00020000 | _OWN_FILES
"""CLONE_NEWNS, and what a thread needs before it may have its own."""

HERE: Final = "10.77.0.1"
THERE: Final = "10.77.0.2"
"""The addresses of the two ends of a cable."""

T = TypeVar("T")


def _unshare(what: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(what):
        raise OSError(ctypes.get_errno(), "unshare")


@cache
def _missing() -> str | None:
    """Why there can be no networks here."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if shutil.which("ip") is None:
        return "the command ip (iproute2) is missing"
    refused: list[OSError] = []

    def attempt() -> None:
        try:
            _unshare(_NEW_NETWORK)
        except OSError as error:
            refused.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return f"no network namespace may be made here: {refused[0].strerror}" if refused else None


needs_networks = pytest.mark.skipif(_missing() is not None, reason=_missing() or "")
"""Marks a test that needs rights which few users have."""


class Network:
    """A network with a loopback interface and nothing else."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")
        try:
            self._id = self.run(self._enter)
        except BaseException:
            self._thread.shutdown()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    @staticmethod
    def _enter() -> int:
        _unshare(_NEW_NETWORK)
        _ip("link", "set", "lo", "up")
        return threading.get_native_id()

    def run(self, function: Callable[[], T]) -> T:
        """What `function` gives when it is called in this network."""
        return self._thread.submit(function).result()

    @property
    def join(self) -> Callable[[], None]:
        """What takes a process with one thread into this network, with its files; it can be pickled."""
        return partial(_join, f"/proc/{os.getpid()}/task/{self._id}/ns")

    def ip(self, *arguments: str) -> None:
        """The command `ip`."""
        self.run(lambda: _ip(*arguments))

    def without_ipv6(self) -> None:
        """Take IPv6 away."""
        self.run(lambda: Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1"))

    def ask_at(self, server: str) -> None:
        """Look names up at `server`, which is given half a minute; for what is started here from now on.

        The file that says so is another one for this thread alone.
        """
        self.run(lambda: _bind_over("/etc/resolv.conf", f"nameserver {server}\noptions timeout:30\n"))

    def connect_to(self, other: "Network") -> None:
        """Lay a cable: this network is `HERE`, the other one `THERE`."""
        self.ip("link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(other._id))
        for network, address in ((self, HERE), (other, THERE)):
            network.ip("address", "add", f"{address}/24", "dev", "cable")
            network.ip("link", "set", "cable", "up")
        # Known for ever, so that what is sent into a dead cable is not even missed.
        hardware = other.run(lambda: _hardware("cable"))
        self.ip("neighbour", "replace", THERE, "lladdr", hardware, "dev", "cable", "nud", "permanent")

    def fall_silent(self) -> None:
        """Take this network off the cable: what is sent here from now on is lost, and nobody knows."""
        self.ip("address", "flush", "dev", "cable")

    async def peer(self, host: str, port: int) -> Peer:
        """A connection from this network."""
        sock = self.run(socket.socket)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        return Peer(sock)


def _bind_over(path: str, text: str) -> None:
    """Let `path` be a file with this text, for the calling thread and what it starts."""
    _unshare(_NEW_MOUNTS)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        Path(file.name).chmod(0o644)
        subprocess.run(["mount", "--bind", file.name, path], check=True)


def _join(namespaces: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _unshare(_OWN_FILES)  # a mount namespace is for who shares no working directory with anybody
    for name in ("net", "mnt"):
        with Path(namespaces, name).open("rb") as file:
            if libc.setns(file.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")


def _hardware(interface: str) -> str:
    """The hardware address of an interface of the network in which this is called."""
    told = subprocess.run(["ip", "-brief", "link", "show", interface], check=True, capture_output=True)
    return told.stdout.decode().split()[2]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)

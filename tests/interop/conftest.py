"""Servers of all kinds, and one gateway in front of them all."""

from collections.abc import Iterator

import pytest
import trustme

from gateway.events import Error, Violation
from tests.gateway.proxy.test_dial_tls import server_tls
from tests.gateways import GatewayProcess
from tests.interop import npm, servers
from tests.interop.pairs import config_for
from tests.interop.servers import Listener


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of this machine alone."""
    return trustme.CA()


@pytest.fixture(scope="session")
def python_servers(authority: trustme.CA) -> Iterator[list[Listener]]:
    """Every server of Python, with and without compression and TLS."""
    with servers.running(server_tls(authority, "127.0.0.1")) as started:
        yield started


@pytest.fixture(scope="session")
def node_servers(authority: trustme.CA) -> Iterator[list[Listener]]:
    """The servers of `ws`."""
    with npm.running(authority) as started:
        yield started


@pytest.fixture(scope="session")
def trust(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a gateway that trusts that authority."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return {"SSL_CERT_FILE": str(path)}


@pytest.fixture(scope="session")
def python_gateway(python_servers: list[Listener], trust: dict[str, str]) -> Iterator[GatewayProcess]:
    """A gateway with a way to each server of Python."""
    yield from _gateway(python_servers, trust)


@pytest.fixture(scope="session")
def full_gateway(
    python_servers: list[Listener], node_servers: list[Listener], trust: dict[str, str]
) -> Iterator[GatewayProcess]:
    """A gateway with a way to each server of either language."""
    yield from _gateway([*python_servers, *node_servers], trust)


def _gateway(listeners: list[Listener], trust: dict[str, str]) -> Iterator[GatewayProcess]:
    """A gateway that found nothing wrong with what any of them, and their clients, said."""
    with GatewayProcess(config_for(listeners), env=trust) as gateway:
        yield gateway
    wrong = [*gateway.records.all(Error), *gateway.records.all(Violation)]
    assert not wrong, wrong

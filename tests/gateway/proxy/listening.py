"""Gateways whose HTTPServer is told how to listen, and what it says of that."""

from gateway.events import Listening
from tests.gateways import GatewayProcess, GatewayThread, config_of


def config_with(url: str, http: str = "", listen: str = "", *, addr: str = "127.0.0.1:0") -> str:
    """A config.yaml with these fields, as a flow mapping has them, in httpConfig and its listenConfig."""
    inner = f"{http}{', ' if http else ''}listenConfig: {{{listen}}}"
    text = config_of(url, addr=addr)
    return text.replace("  shutdownTimeout:", f"  httpConfig: {{{inner}}}\n  shutdownTimeout:", 1)


def listening(gateway: GatewayThread | GatewayProcess) -> Listening:
    """What the gateway told when it began to listen."""
    (told,) = gateway.records.all(Listening)
    return told

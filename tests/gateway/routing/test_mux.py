"""Which handler takes a request."""

from gateway.routing.mux import handler_of
from tests.gateway.config.samples import ENTRYPOINT, GOOD, PROXY, SERVER, loaded


def test_the_one_handler_takes_all() -> None:
    """Virtual hosts behind it may be empty."""
    for content in (GOOD, ENTRYPOINT + SERVER + "    - handlers: []\n" + PROXY):
        (server,) = loaded(content).servers
        reference = handler_of(server)
        assert reference is not None
        assert reference.kind == "ReverseProxyHandler"


def test_without_handlers_there_is_none() -> None:
    """Neither without virtual hosts nor in an empty one."""
    for hosts in ("", "    - {}\n"):
        (server,) = loaded(ENTRYPOINT + SERVER[: SERVER.index("    - handlers")] + hosts).servers
        assert handler_of(server) is None

"""Which handler takes a request, by host and path (core-v1, sections 4.2 and 4.3).

Hosts and patterns are not supported yet, so the only route of a server is "/", and `gateway.config` has
made sure that one handler at most has it.
"""

from gateway.config.resources import HTTPServer, Reference


def handler_of(server: HTTPServer) -> Reference | None:
    """The handler of every request to `server`; None where all of them get 404."""
    mounted = [each.handler for host in server.spec.virtual_hosts for each in host.handlers]
    return mounted[0] if mounted else None

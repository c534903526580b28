"""Names and networks that are not as they should be: no IPv6, and a name server that does not answer."""

import asyncio
import signal
import socket

from gateway.events import Error, Stopping
from tests.faults.namespaces import Network, needs_networks
from tests.gateway.proxy.plain import GET
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING
from tests.gateways import GatewayProcess, config_of
from tests.servers import PATIENCE, Upstream

pytestmark = needs_networks


async def test_without_ipv6() -> None:
    """Every usual address is listened on, and an upstream called localhost is reached."""
    with Network() as network:
        network.without_ipv6()
        async with network.run(Upstream) as upstream:
            for addr in (":0", "localhost:0"):
                config = config_of(f"http://localhost:{upstream.port}", addr=addr)
                with GatewayProcess(config, prepare=network.join) as gateway:
                    client = await network.peer("127.0.0.1", gateway.port)
                    with client:
                        await client.send(HANDSHAKE)
                        server = await upstream.accept()
                        await server.read_head()
                        await server.send(SWITCHING)
                        assert (await client.read_head()).startswith(b"HTTP/1.1 101 "), addr
                assert not gateway.records.all(Error)


async def test_a_name_server_that_does_not_answer() -> None:
    """A stop does not wait for it, however many requests do; each of these is told something in the end."""
    with Network() as network:
        nobody = network.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with nobody:
            nobody.bind(("127.0.0.1", 53))
            network.ask_at("127.0.0.1")
            config = config_of("http://some.name.example:80", shutdown_timeout=1)
            with GatewayProcess(config, prepare=network.join) as gateway:
                clients = [await network.peer("127.0.0.1", gateway.port) for _ in range(12)]
                for number, client in enumerate(clients):
                    await client.send(HANDSHAKE if number % 2 else GET)
                await asyncio.to_thread(nobody.recv, 512)  # it has been asked
                gateway.signal(signal.SIGTERM)
                await gateway.records.wait_for(Stopping)
                assert await gateway.ended(PATIENCE) == 0
                for client in clients:
                    client.close()

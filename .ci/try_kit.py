"""Run the command given as arguments for real, use what it starts, stop it by SIGINT, check its status."""

import asyncio
import json
import shlex
import signal
import sys

import aiohttp

URL = "http://localhost:8080"


async def main(command: list[str]) -> None:
    """Start the kit with `--json`, and do what a person would."""
    kit = await asyncio.create_subprocess_exec(*command, "--json", stdout=asyncio.subprocess.PIPE)
    assert kit.stdout is not None
    seen: list[str] = []

    async def until(event: str) -> dict[str, object]:
        async for line in kit.stdout:
            record = json.loads(line)
            seen.append(record["event"])
            if record["event"] == event:
                return record
        raise SystemExit(f"no {event!r} came; what did: {seen}")

    try:
        async with asyncio.timeout(30):
            print(await until("ready"))
            async with aiohttp.ClientSession() as session:
                async with session.get(URL) as response:
                    assert response.status == 200, response.status
                    assert "<!doctype html>" in (await response.text()).lower()
                async with session.ws_connect(f"{URL}/ws", origin=URL) as socket:
                    assert await socket.receive_str() == "Hello!! This is a WebSocket server!!"
                    await socket.send_str("ping")
                    while (text := await socket.receive_str()) != "Your message arrived: ping":
                        assert text.startswith("It's "), text
                    kit.send_signal(signal.SIGINT)
                    while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                        pass
                    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001), message
            print(await until("summary"))
            assert {"open", "frame", "close", "stopping"} <= set(seen), seen
            assert await kit.wait() == 0, kit.returncode
    finally:
        if kit.returncode is None:
            kit.kill()
    print("the page came, the echo came, the stop was clean")


asyncio.run(main(shlex.split(" ".join(sys.argv[1:]))))

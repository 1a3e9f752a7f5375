"""Try connections at the same time and print a JSON list of results. Runs without the project's packages."""

import asyncio
import json
import socket
import sys

LIMIT_SECONDS = 3.0
PAUSE_SECONDS = 0.004  # between two connections, because a burst overflows the queues of the kernel
WORD = b"okr"


async def tcp(address: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(WORD)
    answer = await reader.read(len(WORD))
    writer.close()
    return "passed" if answer == WORD else "wrong answer"


async def udp(address: str, port: int) -> str:
    loop, family = asyncio.get_running_loop(), socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        await loop.sock_connect(client, (address, port))
        await loop.sock_sendall(client, WORD)
        return "passed" if await loop.sock_recv(client, 100) == WORD else "wrong answer"


async def result(number: int, address: str, protocol: str, port: int) -> str:
    await asyncio.sleep(number * PAUSE_SECONDS)
    try:
        return await asyncio.wait_for({"tcp": tcp, "udp": udp}[protocol](address, port), LIMIT_SECONDS)
    except TimeoutError:
        return "timed out"
    except ConnectionRefusedError:
        return "refused"
    except PermissionError:
        return "not permitted"


async def main() -> None:
    print(
        json.dumps(await asyncio.gather(*(result(number, *probe) for number, probe in enumerate(json.load(sys.stdin)))))
    )


asyncio.run(main())

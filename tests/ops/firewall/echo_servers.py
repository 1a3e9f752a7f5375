"""Servers on many ports, for IPv4 and IPv6, that send back what they receive. Runs without the project's packages."""

import asyncio
import contextlib
import json
import sys


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionResetError):  # the client has given up
        while data := await reader.read(100):
            writer.write(data)
    writer.close()


class EchoDatagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.transport.sendto(data, addr)


async def main() -> None:
    ports = json.loads(sys.argv[1])
    servers = [await asyncio.start_server(echo, None, port, backlog=200) for port in ports["tcp"]]
    loop = asyncio.get_running_loop()
    for port in ports["udp"]:
        await loop.create_datagram_endpoint(EchoDatagrams, ("::", port))  # IPv4, too
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())

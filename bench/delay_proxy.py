#!/usr/bin/env python3
"""A TCP proxy that adds a delay each way: delay_proxy.py PORT TARGET MILLISECONDS

Latency only: no limit of bandwidth, no loss. The TCP handshake pays as well: the client's first byte leaves one round
trip after it connected.
"""
import asyncio
import contextlib
import sys


async def carry(reader, writer, delay):
    """Forwards what is read, each piece `delay` seconds after it was read, and the end likewise."""
    now, queue = asyncio.get_running_loop().time, asyncio.Queue()

    async def deliver():
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - now()))
            if not data:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    data = True
    while data:
        try:
            data = await reader.read(1 << 18)
        except OSError:
            data = b""
        queue.put_nowait((now() + delay, data))
    with contextlib.suppress(OSError):
        await delivering


async def main(port, target, delay):
    async def serve(client_reader, client_writer):
        await asyncio.sleep(2 * delay)
        with contextlib.suppress(OSError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", target, limit=1 << 20)
            await asyncio.gather(carry(client_reader, server_writer, delay), carry(server_reader, client_writer, delay))
            server_writer.close()
        client_writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))

"""What a process costs, from outside: time, CPU, memory, bytes on the loopback device."""
import asyncio
import contextlib
import os
import socket
import subprocess
import threading
import time
from collections import namedtuple
from pathlib import Path

Result = namedtuple("Result", "seconds cpu peak")


def measure(argv, environment=None):
    """Runs a client to its end, which must be a good one: wall seconds, CPU seconds, peak resident bytes."""
    begun = time.perf_counter()
    process = subprocess.Popen([str(word) for word in argv], env={**os.environ, **(environment or {})},
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, argv))}: exit code {process.returncode}: {complaint.decode(errors='replace')}")
    return Result(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def descendants(pids):
    """The processes and all below them."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], list(pids)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


def server_cpu(pids):
    """CPU seconds of servers so far, with those of their children, ended ones included."""
    ticks = 0
    for pid in descendants(pids):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def server_peak(pids):
    """Peak resident bytes of the largest of the servers' processes."""
    peaks = [0]
    for pid in descendants(pids):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peaks.append(int(line.split()[1]) * 1024)
    return max(peaks)


def loopback_bytes():
    """Bytes that the loopback device has carried, headers and acknowledgements included."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    return 0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port, process):
    """Until something listens there; a server that ends first is an error."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise SystemExit(f"the server on port {port} did not come up")


@contextlib.contextmanager
def delay_proxy(target, milliseconds):
    """A TCP proxy that adds a delay each way; yields its port. The TCP handshake pays, too: one round trip before the
    client's first byte can leave."""
    delay, port = milliseconds / 1000, free_port()
    loop = asyncio.new_event_loop()

    async def deliver(queue, writer):
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if not data:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    async def carry(reader, writer):
        queue = asyncio.Queue()
        delivering = loop.create_task(deliver(queue, writer))
        data = True
        while data:
            try:
                data = await reader.read(1 << 18)
            except OSError:
                data = b""
            queue.put_nowait((loop.time() + delay, data))
        await delivering

    async def serve(client_reader, client_writer):
        try:
            await asyncio.sleep(2 * delay)
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(carry(client_reader, server_writer), carry(server_reader, client_writer))
            server_writer.close()
        except OSError:
            pass
        client_writer.close()

    async def listen():
        return await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20)

    server = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

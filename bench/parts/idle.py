"""A thousand authenticated connections on which nothing happens: what each costs the server, and a newcomer."""
import contextlib
import resource
import socket
import statistics
import time
from pathlib import Path

from measure import descendants, measure
from peers import Curl, chosen
from report import table


def idle(arguments):
    count, rows = arguments.connections, []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        print(f"({count} connections left out: no more than {hard} files may be open here)\n")
        return
    # For this program, and for the servers that it starts.
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    for peer in chosen(arguments.work, arguments.peers, (Curl,)):
        peer.empty()
        peer.start()
        try:
            with contextlib.ExitStack() as connections:
                def newcomers():
                    return statistics.median(1000 * measure(peer.list(""), peer.environment()).seconds for _ in range(20 * arguments.runs))

                alone = newcomers()
                before = proportional(peer.pids())
                context, name, greeting = peer.greeter()
                for _ in range(count):
                    greet(connections, peer.port, context, name, greeting)
                time.sleep(1)  # until what handshakes needed is given back
                each = (proportional(peer.pids()) - before) / count
                beside = newcomers()
        finally:
            peer.stop()
        rows.append([peer.label, f"{before / 1024:.0f}", f"{each / 1024:.1f}", f"{alone:.1f}", f"{beside:.1f}"])
    print(f"### {count} idle connections with a client certificate\n")
    table(["", "the server without them, KiB", "each, KiB", "`ls` ms without them", "`ls` ms beside them"], rows)


def greet(connections, port, context, name, greeting):
    """Opens a connection, and waits for the first word of the answer: the server has accepted the certificate."""
    plain = socket.create_connection(("127.0.0.1", port))
    stream = connections.enter_context(context.wrap_socket(plain, server_hostname=name))
    stream.sendall(greeting)
    if not stream.recv(1 << 16):
        raise SystemExit("the server closed a connection that was to be idle")


def proportional(pids):
    """Bytes of memory that servers hold, each page shared out among those who share it."""
    held = 0
    for pid in descendants(pids):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    held += int(line.split()[1]) * 1024
    return held

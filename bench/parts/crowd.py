"""Many uploads at the same moment."""
import os
import subprocess
import time

from material import random_file, read_through
from measure import server_peak, warm_pages
from peers import Curl, chosen
from report import interleaved, median, table

CLIENTS = 64


def crowd(arguments):
    work, size = arguments.work, arguments.size // 256
    sources = [random_file(work / f"crowd-{number}", size) for number in range(CLIENTS)]
    peers = chosen(work, arguments.peers, (Curl,))

    def once(peer, _):
        peer.empty()
        peer.start()
        try:
            os.sync()
            time.sleep(6)  # what was deleted is given back to the disk meanwhile
            read_through(*sources)
            warm_pages(2 * CLIENTS * size)
            begun = time.perf_counter()
            running = [subprocess.Popen([str(word) for word in peer.upload(source, source.name)], env={**os.environ, **peer.environment()})
                       for source in sources]
            if any([process.wait() for process in running]):
                raise SystemExit(f"{peer.name}: one of the uploads failed")
            return {"s": time.perf_counter() - begun, "memory": server_peak(peer.pids())}
        finally:
            peer.stop()

    figures = interleaved(peers, arguments.runs, once)
    print(f"### {CLIENTS} uploads of {size >> 20} MiB at once\n")
    table(["", "s", "peak MiB of the server's largest process"],
          [[peer.label, f"{median(found, 's'):.2f}", f"{median(found, 'memory') / 1048576:.0f}"] for peer, found in figures.items()])

"""An upload that is killed at half, and what the same command sends when it is run again."""
import os
import statistics
import subprocess
import time

from material import random_file
from measure import loopback_bytes, measure
from peers import Sealift


def interrupted(arguments):
    work, size, runs = arguments.work, arguments.size, arguments.runs
    source, shares = random_file(work / "interrupted", size), []
    peer = Sealift(work)
    for _ in range(runs):
        peer.empty()
        peer.start()
        try:
            before = loopback_bytes()
            client = subprocess.Popen([str(word) for word in peer.upload(source, "big")], env={**os.environ, **peer.environment()})
            while loopback_bytes() - before < size // 2:
                time.sleep(0.002)
            client.kill()
            client.wait()
            before = loopback_bytes()
            measure(peer.upload(source, "big"), peer.environment())
            shares.append((loopback_bytes() - before) / size)
        finally:
            peer.stop()
    print(f"An upload of {size >> 20} MiB that is killed at half, run again: {100 * statistics.median(shares):.1f} % of it crosses "
          f"(worst of {runs}: {100 * max(shares):.1f} %).\n", flush=True)

"""Whole processes: `ls` and `info` with a new connection each, without and with 50 ms of delay each way."""
import statistics

from material import random_file
from measure import delay_proxy, measure
from peers import Curl, Sftp, chosen
from report import interleaved, median, table


def latency(arguments):
    work, runs = arguments.work, arguments.runs
    small = random_file(work / "small", 1000)
    peers = chosen(work, arguments.peers, (Curl, Sftp))
    rows = {peer: [peer.label] for peer in peers}
    for peer in peers:
        peer.empty()
        peer.start()
    try:
        for peer in peers:
            measure(peer.upload(small, "small"), peer.environment())
        for verb in ("list", "info"):
            figures = interleaved(peers, 20 * runs, lambda peer, _: {"ms": 1000 * measure(getattr(peer, verb)("small"), peer.environment()).seconds})
            for peer, found in figures.items():
                rows[peer].append(f"{median(found, 'ms'):.1f}")
        for peer in peers:
            with delay_proxy(peer.port, 50) as port:
                peer.reach(port)
                seconds = [measure(peer.list("small"), peer.environment()).seconds for _ in range(runs)]
                rows[peer].append(f"{statistics.median(seconds) / 0.1:.2f}")
                peer.reach(peer.port)
    finally:
        for peer in peers:
            peer.stop()
    print("### A whole process with a new connection\n")
    table(["", "`ls` ms", "`info` ms", "round trips of `ls`, 50 ms each way"], rows.values())

#!/usr/bin/env python3
"""Measures Sealift beside what people use today, on this machine, over loopback.

    python3 bench/bench.py                     # everything, 1 GiB, medians of 5; Markdown on standard output
    python3 bench/bench.py --size 64M --runs 3 --only bulk

Standard library only. Builds Sealift if it has to. Peers are measured where they are installed (Debian: `apt-get
install openssh-server openssh-client nginx libnginx-mod-http-dav-ext curl openssl`) and left out where not. The peers of one
line take turns within each run, so that ratios hold although a machine's speed drifts. Each result is verified.
Uploads to Sealift are durable when they are acknowledged; no other peer here syncs what it stores.
"""
import argparse
import hashlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure import delay_proxy, loopback_bytes, measure, server_cpu, server_peak, warm_pages  # noqa: E402
from peers import Curl, Scp, Sealift, Sftp  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def parse_size(text):
    unit = {"K": 10, "M": 20, "G": 30}.get(text[-1].upper())
    return int(text[:-1]) << unit if unit else int(text)


def random_file(path, size):
    with open(path, "wb") as file:
        while size:
            piece = os.urandom(min(size, 1 << 20))
            file.write(piece)
            size -= len(piece)
    return path


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else hashlib.sha256(file.read()).hexdigest()


def read_through(*paths):
    """Brings files into the page cache."""
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file():
                with open(file, "rb") as content:
                    while content.read(1 << 20):
                        pass


def interleaved(peers, runs, body):
    """One uncounted run of each to warm up, then runs of each in turn. Returns the figures by peer."""
    figures = {peer: [] for peer in peers}
    for run in range(runs + 1):
        for peer in peers:
            figure = body(peer, run)
            if run:
                figures[peer].append(figure)
    return figures


def median(figures, key):
    return statistics.median(figure[key] for figure in figures)


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def bulk(work, size, runs):
    """One large file of random bytes, up, down, and up again under another name."""
    source, target = random_file(work / "source", size), work / "target"
    expected = digest(source)
    peers = [peer for peer in (Sealift(work), Scp(work), Curl(work)) if peer.available()]
    gib = size / (1 << 30)

    def once(peer, run):
        peer.empty()
        peer.start()
        figure = {}
        try:
            for name, argv in (("up", peer.upload(source, "big")), ("down", peer.download("big", target))):
                target.unlink(missing_ok=True)
                os.sync()
                read_through(source, peer.data)
                warm_pages(size + size // 4)
                cpu, wire = server_cpu(peer.pids()), loopback_bytes()
                result = measure(argv, peer.environment())
                figure[name] = result.seconds
                figure[name + "_client"] = result.cpu / gib
                figure[name + "_server"] = (server_cpu(peer.pids()) - cpu) / gib
                figure[name + "_memory"] = result.peak
                figure[name + "_wire"] = loopback_bytes() - wire
            if digest(target) != expected:
                raise SystemExit(f"{peer.name}: what came down is not what went up")
            wire = loopback_bytes()
            result = measure(peer.upload(source, "again"), peer.environment())
            figure["again"], figure["again_wire"] = result.seconds, loopback_bytes() - wire
            figure["server_memory"] = server_peak(peer.pids())
        finally:
            peer.stop()
        return figure

    figures = interleaved(peers, runs, once)
    print(f"### One file of {size >> 20} MiB of random bytes\n")
    rows = []
    for peer, found in figures.items():
        cells = [peer.label]
        for way in ("up", "down"):
            cells += [f"{median(found, way):.2f}", f"{median(found, way + '_client'):.2f} + {median(found, way + '_server'):.2f}"]
        memory = max(median(found, "up_memory"), median(found, "down_memory"))
        cells += [f"{memory / 1048576:.0f} / {median(found, 'server_memory') / 1048576:.0f}"]
        cells += [f"{median(found, 'again'):.2f}", f"{median(found, 'again_wire') / 1048576:.2f}"]
        rows.append(cells)
    table(["", "up s", "CPU s/GiB, client + server", "down s", "CPU s/GiB, client + server",
           "peak MiB, client / server", "again s", "again MiB on the wire"], rows)
    ours = next(found for peer, found in figures.items() if peer.name == "sealift")
    for peer, found in figures.items():
        if peer.name != "sealift":
            ratios = [f"{way} {median(found, way) / median(ours, way):.2f} x" for way in ("up", "down")]
            print(f"Sealift is faster than {peer.label}: {', '.join(ratios)}.")
    print(flush=True)


def latency(work, runs):
    """Whole processes: `ls` and `info` with a new connection each, without and with 50 ms of delay each way."""
    small = random_file(work / "small", 1000)
    peers = [peer for peer in (Sealift(work), Curl(work), Sftp(work)) if peer.available()]
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=parse_size, default=parse_size("1G"), help="the large file [1G]")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each [5]")
    parser.add_argument("--only", choices=["bulk", "latency"], help="one part only")
    parser.add_argument("--dir", help="where the data goes; needs room for ten times --size [the system's temporary directory]")
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "sealift", "-p", "sealift-server"], cwd=ROOT, check=True)
    work = Path(tempfile.mkdtemp(prefix="sealift-bench-", dir=arguments.dir))
    try:
        print(f"{date.today()}, {os.cpu_count()} cores, Linux {platform.release()}, medians of {arguments.runs} runs.\n")
        if arguments.only != "latency":
            bulk(work, arguments.size, arguments.runs)
        if arguments.only != "bulk":
            latency(work, arguments.runs)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

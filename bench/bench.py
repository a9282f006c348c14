#!/usr/bin/env python3
"""Measures Sealift beside what people use today, on this machine, over loopback.

    python3 bench/bench.py                     # everything, 1 GiB, medians of 5; Markdown on standard output
    python3 bench/bench.py --size 64M --runs 3 --only bulk
    python3 bench/bench.py --only trees --only far --files 2000 --delay 20

Standard library only. Builds Sealift if it has to. Peers are measured where they are installed (Debian: `apt-get
install openssh-server openssh-client rsync nginx libnginx-mod-http-dav-ext curl openssl`) and left out where not. The peers of one
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
from peers import Curl, RsyncDaemon, RsyncSsh, Scp, Sealift, Sftp, Tar  # noqa: E402

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


def random_tree(path, files, size):
    """A hundred files to a directory."""
    for number in range(files):
        directory = path / f"{number // 100:04}"
        directory.mkdir(parents=True, exist_ok=True)
        random_file(directory / f"{number:06}", size)
    return path


def same_tree(one, other):
    """Whether two trees hold the same files."""
    def contents(root):
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return contents(one) == contents(other)


def fresh_contents(tree):
    """Changes every file a little, so that nobody has had it before."""
    for path in tree.rglob("*"):
        if path.is_file():
            with open(path, "r+b") as file:
                file.write(os.urandom(16))


def trees(work, files, runs):
    """Many small files, up and down; nothing is deleted meanwhile, because that slows down what is created after it."""
    source = random_tree(work / "tree", files, 4096)
    peers = [peer for peer in (Sealift(work), RsyncSsh(work), RsyncDaemon(work), Tar(work)) if peer.available()]
    for peer in peers:
        peer.empty()
        peer.start()

    def once(peer, run):
        fresh_contents(source)
        read_through(source)
        os.sync()
        warm_pages(files * 16384)
        cpu, figure, target = server_cpu(peer.pids()), {}, work / f"{peer.name}-{run}"
        result = measure(peer.upload_tree(source, f"tree{run}"), peer.environment())
        figure["up"], figure["up_cpu"] = result.seconds, result.cpu + server_cpu(peer.pids()) - cpu
        os.sync()
        cpu = server_cpu(peer.pids())
        result = measure(peer.download_tree(f"tree{run}", target), peer.environment())
        figure["down"], figure["down_cpu"] = result.seconds, result.cpu + server_cpu(peer.pids()) - cpu
        if not same_tree(source, target):
            raise SystemExit(f"{peer.name}: what came down is not what went up")
        return figure

    try:
        figures = interleaved(peers, runs, once)
    finally:
        for peer in peers:
            peer.stop()
    copies = []
    for run in range(runs):
        os.sync()
        copies.append(measure(["cp", "-r", source, work / f"copy-{run}"]).seconds)
    print(f"### {files} files of 4 KiB, a hundred to a directory\n")
    table(["", "up s", "CPU s", "down s", "CPU s"],
          [[peer.label, *(f"{median(found, key):.2f}" for key in ("up", "up_cpu", "down", "down_cpu"))] for peer, found in figures.items()])
    print(f"`cp -r` of the same tree: {statistics.median(copies):.2f} s.\n", flush=True)


def far_trees(work, files, milliseconds, runs):
    """The same for fewer files over a line with latency."""
    source = random_tree(work / "far", files, 4096)
    peers = [peer for peer in (Sealift(work), RsyncSsh(work), Tar(work)) if peer.available()]
    rows = []
    for peer in peers:
        peer.empty()
        peer.start()
        try:
            with delay_proxy(peer.port, milliseconds) as port:
                peer.reach(port)
                ups, downs = [], []
                for run in range(runs):
                    fresh_contents(source)
                    ups.append(measure(peer.upload_tree(source, f"far{run}"), peer.environment()).seconds)
                    target = work / f"far-{peer.name}-{run}"
                    downs.append(measure(peer.download_tree(f"far{run}", target), peer.environment()).seconds)
                    if not same_tree(source, target):
                        raise SystemExit(f"{peer.name}: what came down is not what went up")
        finally:
            peer.stop()
        rows.append([peer.label, f"{statistics.median(ups):.2f}", f"{statistics.median(downs):.2f}"])
    print(f"### {files} files of 4 KiB with {milliseconds} ms added each way\n")
    table(["", "up s", "down s"], rows)


def interrupted(work, size, runs):
    """An upload that is killed at half, and what the same command sends when it is run again."""
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


def crowd(work, clients, size, runs):
    """Many uploads at the same moment."""
    sources = [random_file(work / f"crowd-{number}", size) for number in range(clients)]
    peers = [peer for peer in (Sealift(work), Curl(work)) if peer.available()]

    def once(peer, _):
        peer.empty()
        peer.start()
        try:
            os.sync()
            read_through(*sources)
            warm_pages(2 * clients * size)
            begun = time.perf_counter()
            running = [subprocess.Popen([str(word) for word in peer.upload(source, source.name)], env={**os.environ, **peer.environment()})
                       for source in sources]
            if any([process.wait() for process in running]):
                raise SystemExit(f"{peer.name}: one of the uploads failed")
            return {"s": time.perf_counter() - begun, "memory": server_peak(peer.pids())}
        finally:
            peer.stop()

    figures = interleaved(peers, runs, once)
    print(f"### {clients} uploads of {size >> 20} MiB at once\n")
    table(["", "s", "peak MiB of the server's largest process"],
          [[peer.label, f"{median(found, 's'):.2f}", f"{median(found, 'memory') / 1048576:.0f}"] for peer, found in figures.items()])


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
    parser.add_argument("--files", type=int, default=10000, help="the small files [10000]")
    parser.add_argument("--delay", type=int, default=50, help="milliseconds added each way where latency is measured [50]")
    parser.add_argument("--only", choices=["bulk", "trees", "far", "interrupted", "crowd", "latency"], action="append",
                        help="one part only; may be repeated")
    parser.add_argument("--dir", help="where the data goes; needs room for ten times --size [the system's temporary directory]")
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "sealift", "-p", "sealift-server"], cwd=ROOT, check=True)
    work = Path(tempfile.mkdtemp(prefix="sealift-bench-", dir=arguments.dir))
    try:
        print(f"{date.today()}, {os.cpu_count()} cores, Linux {platform.release()}, medians of {arguments.runs} runs.\n")
        parts = {
            # First, because creating files takes longer for minutes after many were deleted.
            "trees": lambda: trees(work, arguments.files, arguments.runs),
            "far": lambda: far_trees(work, arguments.files // 10, arguments.delay, arguments.runs),
            "bulk": lambda: bulk(work, arguments.size, arguments.runs),
            "interrupted": lambda: interrupted(work, arguments.size, arguments.runs),
            "crowd": lambda: crowd(work, 64, arguments.size // 256, arguments.runs),
            "latency": lambda: latency(work, arguments.runs),
        }
        for name in arguments.only or parts:
            parts[name]()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

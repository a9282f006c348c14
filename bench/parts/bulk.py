"""One large file of random bytes, up, down, and up again under another name."""
import hashlib
import os
import time

from material import digest, random_file, read_through
from measure import loopback_bytes, measure, server_cpu, server_peak, warm_pages
from peers import Curl, Rclone, RsyncDaemon, RsyncSsh, Scp, Sftp, chosen
from report import interleaved, median, table

# CPU seconds for 1 GiB beside the two digests, on the machine of docs/benchmarks.md: TLS, the sockets, the disk.
CARRYING = {"up": 1.3, "down": 0.6}


def bulk(arguments):
    work, size = arguments.work, arguments.size
    source, target = random_file(work / "source", size), work / "target"
    expected = digest(source)
    peers = chosen(work, arguments.peers, (Scp, Curl), others=(Sftp, RsyncSsh, RsyncDaemon, Rclone))
    gib = size / (1 << 30)

    def once(peer, run):
        peer.empty()
        peer.start()
        figure = {}
        try:
            for name in ("up", "down"):
                argv = peer.upload(source, "big") if name == "up" else peer.download("big", target)
                target.unlink(missing_ok=True)
                os.sync()
                # What was deleted is given back to the disk meanwhile, which would slow down whoever comes next.
                time.sleep(6)
                read_through(source, peer.data)
                warm_pages(size + size // 4)
                cpu, wire = server_cpu(peer.pids()), loopback_bytes()
                result = measure(argv, peer.environment())
                figure[name] = result.seconds
                if name == "up":
                    figure["sync"] = result.seconds + sync_largest(peer.data)
                figure[name + "_client"] = result.cpu / gib
                figure[name + "_server"] = (server_cpu(peer.pids()) - cpu) / gib
                figure[name + "_memory"] = result.peak
                figure[name + "_wire"] = loopback_bytes() - wire
            if digest(target) != expected:
                raise SystemExit(f"{peer.name}: what came down is not what went up")
            if run:
                wire = loopback_bytes()
                result = measure(peer.upload(source, "again"), peer.environment())
                figure["again"], figure["again_wire"] = result.seconds, loopback_bytes() - wire
            figure["server_memory"] = server_peak(peer.pids())
        finally:
            peer.stop()
        return figure

    figures = interleaved(peers, arguments.runs, once)
    print(f"### One file of {size >> 20} MiB of random bytes\n")
    rows = []
    for peer, found in figures.items():
        cells = [peer.label]
        for way in ("up", "sync"), ("down",):
            cells += [f"{median(found, key):.2f}" for key in way]
            cells += [f"{median(found, way[0] + '_client'):.2f} + {median(found, way[0] + '_server'):.2f}"]
        memory = max(median(found, "up_memory"), median(found, "down_memory"))
        cells += [f"{memory / 1048576:.0f} / {median(found, 'server_memory') / 1048576:.0f}"]
        cells += [f"{median(found, 'again'):.2f}", f"{median(found, 'again_wire') / 1048576:.2f}"]
        rows.append(cells)
    table(["", "up s", "up + sync s", "CPU s/GiB, client + server", "down s", "CPU s/GiB, client + server",
           "peak MiB, client / server", "again s", "again MiB on the wire"], rows)
    ours = figures[peers[0]]
    for peer in peers[1:]:
        ratios = [f"{way} {median(figures[peer], key) / median(ours, key):.2f} x"
                  for way, key in (("up", "up"), ("up and synced", "sync"), ("down", "down"))]
        print(f"{peer.label} takes, as against Sealift: {', '.join(ratios)}.")
    print()
    print_limit(gib)


def sync_largest(directory):
    """Seconds that it takes to get the file that a server has left onto the disk."""
    largest = max((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    with open(largest, "rb") as file:
        begun = time.perf_counter()
        os.fsync(file.fileno())
        return time.perf_counter() - begun


def print_limit(gib):
    """What two cores could reach if nothing ever waited: both ends hash every byte."""
    block = bytes(1 << 20)
    seconds = []
    for _ in range(3):
        hasher, begun = hashlib.sha256(), time.perf_counter()
        for _ in range(round(1024 * gib)):
            hasher.update(block)
        seconds.append(time.perf_counter() - begun)
    once = min(seconds)
    bounds = {way: (2 * once + carrying * gib) / 2 for way, carrying in CARRYING.items()}
    print(f"SHA-256 of it takes one core {once:.2f} s, and both ends compute it. TLS, sockets and disk take about "
          f"{CARRYING['up'] * gib:.1f} s of CPU more up and {CARRYING['down'] * gib:.1f} s down, so two cores could do it in "
          f"{bounds['up']:.2f} s and {bounds['down']:.2f} s.\n", flush=True)

"""One large file of random bytes, up, down, and up again under another name."""
import os
import subprocess
import time
from pathlib import Path

from material import digest, random_file, read_through
from measure import loopback_bytes, measure, server_cpu, server_peak, warm_pages
from peers import Curl, Rclone, RsyncDaemon, RsyncSsh, Scp, Sftp, chosen
from report import interleaved, median, table

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/examples/limit"
STEPS = ("read", "hash", "seal", "socket", "open", "write")


def bulk(arguments):
    work, size = arguments.work, arguments.size
    source, target = random_file(work / "source", size), work / "target"
    expected = digest(source)
    peers = chosen(work, arguments.peers, (Scp, Curl), others=(Sftp, RsyncSsh, RsyncDaemon, Rclone))
    gib = size / (1 << 30)
    alone = []
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "sealift-pipeline", "--example", "limit"], cwd=ROOT, check=True)

    def once(peer, run):
        if run and peer is peers[0]:
            read_through(source)
            alone.append(steps_alone(work, source, size))
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
                else:
                    figure["down_sync"] = result.seconds + sync(target)
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
        for way in ("up", "sync"), ("down", "down_sync"):
            cells += [f"{median(found, key):.2f}" for key in way]
            cells += [f"{median(found, way[0] + '_client'):.2f} + {median(found, way[0] + '_server'):.2f}"]
        memory = max(median(found, "up_memory"), median(found, "down_memory"))
        cells += [f"{memory / 1048576:.0f} / {median(found, 'server_memory') / 1048576:.0f}"]
        cells += [f"{median(found, 'again'):.2f}", f"{median(found, 'again_wire') / 1048576:.2f}"]
        rows.append(cells)
    table(["", "up s", "up + sync s", "CPU s/GiB, client + server", "down s", "down + sync s", "CPU s/GiB, client + server",
           "peak MiB, client / server", "again s", "again MiB on the wire"], rows)
    ours = figures[peers[0]]
    for peer in peers[1:]:
        ratios = [f"{way} {median(figures[peer], key) / median(ours, key):.2f} x"
                  for way, key in (("up", "up"), ("up and synced", "sync"), ("down", "down"), ("down and synced", "down_sync"))]
        print(f"{peer.label} takes, as against Sealift: {', '.join(ratios)}.")
    print()
    print_limit(alone)


def sync_largest(directory):
    """Seconds that it takes to get the file that a server has left onto the disk."""
    return sync(max((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size))


def sync(path):
    """Seconds that it takes to get a file onto the disk, under its name."""
    begun = time.perf_counter()
    for synced in path, path.parent:
        descriptor = os.open(synced, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    return time.perf_counter() - begun


def steps_alone(work, source, size):
    """What a transfer cannot do without, each step by itself: CPU seconds, and seconds by the clock."""
    found, written = {}, work / "written"
    for step in STEPS:
        path = written if step == "write" else source
        result = measure([LIMIT, step, size >> 20, path])
        found[step], found[step + "_clock"] = result.cpu, result.seconds
    written.unlink()
    return found


def print_limit(found):
    """What this machine could reach if nothing ever waited and all memory were in a core's cache: an upload is hashed at
    both ends, a download where it arrives."""
    costs = {step: median(found, step) for step in STEPS}
    clock = {step: median(found, step + "_clock") for step in STEPS}
    cores = len(os.sched_getaffinity(0))
    once = max(sum(costs.values()) / cores, *clock.values())
    bounds = {"up": max((sum(costs.values()) + costs["hash"]) / cores, once), "down": once}
    print("CPU seconds of each step alone: " + ", ".join(f"{step} {costs[step]:.2f} ({clock[step]:.2f} by the clock)" for step in STEPS)
          + f". So {cores} cores could do it in "
          f"{bounds['up']:.2f} s up and {bounds['down']:.2f} s down.\n", flush=True)

"""A space with a million files, a hundred to a directory: what is bounded must not grow with it."""
import contextlib
import statistics
import subprocess
import time
from pathlib import Path

from material import random_tree
from measure import measure, server_peak
from peers import Sealift
from report import table


def million(arguments):
    work, entries, runs = arguments.work, arguments.entries, arguments.runs
    peer = Sealift(work / "million")
    peer.empty()
    peer.start()
    rows = []

    def whole(what, *words):
        """A command that goes through everything, with the peaks of both ends for it alone."""
        forget_peak(peer.process.pid)
        result = measure(peer.call(*words), peer.environment())
        rows.append([what, f"{result.seconds:.2f}", f"{result.peak / 1048576:.0f}", f"{server_peak(peer.pids()) / 1048576:.0f}"])

    try:
        began = time.perf_counter()
        fill(peer, work, entries)
        took = time.perf_counter() - began
        peer.stop()
        starts = [start_seconds(peer) for _ in range(runs)]
        peer.start()
        directory = f"all/{entries // 10000 // 2:03}/050/0000"
        ones = [1000 * measure(peer.call("ls", directory), peer.environment()).seconds for _ in range(20 * runs)]
        whole("`ls -R`", "ls", "-R", "all")
        whole("`ls -R --json`", "--json", "ls", "-R", "all")
        whole("`get --dry-run`", "get", "--dry-run", "all/", work / "nowhere")
        local, count = work / "local", entries // 10
        for number in range(count // 100):
            (local / f"{number:04}").mkdir(parents=True)
            for name in range(100):
                (local / f"{number:04}/{name:02}").touch()
        whole(f"`put --dry-run` of {count} local files", "put", "--dry-run", f"{local}/", "local")
        catalog = sum(path.stat().st_size for path in peer.data.glob("catalog.db*"))
    finally:
        peer.stop()
    print(f"### A space of {entries} files, a hundred to a directory\n")
    table(["", "s", "peak MiB of the client", "peak MiB of the server"], rows)
    print(f"`ls` of one directory: {statistics.median(ones):.1f} ms. From the server's start until it listens: "
          f"{1000 * statistics.median(starts):.0f} ms. Filled in {took:.0f} s by copies on the server; the catalog has "
          f"{catalog >> 20} MiB.\n", flush=True)


def fill(peer, work, entries):
    """A hundred files are sent. All others are copies that the server makes: of a directory, then of a directory of such."""
    def copies(source, target, count):
        for number in range(1, count):
            measure(peer.call("cp", source, target.format(number)), peer.environment())

    measure(peer.upload_tree(random_tree(work / "hundred", 100, 64), "all/000/000"), peer.environment())
    copies("all/000/000", "all/000/{:03}", 100)
    copies("all/000", "all/{:03}", entries // 10000)


def start_seconds(peer):
    """From the start of a server's process until it says that it listens."""
    begun = time.perf_counter()
    with subprocess.Popen([str(word) for word in peer.serve()], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            line = process.stdout.readline()
            seconds = time.perf_counter() - begun
        finally:
            process.terminate()
    if not line.startswith("listening on"):
        raise SystemExit(f"the server said {line!r} instead of where it listens")
    return seconds


def forget_peak(pid):
    """The peak of a process begins anew."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")

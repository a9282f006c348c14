"""The desktop client's window on a screen without a monitor: its start, its rest, a large upload, a long queue."""
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from material import digest, random_file, random_tree, read_through
from measure import measure
from peers import Sealift
from peers.peer import find
from report import interleaved, median, table
from screen import Screen, Window, wait

ROOT = Path(__file__).resolve().parent.parent.parent


def desktop(arguments):
    """Start, rest, and the CPU of a large upload beside that of the command line."""
    with_screen(arguments, lambda screen: (start_and_rest(arguments, screen), large_upload(arguments, screen)))


def desktop_queue(arguments):
    """A saved queue of very many small files."""
    with_screen(arguments, lambda screen: long_queue(arguments, screen))


def with_screen(arguments, body):
    if not find("Xvfb"):
        print("(The desktop client left out: no Xvfb here)\n")
        return
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "sealift-gui"], cwd=ROOT, check=True)
    screen = Screen(arguments.work)
    try:
        body(screen)
    finally:
        screen.stop()


def start_and_rest(arguments, screen):
    peer = fresh(arguments)
    try:
        shown, memory = [], []
        for _ in range(arguments.runs + 1):
            window = open_window(peer, screen)
            shown.append(window.shown())
            wait("the window is connected", lambda: connections(peer.port))
            window.settle()
            memory.append(window.memory("VmHWM"))
            window.close()
        window = open_window(peer, screen)
        window.shown()
        wait("the window is connected", lambda: connections(peer.port))
        window.settle()
        before = window.ticks()
        time.sleep(10)
        ticks = window.ticks() - before
        if not connections(peer.port):
            raise SystemExit("the window has lost its connection meanwhile")
        window.close()
    finally:
        peer.stop()
    print("### The desktop client's window\n")
    print(f"From the start of its process until the window is shown with its content: {1000 * statistics.median(shown[1:]):.0f} ms; "
          f"the first time, {1000 * shown[0]:.0f} ms. Peak {statistics.median(memory) / 1048576:.0f} MiB. "
          f"At rest and connected, it uses {ticks} hundredths of a second of CPU in 10 s.\n", flush=True)


def large_upload(arguments, screen):
    work, size = arguments.work, arguments.size
    source = random_file(work / "window-source", size)
    expected = digest(source)
    peer = Sealift(work / "desktop")

    def once(way, _):
        peer.empty()
        peer.start()
        try:
            queue = [(source, "/bench/big", size)] if way == "upload" else []
            save_queue(peer, queue)
            os.sync()
            time.sleep(1)
            read_through(source)
            if way == "put":
                result = measure(peer.upload(source, "big"), peer.environment())
                figure = {"cpu": result.cpu, "peak": result.peak}
            else:
                window = open_window(peer, screen)
                window.shown()
                wait("all is uploaded", lambda: is_done(peer))
                window.settle()
                times = screen.pictures()
                rate = max(sum(at <= other < at + 1 for other in times) for at in times)
                figure = {"peak": window.memory("VmHWM"), "cpu": window.close(), "pictures": len(times), "rate": rate}
            if way != "nothing" and not (peer.data / "blobs" / expected[:2] / expected).exists():
                raise SystemExit(f"{way}: the server does not have what went up")
        finally:
            peer.stop()
        return figure

    ways = {"put": "`sealift put`", "nothing": "the window, opened and closed", "upload": "the window, with the upload"}
    figures = interleaved(("put", "nothing", "upload"), arguments.runs, once)
    put, nothing, upload = (median(figures[way], "cpu") for way in ways)
    print(f"### One file of {size >> 20} MiB, uploaded from the window\n")
    table(["", "CPU s", "peak MiB"], [[label, f"{median(figures[way], 'cpu'):.2f}", f"{median(figures[way], 'peak') / 1048576:.0f}"]
                                      for way, label in ways.items()])
    print(f"The upload itself takes {(upload - nothing) / put:.2f} x the CPU of `sealift put`. Pictures in all: "
          f"{median(figures['upload'], 'pictures')}; in the second that had the most, "
          f"{max(figure['rate'] for figure in figures['upload'])}.\n", flush=True)


def long_queue(arguments, screen):
    """A real queue: each file is there, and is uploaded at the end."""
    work, count = arguments.work, arguments.queue
    tree = random_tree(work / "queued", count, 100)
    peer = fresh(arguments)
    entries = [(path, f"/bench/{path.relative_to(tree)}", 100) for path in tree.rglob("*") if path.is_file()]
    try:
        shown, resting = [], []
        for _ in range(arguments.runs):
            save_queue(peer, entries, paused=True)
            window = open_window(peer, screen)
            shown.append(window.shown())
            window.settle()
            resting.append(window.memory("VmHWM"))
            window.close()
        save_queue(peer, entries)
        window = open_window(peer, screen)
        window.shown()
        wait("all is uploaded", lambda: is_done(peer))
        seconds = time.perf_counter() - window.begun
        window.settle()
        peak = window.memory("VmHWM")
        cpu = window.close()
        listed = subprocess.run(list(map(str, peer.call("ls", "-R", "/bench"))), env={**os.environ, **peer.environment()},
                                check=True, capture_output=True, text=True).stdout
        arrived = sum(not line.endswith("/") for line in listed.splitlines())
        if arrived != count:
            raise SystemExit(f"{arrived} of {count} files have arrived")
    finally:
        peer.stop()
    print(f"### A saved queue of {count} files\n")
    print(f"Until the window is shown: {1000 * statistics.median(shown):.0f} ms; peak then {statistics.median(resting) / 1048576:.0f} MiB. "
          f"With all of them uploaded: {seconds:.1f} s, {cpu:.1f} s of CPU, peak {peak / 1048576:.0f} MiB.\n", flush=True)


def fresh(arguments):
    peer = Sealift(arguments.work / "desktop")
    peer.empty()
    peer.start()
    return peer


def home(peer):
    return Path(peer.environment()["SEALIFT_CONFIG_DIR"])


def open_window(peer, screen):
    return Window(screen, home(peer))


def save_queue(peer, entries, paused=False):
    """As the window saves it."""
    directory = home(peer) / "gui"
    directory.mkdir(exist_ok=True)
    with open(directory / "queue.jsonl", "w", encoding="utf-8") as file:
        for local, remote, size in entries:
            line = {"profile": "default", "direction": "put", "local": str(local), "remote": remote, "tree": False, "size": size}
            file.write(json.dumps({**line, "paused": True} if paused else line) + "\n")


def is_done(peer):
    """What has ended is not kept in the saved queue."""
    return (home(peer) / "gui/queue.jsonl").stat().st_size == 0


def connections(port):
    """How many there are to the server."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(fields[1].endswith(f":{port:04X}") and fields[3] == "01" for fields in map(str.split, lines))

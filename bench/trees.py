#!/usr/bin/env python3
"""What others wait for while one identity copies, moves and removes a large tree.

    python3 bench/trees.py                       # 4 million entries, programs from target/release
    python3 bench/trees.py --entries 200000 --bin target/debug

Prints one line for each phase: the longest and the 99th percentile of another identity's puts and gets, of
`sealiftd revoke` and `sealiftd invite`, and the server's memory.
"""
import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples" / "python"))
from sealift_mini import Connection, Failure  # noqa: E402


class Patient(Connection):
    """A connection that is told when the server takes its time."""

    def send(self, **message):
        if message["type"] == "hello":
            message["features"] = ["working"]
        super().send(**message)

    def receive(self):
        while (reply := super().receive())["type"] == "working":
            pass
        return reply

    def ask(self, **message):
        self.send(**message)
        return self.receive()

    def put(self, path, data):
        self.send(type="put", path=path, body="inline", size=len(data), sha256=hashlib.sha256(data).hexdigest())
        self.send_frame(b"D", data)
        return self.receive()

    def get(self, path):
        content, data = self.ask(type="get", path=path), b""
        while (frame := self.receive_frame())[0] == b"D":
            data += frame[1]
        assert hashlib.sha256(data).hexdigest() == content["sha256"]
        return data


class Server:
    def __init__(self, programs, folder):
        self.programs, self.data, self.folder = programs, folder / "data", folder
        log = open(folder / "log", "wb")
        command = [programs / "sealiftd", "serve", "--config", os.devnull, "--data", self.data]
        command += ["--listen", "127.0.0.1:0", "--address", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        while not (found := re.search(rb"listening.*?127\.0\.0\.1:(\d+)", (folder / "log").read_bytes())):
            if self.process.poll() is not None:
                sys.exit((folder / "log").read_text())
            time.sleep(0.05)
        self.address = f"127.0.0.1:{int(found[1])}"

    def administer(self, *arguments):
        command = [self.programs / "sealiftd", *arguments, "--config", os.devnull, "--data", self.data]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def join(self, name):
        token = self.administer("invite", name).strip().split()[-1]
        environment = dict(os.environ, SEALIFT_CONFIG_DIR=str(self.folder / name))
        command = [self.programs / "sealift", "join", "--server", self.address, token]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    def connect(self, name):
        return Patient(self.folder / name / "profiles" / "default", self.address)

    def memory(self):
        """Resident now and at most, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return [int(re.search(rf"{key}:\s+(\d+)", status)[1]) // 1024 for key in ("VmRSS", "VmHWM")]


class Watch:
    """Measures what others wait for while something is done."""

    def __init__(self, server):
        self.server, self.ended, self.failed = server, threading.Event(), []
        self.times = {"put": [], "get": [], "revoke": [], "invite": []}

    def loop(self, name, pause, work):
        try:
            while not self.ended.wait(pause):
                begun = time.monotonic()
                work()
                self.times[name].append(time.monotonic() - begun)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs into the result
            self.failed.append(f"{name}: {error!r}")

    def administer(self):
        for name, verb in (("invite", "invite"), ("revoke", "revoke")):
            begun = time.monotonic()
            self.server.administer(verb, "carol")
            self.times[name].append(time.monotonic() - begun)

    def __enter__(self):
        puts, gets = self.server.connect("bob"), self.server.connect("bob")
        count = iter(range(10**9))
        self.threads = [
            threading.Thread(target=self.loop, args=("put", 0.02, lambda: puts.put(f"put/{next(count) % 100}", os.urandom(100)))),
            threading.Thread(target=self.loop, args=("get", 0.02, lambda: gets.get("small"))),
            threading.Thread(target=self.loop, args=("administer", 0.5, self.administer)),
        ]
        self.times["administer"] = []
        for thread in self.threads:
            thread.start()
        self.begun = time.monotonic()
        return self

    def __exit__(self, *_):
        self.took = time.monotonic() - self.begun
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def line(self, phase):
        cells = []
        for name in ("put", "get", "revoke", "invite"):
            times = sorted(self.times[name])
            if times:
                cells.append(f"{name} {1000 * times[-1]:.0f} ms (99 %: {1000 * times[int(len(times) * 0.99)]:.0f}, of {len(times)})")
        now, most = self.server.memory()
        return f"{phase}: {self.took:.1f} s; longest " + ", ".join(cells) + f"; memory {now} MiB, at most {most} MiB" + "".join(
            f"; FAILED {failure}" for failure in self.failed)


def entries_of(server):
    import sqlite3
    catalog = sqlite3.connect(f"file:{server.data}/catalog.db?mode=ro", uri=True)
    try:
        return catalog.execute("SELECT count(*) FROM entries WHERE parent = 0").fetchone()[0]
    finally:
        catalog.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=4_000_000, help="[default: %(default)s]")
    parser.add_argument("--bin", type=Path, default=ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release", help="[default: %(default)s]")
    parser.add_argument("--dir", type=Path, help="where the data goes [default: a temporary directory]")
    given = parser.parse_args()
    # `timeout` and others end a program by this: the server has to end, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="sealift-trees-", dir=given.dir))
    server = Server(given.bin.resolve(), folder)
    try:
        for name in ("alice", "bob"):
            server.join(name)
        alice, bob = server.connect("alice"), server.connect("bob")
        bob.put("small", os.urandom(3000))
        for number in range(250):
            alice.put(f"t0/{number}", b"%d" % (number % 100))
        idle = Watch(server)
        with idle:
            time.sleep(3)
        print(idle.line("nothing else"), flush=True)
        entries, level = 251, 0
        begun = time.monotonic()
        while entries < given.entries // 2:
            for half in "ab":
                alice.ask(type="copy", **{"from": f"t{level}", "to": f"t{level + 1}/{half}"})
            alice.ask(type="remove", path=f"t{level}", recursive=True)
            entries, level = 2 * entries + 1, level + 1
        alice.ask(type="copy", **{"from": f"t{level}", "to": "tree/a"})
        alice.ask(type="move", **{"from": f"t{level}", "to": "tree/b"})
        entries = 2 * entries + 1
        while entries_of(server):
            time.sleep(0.2)
        print(f"a tree of {entries} entries after {time.monotonic() - begun:.0f} s", flush=True)
        server.administer("space", "add", "shared")
        server.administer("grant", "shared", "alice", "read,create,replace,delete")
        for phase, request in (
            ("cp of the tree", {"type": "copy", "from": "tree", "to": "copy"}),
            ("mv of the tree to another space", {"type": "move", "from": "tree", "to": "/shared/tree"}),
            ("rm -r of the copy, until it is reclaimed", {"type": "remove", "path": "copy", "recursive": True}),
        ):
            with Watch(server) as watch:
                begun = time.monotonic()
                try:
                    alice.ask(**request)
                except Failure as failure:
                    watch.failed.append(str(failure.args))
                answered = time.monotonic() - begun
                while entries_of(server):
                    time.sleep(0.2)
            print(watch.line(f"{phase} (answered after {answered:.1f} s)"), flush=True)
        size = (server.data / "catalog.db").stat().st_size + (server.data / "catalog.db-wal").stat().st_size
        print(f"catalog and its log: {size >> 20} MiB")
    finally:
        server.process.terminate()
        server.process.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

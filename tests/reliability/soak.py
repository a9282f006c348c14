#!/usr/bin/env python3
"""Mixed load for long: the server's memory, descriptors, threads and files reach a plateau.

Clients of several identities store, fetch, move, copy and delete in trees of bounded size, connect anew now and then,
and hang up in the middle of things. The run is sampled and divided into quarters. The first one warms up; what the last
one needs may not be more than what the second needed, within bounds that a leak breaks.
"""

import argparse
import os
import random
import re
import sys
import threading
import time
from pathlib import Path

from lab import contents, load, wire
from lab.report import Report
from lab.server import Server, Workplace

PEOPLE = ["alice", "bob", "carol"]
# What is sampled: the factor and the amount by which the last quarter may exceed the second.
BOUNDS = {
    "resident KiB": (1.15, 16 * 1024),
    "descriptors": (1.2, 16),
    "threads": (1.2, 8),
    "WAL KiB": (1.5, 8 * 1024),
    "files in blobs": (1.5, 64),
    "files in incoming": (1.5, 16),
    "KiB of standard error": (1.2, 64),
}


def sample(server):
    process = Path(f"/proc/{server.process.pid}")
    status = (process / "status").read_text()
    number = lambda key: int(re.search(rf"^{key}:\s+(\d+)", status, re.M)[1])
    wal = server.data / "catalog.db-wal"
    count = lambda folder: sum(len(files) for _, _, files in os.walk(server.data / folder))
    return {
        "resident KiB": number("VmRSS"),
        "descriptors": len(os.listdir(process / "fd")),
        "threads": number("Threads"),
        "WAL KiB": wal.stat().st_size // 1024 if wal.exists() else 0,
        "files in blobs": count("blobs"),
        "files in incoming": count("incoming"),
        "KiB of standard error": server.log_file.stat().st_size // 1024,
    }


class Soak:
    def __init__(self, given, report, root):
        self.given, self.report = given, report
        self.server = Server(root)
        self.contents = contents.Contents()
        self.stop = threading.Event()

    def client(self, who, number):
        rng = random.Random(self.given.seed * 100 + number)
        root = f"/{who}/tree{number}"
        made = [self.contents.make(who, contents.size(rng)) for _ in range(200)]  # a bounded set of contents
        while not self.stop.is_set():
            try:
                connection = self.server.connect(who, timeout=120)
                connection.one(wire.ask("make-directory", path=root))
                for _ in range(rng.randint(1, 60)):
                    if self.stop.is_set():
                        break
                    self.burst(connection, root, rng, made)
                if rng.random() < 0.3:
                    self.hang_up(connection, root, rng)
                connection.close()
            except (OSError, wire.Broken) as error:
                if not self.stop.is_set():
                    self.report.violation("does not serve", f"{who}: {error!r}")
                    time.sleep(1)

    def burst(self, connection, root, rng, made):
        burst = [load.random_operation(rng, root, lambda: rng.choice(made)) for _ in range(rng.choice([1, 5, 30]))]
        if rng.random() < 0.1:  # trees stay small
            burst += [load.serial.Operation("remove", name, True, exchange=wire.ask(
                "remove", path=f"{root}/{name}", recursive=True)) for name in ("a", "b", "c", "d", "e", "g")]
        connection.exchange([one.exchange for one in burst])
        self.report.count("answers", len(burst))
        for one in burst:
            if one.exchange.code in ("internal", "integrity"):
                self.report.violation(one.exchange.code, f"{one.exchange.request}: {one.exchange.reply}")
            if one.exchange.data is not None:
                content = self.contents.by_digest.get(one.exchange.reply["sha256"])
                if content is None or one.exchange.data != content.bytes():
                    self.report.violation("wrong bytes", one.exchange.request)

    def hang_up(self, connection, root, rng):
        """Leaves an upload or a download in its middle."""
        size = 4_000_000
        if rng.random() < 0.5:
            exchange = wire.put(f"{root}/cut", bytes(size), size=size, mtime=rng.randrange(10**6))
            connection.tls.setblocking(True)
            connection.tls.sendall(bytes(exchange.encode())[: rng.randrange(size)])
        else:
            connection.tls.setblocking(True)
            connection.tls.sendall(bytes(wire.ask("list", path=root, recursive=True).encode()) * 20)
        self.report.count("connections cut")

    def run(self):
        # What broke off is kept for a day by default; here it goes soon, so that there is a plateau to reach.
        self.server.environment["SEALIFTD_UPLOADS_KEEP"] = "5s"
        self.server.start()
        for name in PEOPLE:
            self.server.join(name)
        threads = [threading.Thread(target=self.client, args=(who, number), daemon=True)
                   for number, who in enumerate(PEOPLE * 2)]
        for thread in threads:
            thread.start()
        samples, begun, administered = [], time.monotonic(), 0
        while (passed := time.monotonic() - begun) < self.given.seconds:
            if not self.server.is_running():
                self.report.violation("ended", self.server.log()[-500:])
                return
            samples.append((passed, sample(self.server)))
            if passed > administered + 15:
                administered = passed
                for arguments in (["status"], ["gc"]):
                    self.server.admin(*arguments)
            time.sleep(min(1, self.given.seconds / 200))
        self.stop.set()
        for thread in threads:
            thread.join(120)
        self.compare(samples)
        if (code := self.server.stop()) != 0:
            self.report.violation("stop", f"exit code {code}")
        if self.server.admin("check", check=False).returncode:
            self.report.violation("check", "after the run")

    def compare(self, samples):
        quarter = self.given.seconds / 4
        for what, (factor, amount) in BOUNDS.items():
            most = [max(values[what] for passed, values in samples if int(passed / quarter) == number)
                    for number in range(4)]
            print(f"{what}: at most {most} in the quarters of the run", flush=True)
            self.report.figures[what] = most[3]
            if most[3] > most[1] * factor + amount:
                self.report.violation("no plateau", f"{what}: {most} in the quarters of the run")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--figures", help="append the figures to this file")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    report = Report("soak")
    with Workplace("soak") as workplace:
        soak = Soak(given, report, workplace.path)
        try:
            soak.run()
        finally:
            soak.stop.set()
            soak.server.kill()
        workplace.keep = bool(report.violations)
    sys.exit(report.finish(given.figures, ["answers"]))


if __name__ == "__main__":
    main()

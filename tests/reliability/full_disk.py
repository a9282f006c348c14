#!/usr/bin/env python3
"""Full disks: of bytes, and of inodes. Uploads are refused with `no-space`, and everything else goes on.

The data directory is a small tmpfs. Clients store until nothing fits any more. Then what was acknowledged is there and
whole, what was refused is not there, the conversation is still in step, the administrator's commands work, the server
starts again, files can be deleted, and the space that they held can be used again.
"""

import argparse
import random
import sys
import time
from pathlib import Path

from lab import contents, load, serial, tree, wire
from lab.report import Report
from lab.server import Server, ServerEnded, Workplace
from power_loss import run

DISKS = {"bytes": "size=64m", "inodes": "nr_inodes=400"}
SIZES = [60_000, 100, 100_000, 4_000, 1_500_000, 20_000]


class Case:
    def __init__(self, kind, given, report, root):
        self.kind, self.report = kind, report
        self.rng = random.Random(given.seed)
        self.contents = contents.Contents()
        self.disk = root / "disk"
        self.server = Server(root, data=self.disk / "data")
        self.operations = []
        self.refused_in_a_row = 0

    def violation(self, kind, detail):
        self.report.violation(kind, f"full of {self.kind}: {detail}")

    def put(self, connection, count):
        """Pipelines puts of all sizes. Returns how many were stored."""
        burst = []
        for number in range(count):
            content = self.contents.make("alice", self.rng.choice(SIZES))
            path = f"d{len(self.operations) % 7}/{len(self.operations)}-{number}"
            exchange = wire.put(f"/alice/tree/{path}", content.bytes())
            burst.append(serial.Operation("put", path, content.sha256, exchange=exchange))
        connection.exchange([one.exchange for one in burst])
        for one in burst:
            load.take_answer(one)
            self.report.count("uploads" if one.answer == "stored" else "uploads refused")
            if one.answer == "no-space":
                one.answer = serial.REFUSED
            elif one.answer != "stored":
                self.violation(one.answer, f"{one}: {one.exchange.reply}")
                one.answer = serial.UNKNOWN
            # Without inodes small contents still fit: into the catalog.
            if self.kind == "bytes" or len(one.exchange.body) > wire.INLINE:
                self.refused_in_a_row = 0 if one.answer == "stored" else self.refused_in_a_row + 1
        self.operations += burst
        return sum(one.answer == "stored" for one in burst)

    def fill(self):
        connection = self.server.connect("alice")
        connection.one(wire.ask("make-directory", path="/alice/tree"))
        begun, self.refused_in_a_row = len(self.operations), 0
        while self.refused_in_a_row < 40 and len(self.operations) < begun + 5000:
            self.put(connection, self.rng.choice([1, 10, 40]))
        if self.refused_in_a_row < 40:
            self.violation("never full", f"{len(self.operations) - begun} uploads")
        if connection.one(wire.ask("whoami")).code != "identity":
            self.violation("the conversation is out of step", "after refusals")
        connection.close()

    def look(self):
        """Everything is as the answers say."""
        states = serial.possible_states([{}], [self.operations], limit=10**7)
        connection = self.server.connect("alice")
        listed = connection.one(wire.ask("list", path="/alice/tree", recursive=True))
        found = load.entries(listed)
        if found not in states:
            best = min(states, key=lambda state: len(set(state.items()) ^ set(found.items())))
            self.violation("lost, or refused and done", sorted(set(best.items()) ^ set(found.items()))[:4])
        files = [path for path, held in found.items() if held != tree.DIRECTORY]
        for start in range(0, len(files), 100):
            for got in connection.exchange([wire.ask("get", path=f"/alice/tree/{path}") for path in files[start : start + 100]]):
                path = got.request["path"].removeprefix("/alice/tree/")
                if got.data is None or got.data != self.contents.by_digest[found[path]].bytes():
                    self.violation("acknowledged file damaged", f"{path}: {got.trailer or got.reply}")
        self.report.count("files read back", len(files))
        connection.close()
        return files

    def administer(self):
        for arguments in (["invite", "dave"], ["status"], ["gc"], ["revoke", "carol"], ["check"]):
            done = self.server.admin(*arguments, check=False)
            if done.returncode:
                self.violation("administration", f"{arguments}: exit {done.returncode}: {done.stderr[-200:]}")

    def remove(self, connection, path):
        operation = serial.Operation("remove", path, True, exchange=wire.ask(
            "remove", path=f"/alice/tree/{path}", recursive=True))
        connection.one(operation.exchange)
        load.take_answer(operation)
        if operation.answer != "done":
            self.violation("cannot delete", f"{path}: {operation.exchange.reply}")
            operation.answer = serial.UNKNOWN
        self.operations.append(operation)

    def give_back(self, files):
        """Deletes one file, then the rest. Then as much as before fits again."""
        connection = self.server.connect("alice", timeout=120)
        self.remove(connection, files[0])
        for directory in sorted({path.split("/")[0] for path in files}):
            self.remove(connection, directory)
        end = time.monotonic() + 60
        while not (stored := self.put(connection, 20) == 20) and time.monotonic() < end:
            time.sleep(0.5)
        if not stored:
            self.violation("space does not come back", run("df", "--output=used,avail,iused,iavail", self.disk).stdout)
        connection.close()

    def run(self):
        self.disk.mkdir()
        run("mount", "-t", "tmpfs", "-o", DISKS[self.kind], "tmpfs", self.disk)
        try:
            self.server.start()
            for name in ("alice", "carol"):
                self.server.join(name)
            for life in range(2):
                self.fill()
                self.look()
                self.administer()
                self.server.kill()
                self.server.start()
                self.give_back(self.look())
                self.look()
                self.report.count("times that the disk was full")
                if life == 0:
                    self.server.join("carol")
            self.server.stop()
            if self.server.admin("check", check=False).returncode:
                self.violation("check", "")
        except ServerEnded as ended:
            self.violation("does not start", ended)
        except (wire.Broken, TimeoutError) as error:
            self.violation("does not serve", f"{error!r}: {self.server.log()[-300:]}")
        finally:
            self.server.kill()
            run("umount", "-l", self.disk)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="with new contents and other orders")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no further round after this")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--figures", help="append the figures to this file")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    report = Report("full disk")
    with Workplace("full") as workplace:
        if run("mount", "-t", "tmpfs", "tmpfs", workplace.path, check=False).returncode:
            print("skipped: file systems cannot be mounted here (it needs root)")
            return
        run("umount", workplace.path)
        for number in range(given.rounds):
            if time.monotonic() - report.begun > given.seconds:
                break
            for kind in DISKS:
                root = Path(workplace.path, f"{kind}{number}")
                root.mkdir()
                Case(kind, given, report, root).run()
            given.seed += 1
        workplace.keep = bool(report.violations)
    sys.exit(report.finish(given.figures, ["times that the disk was full"]))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Power cuts: the disk as it was at any moment, with whatever was not flushed lost, and a server started on it.

A server, its clients and a backup work on a real file system whose disk records every write and flush
(`lab/recording_disk.py`). Each answer is marked with the number of records at that moment. Then the disk is built again
as of many moments: everything before the last flush, and of what came after it all, nothing, or a random part, the last
write torn. The file system is mounted, so its own recovery runs; the server starts; and all that was acknowledged by
then has to be there: files, moves, copies, deletions, a revocation, a join, backups, and what `sealift get` fetched.
"""

import argparse
import ctypes
import errno
import fcntl
import mmap
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from lab import contents, load, serial, tree, wire
from lab.recording_disk import records
from lab.report import Report
from lab.server import Server, ServerEnded, Workplace

MIB = 1 << 20
LIBC = ctypes.CDLL(None, use_errno=True)
LOOP_SET_FD, LOOP_CLR_FD, LOOP_CTL_GET_FREE, MNT_DETACH = 0x4C00, 0x4C01, 0x4C82, 2
# Size, options of mkfs, options of mount.
FILE_SYSTEMS = {
    "ext4": (192 * MIB, ["-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"], ""),
    "xfs": (320 * MIB, ["-f"], "nouuid"),
    "btrfs": (256 * MIB, ["-f"], ""),
}


def run(*command, check=True):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done


class Mounted:
    """A file system on a file, mounted over a loop device. By system calls, since programs would take most of the time."""

    def __init__(self, file, where, kind):
        self.where = where
        where.mkdir(exist_ok=True)
        self.device = attach(file)
        options = FILE_SYSTEMS[kind][2]
        if LIBC.mount(self.device.encode(), os.fsencode(where), kind.encode(), 0, options.encode()):
            error = os.strerror(ctypes.get_errno())
            detach(self.device)
            raise MountFailed(error)

    def close(self):
        for _ in range(200):
            if LIBC.umount2(os.fsencode(self.where), 0) == 0:
                break
            time.sleep(0.02)
        else:
            LIBC.umount2(os.fsencode(self.where), MNT_DETACH)
        detach(self.device)


def attach(file):
    """A loop device for a file."""
    control, backing = os.open("/dev/loop-control", os.O_RDWR), os.open(file, os.O_RDWR)
    try:
        for _ in range(100):
            device = f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}"
            if not os.path.exists(device):
                os.mknod(device, 0o600 | stat.S_IFBLK, os.makedev(7, int(device.removeprefix("/dev/loop"))))
            loop = os.open(device, os.O_RDWR)
            try:
                fcntl.ioctl(loop, LOOP_SET_FD, backing)
                return device
            except OSError as error:  # somebody else was faster
                if error.errno != errno.EBUSY:
                    raise
            finally:
                os.close(loop)
        raise OSError(errno.EBUSY, "no free loop device")
    finally:
        os.close(control)
        os.close(backing)


def detach(device):
    loop = os.open(device, os.O_RDWR)
    try:
        fcntl.ioctl(loop, LOOP_CLR_FD)
    finally:
        os.close(loop)


class MountFailed(Exception):
    """The file system could not be mounted: its own recovery failed."""


def copy_sparse(source, target):
    """Copies a file without its holes."""
    with open(source, "rb") as read, open(target, "wb") as written:
        size = os.fstat(read.fileno()).st_size
        written.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(read.fileno(), at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                break
            end = os.lseek(read.fileno(), at, os.SEEK_HOLE)
            while at < end:
                at += os.pwrite(written.fileno(), os.pread(read.fileno(), min(end - at, 16 * MIB), at), at)


class Event:
    """Something that was asked for at one position of the recording and done at another."""

    def __init__(self, what, sent, done, **facts):
        self.what, self.sent, self.done = what, sent, done
        self.__dict__.update(facts)


class Recording:
    """One run on a recording disk: the records, and what was acknowledged when."""

    def __init__(self, given, root, kind, report):
        self.root, self.kind, self.report = root, kind, report
        self.rng = random.Random(given.seed)
        self.size, self.make, _ = FILE_SYSTEMS[kind]
        self.bursts = given.bursts
        self.contents = contents.Contents()
        self.events = []
        self.trees = {}  # root of the tree: its operations, in order
        self.image, self.records = root / "image", root / "records"

    def position(self):
        return struct.unpack("<Q", self.counter[:8])[0]

    def event(self, what, action, **facts):
        sent = self.position()
        result = action()
        self.events.append(Event(what, sent, self.position(), result=result, **facts))
        return self.events[-1]

    def record(self):
        with open(self.image, "wb") as image:
            image.truncate(self.size)
        run(f"mkfs.{self.kind}", *self.make, self.image)
        shutil.copy(self.image, self.root / "base")
        (self.root / "position").write_bytes(bytes(8))
        with open(self.root / "position", "r+b") as file:
            self.counter = mmap.mmap(file.fileno(), 8)
        (self.root / "disk").touch()
        program = Path(__file__).with_name("lab") / "recording_disk.py"
        disk = subprocess.Popen([sys.executable, program, self.image, self.records, self.root / "position",
                                 self.root / "disk"], stdout=subprocess.PIPE)
        disk.stdout.readline()
        try:
            mounted = Mounted(self.root / "disk", self.root / "mounted", self.kind)
            try:
                self.work(mounted.where)
            finally:
                mounted.close()
        finally:
            run("umount", self.root / "disk")
            disk.wait(20)

    def work(self, disk):
        outside = self.root / "outside"
        server = self.server = Server(outside, data=disk / "data")
        for name in ("client", "got"):
            (disk / name).mkdir()
        os.sync()  # these are ours; what is tried begins below them
        self.event("init", server.start)
        try:
            for name in ("alice", "carol"):
                self.event("join", lambda: server.join(name), name=name)
            self.event("join on the disk", lambda: self.join_on_the_disk(disk))
            threads = []
            for number in range(3):
                root = f"/alice/tree{number}"
                self.trees[root] = []
                threads.append(threading.Thread(target=self.client, args=(root, self.rng.random(), number == 2)))
            for thread in threads:
                thread.start()
            for number in range(2):
                time.sleep(0.2)
                self.back_up(disk, kill_one=number == 0)
                self.fetch(disk, number)
                if number == 0:
                    self.event("revoke", lambda: server.admin("revoke", "carol"))
            for thread in threads:
                thread.join()
            self.fetch(disk, 2)
            self.back_up(disk)
        finally:
            server.stop()

    def join_on_the_disk(self, disk):
        """The client's side of a join has to last, too."""
        where = disk / "client"
        host, port = self.server.address
        done = subprocess.run(
            [self.server.client, "--server", f"{host}:{port}", "join", self.server.invite("bob")],
            env=dict(self.server.environment, SEALIFT_CONFIG_DIR=str(where / "configuration")), capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        self.profile = {path.relative_to(where): path.read_bytes() for path in where.rglob("*")
                        if path.suffix in (".pem", ".toml")}

    def client(self, root, seed, single):
        """Random bursts; or, for one client, requests of which each waits for its answer."""
        rng = random.Random(seed)
        connection = self.server.connect("alice", timeout=120, clock=self.position)
        made = []

        def content():
            if made and rng.random() < 0.2:
                return rng.choice(made)
            made.append(self.contents.make("alice", contents.size(rng)))
            return made[-1]

        root_made = serial.Operation("make-directory", "", exchange=wire.ask("make-directory", path=root))
        connection.one(root_made.exchange)
        load.take_answer(root_made)
        self.trees[root].append(root_made)
        for _ in range(self.bursts):
            count = 1 if single else rng.choice([1, 3, 6, 20])
            burst = [load.random_operation(rng, root, content) for _ in range(count)]
            if rng.random() < 0.1:
                burst = [serial.Operation("remove", directory, True, exchange=wire.ask(
                    "remove", path=f"{root}/{directory}", recursive=True)) for directory in load.DIRECTORIES]
            connection.exchange([one.exchange for one in burst])
            for one in burst:
                load.take_answer(one)
            self.trees[root] += burst
        connection.close()

    def back_up(self, disk, kill_one=False):
        """A backup; before it, one that is killed on the way."""
        if kill_one:
            process = subprocess.Popen([self.server.sealiftd, "backup", disk / "backup", "--data", self.server.data],
                                       env=self.server.environment, stdout=subprocess.DEVNULL)
            time.sleep(self.rng.random() * 0.3)
            process.kill()
            process.wait()
        event = self.event("backup", lambda: self.server.admin("backup", str(disk / "backup"), check=False))
        if event.result.returncode:
            self.report.violation("backup", event.result.stderr)

    def fetch(self, disk, number):
        """What `sealift get` reports as fetched has to last."""
        content = self.contents.make("alice", self.rng.choice([5000, 70_000, 1_300_000]))
        path = f"fetched{number}"
        connection = self.server.connect("alice")
        connection.one(wire.put(path, content.bytes()))
        connection.close()
        event = self.event("get", lambda: self.server.sealift("alice", "get", path, f"{disk / 'got'}/"),
                           path=f"got/{path}", content=content)
        if event.result.returncode:
            self.report.violation("get", event.result.stderr)


class Replay:
    """Builds the disk as of moments of a recording and looks at each."""

    def __init__(self, given, recording, report, root):
        self.given, self.recording, self.report, self.root = given, recording, report, root
        self.rng = random.Random(given.seed + 1)
        self.records = list(records(recording.records))
        self.flushes = [number for number, (offset, _) in enumerate(self.records) if offset is None]
        self.states = {path: self.all_states(operations) for path, operations in recording.trees.items()}
        self.durable, self.scratch = root / "durable", root / "scratch"

    def all_states(self, operations):
        """The states of a tree after each of its operations, of which one connection sent them all."""
        states = [{}]
        for operation in operations:
            if operation.arguments == ("",):
                states.append({})
                continue
            possible = serial.possible_states([states[-1]], [[operation]])
            states.append(possible[0])
        return states

    def moments(self, count):
        """Positions, each with the records after the last flush that survive, at and around flushes."""
        bounds = [0, *(number + 1 for number in self.flushes)]
        chosen = set()
        kinds = ["none", "all", "some", "torn"]
        for turn in range(count * 4):
            if len(chosen) == count:
                break
            which = turn * (len(bounds) - 1) // count % (len(bounds) - 1)
            begin, end = bounds[which], bounds[which + 1] - 1  # the writes of this epoch; then its flush
            kind = kinds[(turn + turn // count) % 4]
            position = end if self.rng.random() < 0.6 or begin == end else self.rng.randint(begin, end)
            chosen.add((end + 1, begin, "all") if kind == "none" and turn % 3 == 0 else (position, begin, kind))
        return sorted(chosen)

    def look_at_all(self, count):
        shutil.copy(self.recording.root / "base", self.durable)
        with open(self.durable, "r+b") as durable:
            done = 0
            for position, begin, kind in self.moments(count):
                if time.monotonic() > self.given.end:
                    break
                for offset, data in self.records[done:begin]:
                    if offset is not None:
                        os.pwrite(durable.fileno(), data, offset)
                done = max(done, begin)
                copy_sparse(self.durable, self.scratch)
                self.lose(begin, position, kind)
                self.case = f"{self.recording.kind}, record {position}, {kind} of {position - begin} unflushed writes"
                self.look(position)
                self.report.count(f"power cuts on {self.recording.kind}")
                if self.report.figures[f"power cuts on {self.recording.kind}"] % 100 == 0:
                    print(f"{self.case}: {len(self.report.violations)} violations so far", flush=True)

    def lose(self, begin, position, kind):
        """Writes that part of the records after the last flush which survives."""
        tail = [record for record in self.records[begin:position] if record[0] is not None]
        if kind == "none":
            return
        if kind == "some":
            tail = [record for record in tail if self.rng.random() < 0.5]
        with open(self.scratch, "r+b") as disk:
            for number, (offset, data) in enumerate(tail):
                if kind == "torn" and number == len(tail) - 1:
                    data = data[: self.rng.randrange(0, len(data) + 1, 512)]
                os.pwrite(disk.fileno(), data, offset)

    def violation(self, kind, detail):
        self.report.violation(kind, f"{self.case}: {detail}")

    def look(self, position):
        try:
            mounted = Mounted(self.scratch, self.root / "mounted", self.recording.kind)
        except MountFailed as failed:
            self.report.count("file systems that did not recover")
            print(f"{self.case}: {failed}")
            return
        try:
            self.look_at_server(mounted.where, position)
            self.look_at_files(mounted.where, position)
        finally:
            mounted.close()

    def done(self, what, position):
        return [event for event in self.recording.events if event.what == what and event.done <= position]

    def look_at_server(self, disk, position):
        outside = self.root / "outside"
        if not outside.exists():
            shutil.copytree(self.recording.root / "outside", outside, ignore=shutil.ignore_patterns("*.sock"))
        server = Server(outside, data=disk / "data")
        try:
            server.start()
            if any(event.name == "alice" for event in self.done("join", position)):
                self.look_at_trees(server, position)
                self.look_at_revocation(server, position)
            if self.rng.random() < 0.2:
                checked = server.admin("check", check=False)
                if checked.returncode:
                    self.violation("check", checked.stdout[-300:] + checked.stderr[-300:])
        except ServerEnded as ended:
            self.violation("does not start", ended)
        except (OSError, wire.Broken) as error:
            self.violation("does not serve", error)
        finally:
            server.kill()
        backups = self.done("backup", position)
        if backups and self.rng.random() < 0.5:
            copy = Server(outside, data=disk / "backup")
            checked = copy.admin("check", check=False)
            if checked.returncode:
                self.violation("backup", checked.stdout[-300:] + checked.stderr[-300:])
            self.report.count("backups looked at")

    def look_at_trees(self, server, position):
        connection = server.connect("alice")
        for root, operations in self.recording.trees.items():
            least = sum(one.answered <= position for one in operations)
            most = sum(one.sent <= position for one in operations)
            listed = connection.one(wire.ask("list", path=root, recursive=True))
            if listed.code == "not-found":
                if least:
                    self.violation("acknowledged directory lost", root)
                continue
            found = load.entries(listed)
            allowed = self.states[root][least : most + 1]
            if found not in allowed:
                best = min(allowed, key=lambda state: len(set(state.items()) ^ set(found.items())))
                differs = {path: (best.get(path), found.get(path)) for path in {*best, *found}
                           if best.get(path) != found.get(path)}
                self.violation("lost or resurrected", f"{root}: (expected, found) {differs}; one of {len(allowed)} states")
            files = {path: held for path, held in found.items() if held != tree.DIRECTORY}
            gets = connection.exchange([wire.ask("get", path=f"{root}/{path}") for path in files])
            for got, digest in zip(gets, files.values()):
                content = self.recording.contents.by_digest.get(digest)
                if got.data is None or content is None or got.data != content.bytes():
                    self.violation("acknowledged file damaged", f"{got.request['path']}: {got.trailer or got.reply}")
            self.report.count("files read back", len(gets))
        connection.close()

    def look_at_revocation(self, server, position):
        joined = [event for event in self.recording.events if event.what == "join" and event.name == "carol"]
        revoked = [event for event in self.recording.events if event.what == "revoke"]
        try:
            code = server.connect("carol").one(wire.ask("whoami")).code
        except wire.Broken:
            code = "certificate-refused"
        if revoked and revoked[0].done <= position and code != "certificate-refused":
            self.violation("a revoked identity is served", code)
        if joined and joined[0].done <= position and (not revoked or revoked[0].sent > position) and code != "identity":
            self.violation("an identity that joined is refused", code)

    def look_at_files(self, disk, position):
        for event in self.recording.events:
            if event.what == "get":
                file = disk / event.path
                if file.exists():
                    if file.read_bytes() != event.content.bytes():
                        self.violation("a fetched file is not whole", f"{event.path}, fetched by record {event.done}")
                elif event.done <= position:
                    self.violation("a fetched file is gone", event.path)
        if self.done("join on the disk", position):
            for path, data in self.recording.profile.items():
                file = disk / "client" / path
                if not file.exists() or file.read_bytes() != data:
                    self.violation("a client that joined has lost its profile", path)


def is_possible():
    """Whether this system has what the recording needs."""
    if os.geteuid() != 0:
        return "it needs root"
    if not os.path.exists("/dev/fuse") or not os.path.exists("/dev/loop-control"):
        return "there is no FUSE or no loop device here"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prefixes", type=int, default=1000, help="power cuts on each file system")
    parser.add_argument("--file-systems", default="ext4,xfs,btrfs")
    parser.add_argument("--bursts", type=int, default=60, help="bursts of requests that each client sends")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no further look after this")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--figures", help="append the figures to this file")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    if reason := is_possible():
        print(f"skipped: {reason}")
        return
    report = Report("power loss")
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    kinds = [kind for kind in given.file_systems.split(",") if shutil.which(f"mkfs.{kind}") or print(
        f"skipped: {kind}, since there is no mkfs.{kind} here")]
    begun = time.monotonic()
    with Workplace("power", memory) as workplace:
        for number, kind in enumerate(kinds):
            given.end = begun + given.seconds * (number + 1) / len(kinds)
            root = workplace.path / kind
            (root / "replay").mkdir(parents=True)
            recording = Recording(given, root, kind, report)
            try:
                recording.record()
            except (OSError, RuntimeError) as error:
                print(f"skipped: {kind} cannot be recorded here: {error}")
                continue
            replay = Replay(given, recording, report, root / "replay")
            print(f"{kind}: {len(replay.records)} records, {len(replay.flushes)} flushes, "
                  f"{sum(map(len, recording.trees.values()))} requests", flush=True)
            try:
                replay.look_at_all(given.prefixes)
            except KeyboardInterrupt:  # what was found so far is reported
                print("interrupted", flush=True)
                break
            print(f"{kind}: {len(report.violations)} violations", flush=True)
        workplace.keep = bool(report.violations)
    sys.exit(report.finish(given.figures))


if __name__ == "__main__":
    main()

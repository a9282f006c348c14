#!/usr/bin/env python3
"""Each storage call of a program fails once, in turn: EIO, ENOSPC, EMFILE, a short write, a failed read or sync.

`lab/inject.c` counts the storage calls that a program makes below its data directory and fails the N-th. For N = 1, 2, ...
until nothing fails any more, the same work is done: a server's start, requests of every kind and its end; a server's
first start; a backup; a download; a join; each command of an administrator beside a running server. Afterwards what was acknowledged is there, what was refused was not done, the
program went on or ended with a message, it starts again, and deleting everything gives all space back.
"""

import argparse
import itertools
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import contents, load, serial, tree, wire
from lab.report import Report
from lab.server import Server, ServerEnded, Workplace

SERVES = ["serve", "serve_until_the_fault"]
COMMANDS = ["invite", "revoke", "space", "grant", "gc", "check"]
MODES = ["io", "space", "sync", "short", "files", "read"]
FAILURES = {"internal", "no-space", "integrity", "busy", "timeout", "shutting-down"}
UNCERTAIN = re.compile(r"unknown|may (be|have)|might|whether", re.I)


def build(folder):
    program = Path(folder, "inject")
    source = Path(__file__).with_name("lab") / "inject.c"
    subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    return program


class Injector:
    """The command line that runs a program with a fault, and what became of the fault."""

    def __init__(self, program, folder, mode, number, times, log):
        self.log = log
        self.log.unlink(missing_ok=True)
        self.wrap = [program, mode, str(number), str(times), folder.resolve(), log, "--"]

    def failed(self):
        """The calls that failed."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.endswith("FAILED")]


class Run:
    def __init__(self, given, report, root):
        self.given, self.report, self.root = given, report, root
        self.inject = build(root)
        self.contents = contents.Contents()
        self.rng = random.Random(given.seed)
        self.case = ""
        self.prepare()

    def content(self, size):
        return self.contents.make("alice", size)

    def violation(self, kind, detail):
        self.report.violation(kind, f"{self.case}: {detail}")

    # What every case begins with

    def prepare(self):
        """A data directory with contents of all kinds, which each case gets a copy of."""
        self.template = Server(self.root / "template")
        server = self.template.start()
        server.join("alice")
        connection = server.connect("alice")
        connection.one(wire.ask("make-directory", path="/alice/tree"))
        self.begin = {}
        puts = []
        for path, size in [("a", 100), ("d/x", 200_000), ("d/y", 30_000), ("d/e/z", 70_000),
                           *((f"p/{number}", 20_000) for number in range(16))]:
            content = self.content(size)
            self.begin = tree.put(self.begin, path, content.sha256)
            puts.append(wire.put(f"/alice/tree/{path}", content.bytes()))
        connection.exchange(puts)
        connection.close()
        server.stop()
        self.new = {size: [self.content(size) for _ in range(40)] for size in (50, 20_000, 70_000, 300_000, 1_300_000)}

    def copy_of_template(self):
        folder = self.root / "case"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.template.root, folder, ignore=shutil.ignore_patterns("*.sock"))
        return Server(folder)

    # The work of a server

    def bursts(self):
        """Requests of every kind, in bursts that are answered before the next one is sent."""
        at = lambda path: f"/alice/tree/{path}"
        fresh = {size: iter(made) for size, made in self.new.items()}

        def put(path, length, **more):
            content = next(fresh[length])
            return serial.Operation("put", path, content.sha256, exchange=wire.put(at(path), content.bytes(), **more))

        def ask(kind, *arguments, **fields):
            return serial.Operation(kind, *arguments, exchange=wire.ask(kind, **fields))

        remove = lambda path, recursive=False: ask("remove", path, recursive, path=at(path), recursive=recursive)
        get = lambda path: ask("get", path, path=at(path))
        pair = lambda verb, source, target: ask(verb, source, target, **{"from": at(source), "to": at(target)})
        known = self.new[20_000][3]
        claim = serial.Operation("claim", "q/again", known.sha256, exchange=wire.claim(at("q/again"), known.bytes()))
        yield [put("one", 50)]
        yield [put(f"q/{number}", 20_000) for number in range(16)] + [put("q/gone", 20_000), remove("q/gone")]
        yield [put("large", 300_000)]
        yield [put("d/x", 70_000), get("d/x"), get("p/3"), get("q/3"), get("large")]
        yield [claim, pair("copy", "d", "copy"), pair("move", "q/1", "moved"), pair("copy", "large", "p/large")]
        yield [put("long", 1_300_000, size=1_300_000, mtime=1_700_000_000_000_000_000)]
        yield [remove("p", True), remove("large"), put("a", 300_000), put("one", 20_000)]
        yield [ask("list", path="/alice/tree", recursive=True), get("copy/e/z"), get("long")]

    def serve_until_the_fault(self, injector, times):
        """The same, with kill -9 right after the answers to the burst in which something failed."""
        return self.serve(injector, times, until_the_fault=True)

    def serve(self, injector, times, until_the_fault=False):
        """A start, all requests, the end; then everything is looked at without a fault."""
        server = self.copy_of_template()
        connections, running = [], True
        try:
            server.start(wrap=injector(server.data).wrap, wait=30)
        except ServerEnded as ended:
            running = False
            self.check_message(server, str(ended))
        connection = None
        for burst in self.bursts():
            if not running:
                break
            try:
                if connection is None:
                    connection = server.connect("alice", timeout=20)
                    connections.append([])
                connections[-1] += burst
                connection.exchange([one.exchange for one in burst])
                if until_the_fault and self.injector.failed():
                    running = False
            except TimeoutError as error:
                self.violation("no answer", error)
                break
            except (OSError, wire.Broken):
                connection = None
                time.sleep(0.05)
                if not server.is_running():
                    running = False
                    self.report.count("stops because of a fault")
                    self.check_message(server, f"it ended with {server.process.returncode}")
        if running and times == 1 and not until_the_fault:
            self.must_go_on(server)
        fired = self.injector.failed()
        if running:
            server.stop(20)
        server.kill()
        self.look(server, [[self.note(one) for one in operations] for operations in connections], times)
        return fired

    def note(self, operation):
        load.take_answer(operation)
        exchange = operation.exchange
        if exchange.answered is None:
            return operation
        if exchange.code in FAILURES:
            message = (exchange.trailer or exchange.reply).get("message", "")
            operation.answer = serial.UNKNOWN if UNCERTAIN.search(message) else serial.REFUSED
            self.report.count("requests refused because of a fault")
        elif exchange.data is not None:
            content = self.contents.by_digest.get(exchange.reply["sha256"])
            if content is None or content.bytes() != exchange.data:
                self.violation("wrong bytes", f"{operation}: {self.contents.describe(exchange.data)}")
        return operation

    def check_message(self, server, how):
        """A program that ends because of a fault says so in a sentence."""
        if "panicked" in server.log() or not re.search(r"sealiftd: |ERROR", server.log()):
            self.violation("ended without a message", f"{how}: {server.log()[-400:]!r}")

    def must_go_on(self, server):
        """One failure is not the end: new requests succeed, on this server or on one that is started anew."""
        for attempt in range(3):
            if not server.is_running():
                return
            try:
                connection = server.connect("alice", timeout=20)
                content = self.content(5000)
                path = "/alice/life"
                stored = connection.one(wire.put(path, content.bytes()))
                got = connection.one(wire.ask("get", path=path))
                removed = connection.one(wire.ask("remove", path=path))
                connection.close()
                if (stored.code, got.data, removed.code) == ("stored", content.bytes(), "done"):
                    return
                if attempt == 2:
                    self.violation("does not go on", f"{stored.reply} {got.code} {removed.reply}")
            except TimeoutError as error:
                return self.violation("no answer", error)
            except (OSError, wire.Broken) as error:
                time.sleep(0.1)
                if attempt == 2 and server.is_running():
                    self.violation("does not go on", error)

    def possible_states(self, connections, times):
        """The states that the answers allow. Requests whose outcome is unknown belong to commits that failed: at most so
        many as calls failed, and each of them was done as a whole or not at all."""
        unknown = [one for operations in connections for one in operations if one.answer == serial.UNKNOWN]
        states, impossible = {}, None
        for blocks in range(min(times, len(unknown)) if unknown else 1):
            for cuts in itertools.combinations(range(1, len(unknown)), blocks):
                for first in (True, False):
                    for number, one in enumerate(unknown):
                        happened = first ^ (sum(cut <= number for cut in cuts) % 2 == 1)
                        one.answer = serial.HAPPENED if happened else serial.REFUSED
                    try:
                        found = serial.possible_states([self.begin], connections)
                        states.update((frozenset(state.items()), state) for state in found)
                    except serial.Impossible as error:
                        impossible = error
        for one in unknown:
            one.answer = serial.UNKNOWN
        if not states:
            raise impossible
        return list(states.values())

    def look(self, server, connections, times):
        """A start without a fault: the tree is as the answers say, every byte is right, and all space comes back."""
        try:
            states = self.possible_states(connections, times)
        except serial.Impossible as impossible:
            self.violation("no serial order", "\n" + impossible.tell([self.begin], connections))
            return
        try:
            server.start()
        except ServerEnded as ended:
            self.violation("does not start again", ended)
            return
        connection = server.connect("alice")
        listed = connection.one(wire.ask("list", path="/alice/tree", recursive=True))
        found = load.entries(listed)
        if found not in states:
            best = min(states, key=lambda state: len(set(state.items()) ^ set(found.items())))
            differs = {path: (best.get(path), found.get(path)) for path in {*best, *found} if best.get(path) != found.get(path)}
            history = serial.tell([self.begin], connections)
            self.violation("lost, or refused and done", f"(expected, found): {differs}\n{history}")
        files = {path: digest for path, digest in found.items() if digest != tree.DIRECTORY}
        gets = connection.exchange([wire.ask("get", path=f"/alice/tree/{path}") for path in files])
        for got, (path, digest) in zip(gets, files.items()):
            if got.data is None or got.data != self.contents.by_digest[digest].bytes():
                self.violation("acknowledged file damaged", f"{path}: {got.trailer or got.reply}")
        checked = server.admin("check", check=False)
        if checked.returncode:
            self.violation("check", checked.stdout[-300:] + checked.stderr[-300:])
        for path in ["/alice/tree", "/alice/life"]:
            connection.one(wire.ask("remove", path=path, recursive=True))
        connection.close()
        server.kill()  # what it has not collected yet is for `gc` to find
        server.admin("gc")
        left = [path for folder in ("blobs", "incoming") for path in (server.data / folder).rglob("*") if path.is_file()]
        if left:
            self.violation("space does not come back", f"{len(left)} files: {left[:3]}")

    # Other programs

    def first_start(self, injector, _):
        folder = self.root / "case"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        server = Server(folder)
        try:
            server.start(wrap=injector(folder).wrap, wait=30)
            server.stop()
        except ServerEnded as ended:
            self.check_message(server, str(ended))
        fired = self.injector.failed()
        server.kill()
        try:
            server.start()
            server.join("alice")
            if server.connect("alice").one(wire.put("a", b"content")).code != "stored":
                self.violation("does not serve", "after a first start with a fault")
        except (ServerEnded, RuntimeError) as error:
            self.violation("does not start again", error)
        server.kill()
        return fired

    def backup(self, injector, _):
        server = self.copy_of_template()
        copy = server.root / "copy"
        wrap = injector(server.root).wrap
        done = server.admin("backup", str(copy), check=False, wrap=wrap)
        fired = self.injector.failed()
        self.held_against("backup", done, "sealiftd: ")
        kept = Server(server.root / "other", data=copy)
        if done.returncode == 0:
            self.check_copy(kept, "exit 0")
        again = server.admin("backup", str(copy), check=False)
        if again.returncode:
            self.violation("backup does not go on", again.stderr)
        else:
            self.check_copy(kept, "run again")
        if server.admin("check", check=False).returncode:
            self.violation("a backup damaged its source", "")
        return fired

    def check_copy(self, server, when):
        checked = server.admin("check", check=False)
        if checked.returncode:
            self.violation("backup is not whole", f"{when}: {checked.stdout[-300:]}{checked.stderr[-300:]}")

    def held_against(self, what, done, prefix):
        """Exit 0, or a sentence."""
        if done.returncode and (prefix not in done.stderr or "panicked" in done.stderr):
            self.violation("ended without a message", f"{what}: exit {done.returncode}: {done.stderr[-300:]!r}")

    def get(self, injector, _):
        server = self.copy_of_template().start()
        target = server.root / "fetched"
        target.mkdir()
        wrap = injector(target).wrap
        server.client_wrap = wrap
        done = server.sealift("alice", "get", "tree", str(target) + "/")
        server.client_wrap = []
        fired = self.injector.failed()
        self.held_against("get", done, "sealift: ")
        self.check_fetched(target, whole=done.returncode == 0)
        again = server.sealift("alice", "get", "tree", str(target) + "/")
        if again.returncode:
            self.violation("get does not go on", again.stderr[-300:])
        self.check_fetched(target, whole=True)
        left = [path.name for path in target.rglob("*") if ".sealift" in path.name]
        # A file whose own deletion was what failed cannot but stay.
        left = [name for name in left if not any("unlink" in call and name in call for call in fired)]
        if left:
            self.violation("temporary files stay", left)
        server.kill()
        return fired

    def check_fetched(self, target, whole):
        for path, digest in self.begin.items():
            file = target / "tree" / path
            if digest == tree.DIRECTORY:
                continue
            if not file.exists():
                if whole:
                    self.violation("reported as fetched and missing", path)
            elif file.read_bytes() != self.contents.by_digest[digest].bytes():
                self.violation("a file with wrong bytes", path)

    def join(self, injector, _):
        server = self.copy_of_template().start()
        token = server.invite("bob")
        folder = server.root / "client-bob"
        folder.mkdir()
        server.client_wrap = injector(folder).wrap
        done = server.sealift("bob", "join", token)
        server.client_wrap = []
        fired = self.injector.failed()
        self.held_against("join", done, "sealift: ")
        listed = server.sealift("bob", "ls")
        if done.returncode == 0 and listed.returncode:
            self.violation("joined and not known", listed.stderr[-300:])
        if done.returncode:
            again = server.sealift("bob", "join", server.invite("bob"))
            if again.returncode or server.sealift("bob", "ls").returncode:
                self.violation("cannot join again", again.stderr[-300:])
        server.kill()
        return fired

    # The commands of an administrator, beside a running server. After exit 0 a command has done what it says, also after a
    # kill -9. Otherwise it says why not, and has done nothing, unless it says that this is unknown. It works when it is repeated.

    def command(self, injector, arguments, is_done):
        """Runs a command with a fault. `is_done` looks at the server and says whether the command has taken effect."""
        server = self.copy_of_template().start()
        done = server.admin(*arguments, check=False, wrap=injector(server.data).wrap)
        fired = self.injector.failed()
        what = arguments[0]
        self.held_against(what, done, "sealiftd: ")
        for when in ("at once", "after a kill -9"):
            happened = is_done(server, done.stdout.strip())
            if done.returncode == 0 and not happened:
                self.violation("acknowledged and lost", f"{what}, {when}")
            is_change = what not in ("gc", "check")
            if is_change and done.returncode and happened and not UNCERTAIN.search(done.stderr):
                self.violation("refused and done", f"{what}, {when}: {done.stderr[-300:]!r}")
            server.kill()
            server.start()
        if done.returncode:
            self.report.count("commands refused because of a fault")
            again = server.admin(*arguments, check=False)
            if again.returncode and not happened:
                self.violation("does not succeed when it is repeated", f"{what}: {again.stderr[-300:]}")
            elif not is_done(server, again.stdout.strip()):
                self.violation("acknowledged and lost", f"{what}, repeated")
        checked = server.admin("check", check=False)
        if checked.returncode:
            self.violation("check", checked.stdout[-300:] + checked.stderr[-300:])
        if "panicked" in server.log():
            self.violation("the server panicked", what)
        server.kill()
        return fired

    def invite(self, injector, _):
        is_open = lambda server, _: "bob" in server.admin("identities", "--invitations").stdout
        return self.command(injector, ["invite", "bob"], is_open)

    def revoke(self, injector, _):
        is_out = lambda server, _: server.sealift("alice", "ls").returncode == 4
        return self.command(injector, ["revoke", "alice"], is_out)

    def space(self, injector, _):
        is_there = lambda server, _: "team" in server.admin("space", "list").stdout
        return self.command(injector, ["space", "add", "team"], is_there)

    def grant(self, injector, _):
        # The template has one space, which nobody was granted anything on.
        is_granted = lambda server, _: '"grants":[]' not in server.admin("space", "list", "--json").stdout
        return self.command(injector, ["grant", "alice", "everyone", "read"], is_granted)

    def gc(self, injector, _):
        return self.command(injector, ["gc"], lambda server, said: not said or "damaged" not in said)

    def check(self, injector, _):
        return self.command(injector, ["check"], lambda server, said: True)

    # All cases

    def every_call(self, work, mode, times=1):
        """Fails call after call until nothing fails any more."""
        step = self.given.step
        number = 1 + self.rng.randrange(step)
        while time.monotonic() < self.given.end:
            self.case = f"{work.__name__} {mode} {number}" + (f" x {times}" if times > 1 else "")

            def injector(folder):
                self.injector = Injector(self.inject, folder, mode, number, times, self.root / "calls.log")
                return self.injector

            before = len(self.report.violations)
            fired = work(injector, times)
            if not fired:
                break
            self.case = f"{self.case} ({fired[0]})"
            if len(self.report.violations) > before:
                print(f"  the fault was {self.case}", flush=True)
            self.report.count(f"faults {mode}")
            number += self.rng.randint(1, 2 * step - 1) if step > 1 else 1
        print(f"{work.__name__} {mode}: up to call {number}, {len(self.report.violations)} violations", flush=True)


def is_possible(inject):
    """Whether this system lets a program watch another one's calls."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        done = subprocess.run([inject, "io", "1", "1", folder, log, "--", "touch", f"{folder}/x"], capture_output=True)
        return done.returncode == 1 and "FAILED" in log.read_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=int, default=1, help="on average, fail every so many calls")
    parser.add_argument("--seconds", type=float, default=1e9, help="share so much time among all kinds of faults")
    parser.add_argument("--works", default="serve,serve_until_the_fault,first_start,backup,get,join," + ",".join(COMMANDS))
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--figures", help="append the figures to this file")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    report = Report("faults")
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # nothing here needs a real disk
    with Workplace("faults", memory) as workplace:
        if not is_possible(build(workplace.path)):
            print("skipped: this system does not let a program watch another one's system calls (seccomp)")
            return
        run = Run(given, report, workplace.path)
        cases = [(work, mode, 1) for work in given.works.split(",") for mode in given.modes.split(",")]
        if "sync" in given.modes.split(","):  # the second failure meets the server while it mends the first
            cases += [(work, "sync", times) for work in SERVES for times in (2, 3) if work in given.works.split(",")]
        begun = time.monotonic()
        for number, (work, mode, times) in enumerate(cases):
            given.end = begun + given.seconds * (number + 1) / len(cases)
            try:
                run.every_call(getattr(run, work), mode, times)
            except KeyboardInterrupt:  # what was found so far is reported
                print("interrupted", flush=True)
                break
    sys.exit(report.finish(given.figures, ["faults "]))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Many clients, one server, kill -9 in between: every answer is held against what some serial order allows.

Each round starts the server, looks at every tree, lets all clients send random bursts, and kills the server at a random
moment. Then `lab/serial.py` looks for an order of the round's requests that explains their answers; the states that may
be there after the restart are those in which every such order ends. Every byte that a get brings is compared.
"""

import argparse
import collections
import random
import sys
import threading
import time

from lab import contents, load, serial, tree, wire
from lab.report import Report
from lab.server import ServerEnded, Workplace, Server

PEOPLE = ["alice", "bob", "carol"]
GONE = {"shutting-down", "busy", "timeout"}  # the connection ended; this request was not carried out


class Tree:
    """A directory on the server, those who use it, and the states in which it may be."""

    def __init__(self, root, owner, users):
        self.root, self.owner, self.users = root, owner, users
        self.states = [{}]
        self.used = []  # contents that were stored here, the latest last
        self.operations = []  # those of the round, for each connection
        self.history = [{}], []  # of the last round: the states at first, and what followed


class Run:
    def __init__(self, given, report, root):
        self.given, self.report = given, report
        self.rng = random.Random(given.seed)
        self.server = Server(root)
        self.contents = contents.Contents()
        self.shared = [self.contents.make("everyone", contents.size(self.rng)) for _ in range(12)]
        self.private = {name: [] for name in PEOPLE}
        self.trees = [Tree(f"/{name}/tree", name, [name, name]) for name in PEOPLE]
        self.trees += [Tree(f"/team/tree{number}", "team", PEOPLE) for number in range(2)]
        self.archive = {}  # path: digest, of acknowledged files that nobody touches again
        self.stop = threading.Event()
        self.number = 0
        self.answers = collections.Counter()  # of the round, by thread

    def set_up(self):
        self.server.start()
        for name in PEOPLE:
            self.server.join(name)
        self.server.admin("space", "add", "team")
        for name in PEOPLE:
            self.server.admin("grant", "team", name, "read,create,replace,delete")
        for place in self.trees:
            self.server.connect(place.users[0]).one(wire.ask("make-directory", path=place.root))

    # What clients do

    def content_for(self, place, rng):
        """A content to store: new, used here before, or one that everybody stores."""
        kind = rng.random()
        if kind < 0.12:
            return rng.choice(self.shared)
        if kind < 0.25 and place.used:
            return rng.choice(place.used)
        content = self.contents.make(place.owner, contents.size(rng))
        place.used = place.used[-30:] + [content]
        if place.owner in self.private:
            self.private[place.owner] = self.private[place.owner][-30:] + [content]
        return content

    def random_operation(self, place, who, rng):
        if rng.random() >= 0.06:
            return load.random_operation(rng, place.root, lambda: self.content_for(place, rng))
        known = place.used or self.shared
        if rng.random() < 0.3:  # what only somebody else has
            known = self.private[rng.choice([name for name in PEOPLE if name != who])] or known
        content, file = rng.choice(known), rng.choice(load.FILES)
        return serial.Operation(
            "claim", file, content.sha256, exchange=wire.claim(f"{place.root}/{file}", content.bytes()))

    def note(self, operation, who):
        """Takes the answer of a request over into its operation. Returns false if it was not carried out."""
        load.take_answer(operation)
        exchange = operation.exchange
        if exchange.answered is None:
            return True
        self.report.count("answers")
        code = exchange.code
        if code in GONE:
            return False
        if code == "internal":
            self.report.violation("internal", f"{who}: {operation}: {exchange.reply}")
            operation.answer = serial.UNKNOWN
        elif exchange.data is not None:
            self.check_bytes(exchange, who)
        elif operation.kind == "get" and exchange.reply["type"] == "content":
            self.report.violation("unreadable", f"{who}: {operation}: {exchange.trailer}")
        elif operation.kind == "claim" and code == "stored":
            content = self.contents.by_digest[operation.arguments[1]]
            if content.maker not in ("everyone", "team", who):
                self.report.violation("oracle", f"{who} claimed a content that only {content.maker} has: {operation}")
        return True

    def check_bytes(self, exchange, who):
        content = self.contents.by_digest.get(exchange.reply["sha256"])
        if content is None or len(exchange.data) != content.size or exchange.data != content.bytes():
            self.report.violation("wrong bytes", f"{who} got {exchange.request['path']}: "
                                  f"announced {content}, came {self.contents.describe(exchange.data)}")
            return False
        if content.maker not in ("everyone", "team", who):
            self.report.violation("foreign bytes", f"{who} got {exchange.request['path']}: {content}")
        return True

    def client(self, place, who, seed, operations):
        """Sends bursts until the server or the round ends."""
        rng = random.Random(seed)
        try:
            connection = self.server.connect(who)
        except (OSError, wire.Broken):
            return
        try:
            while not self.stop.is_set():
                burst = [self.random_operation(place, who, rng) for _ in range(rng.choice([1, 2, 4, 6]))]
                operations += burst
                connection.exchange([one.exchange for one in burst])
                self.answers[threading.get_ident()] += len(burst)
                time.sleep(rng.random() * 0.005)
        except (OSError, wire.Broken):
            pass
        except TimeoutError as error:
            self.report.violation("no answer", f"{who}: {error}")
        finally:
            connection.close()

    def archivist(self, who, seed, stored):
        """Pipelines small files that stay, among others that are taken away again at once, and now and then a large one."""
        rng = random.Random(seed)
        try:
            connection = self.server.connect(who)
            for number in range(3):
                burst = []
                for index in range(rng.choice([4, 20, 40])):
                    if index == 0 or rng.random() < 0.1:
                        lost = self.contents.make(who, contents.size(rng, large=False))
                        path = f"/{who}/archive/gone"
                        burst += [wire.put(path, lost.bytes()), wire.ask("remove", path=path)]
                    size = 70_000 if rng.random() < 0.1 else rng.choice([4096, 8000, 20_000])
                    content = self.contents.make(who, size)
                    path = f"/{who}/archive/{seed}/{number}-{index}"
                    stored.append((path, content, wire.put(path, content.bytes())))
                    burst.append(stored[-1][2])
                connection.exchange(burst)
                self.answers[threading.get_ident()] += len(burst)
                if self.stop.is_set():
                    break
            connection.close()
        except (OSError, wire.Broken):
            pass

    def wait_for_answers(self, count, at_most=5):
        """Waits for so many answers of the round, and then for a moment in the middle of the next ones."""
        end = time.monotonic() + at_most
        while sum(self.answers.values()) < count and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(self.rng.random() * 0.02)

    # Rounds

    def look(self):
        """Holds every tree against the states that it may have, and reads all its files."""
        for place in self.trees:
            connection = self.server.connect(place.users[0])
            operation = load.listing(place.root)
            connection.one(operation.exchange)
            self.note(operation, place.users[0])
            found = dict(operation.answer[1])
            if found not in place.states:
                history = self.write_down(place, serial.tell(*place.history))
                self.report.violation("lost or resurrected",
                                      f"{place.root}: {self.difference(place, found)}: see {history}")
            place.states = [found]
            files = [path for path, held in found.items() if held != tree.DIRECTORY]
            self.read(connection, place.users[0], {f"{place.root}/{path}": found[path] for path in files})
            if len(found) > 30:  # trees stay small, so that the search for an order is short
                for path in [path for path in found if "/" not in path]:
                    connection.one(wire.ask("remove", path=f"{place.root}/{path}", recursive=True))
                place.states = [{}]
            connection.close()

    def difference(self, place, found):
        """Says how a listing differs from the state that is most like it."""
        best = min(place.states, key=lambda state: len(set(state.items()) ^ set(found.items())))
        name = lambda value: value if value is None or value == tree.DIRECTORY else \
            f"content {self.contents.by_digest[value].number}" if value in self.contents.by_digest else value
        lines = [f"{path}: {name(best.get(path))} expected, {name(found.get(path))} found"
                 for path in sorted(set(best) | set(found)) if best.get(path) != found.get(path)]
        return f"{'; '.join(lines)} (nearest of {len(place.states)} states)"

    def read(self, connection, who, files):
        """Reads files, which have to be there, and compares them."""
        gets = [wire.ask("get", path=path) for path in files]
        connection.exchange(gets)
        for exchange, (path, digest) in zip(gets, files.items()):
            if exchange.data is None:
                self.report.violation("acknowledged file lost", f"{who}: {path}: {exchange.trailer or exchange.reply}")
            elif exchange.reply["sha256"] != digest:
                self.report.violation("acknowledged file replaced", f"{who}: {path}")
            else:
                self.check_bytes(exchange, who)
        self.report.count("files read back", len(gets))

    def read_archive(self, share=1.0):
        for who in PEOPLE:
            mine = [path for path in self.archive if path.startswith(f"/{who}/")]
            chosen = self.rng.sample(mine, int(len(mine) * share))
            connection = self.server.connect(who)
            for start in range(0, len(chosen), 200):
                self.read(connection, who, {path: self.archive[path] for path in chosen[start : start + 200]})
            connection.close()

    def round(self, number):
        """One life of the server, from its start to its end."""
        rng, self.number = self.rng, number
        if rng.random() < 0.08:  # one that ends before it listens
            self.server.begin()
            time.sleep(rng.random() * 0.1)
            self.server.kill()
            self.report.count("kills during a start")
        self.server.start()
        self.look()
        self.stop.clear()
        self.answers = collections.Counter()
        stored, threads = [], []
        for place in self.trees:
            place.operations = [[] for _ in place.users]
            for who, operations in zip(place.users, place.operations):
                threads.append(threading.Thread(target=self.client, args=(place, who, rng.random(), operations)))
        for who in rng.sample(PEOPLE, 2):
            threads.append(threading.Thread(target=self.archivist, args=(who, number, stored)))
        for thread in threads:
            thread.start()
        self.wait_for_answers(rng.choice([1, 30, 100, 250]) * self.given.stretch)
        if self.given.backups and number % self.given.backups == 0:
            self.back_up()
        if rng.random() < 0.9:
            self.server.kill()
            self.report.count("kill -9 rounds")
        else:
            self.stop.set()
            if rng.random() < 0.5:
                [thread.join() for thread in threads]
            if (code := self.server.stop()) != 0:
                self.report.violation("stop", f"exit code {code}: {self.server.log()[-300:]}")
            self.report.count("clean stops")
        self.stop.set()
        [thread.join() for thread in threads]
        for path, content, exchange in stored:
            if exchange.answered is not None and exchange.code == "stored":
                self.archive[path] = content.sha256
            elif exchange.answered is not None and exchange.code not in GONE:
                self.report.violation(exchange.code, f"{path}: {exchange.reply}")
        self.explain()

    def explain(self):
        """Looks for orders that explain the round's answers."""
        for place in self.trees:
            connections = []
            for who, operations in zip(place.users, place.operations):
                carried_out = [self.note(one, who) for one in operations]
                cut = carried_out.index(False) if False in carried_out else len(operations)
                connections.append(operations[:cut])
            place.history = place.states, connections
            try:
                place.states = serial.possible_states(place.states, connections)
            except serial.Impossible as impossible:
                history = self.write_down(place, impossible.tell(place.states, connections))
                self.report.violation("no serial order", f"{place.root}: see {history}")
                place.states = AnyState()
            except serial.NotOneMoment:
                self.report.count("trees of a round with a large copy beside changes, not decided")
                place.states = AnyState()
            except serial.TooMany:
                self.report.count("trees of a round with too many orders to decide")
                place.states = AnyState()

    def write_down(self, place, history):
        """Keeps a history that needs a person's look."""
        file = self.server.root / f"round-{self.number}{place.root.replace('/', '-')}.txt"
        file.write_text(history)
        return file

    def back_up(self):
        """Copies the store under load; what was acknowledged before has to be whole in the copy."""
        target = self.server.root / "backup"
        done = self.server.admin("backup", str(target), check=False)
        if done.returncode:
            self.report.violation("backup", done.stdout + done.stderr)
            return
        checked = Server(self.server.root, data=target).admin("check", check=False)
        if checked.returncode:
            self.report.violation("backup is damaged", checked.stdout + checked.stderr)
        self.report.count("backups")


class AnyState(list):
    """After a violation nothing is known of a tree."""

    def __contains__(self, _):
        return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000, help="lives of the server")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no further round after this")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--stretch", type=float, default=1.0, help="factor on the length of each life")
    parser.add_argument("--backups", type=int, default=50, help="a backup under load every so many rounds, 0 for none")
    parser.add_argument("--check", type=int, default=100, help="`sealiftd check` every so many rounds")
    parser.add_argument("--figures", help="append the figures to this file")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    report = Report("history")
    with Workplace("history") as workplace:
        run = Run(given, report, workplace.path)
        run.set_up()
        run.server.stop()
        begun = time.monotonic()
        try:
            for number in range(1, given.rounds + 1):
                if time.monotonic() - begun > given.seconds:
                    break
                run.round(number)
                if number % given.check == 0:
                    checked = run.server.admin("check", check=False)
                    if checked.returncode:
                        report.violation("check", checked.stdout[-500:] + checked.stderr[-500:])
                    print(f"{number} rounds, {len(report.violations)} violations", flush=True)
            run.server.start()
            run.look()
            run.read_archive()
            if (code := run.server.stop()) != 0:
                report.violation("stop", f"exit code {code}")
            checked = run.server.admin("check", check=False)
            if checked.returncode:
                report.violation("check", checked.stdout[-500:] + checked.stderr[-500:])
        except ServerEnded as ended:
            report.violation("no start", str(ended))
        except KeyboardInterrupt:  # what was found so far is reported
            print("interrupted", flush=True)
        finally:
            run.server.kill()
        workplace.keep = bool(report.violations)
    sys.exit(report.finish(given.figures, ["answers", "kill -9 rounds"]))


if __name__ == "__main__":
    main()

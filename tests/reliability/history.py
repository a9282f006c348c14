#!/usr/bin/env python3
"""Many clients, one server, kill -9 in between: every answer is held against what some serial order allows.

Each round starts the server, looks at every tree, lets all clients send random bursts, and kills the server at a random
moment. Then `lab/serial.py` looks for an order of the round's requests that explains their answers; the states that may
be there after the restart are those in which every such order ends. Every byte that a get brings is compared.
"""

import argparse
import random
import sys
import threading
import time

from lab import contents, serial, tree, wire
from lab.report import Report
from lab.server import ServerEnded, Workplace, Server

PEOPLE = ["alice", "bob", "carol"]
FILES = ["a", "b", "c", "d/x", "d/y", "d/z", "e/x", "e/f/x", "e/f/y"]
DIRECTORIES = ["d", "e", "e/f", "g"]
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
        kind = rng.random()
        file, other = rng.choice(FILES), rng.choice(FILES)
        at = lambda path: f"{place.root}/{path}"
        if kind < 0.45:
            content = self.content_for(place, rng)
            stream = rng.random() < 0.1
            return serial.Operation(
                "put", file, content.sha256, exchange=wire.put(at(file), content.bytes(), stream=stream))
        if kind < 0.50:
            known = place.used or self.shared
            if rng.random() < 0.3:  # what only somebody else has
                foreign = self.private[rng.choice([name for name in PEOPLE if name != who])]
                known = foreign or known
            content = rng.choice(known)
            return serial.Operation("claim", file, content.sha256, exchange=wire.claim(at(file), content.bytes()))
        if kind < 0.65:
            return serial.Operation("get", file, exchange=wire.ask("get", path=at(file)))
        if kind < 0.75:
            return serial.Operation("remove", file, exchange=wire.ask("remove", path=at(file)))
        if kind < 0.80:
            path, recursive = rng.choice(DIRECTORIES), rng.random() < 0.6
            return serial.Operation(
                "remove", path, recursive, exchange=wire.ask("remove", path=at(path), recursive=recursive))
        if kind < 0.84:
            path = rng.choice(DIRECTORIES)
            return serial.Operation("make-directory", path, exchange=wire.ask("make-directory", path=at(path)))
        if kind < 0.88:
            return self.listing(place)
        verb = rng.choice(["move", "copy"])
        source, target = rng.choice([file, rng.choice(DIRECTORIES)]), rng.choice([other, rng.choice(DIRECTORIES)])
        if source == target:
            target = "b" if source != "b" else "c"
        return serial.Operation(verb, source, target, exchange=wire.ask(verb, **{"from": at(source), "to": at(target)}))

    def listing(self, place):
        return serial.Operation("list", exchange=wire.ask("list", path=place.root, recursive=True))

    def note(self, operation, place, who):
        """Takes times and answer of a request over into its operation. Returns false if it was not carried out."""
        exchange = operation.exchange
        operation.sent, operation.answered = exchange.sent, exchange.answered
        if exchange.answered is None:
            return True
        self.report.count("answers")
        code = exchange.code
        if code in GONE:
            return False
        operation.answer = code
        if code == "internal":
            self.report.violation("internal", f"{who}: {operation}: {exchange.reply}")
            operation.answer = serial.UNKNOWN
        elif code == "content":
            operation.answer = ("content", exchange.reply["sha256"])
            self.check_bytes(exchange, who)
        elif code == "entries":
            found = {one["name"]: one.get("sha256") or tree.DIRECTORY for one in exchange.entries}
            operation.answer = ("entries", tuple(sorted(found.items())))
        elif operation.kind == "get" and exchange.reply["type"] == "content":
            self.report.violation("unreadable", f"{who}: {operation}: {exchange.trailer}")
            operation.answer = ("content", exchange.reply["sha256"])
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
                time.sleep(rng.random() * 0.01)
        except (OSError, wire.Broken):
            pass
        except TimeoutError as error:
            self.report.violation("no answer", f"{who}: {error}")
        finally:
            connection.close()

    def archivist(self, seed, stored):
        """Pipelines many small files that stay; half of them beside a file that is taken away again at once."""
        rng = random.Random(seed)
        who = rng.choice(PEOPLE)
        try:
            connection = self.server.connect(who)
            for number in range(1000):
                burst = []
                for index in range(rng.choice([4, 20])):
                    content = self.contents.make(who, contents.size(rng, large=False))
                    path = f"/{who}/archive/{seed}/{number}-{index}"
                    stored.append((path, content, wire.put(path, content.bytes())))
                    burst.append(stored[-1][2])
                    if rng.random() < 0.3:
                        lost = self.contents.make(who, contents.size(rng, large=False))
                        burst += [wire.put(path + "-gone", lost.bytes()), wire.ask("remove", path=path + "-gone")]
                connection.exchange(burst)
                if self.stop.is_set() or rng.random() < 0.3:
                    break
            connection.close()
        except (OSError, wire.Broken):
            pass

    # Rounds

    def look(self):
        """Holds every tree against the states that it may have, and reads all its files."""
        for place in self.trees:
            connection = self.server.connect(place.users[0])
            operation = self.listing(place)
            connection.one(operation.exchange)
            self.note(operation, place, place.users[0])
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
        stored, threads = [], []
        for place in self.trees:
            place.operations = [[] for _ in place.users]
            for who, operations in zip(place.users, place.operations):
                threads.append(threading.Thread(target=self.client, args=(place, who, rng.random(), operations)))
        threads.append(threading.Thread(target=self.archivist, args=(number, stored)))
        for thread in threads:
            thread.start()
        time.sleep(rng.choice([0.02, 0.1, 0.2, 0.3]) * self.given.stretch * (0.5 + rng.random()))
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
                carried_out = [self.note(one, place, who) for one in operations]
                cut = carried_out.index(False) if False in carried_out else len(operations)
                connections.append(operations[:cut])
            place.history = place.states, connections
            try:
                place.states = serial.possible_states(place.states, connections)
            except serial.Impossible as impossible:
                history = self.write_down(place, impossible.tell(place.states, connections))
                self.report.violation("no serial order", f"{place.root}: see {history}")
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
    parser.add_argument("--stretch", type=float, default=1.0, help="factor on how long each life is")
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
        finally:
            run.server.kill()
        workplace.keep = bool(report.violations)
    sys.exit(report.finish(given.figures))


if __name__ == "__main__":
    main()

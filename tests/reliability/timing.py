#!/usr/bin/env python3
"""Tells how much the time of an upload says about what others have stored.

One identity stores contents. Another uploads these and as many new ones, in random order, and tries to tell from the time
until the answers whether the server had the contents: one content at a time, or many in one burst. Then it removes its
copies, and tries to tell from those times. Prints for each size the median and the tenth percentile of both kinds, and how
often a guess from the times of one of each is right: 50 % is no knowledge.
"""

import argparse
import random
import statistics
import tempfile
from pathlib import Path

from lab.server import Server
from lab.wire import ask, put

KIB = 1024
# The size of a content, how many are uploaded in one burst, and in how many fewer bursts than asked for.
KINDS = {
    "100 B": (100, 1, 1),
    "4 KiB": (4 * KIB, 1, 1),
    "64 KiB": (64 * KIB, 1, 1),
    "1 MiB": (KIB * KIB, 1, 2),
    "64 of 100 B": (100, 64, 4),
    "128 of 4 KiB": (4 * KIB, 128, 4),
}


def measure(server, name, size, together, count, rng):
    def bursts():
        return [[rng.randbytes(size) for _ in range(together)] for _ in range(count)]

    theirs = bursts()
    owner, guesser = server.connect("owner"), server.connect("guesser")
    for number, contents in enumerate(theirs):
        store(owner, f"/owner/{name}/{number}", contents)
    uploads = [(True, contents) for contents in theirs] + [(False, contents) for contents in bursts()]
    rng.shuffle(uploads)
    stored, removed = {True: [], False: []}, {True: [], False: []}
    for number, (is_known, contents) in enumerate(uploads):
        stored[is_known].append(store(guesser, f"/guesser/{name}/{number}", contents))
    for number, (is_known, contents) in enumerate(uploads):
        paths = [f"/guesser/{name}/{number}/{one}" for one in range(len(contents))]
        removed[is_known].append(timed(guesser, [ask("remove", path=path) for path in paths], "done"))
    owner.close()
    guesser.close()
    return {"stored": stored, "removed": removed}


def store(connection, path, contents):
    return timed(connection, [put(f"{path}/{number}", content) for number, content in enumerate(contents)], "stored")


def timed(connection, requests, expected):
    """Sends requests at once. Returns the milliseconds until the last answer."""
    done = connection.exchange(requests)
    for one in done:
        if one.code != expected:
            raise RuntimeError(f"{one.request}: {one.reply}")
    return (done[-1].answered - done[0].sent) / 1e6


def right(known, new):
    """How often the shorter time is that of the content that was known, of all pairs."""
    shorter = sum((a < b) + (a == b) / 2 for a in known for b in new)
    return shorter / len(known) / len(new)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=1000, help="uploads or bursts of each kind [default: 1000]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="sealift-timing-") as root:
        server = Server(Path(root)).start()
        try:
            for name in ("owner", "guesser"):
                server.join(name)
            for name, (size, together, fewer) in KINDS.items():
                measured = measure(server, name, size, together, arguments.uploads // fewer, rng)
                for what, times in measured.items():
                    shown = {
                        kind: f"{statistics.median(row):.3f} ms ({statistics.quantiles(row, n=10)[0]:.3f})"
                        for kind, row in times.items()
                    }
                    print(
                        f"{name} {what}: known {shown[True]}, new {shown[False]}, "
                        f"guessed {right(times[True], times[False]):.1%}",
                        flush=True,
                    )
        finally:
            server.kill()


if __name__ == "__main__":
    main()

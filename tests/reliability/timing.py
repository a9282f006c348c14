#!/usr/bin/env python3
"""Tells how much the time of an upload says about what others have stored.

One identity stores contents. Another uploads these and as many new ones, one at a time in random order, and tries to
tell from the time of each answer whether the server had the content. Prints for each size the median and the tenth
percentile of both kinds, and how often a guess from the times of one of each is right: 50 % is no knowledge.
"""

import argparse
import random
import statistics
import tempfile
from pathlib import Path

from lab.server import Server
from lab.wire import put

SIZES = {"100 B": 100, "4 KiB": 4096, "64 KiB": 64 * 1024, "1 MiB": 1024 * 1024}


def measure(server, size, count, rng):
    theirs = [rng.randbytes(size) for _ in range(count)]
    owner, guesser = server.connect("owner"), server.connect("guesser")
    for number, content in enumerate(theirs):
        store(owner, f"/owner/{size}/{number}", content)
    uploads = [(True, content) for content in theirs] + [(False, rng.randbytes(size)) for _ in range(count)]
    rng.shuffle(uploads)
    times = {True: [], False: []}
    for number, (is_known, content) in enumerate(uploads):
        done = store(guesser, f"/guesser/{size}/{number}", content)
        times[is_known].append((done.answered - done.sent) / 1e6)
    owner.close()
    guesser.close()
    return times


def store(connection, path, content):
    done = connection.one(put(path, content))
    if done.code != "stored":
        raise RuntimeError(f"{path}: {done.reply}")
    return done


def right(known, new):
    """How often the shorter time is that of the content that was known, of all pairs."""
    shorter = sum((a < b) + (a == b) / 2 for a in known for b in new)
    return shorter / len(known) / len(new)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=1000, help="uploads of each kind and size [default: 1000]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="sealift-timing-") as root:
        server = Server(Path(root)).start()
        try:
            for name in ("owner", "guesser"):
                server.join(name)
            for name, size in SIZES.items():
                times = measure(server, size, arguments.uploads, rng)
                shown = {
                    kind: f"{statistics.median(row):.3f} ms ({statistics.quantiles(row, n=10)[0]:.3f})"
                    for kind, row in times.items()
                }
                print(
                    f"{name}: known {shown[True]}, new {shown[False]}, "
                    f"guessed {right(times[True], times[False]):.1%}",
                    flush=True,
                )
        finally:
            server.kill()


if __name__ == "__main__":
    main()

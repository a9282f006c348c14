"""Contents that tell who made them: each run of 4 KiB begins with a tag that leads back to its maker.

They are quick to make, so that the programs can make them again wherever they compare bytes.
"""

import hashlib
import random
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Content:
    number: int
    size: int
    sha256: str
    maker: str  # the identity that stored it first; "everyone" for those that anybody may store

    def bytes(self):
        return generate(self.number, self.size)


def generate(number, size):
    """The bytes of a content: random runs of 4 KiB, each with a tag at its front that says whose it is and which one."""
    if size < 64:
        return random.Random(number).randbytes(size)
    run = random.Random(number).randbytes(4096 - 24)
    tag = f"<content {number:06}>".encode()[:16]
    runs = (tag + index.to_bytes(8, "big") + run for index in range(-(-size // 4096)))
    return b"".join(runs)[:size]


class Contents:
    """All contents of a run, by digest."""

    def __init__(self):
        self.by_digest = {}
        self.by_number = {}
        self.lock = threading.Lock()

    def make(self, maker, size):
        with self.lock:
            number = len(self.by_number) + 1
            self.by_number[number] = None
        data = generate(number, size)
        content = Content(number, size, hashlib.sha256(data).hexdigest(), maker)
        self.by_number[number] = content
        return self.by_digest.setdefault(content.sha256, content)

    def describe(self, data):
        """Says for a report what bytes are, as far as their tags tell."""
        whole = self.by_digest.get(hashlib.sha256(data).hexdigest())
        if whole:
            return f"content {whole.number} of {whole.maker}"
        makers = set()
        for start in range(0, max(len(data) - 16, 0)):
            if data[start : start + 9] == b"<content ":
                digits = bytes(data[start + 9 : start + 15])
                known = self.by_number.get(int(digits)) if digits.isdigit() else None
                makers.add(f"a piece of content {known.number} of {known.maker}" if known else "an unknown tag")
        return ", ".join(sorted(makers)[:5]) or f"{len(data)} bytes that nobody stored"


def size(rng, large=True):
    """A size of one of the kinds that the server stores in different ways."""
    kind = rng.random()
    if kind < 0.25:
        return rng.randint(8, 300)
    if kind < 0.80:
        return rng.choice([4096, 8000, 20_000, 40_000])
    if kind < 0.87:
        return rng.choice([65_535, 65_536])
    if kind < 0.99 or not large:
        return rng.choice([65_537, 70_000, 150_000])
    return rng.choice([1_048_576, 1_400_000])

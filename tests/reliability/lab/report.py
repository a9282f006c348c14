"""Violations and figures of a run, and its last line."""

import json
import threading
import time
import traceback


class Report:
    def __init__(self, title):
        self.title = title
        self.violations = []
        self.figures = {}
        self.lock = threading.Lock()
        self.begun = time.monotonic()
        threading.excepthook = self.thread_failed

    def thread_failed(self, failed):
        """A thread that ends by a mistake of its own tests nothing any more."""
        trace = traceback.format_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)
        self.violation("mistake in the test", "".join(trace))

    def violation(self, kind, detail):
        """Something that a promise rules out."""
        with self.lock:
            self.violations.append((kind, detail))
            if sum(other == kind for other, _ in self.violations) <= 5:
                print(f"VIOLATION {kind}: {detail}", flush=True)

    def count(self, what, by=1):
        with self.lock:
            self.figures[what] = self.figures.get(what, 0) + by

    def finish(self, path=None, needed=()):
        """Prints the figures; returns the exit code of the run. One in which nothing was counted that begins with one of the
        needed words has tested nothing, and fails."""
        for words in needed:
            if not any(what.startswith(words) for what in self.figures):
                self.violation("nothing tested", f"there are no {words}")
        self.figures["seconds"] = round(time.monotonic() - self.begun)
        kinds = {}
        for kind, _ in self.violations:
            kinds[kind] = kinds.get(kind, 0) + 1
        figures = ", ".join(f"{value} {what}" for what, value in self.figures.items())
        print(f"{self.title}: {figures}; {len(self.violations)} violations {kinds or ''}".rstrip(), flush=True)
        if path:
            with open(path, "a", encoding="utf-8") as out:
                facts = {"title": self.title, "when": time.strftime("%Y-%m-%d %H:%M"), **self.figures}
                out.write(json.dumps({**facts, "violations": kinds}) + "\n")
        return 1 if self.violations else 0

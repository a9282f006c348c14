"""What all peers have in common."""
import os
import shutil
import signal
import subprocess
from pathlib import Path

from measure import free_port, wait_for_port


def find(tool):
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Peer:
    needs = ()

    def __init__(self, work):
        self.dir = Path(work) / self.name
        self.data = self.dir / "data"
        self.dir.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.port = self.dialled = free_port()

    def missing(self):
        """What would have to be installed."""
        return [tool for tool in self.needs if not find(tool)]

    def available(self):
        missing = self.missing()
        if missing:
            print(f"({self.label} left out: no {', '.join(missing)} here)\n")
        return not missing

    def empty(self):
        """Back to a server that holds nothing."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)

    def run(self, argv):
        log = open(self.dir / "server.log", "ab")
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True)
        wait_for_port(self.port, self.process)

    def stop(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(30)
            self.process = None

    def pids(self):
        return [self.process.pid]

    def reach(self, port):
        """Clients connect to this port from now on."""
        self.dialled = port

    def environment(self):
        return {}

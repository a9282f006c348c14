"""A real sealiftd on a port that the system picks, and identities that joined it."""

import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from .wire import Connection

REPOSITORY = Path(__file__).resolve().parents[3]


def programs():
    """The server and the client to try: those in the folder SEALIFT_BIN, or the ones that the tests are built with."""
    if "SEALIFT_BIN" in os.environ:
        folder = Path(os.environ["SEALIFT_BIN"]).resolve()
        return folder / "sealiftd", folder / "sealift"
    build = ["cargo", "test", "--no-run", "--quiet", "--workspace", "--test", "cli"]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    folder = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve() / "debug"
    return folder / "sealiftd-under-test", folder / "sealift-under-test"


class Server:
    """One data directory and the process that serves it."""

    def __init__(self, root, data=None, wrap=(), settings=None):
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.data = Path(data) if data else self.root / "data"
        self.sealiftd, self.client = programs()
        self.wrap, self.client_wrap = list(wrap), []
        self.process = None
        self.address = None
        self.log_file = self.root / "server.log"
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SEALIFT")}
        self.environment = dict(clean, SEALIFTD_CONFIG="/dev/null", RUST_LOG="warn", **(settings or {}))

    def start(self, wait=60, arguments=(), wrap=None, pass_fds=()):
        """Starts it and waits until it listens. Raises `ServerEnded` if it ends before."""
        self.begin(arguments, wrap, pass_fds)
        return self.wait_until_ready(wait)

    def begin(self, arguments=(), wrap=None, pass_fds=()):
        with open(self.log_file, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                [*(self.wrap if wrap is None else wrap), self.sealiftd, "serve", "--data", self.data,
                 "--listen", "127.0.0.1:0", "--address", "127.0.0.1", *arguments],
                stdout=subprocess.PIPE, stderr=log, env=self.environment, pass_fds=pass_fds,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def wait_until_ready(self, wait=60):
        line = b""
        deadline = time.monotonic() + wait
        output = self.process.stdout.fileno()
        while not line.endswith(b"\n"):
            if not select.select([output], [], [], max(0, deadline - time.monotonic()))[0]:
                raise ServerEnded(f"it did not listen within {wait} s")
            piece = os.read(output, 4096)
            if not piece:
                raise ServerEnded(f"it ended with {self.process.wait()}: {self.log()[-600:]}")
            line += piece
        found = re.search(rb"listening on (\S+):(\d+)", line)
        self.address = ("127.0.0.1", int(found[2]))
        return self

    def log(self):
        """What this start has written to standard error."""
        with open(self.log_file, "rb") as log:
            log.seek(self.log_start)
            return re.sub(r"\x1b\[[0-9;]*m", "", log.read().decode(errors="replace"))

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9"""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def stop(self, wait=60):
        """SIGTERM; returns the exit code."""
        if not self.process:
            return None
        self.process.terminate()
        try:
            code = self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.kill()
            return "it did not stop"
        self.process.stdout.close()
        self.process = None
        return code

    def admin(self, *arguments, check=True, wait=120, wrap=()):
        done = subprocess.run(
            [*wrap, self.sealiftd, *arguments, "--data", self.data],
            env=self.environment, capture_output=True, text=True, timeout=wait,
        )
        if check and done.returncode:
            raise RuntimeError(f"sealiftd {arguments}: exit {done.returncode}: {done.stdout} {done.stderr}")
        return done

    def invite(self, name):
        return self.admin("invite", name).stdout.strip()

    def join(self, name, token=None):
        """Makes an identity, or another machine of it, and returns the directory of its profile."""
        token = token or self.invite(name)
        done = self.sealift(name, "join", token)
        if done.returncode:
            raise RuntimeError(f"join: {done.stdout} {done.stderr}")
        return self.profile(name)

    def profile(self, name):
        return self.root / f"client-{name}" / "profiles" / "default"

    def sealift(self, name, *arguments, wait=120, **more):
        host, port = self.address
        return subprocess.run(
            [*self.client_wrap, self.client, "--server", f"{host}:{port}", *arguments],
            env=dict(self.environment, SEALIFT_CONFIG_DIR=str(self.root / f"client-{name}")),
            capture_output=True, text=True, timeout=wait, **more,
        )

    def connect(self, name, timeout=30, **more):
        return Connection(self.profile(name), self.address, timeout, **more)


class ServerEnded(Exception):
    """The server ended, or hung, where it should have served."""


class Workplace:
    """A temporary directory that stays if something went wrong."""

    def __init__(self, name, parent=None):
        self.path = Path(tempfile.mkdtemp(prefix=f"sealift-{name}-", dir=parent))
        self.keep = False

    def __enter__(self):
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # mounts and servers go then, too
        return self

    def __exit__(self, kind, *_):
        if self.keep or kind:
            print(f"kept for inspection: {self.path}")
        else:
            shutil.rmtree(self.path, ignore_errors=True)

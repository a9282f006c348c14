"""A screen without a monitor (Xvfb), and the desktop client's window on it, seen from outside."""
import itertools
import mmap
import os
import struct
import subprocess
import time
from pathlib import Path

from peers.peer import find

PROGRAM = Path(__file__).resolve().parent.parent / os.environ.get("CARGO_TARGET_DIR", "target") / "release/sealift-gui"
PATIENCE = 120


class Screen:
    """OpenGL is drawn by the processor here, which costs the window more than on a desk."""

    def __init__(self, work):
        self.dir = work / "screen"
        self.dir.mkdir()
        told, tell = os.pipe()
        argv = [find("Xvfb"), "-displayfd", str(tell), "-screen", "0", "1280x800x24", "-fbdir", str(self.dir), "-nolisten", "tcp"]
        self.server = subprocess.Popen(argv, pass_fds=[tell], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(tell)
        with open(told) as display:
            self.display = display.readline().strip()
        with open(self.dir / "Xvfb_screen0", "rb") as file:
            self.memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        # The file is an XWD dump: 25 words, then the name, then the colour map, then the picture.
        header = struct.unpack(">25I", self.memory[:100])
        self.picture, self.line, self.height = header[0] + 12 * header[19], header[12], header[5]

    def colours(self):
        """How many colours there are on every 50th line."""
        found = set()
        for row in range(25, self.height, 50):
            at = self.picture + row * self.line
            found.update(memoryview(self.memory[at:at + self.line]).cast("I"))
        return len(found)

    def environment(self):
        """With Mesa, that writes down the window's pictures: a line each, with the rate that it alone would make."""
        return {"DISPLAY": f":{self.display}", "WAYLAND_DISPLAY": "", "HOME": str(self.dir), "LIBGL_ALWAYS_SOFTWARE": "1",
                "GALLIUM_HUD": "fps", "GALLIUM_HUD_PERIOD": "0", "GALLIUM_HUD_VISIBLE": "false", "GALLIUM_HUD_DUMP_DIR": str(self.dir)}

    def pictures(self):
        """When those of the last window were shown, in seconds after its first."""
        try:
            rates = map(float, (self.dir / "fps").read_text().split())
        except FileNotFoundError:
            raise SystemExit("this OpenGL is not Mesa's: nobody counts its pictures") from None
        return [0, *itertools.accumulate(1 / rate for rate in rates)]

    def stop(self):
        self.server.terminate()
        self.server.wait()


class Window:
    """The desktop client, from its start to `close`."""

    def __init__(self, screen, home):
        self.screen = screen
        wait("the screen is empty again", lambda: screen.colours() == 1)
        self.begun = time.perf_counter()
        environment = {**os.environ, **screen.environment(), "SEALIFT_CONFIG_DIR": str(home)}
        self.process = subprocess.Popen([PROGRAM], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def shown(self):
        """Seconds from the process's start until its window is there with text in it: letters have many shades."""
        wait("the window is shown", lambda: self.screen.colours() > 8 or self.has_ended())
        return time.perf_counter() - self.begun

    def ticks(self):
        """The clock ticks of CPU so far, usually hundredths of a second."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def settle(self):
        """Until it has done nothing for half a second."""
        seen = [(time.monotonic(), self.ticks())]

        def quiet():
            now, ticks = time.monotonic(), self.ticks()
            if ticks != seen[0][1]:
                seen[0] = (now, ticks)
            return now - seen[0][0] > 0.5
        wait("the window is at rest", quiet)

    def memory(self, which):
        """Bytes: VmRSS are those of now, VmHWM the peak."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(which + ":"))

    def has_ended(self):
        if self.process.poll() is None:
            return False
        raise SystemExit(f"the window ended by itself with {self.process.returncode}")

    def close(self):
        """Ends it; the CPU seconds that it has taken in all."""
        self.process.terminate()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime


def wait(what, seen):
    deadline = time.monotonic() + PATIENCE
    while not seen():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE} s in vain until {what}")
        time.sleep(0.002)

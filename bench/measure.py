"""What a process costs, from outside: time, CPU, memory, bytes on the loopback device."""
import contextlib
import mmap
import os
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

Result = namedtuple("Result", "seconds cpu peak")


def measure(argv, environment=None):
    """Runs a client to its end, which must be a good one: wall seconds, CPU seconds, peak resident bytes."""
    begun = time.perf_counter()
    process = subprocess.Popen([str(word) for word in argv], env={**os.environ, **(environment or {})},
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = [0]
    sampling = threading.Thread(target=sample_peak, args=(process.pid, peak))
    sampling.start()
    complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    sampling.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, argv))}: exit code {process.returncode}: {complaint.decode(errors='replace')}")
    return Result(seconds, usage.ru_utime + usage.ru_stime, peak[0])


def sample_peak(pid, peak):
    """Follows the peak of a running process. The kernel's own figure for an ended one (ru_maxrss) would include what this
    program held when it forked."""
    while True:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return
        found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
        if not found:
            return
        peak[0] = max(peak[0], *found)
        time.sleep(0.02)


def warm_pages(size):
    """Touches and frees so much memory. On a virtual machine that gives free memory back to its host, the first touch of
    a page costs a fault there: more than a second for 1 GiB, and it would hit whoever comes first. Huge pages are freed
    in one piece and so are what the next one gets."""
    populate_write = 23  # MADV_POPULATE_WRITE, which Python has no name for
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        with contextlib.suppress(OSError, AttributeError):
            pages.madvise(mmap.MADV_HUGEPAGE)
            pages.madvise(populate_write)


def descendants(pids):
    """The processes and all below them."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], list(pids)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


def server_cpu(pids):
    """CPU seconds of servers so far, with those of their children, ended ones included."""
    ticks = 0
    for pid in descendants(pids):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def server_peak(pids):
    """Peak resident bytes of the largest of the servers' processes."""
    peaks = [0]
    for pid in descendants(pids):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peaks.append(int(line.split()[1]) * 1024)
    return max(peaks)


def loopback_bytes():
    """Bytes that the loopback device has carried, headers and acknowledgements included."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    return 0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port, process):
    """Until something listens there; a server that ends first is an error."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise SystemExit(f"the server on port {port} did not come up")


@contextlib.contextmanager
def delay_proxy(target, milliseconds):
    """A proxy on the way to a port that adds a delay each way; yields its own port."""
    port = free_port()
    proxy = subprocess.Popen([sys.executable, Path(__file__).with_name("delay_proxy.py"), str(port), str(target), str(milliseconds)])
    try:
        wait_for_port(port, proxy)
        yield port
    finally:
        proxy.kill()
        proxy.wait()

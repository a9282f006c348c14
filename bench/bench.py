#!/usr/bin/env python3
"""Measures Sealift beside what people use today, on this machine, over loopback.

    python3 bench/bench.py                     # everything, 1 GiB, medians of 5; Markdown on standard output
    python3 bench/bench.py --size 64M --runs 3 --only bulk
    python3 bench/bench.py --only bulk --peers rsync-ssh,sftp,rclone
    python3 bench/bench.py --only trees --only far --files 2000 --delay 20

Standard library only. Builds Sealift if it has to. Peers are measured where they are installed (Debian: `apt-get
install openssh-server openssh-client rsync nginx libnginx-mod-http-dav-ext curl openssl rclone`) and left out where not; so
is the desktop client without a screen (`apt-get install xvfb libgl1 libgl1-mesa-dri libegl1 libxkbcommon-x11-0`).
The peers of one line take turns within each run, so that ratios hold although a machine's speed drifts. Each result is
verified. What Sealift stored or fetched is durable when it says so; no other peer here syncs anything, so columns
add what that takes.
"""
import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import parts  # noqa: E402
import peers  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def size(text):
    unit = {"K": 10, "M": 20, "G": 30}.get(text[-1].upper())
    return int(text[:-1]) << unit if unit else int(text)


def names(text):
    known = {peer.name for peer in peers.ALL}
    found = known if text == "all" else set(text.split(","))
    if found - known:
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(found - known))}: not among {', '.join(sorted(known))}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=size, default=size("1G"), help="the large file [1G]")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each [5]")
    parser.add_argument("--files", type=int, default=10000, help="the small files [10000]")
    parser.add_argument("--delay", type=int, default=50, help="milliseconds added each way where latency is measured [50]")
    parser.add_argument("--connections", type=int, default=1000, help="the idle connections [1000]")
    parser.add_argument("--entries", type=int, default=1000000, help="the files in one large space, a multiple of 10000 [1000000]")
    parser.add_argument("--queue", type=int, default=100000, help="the files in the desktop client's queue [100000]")
    parser.add_argument("--only", choices=parts.ALL, action="append", help="one part only; may be repeated")
    parser.add_argument("--peers", type=names, metavar="NAME,...",
                        help=f"beside which peers, where a part has them: {', '.join(peer.name for peer in peers.ALL[1:])}, or all "
                        "[those of each part that do not take minutes]")
    parser.add_argument("--dir", help="where the data goes; needs room for ten times --size [the system's temporary directory]")
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "sealift"], cwd=ROOT, check=True)
    arguments.work = Path(tempfile.mkdtemp(prefix="sealift-bench-", dir=arguments.dir))
    try:
        print(f"{date.today()}, {os.cpu_count()} cores, Linux {platform.release()}, medians of {arguments.runs} runs.\n", flush=True)
        for name in arguments.only or parts.ALL:
            parts.ALL[name](arguments)
    finally:
        shutil.rmtree(arguments.work, ignore_errors=True)


if __name__ == "__main__":
    main()

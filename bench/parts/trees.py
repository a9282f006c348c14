"""Many small files, up and down, near and far."""
import os
import statistics
import time

from material import fresh_contents, random_tree, read_through, same_tree
from measure import delay_proxy, measure, server_cpu, warm_pages
from peers import Curl, CurlHttp2, Rclone, RsyncDaemon, RsyncSsh, Scp, Sftp, Tar, chosen
from report import interleaved, median, table


def trees(arguments):
    """Nothing is deleted meanwhile, because that slows down what is created after it."""
    work, files, runs = arguments.work, arguments.files, arguments.runs
    source = random_tree(work / "tree", files, 4096)
    peers = chosen(work, arguments.peers, (RsyncSsh, RsyncDaemon, Tar, Curl, CurlHttp2), others=(Scp, Sftp, Rclone))
    for peer in peers:
        peer.empty()
        peer.start()

    def once(peer, run):
        fresh_contents(source)
        read_through(source)
        os.sync()
        warm_pages(files * 16384)
        cpu, figure, target = server_cpu(peer.pids()), {}, work / f"{peer.name}-{run}"
        result = measure(peer.upload_tree(source, f"tree{run}"), peer.environment())
        figure["up"], figure["up_cpu"] = result.seconds, result.cpu + server_cpu(peer.pids()) - cpu
        figure["up_sync"] = figure["up"] + sync()
        argv, cpu = peer.download_tree(f"tree{run}", target), server_cpu(peer.pids())
        result = measure(argv, peer.environment())
        figure["down"], figure["down_cpu"] = result.seconds, result.cpu + server_cpu(peer.pids()) - cpu
        figure["down_sync"] = figure["down"] + sync()
        if not same_tree(source, target):
            raise SystemExit(f"{peer.name}: what came down is not what went up")
        return figure

    try:
        figures = interleaved(peers, runs, once)
    finally:
        for peer in peers:
            peer.stop()
    copies = []
    for run in range(runs):
        os.sync()
        copies.append(measure(["cp", "-r", source, work / f"copy-{run}"]).seconds)
    print(f"### {files} files of 4 KiB, a hundred to a directory\n")
    keys = ("up", "up_sync", "up_cpu", "down", "down_sync", "down_cpu")
    table(["", "up s", "up + sync s", "CPU s", "down s", "down + sync s", "CPU s"],
          [[peer.label, *(f"{median(found, key):.2f}" for key in keys)] for peer, found in figures.items()])
    print(f"`cp -r` of the same tree: {statistics.median(copies):.2f} s.\n", flush=True)


def sync():
    """Seconds that it takes to get everything onto the disk."""
    begun = time.perf_counter()
    os.sync()
    return time.perf_counter() - begun


def far(arguments):
    """The same for fewer files over a line with latency."""
    work, files, milliseconds = arguments.work, arguments.files // 10, arguments.delay
    source = random_tree(work / "far", files, 4096)
    peers = chosen(work, arguments.peers, (RsyncSsh, Tar, CurlHttp2), others=(Curl, Scp, Sftp, Rclone))
    rows = []
    for peer in peers:
        peer.empty()
        peer.start()
        try:
            with delay_proxy(peer.port, milliseconds) as port:
                peer.reach(port)
                ups, downs = [], []
                for run in range(arguments.runs):
                    fresh_contents(source)
                    ups.append(measure(peer.upload_tree(source, f"far{run}"), peer.environment()).seconds)
                    target = work / f"far-{peer.name}-{run}"
                    downs.append(measure(peer.download_tree(f"far{run}", target), peer.environment()).seconds)
                    if not same_tree(source, target):
                        raise SystemExit(f"{peer.name}: what came down is not what went up")
        finally:
            peer.stop()
        rows.append([peer.label, f"{statistics.median(ups):.2f}", f"{statistics.median(downs):.2f}"])
    print(f"### {files} files of 4 KiB with {milliseconds} ms added each way\n")
    table(["", "up s", "down s"], rows)

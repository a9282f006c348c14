"""Sealift and those it is measured against: how to start the server, and the command line of each operation."""
from peers.rsync import RsyncDaemon, RsyncSsh
from peers.sealift import Sealift
from peers.ssh import Scp, Sftp, Tar
from peers.web import Curl, CurlHttp2, Rclone

ALL = (Sealift, Scp, Sftp, RsyncSsh, RsyncDaemon, Tar, Curl, CurlHttp2, Rclone)


def chosen(work, names, usual, slow=()):
    """Sealift, and beside it those of a part that were named, or else its usual ones; as far as they are installed."""
    if names:
        kinds = [kind for kind in (*usual, *slow) if kind.name in names]
    else:
        kinds = usual
        if slow:
            print(f"(Left out because they take long: {', '.join(kind.name for kind in slow)}; --peers measures them.)\n")
    return [peer for peer in (kind(work) for kind in (Sealift, *kinds)) if peer.available()]

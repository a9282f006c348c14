"""Sealift and those it is measured against: how to start the server, and the command line of each operation."""
from peers.rsync import RsyncDaemon, RsyncSsh
from peers.sealift import Sealift
from peers.ssh import Scp, Sftp, Tar
from peers.web import Curl, CurlHttp2, Rclone

ALL = (Sealift, Scp, Sftp, RsyncSsh, RsyncDaemon, Tar, Curl, CurlHttp2, Rclone)


def chosen(work, names, usual, others=()):
    """Sealift, and beside it those of a part that were named, or else its usual ones; as far as they are installed."""
    if names:
        kinds = [kind for kind in (*usual, *others) if kind.name in names]
    else:
        kinds = usual
        if others:
            print(f"(Left out, so that this takes no longer: {', '.join(kind.name for kind in others)}; --peers measures them.)\n")
    return [peer for peer in (kind(work) for kind in (Sealift, *kinds)) if peer.available()]

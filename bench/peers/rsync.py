"""rsync, over ssh and by its own daemon."""
import os
import pwd

from peers.peer import Peer
from peers.ssh import Ssh


class Rsync:
    """The client's side; `at` says where a name is on the server, `flags` how to get there."""
    flags = ()

    def rsync(self, source, target):
        return ["rsync", "-a", *self.flags, source, target]

    def upload(self, path, name):
        return self.rsync(path, self.at(name))

    def download(self, name, path):
        return self.rsync(self.at(name), path)

    def upload_tree(self, path, name):
        return self.rsync(f"{path}/", self.at(f"{name}/"))

    def download_tree(self, name, path):
        return self.rsync(self.at(f"{name}/"), f"{path}/")


class RsyncSsh(Rsync, Ssh):
    name, label = "rsync-ssh", "rsync over ssh, AES-128-GCM"
    needs = (*Ssh.needs, "ssh", "rsync")

    @property
    def flags(self):
        return "-e", self.ssh()


class RsyncDaemon(Rsync, Peer):
    name, label = "rsyncd", "rsync daemon, plain text"
    needs = ("rsync",)

    def start(self):
        config = self.dir / "rsyncd.conf"
        config.write_text(f"""use chroot = no
[data]
path = {self.data}
read only = no
uid = {pwd.getpwuid(os.getuid()).pw_name}
gid = {os.getgid()}
""")
        self.run(["rsync", "--daemon", "--no-detach", "--address", "127.0.0.1", "--port", self.port, "--config", config])

    def at(self, name):
        return f"rsync://127.0.0.1:{self.dialled}/data/{name}"

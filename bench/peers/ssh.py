"""What comes with OpenSSH."""
import os
import pwd
import subprocess
from pathlib import Path

from peers.peer import Peer, find


class Ssh(Peer):
    """A throw-away sshd with the fastest cipher that OpenSSH has, and a key for the present user."""
    needs = ("sshd", "ssh-keygen", "scp", "sftp")

    def start(self):
        for key in ("host", "user"):
            if not (self.dir / key).exists():
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / key], check=True)
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        config = self.dir / "sshd_config"
        config.write_text(f"""ListenAddress 127.0.0.1:{self.port}
HostKey {self.dir}/host
AuthorizedKeysFile {self.dir}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
""")
        self.run([find("sshd"), "-D", "-e", "-f", config])

    def options(self, port="-P"):
        return [port, self.dialled, "-i", self.dir / "user", "-c", "aes128-gcm@openssh.com", "-o", "StrictHostKeyChecking=no",
                "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-F", "none"]

    def ssh(self):
        """The command line of ssh up to the host."""
        return " ".join(map(str, ["ssh", *self.options("-p")]))

    def host(self):
        return f"{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1"

    def at(self, name):
        return f"{self.host()}:{self.data}/{name}"


class Scp(Ssh):
    name, label = "scp", "scp, AES-128-GCM"

    def upload(self, path, name):
        return ["scp", "-q", *self.options(), path, self.at(name)]

    def download(self, name, path):
        return ["scp", "-q", *self.options(), self.at(name), path]

    def upload_tree(self, path, name):
        return ["scp", "-q", "-r", *self.options(), path, self.at(name)]

    def download_tree(self, name, path):
        return ["scp", "-q", "-r", *self.options(), self.at(name), path]


class Sftp(Ssh):
    name, label = "sftp", "sftp, AES-128-GCM"

    def batch(self, line):
        batch = self.dir / "batch"
        batch.write_text(line + "\n")
        return ["sftp", "-q", *self.options(), "-b", batch, self.host()]

    def upload(self, path, name):
        return self.batch(f"put {path} {self.data}/{name}")

    def download(self, name, path):
        return self.batch(f"get {self.data}/{name} {path}")

    def upload_tree(self, path, name):
        return self.batch(f"put -r {path} {self.data}/{name}")

    def download_tree(self, name, path):
        return self.batch(f"get -r {self.data}/{name} {path}")

    def list(self, _):
        return self.batch(f"ls {self.data}")

    def info(self, name):
        return self.batch(f"ls -l {self.data}/{name}")


class Tar(Ssh):
    name, label = "tar", "tar over ssh, AES-128-GCM"
    needs = (*Ssh.needs, "ssh", "tar")

    def upload_tree(self, path, name):
        there = self.data / name
        return ["sh", "-c", f"tar -C {path} -cf - . | {self.ssh()} {self.host()} 'mkdir -p {there} && tar -C {there} -xf -'"]

    def download_tree(self, name, path):
        return ["sh", "-c", f"mkdir -p {path} && {self.ssh()} {self.host()} 'tar -C {self.data / name} -cf - .' | tar -C {path} -xf -"]

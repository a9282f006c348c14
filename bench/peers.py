"""Sealift and those it is measured against: how to start the server, and the command line of each operation."""
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from measure import free_port, wait_for_port

ROOT = Path(__file__).resolve().parent.parent


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

    def available(self):
        missing = [tool for tool in self.needs if not find(tool)]
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


class Sealift(Peer):
    name, label = "sealift", "Sealift"

    def empty(self):
        super().empty()
        shutil.rmtree(self.dir / "home", ignore_errors=True)  # a new server is a new authority

    def start(self):
        self.run([ROOT / "target/release/sealiftd", "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"])
        if not (self.dir / "home").exists():
            token = subprocess.check_output([ROOT / "target/release/sealiftd", "invite", "bench", "--data", self.data], text=True)
            subprocess.run([ROOT / "target/release/sealift", "join", token.strip()], env={**os.environ, **self.environment()},
                           check=True, capture_output=True)

    def environment(self):
        return {"SEALIFT_CONFIG_DIR": str(self.dir / "home")}

    def call(self, *words):
        return [ROOT / "target/release/sealift", "--server", f"127.0.0.1:{self.dialled}", "--quiet", *words]

    def upload(self, path, name):
        return self.call("put", path, name)

    def download(self, name, path):
        return self.call("get", name, path)

    def list(self, _):
        return self.call("ls")

    def info(self, name):
        return self.call("info", name)

    def upload_tree(self, path, name):
        return self.call("put", f"{path}/", name)

    def download_tree(self, name, path):
        return self.call("get", f"{name}/", path)


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

    def host(self):
        return f"{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1"

    def upload(self, path, name):
        return ["scp", "-q", *self.options(), path, f"{self.host()}:{self.data}/{name}"]

    def download(self, name, path):
        return ["scp", "-q", *self.options(), f"{self.host()}:{self.data}/{name}", path]


class Scp(Ssh):
    name, label = "scp", "scp, AES-128-GCM"


class Tar(Ssh):
    name, label = "tar", "tar over ssh, AES-128-GCM"
    needs = (*Ssh.needs, "ssh", "tar")

    def ssh(self):
        return " ".join(map(str, ["ssh", *self.options("-p")]))

    def upload_tree(self, path, name):
        there = self.data / name
        return ["sh", "-c", f"tar -C {path} -cf - . | {self.ssh()} {self.host()} 'mkdir -p {there} && tar -C {there} -xf -'"]

    def download_tree(self, name, path):
        return ["sh", "-c", f"mkdir -p {path} && {self.ssh()} {self.host()} 'tar -C {self.data / name} -cf - .' | tar -C {path} -xf -"]


class RsyncSsh(Tar):
    name, label = "rsync-ssh", "rsync over ssh, AES-128-GCM"
    needs = (*Ssh.needs, "ssh", "rsync")

    def upload_tree(self, path, name):
        return ["rsync", "-a", "-e", self.ssh(), f"{path}/", f"{self.host()}:{self.data}/{name}/"]

    def download_tree(self, name, path):
        return ["rsync", "-a", "-e", self.ssh(), f"{self.host()}:{self.data}/{name}/", f"{path}/"]


class RsyncDaemon(Peer):
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

    def url(self, name):
        return f"rsync://127.0.0.1:{self.dialled}/data/{name}/"

    def upload_tree(self, path, name):
        return ["rsync", "-a", f"{path}/", self.url(name)]

    def download_tree(self, name, path):
        return ["rsync", "-a", self.url(name), f"{path}/"]


class Sftp(Ssh):
    name, label = "sftp", "sftp, AES-128-GCM"

    def batch(self, line):
        batch = self.dir / "batch"
        batch.write_text(line + "\n")
        return ["sftp", "-q", *self.options(), "-b", batch, self.host()]

    def list(self, _):
        return self.batch(f"ls {self.data}")

    def info(self, name):
        return self.batch(f"ls -l {self.data}/{name}")


class Curl(Peer):
    """curl to nginx with WebDAV PUT and client certificates."""
    name, label = "nginx", "curl to nginx, mutual TLS"
    needs = ("nginx", "curl", "openssl")

    def certificates(self):
        def openssl(*words):
            subprocess.run(["openssl", *map(str, words)], cwd=self.dir, check=True, capture_output=True)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", 2, "-subj", "/CN=ca")
        for who, name in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "subjectAltName=DNS:client")):
            openssl("req", *curve, "-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={who}")
            (self.dir / "names").write_text(name)
            openssl("x509", "-req", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                    "-days", 2, "-extfile", "names", "-out", f"{who}.pem")

    def start(self):
        if not (self.dir / "client.pem").exists():
            self.certificates()
        (self.dir / "tmp").mkdir(exist_ok=True)
        modules = "include /etc/nginx/modules-enabled/*.conf;" if Path("/etc/nginx/modules-enabled").is_dir() else ""
        user = "user root;" if os.getuid() == 0 else ""
        temporary = " ".join(f"{kind}_temp_path {self.dir}/tmp/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = self.dir / "nginx.conf"
        config.write_text(f"""{modules} {user}
daemon off; pid {self.dir}/pid; worker_processes auto;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; client_body_buffer_size 128k; {temporary}
  server {{
    listen 127.0.0.1:{self.port} ssl;
    ssl_certificate {self.dir}/server.pem; ssl_certificate_key {self.dir}/server.key;
    ssl_client_certificate {self.dir}/ca.pem; ssl_verify_client on; ssl_protocols TLSv1.3;
    root {self.data};
    location / {{ autoindex on; dav_methods PUT DELETE; create_full_put_path on; }}
  }}
}}
""")
        self.run([find("nginx"), "-e", self.dir / "error.log", "-c", config])

    def curl(self, *words):
        return ["curl", "-sSf", "--http1.1", "--cacert", self.dir / "ca.pem", "--cert", self.dir / "client.pem",
                "--key", self.dir / "client.key", *words]

    def url(self, name=""):
        return f"https://127.0.0.1:{self.dialled}/{name}"

    def upload(self, path, name):
        return self.curl("-T", path, self.url(name))

    def download(self, name, path):
        return self.curl("-o", path, self.url(name))

    def list(self, _):
        return self.curl(self.url())

    def info(self, name):
        return self.curl("-I", self.url(name))

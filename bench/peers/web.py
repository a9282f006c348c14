"""nginx with WebDAV and client certificates, and what speaks to it."""
import os
import ssl
import subprocess
from pathlib import Path

from peers.peer import Peer, find

MODULES = Path("/etc/nginx/modules-enabled")


class Nginx(Peer):
    needs = ("nginx", "openssl")
    methods = "dav_methods PUT DELETE;"
    listen = "ssl"

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
        modules = f"include {MODULES}/*.conf;" if MODULES.is_dir() else ""
        user = "user root;" if os.getuid() == 0 else ""
        temporary = " ".join(f"{kind}_temp_path {self.dir}/tmp/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = self.dir / "nginx.conf"
        config.write_text(f"""{modules} {user}
daemon off; pid {self.dir}/pid; worker_processes auto;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; client_body_buffer_size 128k; {temporary}
  keepalive_timeout 600; keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{self.port} {self.listen};
    ssl_certificate {self.dir}/server.pem; ssl_certificate_key {self.dir}/server.key;
    ssl_client_certificate {self.dir}/ca.pem; ssl_verify_client on; ssl_protocols TLSv1.3;
    root {self.data};
    location / {{ autoindex on; {self.methods} create_full_put_path on; }}
  }}
}}
""")
        self.run([find("nginx"), "-e", self.dir / "error.log", "-c", config])

    def url(self, name=""):
        return f"https://127.0.0.1:{self.dialled}/{name}"


class Curl(Nginx):
    """One curl, and for a tree one connection: curl walks no directories and is given the list of files, here and when
    they come back."""
    name, label = "nginx", "curl to nginx, mutual TLS"
    needs = (*Nginx.needs, "curl")
    version = "--http1.1"

    def curl(self, *words):
        return ["curl", "-sSf", self.version, "--cacert", self.dir / "ca.pem", "--cert", self.dir / "client.pem",
                "--key", self.dir / "client.key", *words]

    def upload(self, path, name):
        return self.curl("-T", path, self.url(name))

    def download(self, name, path):
        return self.curl("-o", path, self.url(name))

    def many(self, pairs, option):
        """For each pair of a name on the server and a local file."""
        config = self.dir / "curlrc"
        config.write_text("".join(f'url = "{self.url(name)}"\n{option} = "{path}"\n' for name, path in pairs))
        return self.curl("--create-dirs", "-K", config)

    def upload_tree(self, path, name):
        return self.many(((f"{name}/{file}", path / file) for file in files(path)), "upload-file")

    def download_tree(self, name, path):
        return self.many(((f"{name}/{file}", path / file) for file in files(self.data / name)), "output")

    def list(self, _):
        return self.curl(self.url())

    def info(self, name):
        return self.curl("-I", self.url(name))

    def greeter(self):
        context = ssl.create_default_context(cafile=self.dir / "ca.pem")
        context.load_cert_chain(self.dir / "client.pem", self.dir / "client.key")
        return context, "127.0.0.1", b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class CurlHttp2(Curl):
    """Up to fifty requests at a time on the one connection."""
    name, label = "nginx-h2", "curl to nginx, mutual TLS, HTTP/2"
    version = "--http2"
    listen = "ssl http2"

    def missing(self):
        missing = super().missing()
        if not missing and "HTTP2" not in subprocess.check_output(["curl", "--version"], text=True):
            missing = ["HTTP/2 in curl"]
        return missing

    def curl(self, *words):
        return super().curl("--parallel", *words)


class Rclone(Nginx):
    """rclone's WebDAV; it compares sizes, as there is no hash to compare."""
    name, label = "rclone", "rclone to nginx WebDAV, mutual TLS"
    needs = (*Nginx.needs, "rclone")
    methods = "dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS;"

    def missing(self):
        return super().missing() or ([] if list(MODULES.glob("*dav-ext*")) else ["nginx's module dav-ext"])

    def rclone(self, *words):
        return ["rclone", "--ca-cert", self.dir / "ca.pem", "--client-cert", self.dir / "client.pem",
                "--client-key", self.dir / "client.key", *words]

    def environment(self):
        """A remote of its own: the user's configuration is neither read nor written."""
        return {"RCLONE_CONFIG": str(self.dir / "rclone.conf"), "RCLONE_CONFIG_BENCH_TYPE": "webdav",
                "RCLONE_CONFIG_BENCH_URL": self.url(), "RCLONE_CONFIG_BENCH_VENDOR": "other"}

    def upload(self, path, name):
        return self.rclone("copyto", path, f"bench:{name}")

    def download(self, name, path):
        return self.rclone("copyto", f"bench:{name}", path)

    def upload_tree(self, path, name):
        return self.rclone("copy", path, f"bench:{name}")

    def download_tree(self, name, path):
        return self.rclone("copy", f"bench:{name}", path)


def files(root):
    """The names of all files in a tree."""
    return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())

"""Sealift itself."""
import os
import re
import shutil
import ssl
import subprocess
from pathlib import Path

from peers.peer import Peer

PROGRAMS = Path(__file__).resolve().parent.parent.parent / os.environ.get("CARGO_TARGET_DIR", "target") / "release"


class Sealift(Peer):
    name, label = "sealift", "Sealift"

    def empty(self):
        super().empty()
        shutil.rmtree(self.dir / "home", ignore_errors=True)  # a new server is a new authority

    def serve(self):
        # One identity stands for many people here.
        return ["env", "SEALIFTD_LIMITS_CONNECTIONS_PER_IDENTITY=100000", "SEALIFTD_LIMITS_CONNECTIONS_PER_ADDRESS=100000",
                PROGRAMS / "sealiftd", "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"]

    def start(self):
        self.run(self.serve())
        if not (self.dir / "home").exists():
            token = subprocess.check_output([PROGRAMS / "sealiftd", "invite", "bench", "--data", self.data], text=True)
            subprocess.run([PROGRAMS / "sealift", "join", token.strip()], env={**os.environ, **self.environment()},
                           check=True, capture_output=True)

    def environment(self):
        return {"SEALIFT_CONFIG_DIR": str(self.dir / "home")}

    def call(self, *words):
        return [PROGRAMS / "sealift", "--server", f"127.0.0.1:{self.dialled}", "--quiet", *words]

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

    def greeter(self):
        """How an authenticated connection begins: the TLS context, the server's name, and what is sent first. The server
        answers that at once."""
        profile = self.dir / "home/profiles/default"
        trust_domain = re.search(r'^trust_domain = "([^"]*)"', (profile / "profile.toml").read_text(), re.M)[1]
        context = ssl.create_default_context(cafile=profile / "authority.pem")
        context.load_cert_chain(profile / "identity.pem")
        context.set_alpn_protocols(["sealift/1"])
        hello = b'{"type":"hello","versions":[1],"agent":"bench"}'
        return context, trust_domain, b"J" + len(hello).to_bytes(3, "big") + hello

#!/usr/bin/env python3
"""A small Sealift client: put, get and ls, spoken as docs/protocol.md describes them.

It uses a profile made by `sealift join`, and only the standard library of Python 3.9 or later. Contents are hashed on
this side, too: what does not verify never gets the name that was asked for.
"""
import argparse
import hashlib
import json
import os
import re
import select
import socket
import ssl
import sys
import time
from pathlib import Path

LIMITS = {b"J": 64 * 1024, b"D": 256 * 1024}  # bytes that a frame may carry: JSON, data
INLINE = 64 * 1024  # bytes of a content that may travel with its request
EXIT_CODES = {"not-found": 3, "not-allowed": 4, "certificate-refused": 4, "integrity": 5,
              FileNotFoundError: 3}


class Failure(Exception):
    """What went wrong: a code (of the protocol, where it has one), and a sentence for a person."""


class Connection:
    """Frames over TLS, to the server of a profile: requests go out, replies come back in the same order."""

    def __init__(self, profile, server):
        description = (profile / "profile.toml").read_text(encoding="utf-8")
        trust_domain = re.search(r'^trust_domain = "([^"]*)"', description, re.M)[1]
        addresses = re.search(r'^addresses = \[((?:\s*"[^"]*",?)*)\s*\]', description, re.M)[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = True
        context.load_verify_locations(profile / "authority.pem")  # the only root
        context.load_cert_chain(profile / "identity.pem")  # our certificate and its key
        context.set_alpn_protocols(["sealift/1"])
        plain = dial([server] if server else re.findall(r'"([^"]*)"', addresses))
        # Whatever the address, the server's certificate has to name the trust domain.
        self.tls = context.wrap_socket(plain, server_hostname=trust_domain)
        if self.tls.selected_alpn_protocol() != "sealift/1":
            raise Failure("protocol", "the server does not speak sealift/1")
        self.incoming = self.tls.makefile("rb")
        self.send(type="hello", versions=[1], agent="sealift_mini/1")  # requests need not wait for its reply

    def send(self, **message):
        self.send_frame(b"J", json.dumps(message).encode())

    def send_frame(self, kind, payload):
        try:
            self.tls.sendall(kind + len(payload).to_bytes(3, "big") + payload)
        except OSError:
            self.receive()  # a server that hangs up has said why
            raise

    def send_content(self, chunk):
        """Sends a part of a content, unless the server has refused it meanwhile."""
        if select.select([self.tls], [], [], 0)[0]:
            self.receive()
        self.send_frame(b"D", chunk)

    def receive(self):
        """The next reply. An error reply becomes a Failure."""
        kind, payload = self.receive_frame()
        if kind != b"J":
            raise Failure("protocol", "the server sent data where a reply was due")
        reply = json.loads(payload)
        if reply["type"] == "error":
            raise Failure(reply["code"], reply["message"])
        return self.receive() if reply["type"] == "welcome" else reply

    def receive_frame(self):
        header = self.incoming.read(4)
        kind, length = header[:1], int.from_bytes(header[1:], "big")
        if header and length > LIMITS.get(kind, -1):
            raise Failure("protocol", f"the server sent what is no frame: {header.hex()}")
        payload = self.incoming.read(length)
        if len(header) < 4 or len(payload) < length:
            raise Failure("interrupted", "the server closed the connection")
        return kind, payload


def dial(addresses):
    """A TCP connection to the first address that accepts one."""
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            plain = socket.create_connection((host.strip("[]"), port), timeout=70)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return plain
        except OSError as error:
            print(f"sealift_mini: {address}: {error}", file=sys.stderr)
    raise Failure("connect", "no address led to the server")


def put(connection, local, remote):
    """Stores a file."""
    with open(local, "rb") as source:
        facts = os.fstat(source.fileno())
        request = {"type": "put", "path": remote, "mtime": facts.st_mtime_ns}
        request["executable"] = bool(facts.st_mode & 0o100)
        data = source.read(INLINE + 1)
        if len(data) <= INLINE:
            connection.send(**request, body="inline", size=len(data), sha256=hashlib.sha256(data).hexdigest())
            connection.send_frame(b"D", data)  # even if it is empty
            return connection.receive()
        connection.send(type="plan", files=[{"path": remote, "size": facts.st_size}])
        verdict = connection.receive()["files"][0]
        if verdict["do"] == "refuse":
            raise Failure(verdict["code"], verdict["message"])
        if verdict["do"] == "hash":  # we can read something of this size on the server: it may be this
            size, digest = read(source, lambda chunk: None)
            connection.send(**request, body="claim", size=size, sha256=digest)
            try:
                return connection.receive()
            except Failure as failure:
                if failure.args[0] != "absent":
                    raise
        connection.send(**request, body="stream")
        size, digest = read(source, connection.send_content)
        connection.send(type="end", size=size, sha256=digest)  # the server holds it against what arrived
        return connection.receive()


def read(source, take):
    """Hands a file from its beginning to `take`, in chunks. Returns its size and its SHA-256."""
    source.seek(0)
    size, hasher = 0, hashlib.sha256()
    while chunk := source.read(LIMITS[b"D"]):
        take(chunk)
        size += len(chunk)
        hasher.update(chunk)
    return size, hasher.hexdigest()


def get(connection, remote, local):
    """Fetches a file."""
    connection.send(type="get", path=remote)
    content = connection.receive()
    part = Path(f"{local}.{os.getpid()}.part")  # beside LOCAL, whose name it gets once it is verified
    try:
        with open(part, "xb") as target:
            hasher = hashlib.sha256()
            while (frame := connection.receive_frame())[0] == b"D":
                target.write(frame[1])
                hasher.update(frame[1])
            trailer = json.loads(frame[1])
            if trailer["type"] == "error":
                raise Failure(trailer["code"], trailer["message"])
            if (target.tell(), hasher.hexdigest()) != (content["size"], content["sha256"]):
                connection.send(type="report", path=remote, sha256=content["sha256"])
                connection.receive()
                raise Failure("integrity", "what arrived is not what was stored: try again")
        mode = part.stat().st_mode
        part.chmod(mode | (mode & 0o444) >> 2 if content.get("executable") else mode)
        os.utime(part, ns=(content["mtime"], content["mtime"]))
        os.replace(part, local)
    finally:
        part.unlink(missing_ok=True)


def ls(connection, path=""):
    """Lists a directory, by default our own space."""
    connection.send(type="list", path=path)
    reply = {"more": True}
    while reply.get("more"):
        reply = connection.receive()
        for entry in reply["entries"]:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["mtime"] // 10**9))
            mark = {"file": "", "link": "@"}.get(entry["kind"], "/")
            print(f"{entry.get('size', 0):>15} {when} {entry['name']}" + mark)


def main():
    parser = argparse.ArgumentParser(description="A small Sealift client.")
    default = Path(os.environ.get("SEALIFT_CONFIG_DIR", "."), "profiles", "default")
    parser.add_argument("--profile-dir", type=Path, default=default, metavar="DIR", help="[default: %(default)s]")
    parser.add_argument("--server", metavar="HOST:PORT", help="reach the profile's server by this address")
    parser.add_argument("verb", choices=["put", "get", "ls"])
    parser.add_argument("paths", nargs="*", help="put LOCAL REMOTE, get REMOTE LOCAL, ls [PATH]")
    given = parser.parse_args()
    if len(given.paths) not in ([0, 1] if given.verb == "ls" else [2]):
        parser.error("put LOCAL REMOTE, get REMOTE LOCAL, ls [PATH]")
    try:
        {"put": put, "get": get, "ls": ls}[given.verb](Connection(given.profile_dir, given.server), *given.paths)
    except (Failure, OSError) as error:  # an ssl.SSLError is an OSError
        code, message = error.args if isinstance(error, Failure) else (type(error), error)
        if re.search("ALERT.*(CERT|UNKNOWN_CA)", getattr(error, "reason", None) or ""):
            code = "certificate-refused"
        print(f"sealift_mini: {message}", file=sys.stderr)
        sys.exit(EXIT_CODES.get(code, 1))


if __name__ == "__main__":
    main()

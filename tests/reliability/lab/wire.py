"""A pipelining client in Python's standard library: many requests under way on one connection, each with its times.

It sends and receives in turn and never blocks on either, so a burst may hold more than the buffers between both ends.
"""

import hashlib
import json
import re
import select
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

INLINE = 64 * 1024
CHUNK = 128 * 1024


class Broken(Exception):
    """The connection ended before every request was answered."""


@dataclass
class Exchange:
    """One request and what became of it."""

    request: dict
    body: bytes = b""
    sent: int = 0  # monotonic nanoseconds before the first byte was sent
    answered: int | None = None  # after the last byte of the reply; None while there is none
    reply: dict | None = None
    data: bytes | None = None  # of a get, what came if the trailer was an `end`
    trailer: dict | None = None
    entries: list = field(default_factory=list)  # of a list, over all its pages

    @property
    def code(self):
        """The error code of the reply, or its type."""
        last = self.trailer if self.trailer and self.trailer["type"] == "error" else self.reply
        return last["code"] if last["type"] == "error" else last["type"]

    def encode(self):
        out = bytearray(frame(b"J", json.dumps(self.request).encode()))
        if self.request.get("body") == "inline":
            out += frame(b"D", self.body)
        elif self.request.get("body") == "stream":
            start = (self.request.get("resume") or {"size": 0})["size"]
            for begin in range(start, len(self.body), CHUNK):
                out += frame(b"D", self.body[begin : begin + CHUNK])
            end = {"type": "end", "size": len(self.body), "sha256": hashlib.sha256(self.body).hexdigest()}
            out += frame(b"J", json.dumps(end).encode())
        return out

    def take(self, kind, payload):
        """Takes one frame of the reply. Returns true if it was the last one."""
        if kind == b"D":
            self._parts.append(payload)
            return False
        message = json.loads(payload)
        kind_of_request = self.request["type"]
        if self.reply is None or kind_of_request == "list":
            self.reply = message
            if message["type"] == "entries":
                self.entries += message["entries"]
                return not message.get("more")
            if message["type"] == "content":
                self._parts = []
                return False
            return True
        self.trailer = message
        if message["type"] != "error":
            self.data = b"".join(self._parts)
        return True


def frame(kind, payload):
    return kind + len(payload).to_bytes(3, "big") + payload


def put(path, content, *, stream=False, **more):
    """The request that stores `content` under `path`; inline if it is small enough."""
    if len(content) > INLINE or stream:
        return Exchange({"type": "put", "path": path, "body": "stream", **more}, content)
    digest = hashlib.sha256(content).hexdigest()
    return Exchange(
        {"type": "put", "path": path, "body": "inline", "size": len(content), "sha256": digest, **more}, content
    )


def claim(path, content):
    digest = hashlib.sha256(content).hexdigest()
    return Exchange({"type": "put", "path": path, "body": "claim", "size": len(content), "sha256": digest})


def ask(kind, **fields):
    return Exchange({"type": kind, **fields})


class Connection:
    """Frames over TLS with the certificate of a profile. `clock` gives the times of requests and answers."""

    contexts = {}

    def __init__(self, profile, address, timeout=30, clock=time.monotonic_ns):
        self.timeout, self.clock = timeout, clock
        plain = socket.create_connection(address, timeout=timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            context, domain = self.context(profile)
            self.tls = context.wrap_socket(plain, server_hostname=domain)
        except (OSError, ssl.SSLError) as error:
            plain.close()
            raise Broken(f"handshake: {error}") from error
        self.tls.setblocking(False)
        self.received = bytearray()
        self.last_words = None
        self.exchange([ask("hello", versions=[1], agent="reliability/1")])

    @classmethod
    def context(cls, profile):
        key = Path(profile, "identity.pem").read_bytes()
        if key not in cls.contexts:
            domain = re.search(r'^trust_domain = "([^"]*)"', Path(profile, "profile.toml").read_text(), re.M)[1]
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_verify_locations(Path(profile, "authority.pem"))
            context.load_cert_chain(Path(profile, "identity.pem"))
            context.set_alpn_protocols(["sealift/1"])
            cls.contexts[key] = context, domain
        return cls.contexts[key]

    def exchange(self, exchanges):
        """Sends all requests at once and waits for all replies. Raises `Broken` if the connection ends before.

        A refusal may come before its body was sent. The body is sent all the same, or the next request would pass for it.
        """
        waiting = list(reversed(exchanges))
        encoded = [one.encode() for one in exchanges]
        now = self.clock()
        for one in exchanges:
            one.sent = now
        outgoing = memoryview(b"".join(encoded))
        deadline = time.monotonic() + self.timeout
        while waiting or outgoing:
            progress = self._receive(waiting)
            if outgoing:
                try:
                    count = self.tls.send(outgoing[: 256 * 1024])
                    outgoing = outgoing[count:]
                    progress = True
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
                except OSError as error:
                    self._receive(waiting)
                    raise Broken(str(error)) from error
            if progress:
                deadline = time.monotonic() + self.timeout
            else:
                select.select([self.tls], [self.tls] if outgoing else [], [], 1)
                if time.monotonic() > deadline:
                    request = waiting[-1].request if waiting else "the rest of a body"
                    raise TimeoutError(f"no reply to {request} within {self.timeout} s")
        return exchanges

    def _receive(self, waiting):
        """Takes what has arrived. Returns true if there was something."""
        progress = False
        while waiting:
            try:
                piece = self.tls.recv(256 * 1024)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return progress
            except OSError as error:
                raise Broken(str(error)) from error
            if not piece:
                raise Broken("the server closed the connection")
            progress = True
            self.received += piece
            now = self.clock()
            start = 0
            while len(self.received) - start >= 4:
                length = int.from_bytes(self.received[start + 1 : start + 4], "big")
                if len(self.received) - start < 4 + length:
                    break
                kind = bytes(self.received[start : start + 1])
                payload = bytes(self.received[start + 4 : start + 4 + length])
                start += 4 + length
                if not waiting:
                    self.last_words = payload
                elif waiting[-1].take(kind, payload):
                    waiting[-1].answered = now
                    waiting.pop()
            del self.received[:start]
        return progress

    def one(self, exchange):
        return self.exchange([exchange])[0]

    def close(self):
        try:
            self.tls.close()
        except OSError:
            pass

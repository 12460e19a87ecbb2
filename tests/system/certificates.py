"""Certificate authorities, made with the openssl tool, and TLS clients that trust them."""
import dataclasses
import pathlib
import socket
import ssl
import subprocess

import harness

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@dataclasses.dataclass
class Certificate:
    path: pathlib.Path
    key: pathlib.Path


class Authority:
    """One that signs; `path` is what those trust who trust it."""

    def __init__(self, directory, name="authority"):
        self.directory = pathlib.Path(directory) / name
        self.directory.mkdir(parents=True)
        self.name = name
        self.path, self.key = self.directory / "ca.pem", self.directory / "ca.key"
        _openssl("req", "-x509", *_KEY, "-keyout", self.key, "-out", self.path, "-days", 90,
                 "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, name, days=90, names="IP:127.0.0.1,DNS:localhost"):
        """For a server and for a client alike; of -1 days it has expired."""
        path, key, request = (self.directory / f"{name}{end}" for end in (".pem", ".key", ".req"))
        _openssl("req", "-new", *_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}",
                 "-addext", "subjectAltName=" + names)
        _openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key,
                 "-CAcreateserial", "-out", path, "-days", days, "-copy_extensions", "copy")
        return Certificate(path, key)


def client_context(authority, certificate=None):
    context = ssl.create_default_context(cafile=authority.path)
    if certificate:
        context.load_cert_chain(certificate.path, certificate.key)
    return context


def connect(server, port, context, source=None):
    """A TLS client of this port."""
    return context.wrap_socket(server.connect(port, source), server_hostname="127.0.0.1")


class HalfClosing:
    """A TLS client that can say that no more comes, and read on: ssl's own sockets cannot."""

    def __init__(self, server, port, context):
        self.socket = server.connect(port)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.step(self.tls.do_handshake)

    def step(self, call, *arguments):
        while True:
            try:
                result = call(*arguments)
                self.socket.sendall(self.outgoing.read())
                return result
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                self.receive()

    def receive(self):
        part = self.socket.recv(1 << 16)
        self.incoming.write(part) if part else self.incoming.write_eof()

    def sendall(self, content):
        self.step(self.tls.write, content)

    def half_close(self):
        """What comes until the server's close_notify, and its FIN."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.socket.sendall(self.outgoing.read())
        got = b""
        while part := self.step(self.read_part):
            got += part
        assert self.socket.recv(1) == b"", "bytes behind close_notify"
        self.socket.close()
        return got

    def break_off(self):
        """A bare FIN, as anybody on the way can make one. What comes then must be no close_notify."""
        self.socket.shutdown(socket.SHUT_WR)
        try:
            got = self.step(self.tls.read, 1)
        except ssl.SSLZeroReturnError:
            got = b"close_notify"
        except OSError:  # ssl.SSLError is one
            got = None
        assert got is None, f"it was answered with {got}"
        self.socket.close()

    def read_part(self):
        try:
            return self.tls.read(1 << 16)
        except ssl.SSLZeroReturnError:
            return b""


def tls_settings(certificate, **settings):
    return {"TLS_CERT": certificate.path, "TLS_KEY": certificate.key} | settings


def refuses(server, port, context, content):
    """Whether the server ends the connection without a byte of an answer, in the handshake or (as
    of TLS 1.3, whose client is through before its certificate is looked at) right behind it."""
    try:
        with connect(server, port, context) as client:
            client.settimeout(harness.DEADLINE_SECONDS)
            client.sendall(content)
            return client.recv(1) == b""
    except OSError:  # ssl.SSLError is one
        return True

"""Clients of the logs protocol, and what became of their lines: in the log file, in the store."""
import contextlib
import json
import pathlib
import re
import socket
import struct
import threading

import evidence
import harness

RECEIVED = b'{"status": "ok", "message": "received"}\n'
FILTERED = b'{"status": "ok", "message": "filtered"}\n'
INVALID = b'{"status": "error", "message": "invalid JSON"}\n'
MISSING = b'{"status": "error", "message": "missing required fields: level, message"}\n'
NO_OBJECT = b'{"status": "error", "message": "expected JSON object"}\n'
LIMITED = b'{"status": "error", "message": "rate limit exceeded"}\n'

_FILE_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) "
                        r"\[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] (.*)")


def logs_server(scratch, name="server", **settings):
    """Serves logs alone, without a rate limit."""
    return scratch.server(name, **({"PROTOCOLS": "logs", "RATE_LIMIT_ENABLED": "false"} | settings))


def log_line(message, level="ERROR", **fields):
    return json.dumps({"level": level, "message": message, **fields}).encode() + b"\n"


def read_to_end(client):
    """What comes until the server's FIN; a reset is an error."""
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def half_close(client):
    """Says that no more will come, and reads on: what `nc` does at the end of its input."""
    client.shutdown(socket.SHUT_WR)
    return read_to_end(client)


def read_replies(client, count):
    """The next so many, as lines."""
    got = b""
    while (missing := count - got.count(b"\n")) > 0:
        part = client.recv(min(1 << 16, missing * len(NO_OBJECT)) if missing > 1 else 1)
        assert part, f"the server ended the connection after {got[-300:]!r}"
        got += part
    return got.splitlines(keepends=True)


def exchange(server, content, source=None):
    """The replies to these bytes over a connection of their own, up to the server's FIN."""
    with server.connect(server.logs_port, source) as client:
        sender = threading.Thread(target=lambda: (client.sendall(content),
                                                  client.shutdown(socket.SHUT_WR)))
        sender.start()
        replies = read_to_end(client)
        sender.join()
    return replies.splitlines(keepends=True)


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def books(server, stream="logs"):
    return server.status()["books"][stream]


def log_directory(server):
    return pathlib.Path(server.settings["LOG_DIR"])


def log_files(server):
    """The rotated ones as they were made, then the one that is written."""
    def made(path):
        stamp, _, n = path.name.removeprefix("server.log.").partition(".")
        return stamp, int(n or 0)
    current = log_directory(server) / "server.log"
    rotated = sorted(log_directory(server).glob("server.log.*"), key=made)
    return rotated + ([current] if current.exists() else [])


def lines_of(*paths):
    """[(time, level, message)] of log files; each line must be a whole one."""
    found = []
    for path in paths:
        text = path.read_bytes().decode()
        assert not text or text.endswith("\n"), f"{path} ends inside a line"
        for line in text.split("\n")[:-1]:
            parsed = _FILE_LINE.fullmatch(line)
            assert parsed, f"{path} has {line!r}"
            found.append(parsed.groups())
    return found


def logged(server):
    """The messages in all log files."""
    return [message for _, _, message in lines_of(*log_files(server))]


def stored_lines(root, prefix="logs/"):
    """The lines of all objects, as dicts, in the order in which they were spooled."""
    found = []
    for key, path in evidence.data_objects(root, prefix).items():
        body, name = evidence.decompress(key, path.read_bytes())
        assert name.endswith(".jsonl") and body.endswith(b"\n"), key
        found += [json.loads(line) for line in body.decode().split("\n")[:-1]]
    return found


def stored_messages(server, prefix="logs/"):
    return [line["message"] for line in stored_lines(server.objects, prefix)]


def has_ended(client):
    """Whether the server closes it, with a FIN or a reset; what comes before is read away."""
    client.settimeout(harness.DEADLINE_SECONDS)
    with contextlib.suppress(ConnectionError):
        read_to_end(client)
    return True

"""The log lines that operators' scripts look for, each once and with its fields; no secret and no
content of an event in any of them, nor on the command line."""
import pathlib
import re
import socket
import struct

import evidence
import harness

SAMPLE = harness.SAMPLE.read_bytes()
MARK = b"canary-event-text-77ab"


def assert_fields(line, *names):
    missing = [name for name in names if name not in line]
    assert not missing, f"{missing} are not in {line}"


def only(server, event):
    lines = server.lines(event)
    assert len(lines) == 1, f"{len(lines)} lines '{event}': {lines}"
    return lines[0]


def test_each_stable_line_is_there_once_with_its_fields(scratch):
    server = scratch.server().start()
    server.send(SAMPLE + b"<EVENT><a></b></EVENT>" + SAMPLE)
    server.command("rotate")
    server.stop()

    started = only(server, "server started")
    assert_fields(started, "listen", "admin", "spool", "objects", "loss_window_ms", "time", "level")
    assert_fields(only(server, "connection opened"), "peer", "gap_seconds")
    closed = only(server, "connection closed")
    assert_fields(closed, "peer", "seconds")
    assert closed["bytes"] == 2 * len(SAMPLE) + 22
    assert closed["events"] + closed["malformed"] == 3
    assert closed["reason"] == "finished"
    assert_fields(only(server, "segment rotated"), "segment", "reason", "events")
    assert only(server, "segment rotated")["reason"] == "request"
    assert_fields(server.lines("rejected")[0], "peer", "reason")
    uploaded = {line["key"] for line in server.lines("uploaded")}
    assert uploaded == set(evidence.list_objects(server.objects)), uploaded
    stopped = only(server, "server stopped")
    assert_fields(stopped, "events", "objects", "quarantined")


def test_rotation_says_why(scratch):
    server = scratch.server(ROTATION_INTERVAL=0.3, MAX_FILE_SIZE="100KiB").start()
    server.send(SAMPLE)
    assert server.wait_for_line("segment rotated")["reason"] == "age"
    server.send(SAMPLE * 100)
    server.wait_for_line("segment rotated", reason="size")
    server.stop()


def test_the_gap_since_a_peers_last_connection_is_said(scratch):
    server = scratch.server().start()
    server.send(SAMPLE)
    harness.wait_for(lambda: len(server.lines("connection closed")) == 1, "the first is closed")
    server.send(SAMPLE)
    server.stop()
    first, second = server.lines("connection opened")
    assert first["gap_seconds"] < 0 <= second["gap_seconds"] < 60, (first, second)


def test_resets_and_retries_and_alarms_have_lines(scratch):
    store = scratch.fake_s3()
    server = scratch.server(ROTATION_INTERVAL=0.2, **store.settings()).start()
    with server.connect() as client:
        client.sendall(SAMPLE)
        harness.wait_for(lambda: server.status()["books"]["xml"]["events_framed"] == 1, "framed")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.wait_for_line("connection closed", reason="reset")
    store.control("fault", match="^PUT", count=2, kind="status", status=503, code="SlowDown")
    server.send(SAMPLE)
    assert_fields(server.wait_for_line("upload retry"), "key", "error", "attempt")
    store.control("set", secret_key="rotated")
    server.send(SAMPLE)
    assert_fields(server.wait_for_line("alarm raised"), "condition", "message")
    store.control("set", secret_key=store.SECRET_KEY)
    server.wait_for_line("alarm cleared")
    server.stop()


def test_no_secret_and_no_event_text_in_log_pages_or_command_line(scratch):
    store = scratch.fake_s3()
    token = "canary-token-2f9e"
    store.control("set", session_token=token)
    server = scratch.server(ROTATION_INTERVAL=0.2, SLUICE_LOG_LEVEL="debug",
                            **store.settings(AWS_SESSION_TOKEN=token)).start()
    event = SAMPLE.replace(b"elevator test", MARK)
    malformed = b"<EVENT><cn>" + MARK + b"</cn><" + MARK + b"></b></EVENT>"
    with server.connect() as client:
        client.sendall(event + malformed + event + b"<EVENT><a" + MARK)
    with server.connect() as client:
        client.sendall(MARK * 100)  # no XML at all: reset
        server.wait_for_line("connection closed", reason="not XML")
    store.control("fault", match="^PUT", count=3, kind="status", status=500, code="InternalError",
                  message=MARK.decode())
    server.send(event + malformed)
    harness.wait_for(lambda: len(evidence.stored_events(store.objects)) == 3, "delivery")
    store.control("set", secret_key="rotated")
    server.send(event)
    harness.wait_for(lambda: not server.ready(), "/ready says 503")
    pages = "".join(server.get(path)[1] for path in ("/", "/status", "/metrics", "/ready"))
    command_line = pathlib.Path(f"/proc/{server.process.pid}/cmdline").read_text()
    commands = "".join(server.command(*words, expected=None)
                       for words in (("config",), ("status",), ("check",), ("version",)))
    server.settings["DRAIN_TIMEOUT"] = 0
    server.kill()
    for where, text in (("log", server.log_text()), ("pages", pages), ("argv", command_line),
                        ("commands", commands)):
        assert store.SECRET_KEY not in text, f"the secret is in the {where}"
        assert token not in text, f"the session token is in the {where}"
        if where == "log":
            # What the store itself answers may be quoted; what clients send may not.
            text = "\n".join(line for line in text.splitlines() if "InternalError" not in line)
        found = re.search(f".{{0,80}}{MARK.decode()}.{{0,80}}", text)
        assert not found, f"event text in the {where}: {found[0]}"


if __name__ == "__main__":
    harness.main(globals())

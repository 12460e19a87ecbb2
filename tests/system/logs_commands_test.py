"""The commands, SIGHUP and a kill where the logs protocol is served."""
import json
import signal
import socket

import harness

RECEIVED = b'{"status": "ok", "message": "received"}\n'


class LogServer:
    """A server of logs alone, and one line at a time."""

    def __init__(self, scratch, **settings):
        self.server = scratch.server(PROTOCOLS="logs", SERVER_HOST="127.0.0.1", SERVER_PORT=0,
                                     LOG_DIR="logs", RATE_LIMIT_ENABLED="false", **settings)
        self.log = self.server.directory / "logs" / "server.log"
        self.start()

    def start(self):
        self.server.launch()
        started = self.server.wait_for_line("server started")
        self.port = int(started["listen_logs"].rsplit(":", 1)[1])
        self.server.admin_port = int(started["admin"].rsplit(":", 1)[1])

    def send(self, *messages):
        """Returns once all are answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
            for message in messages:
                client.sendall(json.dumps({"level": "INFO", "message": message}).encode() + b"\n")
            client.shutdown(socket.SHUT_WR)
            answers = b"".join(iter(lambda: client.recv(65536), b""))
        assert answers == RECEIVED * len(messages), answers

    def logged(self, log=None):
        return [line.split("] ", 1)[1] for line in (log or self.log).read_text().splitlines()]


def test_rotate_waits_for_logs_and_audit_finds_their_objects(scratch):
    logs = LogServer(scratch, ROTATION_INTERVAL=3600)
    logs.send("one", "two")
    keys = logs.server.command("rotate").split()
    assert len(keys) == 1 and keys[0].startswith("logs/") and keys[0].endswith(".jsonl"), keys
    logs.send("three")
    logs.server.command("rotate")
    found = logs.server.command("audit")
    assert "2 objects there as the ledger says" in found and "3 events" in found, found
    (logs.server.objects / keys[0]).unlink()
    found = logs.server.command("audit", expected=1)
    assert f"lost       {keys[0]}" in found, found
    logs.server.stop()


def test_check_looks_at_every_listener_at_the_log_directory_and_at_the_prefix(scratch):
    server = scratch.server(PROTOCOLS="logs,rpc", SERVER_HOST="127.0.0.1", SERVER_PORT=0,
                            RPC_HOST="127.0.0.1", RPC_PORT=0, ADMIN_PORT=0)

    def check(expected, **settings):
        return server.command("check", expected=expected, **settings)

    text = check(0)
    assert " PORT=" not in text and "SERVER_PORT=" in text and "RPC_PORT=" in text, text
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert f"SERVER_PORT: listen on 127.0.0.1:{port}" in check(1, SERVER_PORT=port)
        assert f"RPC_PORT: listen on 127.0.0.1:{port}" in check(1, RPC_PORT=port)
    assert "FAIL  listener" in check(1, TLS_CERT="none.pem", TLS_KEY="none.pem")
    assert "FAIL  log file" in check(1, LOG_DIR=server.log_path)
    server.objects.mkdir()
    text = check(0)
    assert 'prefix "logs/"' in text and 'prefix "xml-events/"' not in text, text


def test_sighup_reopens_the_log_file_whatever_the_settings_are_now(scratch):
    logs = LogServer(scratch)
    config = logs.server.directory / "sluice.json"
    logs.server.stop()
    config.write_text("{}")
    logs.server.launch("run", "--config", str(config))
    started = logs.server.wait_for_line("server started")
    logs.port = int(started["listen_logs"].rsplit(":", 1)[1])
    logs.send("one")
    config.write_text("{bad")
    renamed = logs.log.with_name("server.log.1")
    logs.log.rename(renamed)
    logs.server.signal(signal.SIGHUP)
    harness.wait_for(logs.log.exists, "a new log file")
    logs.send("two")
    assert logs.logged(renamed) == ["one"] and logs.logged() == ["two"]
    logs.server.stop()


def test_p2_after_a_kill_the_log_file_has_each_line_that_was_answered_once(scratch):
    logs = LogServer(scratch)
    sent = []
    for turn in range(3):
        more = [f"{turn}-{i}" for i in range(50)]
        logs.send(*more)
        sent += more
        logs.server.kill()
        # What a machine that dies with the process would have kept from the disk.
        content = logs.log.read_bytes()
        logs.log.write_bytes(content[:len(content) - 100])
        logs.start()
        assert logs.logged() == sent
    logs.server.stop()


if __name__ == "__main__":
    harness.main(globals())

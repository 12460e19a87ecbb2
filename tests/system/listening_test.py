"""Where it listens: several addresses, unix sockets, sockets of systemd's; and how it ends with all
that it serves."""
import fcntl
import os
import shutil
import signal
import socket
import sys

import evidence
import harness
import rpc_test
from log_clients import (RECEIVED, books, half_close, log_line, logged, logs_server, read_to_end,
                         stored_lines, stored_messages)

SAMPLE = harness.SAMPLE.read_bytes()


def over_unix(path, content):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(harness.DEADLINE_SECONDS)
        client.connect(str(path))
        client.sendall(content)
        return half_close(client)


def over_ipv6(port, content):
    with socket.create_connection(("::1", port), timeout=harness.DEADLINE_SECONDS) as client:
        client.sendall(content)
        return half_close(client)


def test_all_three_protocols_are_served_at_once_and_only_those_that_are_named(scratch):
    server = scratch.server(PROTOCOLS="xml,logs,rpc").start()
    assert len({server.port, server.logs_port, server.rpc_port}) == 3
    server.send(SAMPLE)
    with server.connect(server.logs_port) as client:
        client.sendall(log_line("a"))
        assert half_close(client) == RECEIVED
    assert rpc_test.exchange(server, rpc_test.ADD_10_20) == rpc_test.SUM_30
    assert set(server.status()["books"]) == {"xml", "logs", "rpc"}
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 1 and stored_messages(server) == ["a"]
    server = scratch.server("rpc", PROTOCOLS="rpc").start()
    assert server.port is None and server.logs_port is None
    assert set(server.status()["books"]) == {"rpc"}
    server.stop()


def test_a_unix_socket_is_listened_on_beside_others_and_gone_afterwards(scratch):
    xml, lines = scratch.path / "xml.sock", scratch.path / "logs.sock"
    server = scratch.server(PROTOCOLS="xml,logs", BIND_HOST=f"127.0.0.1,unix:{xml}",
                            SERVER_HOST=f"unix:{lines}").start()
    assert server.logs_port is None
    assert over_unix(xml, SAMPLE) == b""
    server.send(SAMPLE)
    assert over_unix(lines, log_line("a")) == RECEIVED
    opened = [line["peer"] for line in server.lines("connection opened")]
    assert opened[0] == opened[2] == "unix" and opened[1].startswith("127.0.0.1:"), opened
    server.kill()
    server.start()  # over the sockets that were left
    assert over_unix(xml, SAMPLE) == b""
    server.stop()
    assert not xml.exists() and not lines.exists()
    assert len(evidence.stored_events(server.objects)) == 3
    assert [line["_peer"] for line in stored_lines(server.objects)] == ["unix"]


def test_a_unix_socket_that_another_one_listens_on_is_left_to_it(scratch):
    path = scratch.path / "xml.sock"
    server = scratch.server(BIND_HOST=f"unix:{path}").start()
    second = scratch.server("second", BIND_HOST=f"unix:{path}").launch()
    assert second.wait() == 2 and str(path) in second.log_text(), second.log_tail()
    assert over_unix(path, SAMPLE) == b""
    server.stop()


def test_several_addresses_share_one_port(scratch):
    addresses = "127.0.0.1, 127.0.0.2"
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        addresses += ", ::1"
    except OSError:
        print("no IPv6 here")
    server = logs_server(scratch, SERVER_HOST=addresses).start()
    for host in ("127.0.0.1", "127.0.0.2"):
        with socket.create_connection((host, server.logs_port), harness.DEADLINE_SECONDS) as client:
            client.sendall(log_line(host))
            assert half_close(client) == RECEIVED
    if "::1" in addresses:
        assert over_ipv6(server.logs_port, log_line("::1")) == RECEIVED
    try:
        socket.create_connection(("127.0.0.3", server.logs_port)).close()
        raise AssertionError("listens elsewhere too")
    except ConnectionRefusedError:
        pass
    listed = server.lines("server started")[0]["listen_logs"].split(", ")
    assert len(listed) == len(addresses.split(", ")), listed
    server.stop()
    assert len(logged(server)) == len(listed)


def test_a_port_that_is_taken_and_an_address_that_is_not_ours_are_named(scratch):
    server = logs_server(scratch).start()
    for setting, more in (("SERVER_PORT", {"SERVER_PORT": server.logs_port}),
                          ("SERVER_PORT", {"SERVER_HOST": "192.0.2.1"}),
                          ("RPC_PORT", {"PROTOCOLS": "rpc", "RPC_PORT": server.logs_port})):
        second = logs_server(scratch, f"second-{len(scratch.started)}", **more).launch()
        assert second.wait() == 2, second.log_tail()
        assert setting in second.log_text(), second.log_tail()
    server.stop()


# What systemd does: the sockets are descriptors from 3 on of the process that LISTEN_PID names.
PASS_ON = """import os, sys
for number, fd in enumerate(sys.argv[1].split(",")):
    os.dup2(int(fd), 3 + number)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])"""


def test_sockets_of_systemd_are_taken_by_their_names_and_stay_open_over_a_restart(scratch):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    high = [fcntl.fcntl(listener, fcntl.F_DUPFD, 100) for listener in listeners]  # none is 3 or 4
    lines, feed = (listener.getsockname()[1] for listener in listeners)
    server = scratch.server(PROTOCOLS="xml,logs", BIND_HOST="systemd:feed", SERVER_HOST="systemd:lines",
                            LISTEN_FDS=len(high), LISTEN_FDNAMES="lines:feed")
    server.wrapper = [sys.executable, "-c", PASS_ON, ",".join(map(str, high))]
    server.passed_descriptors = high
    for _ in range(2):
        server.start()
        assert (server.logs_port, server.port) == (lines, feed)
        server.send(SAMPLE)
        with server.connect(server.logs_port) as client:
            client.sendall(log_line("a"))
            assert half_close(client) == RECEIVED
        server.stop()
        socket.create_connection(("127.0.0.1", feed)).close()  # who comes now waits in the backlog
    for fd in high:
        os.close(fd)
    assert len(evidence.stored_events(server.objects)) == 2 and stored_messages(server) == ["a", "a"]


def test_systemd_socket_activate_starts_it_with_the_first_connection(scratch):
    if not shutil.which("systemd-socket-activate"):
        raise harness.Skip("systemd-socket-activate is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = scratch.server(BIND_HOST="systemd")
    passed = [f"--setenv={name}={value}" for name, value in server.settings.items()]
    server.wrapper = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", *passed]
    server.launch()
    server.port = port

    def connect():
        try:
            return server.connect()
        except ConnectionRefusedError:
            return None
    with harness.wait_for(connect, "it listens") as client:
        client.sendall(SAMPLE)
        assert half_close(client) == b""
    server.wait_until_started()
    assert server.port == port
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 1


def test_sockets_that_systemd_did_not_pass_are_named(scratch):
    server = logs_server(scratch, SERVER_HOST="systemd:lines").launch()
    assert server.wait() == 2
    assert "systemd:lines" in server.log_text() and "SERVER_PORT" in server.log_text()


# ---- the end


def test_a_stop_answers_all_that_was_read_before_the_fin(scratch):
    server = scratch.server(PROTOCOLS="xml,logs,rpc", RATE_LIMIT_ENABLED="false")
    # The disk is slow, so that the replies are still to come when it is told to stop.
    harness.under_strace(server, scratch.path / "strace", "-e", "trace=fdatasync", "-e",
                         "inject=fdatasync:delay_enter=300000", forget_signals=False)
    server.start()
    lines = [log_line(f"{number}", "DEBUG" if number % 3 == 0 else "ERROR") for number in range(300)]
    wanted = [b"filtered" if number % 3 == 0 else b"received" for number in range(300)]
    clients = [server.connect(server.logs_port) for _ in range(5)]
    feed, caller, idle = server.connect(), server.connect(server.rpc_port), server.connect(
        server.logs_port)
    for client in clients:
        client.sendall(b"".join(lines))
    feed.sendall(SAMPLE)
    caller.sendall(rpc_test.ADD_10_20 * 100 + rpc_test.ECHO_HI[:3])
    sent = len(clients) * len(b"".join(lines))
    harness.wait_for(lambda: books(server)["bytes_received"] == sent and
                     books(server, "rpc")["bytes_received"] == 603 and
                     books(server, "xml")["bytes_received"] == len(SAMPLE), "all is read")
    server.signal(signal.SIGTERM)
    for client in clients:
        replies = read_to_end(client).splitlines()
        assert len(replies) == 300 and all(map(bytes.__contains__, replies, wanted))
    assert read_to_end(caller) == rpc_test.SUM_30 * 100
    assert read_to_end(idle) == b""
    try:
        assert feed.recv(1) == b"", "an XML client hears nothing"
        raise AssertionError("a FIN that was not asked for says that all is durable")
    except ConnectionResetError:
        pass
    assert server.wait() == 0
    server.assert_books_balance()
    messages = [f"{number}" for number in range(300) if number % 3]
    assert sorted(logged(server)) == sorted(stored_messages(server)) == sorted(5 * messages)
    assert len(evidence.stored_events(server.objects)) == 1


if __name__ == "__main__":
    harness.main(globals())

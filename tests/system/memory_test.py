"""Invariant 8 and rows N3, N7: memory stays within the formula of docs/architecture.md whatever the
clients, the store and the disk do at once, and nobody starves.

The bound is the formula's terms with the numbers of the test; what the process took is VmHWM.
"""
import contextlib
import os
import resource
import selectors
import socket

import certificates
import evidence
import harness
from load_test import assert_complete, run_load
from log_clients import RECEIVED, log_line, logs_server, read_replies

KIB, MIB = 1 << 10, 1 << 20
RECEIVE_THREADS = 2
# Whoever frees memory must leave it to the others, so there are many.
MANY_THREADS = {"FRAME_THREADS": 4, "VALIDATE_THREADS": 4, "CONVERT_THREADS": 4}
THREADS_MAX = 40
# Of a stack of 8 MiB, what a thread touches.
STACK_TOUCHED = 128 * KIB
TLS_SESSION, TLS_HANDSHAKE = 14 * KIB, 44 * KIB


def bound(server, connections, segments=0, rejected=0):
    """Bytes, as docs/architecture.md adds them up."""
    budgets = sum(share["max"] for share in server.status()["memory"].values())
    threads = len(os.listdir(f"/proc/{server.process.pid}/task"))
    assert threads <= THREADS_MAX, f"{threads} threads"
    return (budgets + RECEIVE_THREADS * 256 * KIB + threads * STACK_TOUCHED + connections * KIB
            + segments * 300 + rejected * 100 + 20 * MIB + budgets // 8)


def bound_of_logs(answered, threads, message_bytes):
    """What logs add to it: text and replies of those who are answered, lines and the log file."""
    replies = 32 * KIB + 66 * 90
    lines = threads["frame"] + 32 * threads["validate"] + max(37, 37 * MIB // message_bytes)
    return answered * replies + lines * message_bytes


def assert_within_bound(server, when, more=0, **what):
    if server.is_sanitized():
        return  # it keeps what was freed; that all is delivered holds there, too
    allowed, taken = bound(server, **what) + more, server.memory_of_process("VmHWM")
    print(f"{when}: {taken / MIB:.1f} MiB of {allowed / MIB:.1f} MiB")
    assert taken <= allowed, f"{when}: {taken} bytes, the formula allows {allowed}"


def allow_descriptors(number):
    """For this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= number:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, max(number, hard)))
    except (ValueError, OSError) as refused:
        raise harness.Skip(f"no right to {number} open files: {refused}") from None


class Senders:
    """Many connections, each with a content of its own, sent by one thread."""

    def __init__(self, server, contents):
        self.clients = []
        for content in contents:
            client = socket.create_connection(("127.0.0.1", server.port))
            client.setblocking(False)
            self.clients.append((client, memoryview(content)))

    def send(self, begin, end, half_close):
        """Of each content the bytes of this slice, and if asked its FIN and the server's."""
        selector = selectors.DefaultSelector()
        for client, content in self.clients:
            selector.register(client, selectors.EVENT_WRITE,
                              content[int(begin * len(content)):int(end * len(content))])
        while selector.get_map():
            ready = selector.select(harness.DEADLINE_SECONDS)
            assert ready, f"{len(selector.get_map())} connections do not go on"
            for key, _ in ready:
                client, rest = key.fileobj, key.data
                if rest:
                    rest = rest[client.send(rest[:64 * KIB]):]
                elif rest is not None:
                    if not half_close:
                        selector.unregister(client)
                        continue
                    client.shutdown(socket.SHUT_WR)
                    rest = None
                else:
                    assert client.recv(1) == b"", "no FIN"
                    selector.unregister(client)
                    continue
                selector.modify(client, selectors.EVENT_READ if rest is None
                                else selectors.EVENT_WRITE, rest)

    def close(self):
        for client, _ in self.clients:
            client.close()


def slow_down_syncs(scratch, server, milliseconds):
    """By strace; without it the disk is as fast as it is, and the test says so."""
    try:
        harness.under_strace(server, scratch.path / "strace", "-e", "trace=fdatasync", "-e",
                             f"inject=fdatasync:delay_enter={milliseconds}000")
    except harness.Skip as reason:
        print(f"the disk is not slow: {reason}")


def test_half_events_a_dead_store_and_a_slow_disk_at_once_stay_within_the_bound(scratch):
    connections = 1000
    allow_descriptors(3 * connections)
    store = scratch.fake_s3()
    server = scratch.server(MEMORY_MAX_BYTES="64MiB", SPOOL_MAX_BYTES="96MiB", MAX_FILE_SIZE="4MiB",
                            DOCUMENT_TIMEOUT=600, RECEIVE_THREADS=RECEIVE_THREADS,
                            MAX_CONNECTIONS=2 * connections, **MANY_THREADS, **store.settings())
    slow_down_syncs(scratch, server, 100)
    server.start()
    # It resets, or never answers.
    for kind in ({"kind": "stall", "match": "[02468ace]\\.xml"}, {"kind": "reset"}):
        store.control("fault", **({"match": "^(PUT|POST|HEAD) /bucket/.", "count": -1} | kind))

    contents = [b"<EVENT><cn>%016x</cn><text>%s</text></EVENT>" % (i, b"x" * 48_000)
                for i in range(connections)]
    halves = Senders(server, contents)
    halves.send(0, 0.5, half_close=False)
    record = scratch.path / "record"
    load = harness.start_load(server.port, "--count", 40_000, "--connections", 8, "--malformed", 0.02,
                              "--fin-timeout", 600, record=record)
    harness.wait_for(lambda: server.status()["spool"]["streams"]["xml"]["reading_paused"], "the spool is full")
    assert load.poll() is None, "the feed was not held back"
    harness.wait_for(lambda: server.status()["books"]["xml"]["upload_retries"], "uploads that fail")
    books = server.status()["books"]["xml"]
    what = {"connections": connections + 8, "segments": books["segments_in_spool"],
            "rejected": books["malformed_framed"]}
    assert books["events_uploaded"] == 0, books
    assert_within_bound(server, "with a store that is dead", **what)

    store.control("clear")
    halves.send(0.5, 1, half_close=True)
    assert load.wait(4 * harness.DEADLINE_SECONDS) == 0, load.stdout.read()
    assert_within_bound(server, "after all was sent", **what)
    halves.close()
    server.stop(seconds=4 * harness.DEADLINE_SECONDS)
    sent = evidence.read_record(record)
    stored = evidence.stored_events(store.objects)
    halves_stored = [event for event in stored if event.identifier not in sent.events]
    assert sorted(event.identifier for event in halves_stored) == \
        [f"{i:016x}" for i in range(connections)]
    evidence.assert_same(sent, [event for event in stored if event.identifier in sent.events])
    evidence.assert_quarantined(sent, evidence.quarantine(store.objects))
    evidence.assert_no_key_written_twice(store)


def test_n3_a_thousand_feeds_are_served_beside_ten_thousand_that_are_idle(scratch):
    idle, active = 10_000, 1000
    allow_descriptors(idle + active + 500)
    server = scratch.server(MEMORY_MAX_BYTES="64MiB", MAX_CONNECTIONS=idle + active + 100,
                            RECEIVE_THREADS=RECEIVE_THREADS).start()
    with contextlib.ExitStack() as connected:
        for _ in range(idle):
            connected.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        harness.wait_for(lambda: server.status()["connections"] == idle, "all are taken")
        record = scratch.path / "record"
        server.load("--count", 20 * active, "--connections", active, record=record)
        harness.wait_for(lambda: server.status()["connections"] <= idle, "the active ones are gone")
        assert server.status()["connections"] == idle, "idle feeds were closed"
        assert_within_bound(server, "with 11,000 connections", connections=idle + active)
    harness.wait_for(lambda: server.status()["connections"] == 0, "the idle ones are gone")
    server.stop()
    sent = evidence.read_record(record)
    assert len(sent.ends) == active and set(sent.ends.values()) == {"fin"}
    evidence.assert_same(sent, evidence.stored_events(server.objects))


@contextlib.contextmanager
def idle_logs_clients(server, count, wrap=lambda client: client):
    """So many that say nothing; at the end every hundredth still gets a line answered."""
    with contextlib.ExitStack() as connected:
        clients = [connected.enter_context(wrap(server.connect(server.logs_port)))
                   for _ in range(count)]
        harness.wait_for(lambda: server.status()["connections"] == count, "all are taken")
        yield
        harness.wait_for(lambda: server.status()["connections"] <= count, "the active ones are gone")
        assert server.status()["connections"] == count, "idle clients were closed"
        for client in clients[::100]:
            client.sendall(log_line("idle"))
            assert read_replies(client, 1) == [RECEIVED]
    harness.wait_for(lambda: server.status()["connections"] == 0, "the idle ones are gone")


def check_idle_and_active(scratch, idle, active, more, wrap=lambda client: client, tls=(), **settings):
    allow_descriptors(idle + active + 500)
    threads = {"frame": 2, "validate": 2}
    message_bytes = 64 * KIB
    server = logs_server(scratch, MEMORY_MAX_BYTES="64MiB", MAX_CONNECTIONS=idle + active + 100,
                         MAX_MESSAGE_SIZE=message_bytes, RECEIVE_THREADS=RECEIVE_THREADS,
                         FRAME_THREADS=threads["frame"], VALIDATE_THREADS=threads["validate"],
                         **settings).start()
    with idle_logs_clients(server, idle, wrap):
        summary, _ = run_load(server.logs_port, "--protocol", "logs", "--count", 20 * active,
                              "--connections", active, *tls)
        assert_complete(summary, 20 * active, connections=active)
        assert_within_bound(server, f"with {idle} idle and {active} active clients",
                            bound_of_logs(active, threads, message_bytes) + more,
                            connections=idle + active)
    server.stop()


def test_n3_a_thousand_logs_clients_are_answered_beside_ten_thousand_that_are_idle(scratch):
    check_idle_and_active(scratch, 10_000, 1000, more=0)


def test_n3_tls_sessions_that_are_idle_take_what_the_formula_says(scratch):
    authority = certificates.Authority(scratch.path)
    own = authority.issue("server")
    idle, active = 2000, 200
    context = certificates.client_context(authority)
    check_idle_and_active(
        scratch, idle, active, more=idle * TLS_SESSION + active * TLS_HANDSHAKE,
        wrap=lambda client: context.wrap_socket(client, server_hostname="127.0.0.1"),
        tls=("--tls", "--tls-ca", authority.path), TLS_CERT=own.path, TLS_KEY=own.key)


if __name__ == "__main__":
    harness.main(globals())

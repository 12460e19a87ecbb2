"""Who is let in, how many, and what becomes of those who do not behave: floods, clients that read
nothing, other protocols, proxies."""
import json
import pathlib
import socket
import struct
import time

import evidence
import harness
from log_clients import (FILTERED, RECEIVED, books, exchange, half_close, has_ended, log_line, logged,
                         logs_server, read_replies, stored_lines)

SAMPLE = harness.SAMPLE.read_bytes()


# ---- N6: replies that nobody reads


class Deaf:
    """A client that sends lines and reads nothing."""

    def __init__(self, server):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", server.logs_port))
        self.socket.setblocking(False)
        self.lines = b"".join(log_line(f"deaf {number}", "DEBUG") for number in range(1000))
        self.sent = 0

    def send_more(self):
        """False when nobody takes more at the moment."""
        try:
            for _ in range(1000):
                self.sent += self.socket.send(self.lines[self.sent % len(self.lines):])
        except BlockingIOError:
            return False
        return True


def read_of_a_deaf_client_max(client):
    """The lines whose replies the kernel takes and 16 KiB of verdicts, a byte each, wait for; and
    32 reads that are under way."""
    kernel = int(pathlib.Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])
    replies = kernel // len(FILTERED) + (16 << 10)
    return replies * len(client.lines) // 1000 + 33 * (128 << 10)


def test_n6_from_a_client_that_reads_no_reply_reading_stops_and_memory_is_bounded(scratch):
    server = logs_server(scratch, REPLY_TIMEOUT=3600, MEMORY_MAX_BYTES="16MiB",
                         DOCUMENT_TIMEOUT=1).start()
    assert exchange(server, log_line("a")) == [RECEIVED]
    before = server.memory_of_process("VmHWM")
    deaf = [Deaf(server) for _ in range(8)]
    seen = []

    def has_stopped():
        moves = [client.send_more() for client in deaf]
        seen.append(books(server)["bytes_received"])
        return not any(moves) and len(seen) > 50 and seen[-1] == seen[-50]
    harness.wait_for(has_stopped, "reading stops")
    sent = sum(client.sent for client in deaf)
    bound = len(deaf) * read_of_a_deaf_client_max(deaf[0])
    print(f"{seen[-1] >> 10} KiB read of {sent >> 10} KiB sent, at most {bound >> 10}")
    assert seen[-1] < bound, "reading stopped for want of memory, not for the replies"
    for number in range(20):  # the others go on
        assert exchange(server, log_line(f"b {number}")) == [RECEIVED]
    grown = server.memory_of_process("VmHWM") - before
    assert server.is_sanitized() or grown < 24 << 20, f"{grown >> 20} MiB more"
    assert not server.lines("replies not taken"), "it may take an hour"
    for client in deaf:
        client.socket.close()
    server.stop()


def test_n6_a_client_that_reads_no_reply_is_closed_after_the_timeout(scratch):
    server = logs_server(scratch, REPLY_TIMEOUT=1).start()
    deaf = Deaf(server)

    def is_closed():
        try:
            deaf.send_more()
        except ConnectionError:
            return True
        assert exchange(server, log_line("b")) == [RECEIVED], "the others go on"
        return False
    harness.wait_for(is_closed, "it is closed")
    line = server.wait_for_line("replies not taken")
    assert line["peer"] == "%s:%d" % deaf.socket.getsockname() and line["bytes"] > 0, line
    server.stop()


def test_n6_who_reads_late_gets_every_reply_in_order(scratch):
    server = logs_server(scratch, REPLY_TIMEOUT=3600).start()
    deaf = Deaf(server)
    seen = []

    def has_stopped():
        moves = deaf.send_more()
        seen.append(books(server)["bytes_received"])
        return not moves and len(seen) > 20 and seen[-1] == seen[-20]
    harness.wait_for(has_stopped, "reading stops")
    # What is under way is read from the one side while its rest goes into the other.
    rest = deaf.lines[deaf.sent % len(deaf.lines):].partition(b"\n")[0] + b"\n"
    whole = deaf.sent + len(rest)
    lines = whole // len(deaf.lines) * 1000 + deaf.lines[:whole % len(deaf.lines)].count(b"\n")
    got = 0
    while rest or got < lines * len(FILTERED):
        try:
            rest = rest[deaf.socket.send(rest):] if rest else rest
        except BlockingIOError:
            pass
        deaf.socket.settimeout(harness.DEADLINE_SECONDS)
        part = deaf.socket.recv(1 << 20)
        deaf.socket.setblocking(False)
        assert part == (FILTERED * (len(part) // len(FILTERED) + 2))[got % len(FILTERED):][:len(part)]
        got += len(part)
    assert got == lines * len(FILTERED), (got, lines)
    deaf.socket.settimeout(harness.DEADLINE_SECONDS)
    assert half_close(deaf.socket) == b""
    server.stop()


# ---- N9: floods


def connect_many(server, port, count, source=None):
    """Those that stay, and how many were turned away."""
    stay, refused = [], 0
    clients = []
    for _ in range(count):
        try:
            clients.append(server.connect(port, source))
        except ConnectionError:  # the reset can be as fast as connect()
            refused += 1
    harness.wait_for(lambda: len(server.lines("connection opened")) +
                     server.status()["books"]["xml"]["connections_refused"] >= count, "accepted")
    for client in clients:
        client.setblocking(False)
        try:
            assert client.recv(1) == b"", "it was told something"
            raise AssertionError("a FIN would say that all is well")
        except BlockingIOError:
            client.settimeout(harness.DEADLINE_SECONDS)
            stay.append(client)
        except ConnectionError:
            refused += 1
    return stay, refused


def test_n9_connections_over_the_limit_are_reset_and_counted_and_the_others_served(scratch):
    server = scratch.server(MAX_CONNECTIONS=20, RECEIVE_THREADS=3).start()
    stay, refused = connect_many(server, server.port, 100)
    assert (len(stay), refused) == (20, 80)
    counted = books(server, "xml")
    assert counted["connections_refused"] == 80 and counted["connections_opened"] == 20, counted
    assert server.status()["connections"] == 20
    assert server.lines("connection refused")[0]["limit"] == "MAX_CONNECTIONS"
    for client in stay:
        client.sendall(SAMPLE)
        assert half_close(client) == b""
    harness.wait_for(lambda: server.status()["connections"] == 0, "there is room again")
    server.send(SAMPLE)
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 21


def test_n9_one_address_takes_no_more_than_its_share(scratch):
    server = scratch.server(MAX_CONNECTIONS=30, MAX_CONNECTIONS_PER_IP=5).start()
    stay, refused = connect_many(server, server.port, 50, "127.0.0.9")
    assert (len(stay), refused) == (5, 45)
    assert server.lines("connection refused")[0]["limit"] == "MAX_CONNECTIONS_PER_IP"
    others = [server.connect(server.port, f"127.0.0.{number}") for number in range(10, 20)]
    for client in stay + others:
        client.sendall(SAMPLE)
        assert half_close(client) == b""
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 15


def test_n9_connections_over_the_accept_rate_wait_and_none_is_lost(scratch):
    server = scratch.server(ACCEPT_RATE_MAX=10).start()
    begin = time.monotonic()
    clients = [server.connect() for _ in range(30)]
    for client in clients:
        client.sendall(SAMPLE)
    for client in clients:
        assert half_close(client) == b""
    elapsed = time.monotonic() - begin
    assert elapsed > 1.9, f"30 in {elapsed} s are more than 10 a second, and 10 at once"
    assert server.lines("accept paused")[0]["reason"] == "ACCEPT_RATE_MAX is reached"
    assert books(server, "xml")["connections_refused"] == 0
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 30


def test_n9_a_flood_of_one_protocol_leaves_the_others_their_connections(scratch):
    server = scratch.server(PROTOCOLS="xml,logs,rpc", MAX_CONNECTIONS=10).start()
    stay, _ = connect_many(server, server.port, 30)
    assert len(stay) == 10
    assert exchange(server, log_line("a")) == [RECEIVED]
    with server.connect(server.rpc_port) as client:
        client.sendall(bytes.fromhex("1204080a1014"))
        assert half_close(client) == bytes.fromhex("1202081e")
    for client in stay:
        client.close()
    server.stop()


# ---- N10: other protocols

STRANGERS = {
    "http": b"GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: curl/8\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + bytes(range(256)) * 4,
    "proxy v1": b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 8080\r\n" + SAMPLE,
    "proxy v2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + SAMPLE,
    "redis": b"*1\r\n$4\r\nPING\r\n",
}


def test_n10_what_is_no_xml_is_closed_and_a_sample_of_it_goes_to_quarantine(scratch):
    server = scratch.server().start()
    for name, content in STRANGERS.items():
        with server.connect() as client:
            client.sendall(content)
            assert has_ended(client), name
        harness.wait_for(lambda: not server.status()["connections"], "it is closed")
    for line in server.lines("connection closed"):
        assert line["reason"] == "not XML", line
    server.send(SAMPLE)
    server.stop()
    kept = evidence.quarantine(server.objects)
    for name, content in STRANGERS.items():
        # White space and NUL before what is no document are separators.
        begin = content.strip(b"\r\n\0")[:12]
        assert any(begin in piece.bytes for piece in kept), f"{name}: nothing of it is kept"
    assert len(evidence.stored_events(server.objects)) == 1, "events of a stream that is none"


def test_n10_an_endless_stream_of_another_protocol_leaves_a_bounded_sample(scratch):
    server = scratch.server().start()
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        try:
            for _ in range(64):
                client.sendall(b"x" * (1 << 20))
        except ConnectionError:
            pass
    server.wait_for_line("connection closed", reason="not XML")
    server.stop()
    kept = sum(len(piece.bytes) for piece in evidence.quarantine(server.objects))
    assert 0 < kept <= 1 << 20, f"{kept} bytes kept"


def test_n10_strangers_on_the_logs_port_are_told_of_each_line_that_is_no_json(scratch):
    server = logs_server(scratch).start()
    replies = exchange(server, STRANGERS["http"] + log_line("a"))
    assert [b"invalid JSON" in reply for reply in replies] == [True] * 3 + [False]
    server.stop()
    assert logged(server) == ["a"]


# ---- proxies


def proxy_v2(client, server, command=0x21, extra=b""):
    (host, port), (to_host, to_port) = client, server
    addresses = socket.inet_aton(host) + socket.inet_aton(to_host) + struct.pack("!HH", port, to_port)
    block = (addresses if command == 0x21 else b"") + extra
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, 0x11 if command == 0x21 else 0]) + \
        struct.pack("!H", len(block)) + block


V1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 9000\r\n"
V1_SIX = b"PROXY TCP6 2001:db8::7 ::1 4001 9000\r\n"
V2 = proxy_v2(("192.0.2.8", 4002), ("127.0.0.1", 9000), extra=b"\x04\x00\x03abc")
LOCAL = proxy_v2(("192.0.2.8", 4002), ("127.0.0.1", 9000), command=0x20)
UNKNOWN = b"PROXY UNKNOWN\r\n"


def test_a_trusted_proxy_says_whose_the_connection_is_in_both_versions(scratch):
    server = scratch.server(PROTOCOLS="xml,logs", PROXY_FROM="127.0.0.1").start()
    own = []
    for header in (V1, V1_SIX, V2, LOCAL, UNKNOWN):
        with server.connect(server.logs_port) as client:
            own.append("%s:%d" % client.getsockname())
            client.sendall(header + log_line("a") + log_line("b"))
            assert half_close(client) == RECEIVED * 2, header
    server.send(V1 + SAMPLE + b"<EVENT><a></b></EVENT>" + SAMPLE)
    counted = books(server)
    headers = sum(map(len, (V1, V1_SIX, V2, LOCAL, UNKNOWN)))
    assert counted["bytes_transport"] == headers and counted["difference"] == 0, counted
    peers = ["192.0.2.7:4000", "[2001:db8::7]:4001", "192.0.2.8:4002", own[3], own[4]]
    opened = [line["peer"] for line in server.lines("connection opened")]
    assert opened == [*peers, "192.0.2.7:4000"], opened
    server.stop()
    assert [line["_peer"] for line in stored_lines(server.objects)] == \
        [peer for peer in peers for _ in range(2)]
    assert evidence.quarantine(server.objects)[0].line["peer"] == "192.0.2.7:4000"
    assert len(evidence.stored_events(server.objects)) == 2


def test_a_proxy_header_may_be_cut_anywhere(scratch):
    server = logs_server(scratch, PROXY_FROM="127.0.0.0/8").start()
    for header, peer in ((V1, "192.0.2.7:4000"), (V2, "192.0.2.8:4002")):
        for cut in range(1, len(header) + 1):
            with server.connect(server.logs_port) as client:
                before = books(server)["bytes_received"]
                client.sendall(header[:cut])
                harness.wait_for(
                    lambda: books(server)["bytes_received"] == before + cut, f"read {cut} bytes")
                client.sendall(header[cut:] + log_line("a"))
                assert half_close(client) == RECEIVED
            assert server.lines("connection opened")[-1]["peer"] == peer
    server.stop()


def test_a_trusted_proxy_without_a_header_is_refused_and_a_stranger_with_one_not_believed(scratch):
    server = logs_server(scratch, PROXY_FROM="127.0.0.2").start()
    for content in (log_line("a"), SAMPLE, b"PROXY TCP4 nonsense\r\n" + log_line("a")):
        with server.connect(server.logs_port, "127.0.0.2") as client:
            client.sendall(content)
            assert has_ended(client)
    assert "no PROXY header" in server.lines("connection refused")[0]["limit"]
    assert books(server)["events_framed"] == 0 and books(server)["difference"] == 0
    replies = exchange(server, V1 + log_line("b"))  # from 127.0.0.1
    assert b"invalid JSON" in replies[0] and replies[1] == RECEIVED
    server.stop()
    [line] = stored_lines(server.objects)
    assert line["_peer"].startswith("127.0.0.1:"), line


def test_limits_and_allow_list_look_at_the_client_behind_the_proxy(scratch):
    server = logs_server(scratch, PROXY_FROM="127.0.0.1", ALLOW_FROM="192.0.2.0/24",
                         MAX_CONNECTIONS_PER_IP=1, RATE_LIMIT_ENABLED="true",
                         RATE_LIMIT_MAX_REQUESTS=2).start()

    def behind_proxy(host):
        client = server.connect(server.logs_port)
        client.sendall(f"PROXY TCP4 {host} 127.0.0.1 4000 9000\r\n".encode() + log_line(host))
        return client
    with behind_proxy("192.0.2.1") as first, behind_proxy("192.0.2.2") as second:
        for client in (first, second):
            assert read_replies(client, 1) == [RECEIVED]
        with behind_proxy("192.0.2.1") as again, behind_proxy("198.51.100.1") as stranger:
            assert has_ended(again) and has_ended(stranger)
        first.sendall(log_line("a") * 2)
        assert [b"rate limit" in reply for reply in read_replies(first, 2)] == [False, True]
        second.sendall(log_line("b"))
        assert read_replies(second, 1) == [RECEIVED]
    assert books(server)["connections_refused"] == 2
    server.stop()
    assert logged(server).count("192.0.2.1") == 1 and "198.51.100.1" not in logged(server)


# ---- ALLOW_FROM


def test_only_addresses_of_the_allow_list_are_let_in_and_sighup_reads_it_again(scratch):
    config = scratch.path / "config.json"

    def allow(addresses):
        config.write_text(json.dumps({"ALLOW_FROM": addresses}))
    allow("127.0.0.2, 127.0.1.0/24")
    server = scratch.server()
    server.launch("run", "--config", str(config))
    server.wait_until_started()

    def is_let_in(source):
        try:
            with server.connect(source=source) as client:
                client.sendall(SAMPLE)
                return half_close(client) == b""
        except ConnectionError:
            return False
    for source, wanted in (("127.0.0.2", True), ("127.0.1.77", True), ("127.0.0.1", False),
                           ("127.0.0.3", False), ("127.0.2.1", False)):
        assert is_let_in(source) == wanted, source
    assert server.lines("connection refused")[0]["limit"] == "ALLOW_FROM"
    begun = server.connect(source="127.0.0.2")
    harness.wait_for(lambda: server.status()["connections"] == 1, "it is let in")
    allow("127.0.0.3")
    server.reload()
    assert is_let_in("127.0.0.3") and not is_let_in("127.0.0.2")
    begun.sendall(SAMPLE)
    assert half_close(begun) == b"", "who is in stays"
    allow("not an address")
    server.reload()
    assert is_let_in("127.0.0.3") and not is_let_in("127.0.0.2"), "the old list stays"
    assert "ALLOW_FROM" in server.lines("alarm raised")[0]["message"]
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 5


if __name__ == "__main__":
    harness.main(globals())

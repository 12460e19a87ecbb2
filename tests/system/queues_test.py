"""Queues of capacity 1 everywhere and all clients at full speed: slow perhaps, but no deadlock."""
import selectors
import socket

import evidence
import harness

SMALLEST = {
    "QUEUE_CAPACITY": 1, "BLOCK_BYTES": "16KiB", "UPLOAD_CONCURRENCY": 1, "RECEIVE_THREADS": 2,
    "FRAME_THREADS": 2, "VALIDATE_THREADS": 2, "CONVERT_THREADS": 2, "MAX_FILE_SIZE": "256KiB",
}


def check(scratch, settings, load_options=()):
    server = scratch.server(**settings).start()
    record = scratch.path / "record"
    server.load("--count", harness.EVENTS // 4, "--connections", 64, *load_options, record=record)
    server.stop()
    evidence.assert_same(evidence.read_record(record), evidence.stored_events(server.objects))


def test_capacity_1_everywhere(scratch):
    check(scratch, SMALLEST)


def test_capacity_1_and_the_smallest_memory(scratch):
    check(scratch, SMALLEST | {"MEMORY_MAX_BYTES": "8MiB", "MAX_MESSAGE_SIZE": "64KiB"},
          ("--cut", "random"))


def test_capacity_1_with_malformed_events(scratch):
    server = scratch.server(**SMALLEST).start()
    record = scratch.path / "record"
    server.load("--count", 5000, "--connections", 16, "--malformed", 0.1, record=record)
    server.stop()
    sent = evidence.read_record(record)
    evidence.assert_same(sent, evidence.stored_events(server.objects))
    evidence.assert_quarantined(sent, evidence.quarantine(server.objects))


def test_segments_larger_than_the_memory_of_egress_go_out(scratch):
    server = scratch.server(MEMORY_MAX_BYTES="16MiB", MAX_MESSAGE_SIZE="512KiB").start()
    record = scratch.path / "record"
    server.load("--count", 20_000, "--connections", 4, record=record)
    server.stop()
    evidence.assert_same(evidence.read_record(record), evidence.stored_events(server.objects))


def test_events_each_of_which_needs_more_than_egress_has_go_out_in_parts(scratch):
    # A block alone costs 13 times its bytes, and behind each part a piece of its block stays.
    server = scratch.server(MEMORY_MAX_BYTES="48MiB", MAX_MESSAGE_SIZE="6MiB",
                            MAX_FILE_SIZE="64MiB").start()
    text = b"x" * 5_500_000
    identifiers = [f"{i:016x}" for i in range(5)]
    server.send(b"".join(b"<EVENT><cn>%s</cn><text>%s</text></EVENT>" % (cn.encode(), text)
                         for cn in identifiers))
    server.stop()
    stored = evidence.stored_events(server.objects)
    assert [event.identifier for event in stored] == identifiers, "not all left the spool"


def test_n2b_half_events_of_64_connections_beyond_the_memory_all_finish(scratch):
    server = scratch.server(MEMORY_MAX_BYTES="16MiB", MAX_MESSAGE_SIZE="1MiB").start()
    text = b"x" * 900_000
    events = [b"<EVENT><cn>%016x</cn><text>%s</text></EVENT>" % (i, text) for i in range(64)]
    sender = ManySenders(server.port, events)
    sender.run()
    server.stop()
    stored = evidence.stored_events(server.objects)
    assert sorted(event.identifier for event in stored) == [f"{i:016x}" for i in range(64)]


class ManySenders:
    """Each event over a connection of its own, all begun before any is ended."""

    def __init__(self, port, events):
        self.selector = selectors.DefaultSelector()
        for event in events:
            client = socket.create_connection(("127.0.0.1", port))
            client.setblocking(False)
            self.selector.register(client, selectors.EVENT_WRITE, memoryview(event))

    def run(self):
        while self.selector.get_map():
            ready = self.selector.select(harness.DEADLINE_SECONDS)
            assert ready, "no connection goes on"
            for key, _ in ready:
                client, rest = key.fileobj, key.data
                if not rest:
                    assert client.recv(1) == b"", "no FIN"
                    self.selector.unregister(client)
                    client.close()
                    continue
                rest = rest[client.send(rest[:50_000]):]
                wanted = selectors.EVENT_WRITE if rest else selectors.EVENT_READ
                if not rest:
                    client.shutdown(socket.SHUT_WR)
                self.selector.modify(client, wanted, rest)


if __name__ == "__main__":
    harness.main(globals())

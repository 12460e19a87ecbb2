"""kill -9 with a hundred logs clients that pipeline. Judged by what the clients saw: what they were
told is received is in the log file and in the store once; a line that was not answered and is sent
again may be there as often as it was sent, and nothing is there that was never sent."""
import collections
import contextlib
import os
import random
import selectors
import signal
import socket
import threading
import time

import harness
from log_clients import FILTERED, RECEIVED, log_line, logged, logs_server, stored_messages

CLIENTS = 100
PIPELINED = 40  # lines that a client has unanswered, at most
KILLS = max(3, int(os.environ.get("SLUICE_TEST_KILLS", "100")) // 12)
SEED = int(os.environ.get("SLUICE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


class Client:
    """Sends lines of its own, every fifth too low to be kept. What was not answered when its
    connection broke, it sends again over the next one: the sender who loses nothing."""

    def __init__(self, number, record):
        self.number = number
        self.record = record
        self.made = 0
        self.to_send = collections.deque()
        self.unanswered = collections.deque()

    def connect(self, port):
        self.to_send.extendleft(reversed(self.unanswered))
        self.unanswered.clear()
        self.unsent, self.got = b"", b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)

    def fill(self, more):
        """Puts lines into unsent."""
        while len(self.unanswered) < PIPELINED and (self.to_send or more):
            if not self.to_send:
                self.to_send.append(f"{self.number}-{self.made}")
                self.made += 1
            name = self.to_send.popleft()
            self.unanswered.append(name)
            low = is_low(name)
            if not low:
                self.record.sent[name] += 1
            self.unsent += log_line(name, "DEBUG" if low else "ERROR")

    def write(self):
        while self.unsent:
            try:
                self.unsent = self.unsent[self.socket.send(self.unsent):]
            except BlockingIOError:
                return

    def read(self):
        """False when the connection is over."""
        try:
            part = self.socket.recv(1 << 16)
        except BlockingIOError:
            return True
        self.got += part
        *replies, self.got = self.got.split(b"\n")
        for reply in replies:
            name = self.unanswered.popleft()
            low = is_low(name)
            assert reply + b"\n" == (FILTERED if low else RECEIVED), (name, reply)
            if not low:
                self.record.received[name] += 1
        return part != b""


def is_low(name):
    return int(name.rpartition("-")[2]) % 5 == 4


class Record:
    """Of all clients, for the whole test."""

    def __init__(self):
        self.sent = collections.Counter()
        self.received = collections.Counter()
        self.clients = [Client(number, self) for number in range(CLIENTS)]

    def run(self, server, more):
        """All clients at once: until their connections break, or, without more lines, until all is
        answered."""
        deadline = time.monotonic() + harness.DEADLINE_SECONDS
        with selectors.DefaultSelector() as selector:
            for client in self.clients:
                with contextlib.suppress(OSError):
                    client.connect(server.logs_port)
                    selector.register(client.socket, selectors.EVENT_READ, client)
            while selector.get_map():
                assert time.monotonic() < deadline, "clients wait for answers for ever"
                for key in list(selector.get_map().values()):
                    if not self.turn(key.data, more):
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
                selector.select(0.05)

    @staticmethod
    def turn(client, more):
        try:
            client.fill(more)
            client.write()
            return client.read() and (more or client.unanswered or client.to_send)
        except ConnectionError:
            return False


def assert_each_is_there(record, found, where):
    counts = collections.Counter(found)
    lost = record.received.keys() - counts.keys()
    assert not lost, f"{len(lost)} received lines are not in {where}, as {min(lost)}"
    for name, count in counts.items():
        assert name in record.sent, f"{name} in {where} was never sent"
        assert count <= record.sent[name], f"{name} is in {where} {count} times"
    order = {}
    for name in dict.fromkeys(found):
        client, number = map(int, name.split("-"))
        assert order.get(client, -1) < number, f"{name} in {where} is out of order"
        order[client] = number


def kill_at_a_write(server, chance):
    """Also between a group's sync and its lines in the log file, which no timer meets; where that
    comes late, the timer is first."""
    with contextlib.suppress(harness.Skip):
        harness.under_strace(server, server.directory / "strace", "-e", "trace=pwritev", "-e",
                             f"inject=pwritev:signal=SIGKILL:when={chance.randrange(3, 40)}",
                             forget_signals=False)


def has_started(server):
    """Whether it came to listen; not where it met its kill while it completed the log file."""
    server.launch()
    try:
        server.wait_until_started()
    except AssertionError:
        if server.process.poll() != -signal.SIGKILL:
            raise
        return False
    return True


def kill_again_and_again(server, chance):
    record = Record()
    exits = []
    for number in range(KILLS):
        if number % 2:
            kill_at_a_write(server, chance)
        if has_started(server):
            timer = threading.Timer(chance.uniform(0.02, 0.7), server.signal, [signal.SIGKILL])
            timer.start()
            record.run(server, more=True)
            timer.join()
        exits.append(server.wait())
        server.wrapper = ()
        assert not server.lines("alarm raised"), server.log_tail()
    server.start()
    record.run(server, more=False)
    server.settings["DRAIN_TIMEOUT"] = harness.DEADLINE_SECONDS
    server.stop(seconds=2 * harness.DEADLINE_SECONDS)
    assert set(exits) == {-signal.SIGKILL}, exits
    again = sum(count > 1 for count in record.sent.values())
    print(f"{len(record.sent)} lines sent, {again} of them again, {len(record.received)} received")
    assert record.received.keys() == record.sent.keys(), "in the end each was answered"
    assert len(record.received) > KILLS * CLIENTS and again > 0, "the kills met nothing"
    return record


def test_p2_killed_under_a_hundred_clients_each_received_line_is_in_file_and_store(scratch):
    print(f"SLUICE_TEST_SEED={SEED}")
    server = logs_server(scratch, ROTATION_INTERVAL=0.2, MAX_FILE_SIZE="64KiB",
                         LOG_FILE_MAX_BYTES="256KiB", LOG_FILES_KEEP=0)
    record = kill_again_and_again(server, random.Random(SEED))
    in_file, in_store = logged(server), stored_messages(server)
    assert_each_is_there(record, in_file, "the log file")
    assert_each_is_there(record, in_store, "the store")
    assert in_file == in_store, "file and store have the same lines in the same order"


def test_p2_killed_without_upload_each_received_line_is_in_the_log_file(scratch):
    print(f"SLUICE_TEST_SEED={SEED}")
    server = logs_server(scratch, LOGS_UPLOAD="false", ROTATION_INTERVAL=0.1, MAX_FILE_SIZE="64KiB")
    record = kill_again_and_again(server, random.Random(SEED))
    assert_each_is_there(record, logged(server), "the log file")
    assert not list(server.objects.rglob("*.jsonl"))


if __name__ == "__main__":
    harness.main(globals())

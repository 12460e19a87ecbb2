"""What befalls the process, rows P4, P5, P6 and P8: no memory, stopped and continued, a clock that
steps, no descriptors."""
import calendar
import os
import pathlib
import resource
import select
import signal
import socket
import time

import evidence
import harness
import store_checks

SAMPLE = harness.SAMPLE.read_bytes()
UNLIMITED = resource.RLIM_INFINITY


def limit(server, what, number):
    soft, hard = resource.prlimit(server.process.pid, what)
    resource.prlimit(server.process.pid, what, (soft if number is None else number, hard))
    return soft


# ---- P4

def test_p4_without_memory_a_feed_waits_and_nothing_acknowledged_is_lost(scratch):
    server = scratch.server(MAX_FILE_SIZE="1MiB", ROTATION_INTERVAL="0.3").start()
    if server.is_sanitized():
        raise harness.Skip("a sanitizer maps terabytes: address space cannot be limited")
    records = [scratch.path / f"record-{i}" for i in range(2)]
    server.load("--count", 500, "--connections", 2, record=records[0])
    harness.wait_for(lambda: not server.status()["books"]["xml"]["pieces_in_spool"], "delivery")
    # Less than what many connections at once need.
    limit(server, resource.RLIMIT_AS, server.memory_of_process("VmSize") + (1 << 20))
    load = harness.start_load(server.port, "--count", 40_000, "--connections", 64, "--fin-timeout", 300,
                               record=records[1])
    harness.wait_for(lambda: server.lines("out of memory") or server.lines("alarm raised")
                     or not server.running(), "something has no memory")
    if server.running():
        limit(server, resource.RLIMIT_AS, UNLIMITED)
    load.wait(harness.DEADLINE_SECONDS)
    print([line["event"] for line in server.lines() if line["level"] == "error"])
    if load.returncode != 0:  # ingest had none, and ended
        assert server.wait() == 4, server.log_tail()
        server.start()
    harness.wait_for(lambda: not server.status()["books"]["xml"]["pieces_in_spool"], "delivery")
    server.stop()
    sent = evidence.read_record(*records)
    assert len(sent.acknowledged()) >= 500
    evidence.assert_same(sent, evidence.stored_events(server.objects),
                         exactly_once=sent.acknowledged())


# ---- P5

def test_p5_stopped_for_longer_than_every_deadline_and_continued_it_goes_on(scratch):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    store.control("set", session_token="until")
    metadata.control("set", lifetime=4, token="until")
    server = scratch.server(
        DOCUMENT_TIMEOUT=10, MAX_FILE_SIZE="64KiB", ROTATION_INTERVAL="0.3",
        **store.settings(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None,
                         AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata.url,
                         HOME=scratch.path / "home")).start()
    records = [scratch.path / f"record-{i}" for i in range(2)]
    server.load("--count", 200, "--connections", 2, record=records[0])
    harness.wait_for(lambda: evidence.data_objects(store.objects), "a first object")
    load = harness.start_load(server.port, "--count", 2000, "--rate", 1000, "--connections", 4,
                              record=records[1])
    half = server.connect()
    half.sendall(SAMPLE[:1000])
    harness.wait_for(lambda: server.status()["books"]["xml"]["bytes_framing"] >= 1000, "half of it")
    refused = len([one for one in store.control("requests") if one["status"] == 403])

    server.signal(signal.SIGSTOP)
    continue_at = time.monotonic() + 12
    harness.wait_for(lambda: time.monotonic() >= continue_at, "more than the keys live, or a document")
    server.signal(signal.SIGCONT)

    half.sendall(SAMPLE[1000:])
    half.shutdown(socket.SHUT_WR)
    assert half.recv(1) == b"", "the feed was cut inside its document"
    half.close()
    assert load.wait(harness.DEADLINE_SECONDS) == 0, load.stdout.read()
    harness.wait_for(server.ready, "/ready says 200")
    server.stop()
    sent = evidence.read_record(*records)
    stored = evidence.stored_events(store.objects)
    evidence.assert_same(sent, [event for event in stored if event.identifier in sent.events])
    assert len(stored) == len(sent.events) + 1
    evidence.assert_no_key_written_twice(store)
    expired = len([one for one in store.control("requests") if one["status"] == 403]) - refused
    assert expired < 50, f"{expired} requests with keys that had expired"


# ---- P6

class SteppedClock:
    """A wall clock that is set by a file while the server runs (libfaketime)."""

    def __init__(self, scratch, server):
        settings = store_checks.clock_settings(0)
        self.file = scratch.path / "clock"
        self.step(0)
        del settings["FAKETIME"]
        server.settings.update(settings, FAKETIME_TIMESTAMP_FILE=self.file, FAKETIME_NO_CACHE=1)
        scratch.started.append(store_checks.FaketimeLeftovers(server))

    def step(self, seconds):
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.file)


def test_p6_a_clock_that_steps_by_a_day_either_way_changes_no_order_and_no_rotation(scratch):
    day, age = 24 * 3600, 5
    store = scratch.fake_s3()
    server = scratch.server(ROTATION_INTERVAL=age, **store.settings())
    clock = SteppedClock(scratch, server)
    server.start()
    records, keys = [], []

    def check_segment(seconds, step_to):
        """Of one segment, received so far from now, within which the clock steps."""
        rotations = len(server.lines("segment rotated"))
        begin = time.monotonic()
        records.append(scratch.path / f"record-{len(records)}")
        server.load("--count", 50, record=records[-1])
        clock.step(step_to)
        rotated = harness.wait_for(lambda: server.lines("segment rotated")[rotations:], "rotation", 20)
        assert rotated[0]["reason"] == "age"
        assert time.monotonic() - begin > 0.8 * age, "it was rotated early"
        sent = evidence.read_record(*records)
        harness.wait_for(lambda: len(evidence.stored_events(store.objects)) == len(sent.events),
                         "delivery", 60)
        [key] = set(evidence.data_objects(store.objects)) - set(keys)
        keys.append(key)
        off = calendar.timegm(time.strptime(key.split("/")[-1][:15], "%Y%m%d_%H%M%S")) - time.time()
        assert abs(off - seconds) < 600, f"{key} was not made {seconds} s from now"

    check_segment(0, step_to=day)
    check_segment(day, step_to=-day)
    check_segment(-day, step_to=-day)
    server.kill()
    server.start()
    check_segment(-day, step_to=0)
    check_segment(0, step_to=0)
    server.stop()
    assert list(evidence.data_objects(store.objects)) == keys, "segments are not in order"
    evidence.assert_delivered(store, *records)


# ---- P8

class ManyClients:
    """Connections that are begun and kept; what becomes of them is counted."""

    def __init__(self, port, count):
        self.open = []
        for _ in range(count):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            self.open.append(client)
        self.reset = 0

    def count_resets(self):
        poller = select.poll()
        for client in self.open:
            poller.register(client, select.POLLIN)
        broken = {fd for fd, events in poller.poll(0) if events & (select.POLLERR | select.POLLHUP)}
        for client in [one for one in self.open if one.fileno() in broken]:
            self.open.remove(client)
            client.close()
            self.reset += 1
        return self.reset

    def close(self):
        for client in self.open:
            client.close()


def cpu_seconds(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_p8_with_all_descriptors_taken_accepting_pauses_and_the_rest_goes_on(scratch):
    store = scratch.fake_s3()
    server = scratch.server(ROTATION_INTERVAL="0.2", RECEIVE_THREADS=1, **store.settings()).start()
    limit(server, resource.RLIMIT_NOFILE, 200)
    early = server.connect()
    harness.wait_for(lambda: server.status()["connections"] == 1, "an early feed")
    clients = ManyClients(server.port, 400)
    server.wait_for_line("accept paused")
    begin, used, reset = time.monotonic(), cpu_seconds(server), clients.count_resets()
    early.sendall(SAMPLE)
    early.shutdown(socket.SHUT_WR)
    assert early.recv(1) == b"", "a feed that was there is not served"
    early.close()
    harness.wait_for(lambda: evidence.data_objects(store.objects), "an upload")
    harness.wait_for(lambda: clients.count_resets() >= reset + 20, "twenty more are turned away")
    assert server.status()["connections"] > 100, "it took fewer than it may"
    seconds, used = time.monotonic() - begin, cpu_seconds(server) - used
    print(f"{used:.2f} s of CPU in {seconds:.2f} s, {clients.reset} turned away")
    assert seconds > 1, "accepting did not pause"
    assert used < 0.5 * seconds, f"a busy loop: {used} s of CPU in {seconds} s"
    assert clients.reset < 250, "not all may be turned away at once"
    clients.close()
    harness.wait_for(lambda: server.status()["connections"] == 0, "all are gone")
    server.send(SAMPLE)
    server.stop()
    assert len(evidence.stored_events(store.objects)) == 2


if __name__ == "__main__":
    harness.main(globals())

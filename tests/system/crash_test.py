"""kill -9 and SIGTERM under load: what was acknowledged is stored, once, and no object changes."""
import contextlib
import resource
import signal

import evidence
import harness

ROUNDS = 10


def test_kill_nine_under_load_ten_times(scratch):
    server = scratch.server(MAX_FILE_SIZE="512KiB", ROTATION_INTERVAL="0.3",
                            SPOOL_SYNC_INTERVAL_MS=5)
    immutable = evidence.Immutable()
    records = []
    for round_number in range(ROUNDS):
        server.start()
        # Connections of many lengths, so that some are acknowledged before the kill, some not.
        loads = []
        for share in (50, 400, 4000, 1_000_000):
            records.append(scratch.path / f"record-{len(records)}")
            loads.append(harness.start_load(server.port, "--count", share, "--connections", 4,
                                            "--cut", "random", "--fin-timeout", 30,
                                            record=records[-1]))
        loads[0].wait(harness.DEADLINE_SECONDS)
        # Later kills find more of the work of earlier rounds still to be done.
        harness.wait_for(lambda: len(evidence.list_objects(server.objects)) > round_number,
                         "an object of this round")
        server.kill()
        for load in loads:
            load.communicate(timeout=harness.DEADLINE_SECONDS)
        immutable.look(server.objects)
    server.start()
    records.append(scratch.path / "record-last")
    server.load("--count", 1000, "--connections", 8, record=records[-1])
    server.stop()
    immutable.look(server.objects)

    sent = evidence.read_record(*records)
    acknowledged = sent.acknowledged()
    assert len(acknowledged) >= 1000 + 50 * ROUNDS, "the kills left too few to judge by"
    assert len(sent.events) > len(acknowledged), "every kill came too late"
    evidence.assert_same(sent, evidence.stored_events(server.objects), exactly_once=acknowledged)
    check_quarantine_holds_only_cut_events(server.objects)


def check_quarantine_holds_only_cut_events(root):
    for rejected in evidence.quarantine(root):
        assert b"</EVENT>" not in rejected.bytes, f"a whole event: {rejected.line}"


def test_kill_nine_during_recovery(scratch):
    server = scratch.server(MAX_FILE_SIZE="64KiB", ROTATION_INTERVAL="100").start()
    record = scratch.path / "record"
    server.load("--count", 3000, "--connections", 4, record=record)
    server.kill()
    for _ in range(5):
        server.launch()
        # Anywhere between the first line and the first object.
        harness.wait_for(lambda: server.lines() or not server.running(), "a first log line")
        server.kill()
    server.start()
    server.stop()
    evidence.assert_same(evidence.read_record(record), evidence.stored_events(server.objects))


def test_p1_sigterm_under_load_loses_nothing_that_was_framed(scratch):
    # Who says no FIN is synced late: the stop finds something that is framed and not yet written.
    server = scratch.server(MAX_FILE_SIZE="512KiB", SPOOL_SYNC_INTERVAL_MS=1000).start()
    records = [scratch.path / f"record-{i}" for i in range(2)]
    short = harness.start_load(server.port, "--count", 2000, "--connections", 8, record=records[0])
    endless = harness.start_load(server.port, "--seconds", 600, "--connections", 8, "--cut",
                                 "random", record=records[1])
    short.communicate(timeout=harness.DEADLINE_SECONDS)
    harness.wait_for(lambda: evidence.data_objects(server.objects), "a first object")
    with server.connect() as half:
        half.sendall(harness.SAMPLE.read_bytes()[:-20])
        harness.wait_for(lambda: server.status()["books"]["xml"]["connections_opened"] == 17,
                         "the half event's connection")
        server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert half.recv(1) != b"", "half an event was acknowledged"
    endless.communicate(timeout=harness.DEADLINE_SECONDS)

    sent = evidence.read_record(*records)
    assert len(sent.acknowledged()) == 2000
    stopped = server.lines("server stopped")
    assert len(stopped) == 1, "one line with the totals"
    framed = stopped[0]["events"] + stopped[0]["malformed"]
    assert framed > 2000 and not stopped[0]["dropped_unacked"], stopped[0]
    assert framed == sum(stopped[0][name] for name in ("uploaded", "quarantined", "in_spool")), \
        stopped[0]
    cut = [end for (run, _), end in sent.ends.items() if run == 1]
    assert cut and "fin" not in cut, "an event that was cut was acknowledged"
    server.start()
    server.stop()
    evidence.assert_same(sent, evidence.stored_events(server.objects),
                         exactly_once=sent.acknowledged())
    check_quarantine_holds_only_cut_events(server.objects)


def test_what_a_stop_leaves_the_next_start_uploads(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="64KiB", DRAIN_TIMEOUT="0.2", **store.settings()).start()
    fault = {"match": "^PUT", "count": -1, "kind": "status", "status": 503, "code": "SlowDown"}
    store.control("fault", **fault)
    record = scratch.path / "record"
    server.load("--count", 1000, "--connections", 4, record=record)
    server.stop()
    assert not evidence.data_objects(store.objects)
    assert list(server.spool.rglob("*.wal")), "the events are neither here nor there"
    store.control("clear")
    server.start()
    server.stop()  # with a drain of its own
    settle(server, store, record)


def settle(server, store, record):
    """Starts until nothing is left; a drain of 0.2 s may need more than one."""
    sent = evidence.read_record(record)
    for _ in range(10):
        if len(evidence.stored_events(store.objects)) >= len(sent.events):
            break
        server.start()
        harness.wait_for(lambda: len(evidence.stored_events(store.objects)) >= len(sent.events),
                         "the rest is uploaded")
        server.stop()
    evidence.assert_same(sent, evidence.stored_events(store.objects))


def test_second_signal_ends_without_waiting_for_uploads(scratch):
    store = scratch.fake_s3()
    server = scratch.server(DRAIN_TIMEOUT=600, **store.settings()).start()
    store.control("fault", match="^PUT", count=-1, kind="status", status=503, code="SlowDown")
    record = scratch.path / "record"
    server.load("--count", 100, record=record)
    server.signal(signal.SIGTERM)
    harness.wait_for(lambda: any("503" in str(line) or "SlowDown" in str(line)
                                 for line in server.lines()), "a retry")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    store.control("clear")
    server.start()
    server.stop()
    evidence.assert_same(evidence.read_record(record), evidence.stored_events(store.objects))


def test_p9_egress_without_memory_is_built_again_while_ingest_goes_on(scratch):
    server = scratch.server(MAX_FILE_SIZE="64MiB").start()
    record = scratch.path / "record"
    server.load("--count", 4000, record=record)
    if server.is_sanitized():
        raise harness.Skip("a sanitizer maps terabytes: address space cannot be limited")
    mapped = server.memory_of_process("VmSize")
    # A block of 4 MiB cannot be had; what ingest needs for an event can.
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (mapped + (1 << 20), unlimited))
    server.signal(signal.SIGUSR1)
    failed = server.wait_for_line("alarm raised", condition="egress")
    assert "bad_alloc" in failed["message"] and "being started again" in failed["message"], failed
    harness.wait_for(lambda: len(server.lines("alarm raised")) > 1, "it fails again")
    server.send(harness.SAMPLE.read_bytes())  # FIN: it is durable
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (unlimited, unlimited))
    harness.wait_for(lambda: evidence.data_objects(server.objects), "egress delivers again")
    harness.wait_for(server.ready, "/ready says 200")
    server.stop()
    stored = evidence.stored_events(server.objects)
    assert len(stored) == 4001
    evidence.assert_same(evidence.read_record(record), stored[:4000])


if __name__ == "__main__":
    harness.main(globals())

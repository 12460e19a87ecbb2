"""The disk of the real program: full, read-only, slow, failing, restored, moved to another host.

A disk is a tmpfs of its own, failures of system calls come from strace; where this machine permits
neither, the test skips and says so.
"""
import os
import shutil
import signal
import subprocess
import time

import evidence
import harness

MIB = 1 << 20
# How many segments a start finds; tools/test --full asks for 10000.
SEGMENTS = int(os.environ.get("SLUICE_TEST_SEGMENTS", "1000"))


class Disk:
    """A small file system of its own, mounted at `path`."""

    def __init__(self, scratch, mib):
        self.path = scratch.path / "disk"
        self.path.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "sluice-test",
                               self.path], capture_output=True, text=True)
        if made.returncode != 0:
            raise harness.Skip("no right to mount a tmpfs: " + made.stderr.strip())
        scratch.started.append(self)
        self.filler = self.path / "filler"

    def fill(self, left_mib):
        """With other files, up to so many MiB."""
        free = shutil.disk_usage(self.path).free
        with self.filler.open("wb") as file:
            chunk = bytes(MIB)
            for _ in range(free // MIB - left_mib):
                file.write(chunk)

    def free(self):
        self.filler.unlink()

    def stop(self):
        subprocess.run(["umount", "--lazy", self.path], check=False)


WRITES = "pwrite64,pwritev,fdatasync,fsync,ftruncate,fallocate"


def inject(scratch, server, *faults):
    """The next starts are under strace, which makes system calls fail or last; it counts calls by
    thread."""
    log = scratch.path / "strace"
    harness.under_strace(server, log, "-e", "trace=" + WRITES,
                         *(option for fault in faults for option in ("-e", "inject=" + fault)))
    return log


def injected(log):
    text = log.read_text()
    return text.count("(INJECTED)") + text.count("(DELAYED)")


def down(store):
    store.control("fault", match="^(PUT|POST|HEAD) /bucket/.", count=-1, kind="status", status=503,
                  code="ServiceUnavailable")


def delivered(store, records):
    sent = evidence.read_record(*records)
    return len(evidence.stored_events(store.objects)) >= len(sent.well_formed())


# ---- full


def start_on_full_disk(scratch, **settings):
    """The store is down and the disk gets full under a feed that goes on: (disk, store, server,
    load, record)."""
    disk, store = Disk(scratch, 96), scratch.fake_s3()
    server = scratch.server(SPOOL_DIR=disk.path / "spool", MAX_FILE_SIZE="1MiB",
                            SPOOL_MAX_BYTES="90MiB", MEMORY_MAX_BYTES="32MiB",
                            **store.settings(**settings)).start()
    disk.fill(left_mib=24)
    down(store)
    record = scratch.path / "record"
    load = harness.start_load(server.port, "--count", 20_000, "--connections", 4, "--fin-timeout",
                              300, record=record)
    server.wait_for_line("alarm raised", condition="spool.disk_full")
    assert not server.ready() and "spool.disk_full" in server.get("/ready")[1]
    assert load.poll() is None, "the feed was not held back"
    return disk, store, server, load, record


def test_d1_o5_a_disk_that_gets_full_holds_the_feed_back_and_it_goes_on_when_there_is_room(scratch):
    disk, store, server, load, record = start_on_full_disk(scratch)
    disk.free()
    server.wait_for_line("alarm cleared", condition="spool.disk_full")
    store.control("clear")
    assert load.wait(harness.DEADLINE_SECONDS) == 0, load.stdout.read()
    harness.wait_for(server.ready, "/ready says 200")
    server.stop()
    evidence.assert_delivered(store, record)


def test_d17_on_a_full_disk_egress_goes_on_and_makes_the_room(scratch):
    _, store, server, load, record = start_on_full_disk(scratch)
    store.control("clear")
    assert load.wait(harness.DEADLINE_SECONDS) == 0, load.stdout.read()
    harness.wait_for(server.ready, "/ready says 200")
    server.stop()
    evidence.assert_delivered(store, record)


def test_d17_a_kill_on_a_full_disk_loses_nothing(scratch):
    _, store, server, load, record = start_on_full_disk(scratch)
    server.kill()
    load.wait(harness.DEADLINE_SECONDS)
    server.start()
    store.control("clear")
    harness.wait_for(lambda: evidence.data_objects(store.objects), "delivery")
    server.stop()
    evidence.assert_delivered(store, record, acknowledged_only=True)


def test_p13_sigterm_on_a_full_disk_ends_in_time(scratch):
    _, store, server, load, record = start_on_full_disk(scratch, DRAIN_TIMEOUT=2)
    server.signal(signal.SIGTERM)
    assert server.wait(60) == 0, server.log_tail()
    load.wait(harness.DEADLINE_SECONDS)
    store.control("clear")
    server.settings["DRAIN_TIMEOUT"] = harness.DEADLINE_SECONDS
    server.start()
    server.stop()
    evidence.assert_delivered(store, record, acknowledged_only=True)


# ---- gone


def test_d10_a_disk_that_is_gone_stops_reading_and_after_a_while_the_process(scratch):
    store = scratch.fake_s3()
    server = scratch.server(DISK_FAILURE_TIMEOUT=2, MAX_FILE_SIZE="64KiB", **store.settings())
    down(store)
    log = inject(scratch, server, WRITES + ":error=EIO:when=60+")
    server.start()
    records = [scratch.path / f"record-{i}" for i in range(2)]
    server.load("--count", 20, record=records[0])
    load = harness.start_load(server.port, "--count", 20_000, "--fin-timeout", 60,
                              record=records[1])
    assert server.wait() == 4, server.log_tail()
    assert load.wait(harness.DEADLINE_SECONDS) != 0, "what is not durable was acknowledged"
    assert injected(log) > 0
    assert [line for line in server.lines("alarm raised")
            if line["condition"] == "spool.disk_failing"], server.log_tail()
    store.control("clear")
    server.wrapper = ()
    server.start()
    server.stop()
    sent = evidence.assert_delivered(store, *records, acknowledged_only=True)
    assert len(sent.acknowledged()) >= 20


# ---- slow and failing


def test_d5_a_sync_that_takes_seconds_makes_acks_wait_and_nothing_else(scratch):
    store = scratch.fake_s3()
    server = scratch.server(**store.settings())
    log = inject(scratch, server, "fdatasync:delay_enter=3000000:when=3+")
    server.start()
    records = [scratch.path / f"record-{i}" for i in range(3)]
    # For a second: all at once may be durable before the third sync.
    load = harness.start_load(server.port, "--count", 2000, "--rate", 2000, "--connections", 8,
                              record=records[0])
    answers = []

    def load_ended():
        answers.append(server.get("/health")[0])
        return load.poll() is not None
    harness.wait_for(load_ended, "the feed")
    assert load.returncode == 0, load.stdout.read()
    assert injected(log) > 0, "no sync was slow"
    assert set(answers) == {200} and len(answers) > 20, (len(answers), set(answers))
    # Each has a sync behind it, so the last one's is the third or a later one; none is under way.
    for number, record in enumerate(records[1:]):
        harness.wait_for(lambda due=2000 + number: events_durable(server) == due, "the sync before")
        begin = time.monotonic()
        server.load("--count", 1, record=record)
    assert time.monotonic() - begin > 2.9, "acknowledged before it was synced"
    server.stop(seconds=600)
    evidence.assert_same(evidence.read_record(*records), evidence.stored_events(store.objects))


def events_durable(server):
    return server.status()["books"]["xml"]["events_durable"]


def check_failing_sync(scratch, fault, **settings):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="256KiB", SPOOL_SYNC_INTERVAL_MS=2, **store.settings(),
                            **settings)
    log = inject(scratch, server, fault)
    server.start()
    records = [scratch.path / f"record-{i}" for i in range(3)]
    for record in records:
        server.load("--count", 1000, "--connections", 4, "--reconnect", expected=None, record=record)
    books = server.status()["books"]["xml"]
    server.stop(seconds=600)
    assert injected(log) > 0, "nothing failed"
    sent = evidence.assert_delivered(store, *records, acknowledged_only=True)
    assert sent.acknowledged(), "nothing was acknowledged"
    return books


def test_d2_d3_a_sync_that_fails_now_and_then_costs_its_segment_and_no_event(scratch):
    books = check_failing_sync(scratch, "fdatasync:error=EIO:when=5+7")
    assert books["segments_abandoned"] > 0, books


def test_d16_a_directory_sync_that_fails_now_and_then_loses_nothing(scratch):
    check_failing_sync(scratch, "fsync:error=EIO:when=6+5")


# ---- restored, moved, old


def test_d12_an_old_backup_of_the_spool_doubles_nothing_and_new_events_get_keys_of_their_own(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="64KiB", ROTATION_INTERVAL="0.5",
                            **store.settings()).start()
    down(store)
    records = [scratch.path / f"record-{i}" for i in range(3)]
    server.load("--count", 600, "--connections", 2, "--malformed", 0.02, record=records[0])
    server.kill()
    backup = scratch.path / "backup"
    shutil.copytree(server.spool, backup)
    server.start()
    server.load("--count", 600, "--connections", 2, record=records[1])
    store.control("clear")
    harness.wait_for(lambda: delivered(store, records[:2]), "delivery")
    server.kill()

    shutil.rmtree(server.spool)
    shutil.copytree(backup, server.spool)
    server.spool.chmod(0o700)
    server.start()
    server.load("--count", 600, "--connections", 2, record=records[2])
    harness.wait_for(lambda: delivered(store, records), "delivery of the new ones")
    server.stop()
    evidence.assert_delivered(store, *records)


def test_p2_a_spool_that_was_moved_to_another_host_is_delivered_from_there(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="64KiB", **store.settings()).start()
    down(store)
    record = scratch.path / "record"
    server.load("--count", 1000, "--connections", 2, record=record)
    instance = server.status()["instance"]
    server.kill()
    other = scratch.server("other", **store.settings())
    shutil.copytree(server.spool, other.spool)  # other inodes, other times
    shutil.rmtree(server.spool)
    store.control("clear")
    other.start()
    assert other.status()["instance"] == instance
    other.stop()
    evidence.assert_delivered(store, record)


def test_p2_thousands_of_segments_at_a_start_are_looked_at_once_and_all_delivered(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="1KiB", SPOOL_SYNC_INTERVAL_MS=1, **store.settings())
    server.start()
    down(store)
    records = []
    while server.status()["books"]["xml"]["segments_in_spool"] < SEGMENTS:
        records.append(scratch.path / f"record-{len(records)}")
        server.load("--count", 1000, "--rate", 1000, record=records[-1])
    server.kill()
    segments = len(list((server.spool / "xml").glob("*.wal")))
    assert segments >= SEGMENTS
    server.start()
    harness.wait_for(lambda: server.status()["books"]["xml"]["segments_in_spool"] >= SEGMENTS,
                     "recovery")
    quarantined = list((server.spool / "quarantine").glob("*.wal"))
    assert len(quarantined) <= 1, quarantined
    store.control("clear")
    harness.wait_for(lambda: not server.status()["books"]["xml"]["pieces_in_spool"], "delivery",
                     seconds=600)
    server.stop()
    evidence.assert_delivered(store, *records)


def test_d9_without_its_ledger_nothing_is_lost_and_no_key_is_new(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="64KiB", ROTATION_INTERVAL="0.5",
                            **store.settings()).start()
    store.control("fault", match="^PUT /bucket/.", count=-1, kind="lost_reply", skip=4)
    records = [scratch.path / f"record-{i}" for i in range(2)]
    server.load("--count", 600, "--connections", 2, record=records[0])
    harness.wait_for(lambda: delivered(store, records[:1]), "all is stored, not all is known")
    server.kill()
    store.control("clear")
    keys = set(evidence.data_objects(store.objects))
    ledgers = list(server.spool.glob("ledger*"))
    assert ledgers, "no ledger"
    for ledger in ledgers:
        ledger.unlink()
    server.start()
    harness.wait_for(lambda: not server.status()["books"]["xml"]["pieces_in_spool"], "confirmation")
    assert set(evidence.data_objects(store.objects)) == keys
    server.load("--count", 600, "--connections", 2, record=records[1])
    server.stop()
    evidence.assert_delivered(store, *records)


def test_d11_a_spool_that_everybody_may_write_is_refused(scratch):
    server = scratch.server()
    server.spool.mkdir(mode=0o700)
    server.spool.chmod(0o777)
    assert server.launch().wait() == 3, server.log_tail()
    assert "chmod" in server.log_text() or "others" in server.log_text(), server.log_tail()
    server.spool.chmod(0o750)
    server.start()
    server.stop()


if __name__ == "__main__":
    harness.main(globals())

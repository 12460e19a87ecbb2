"""A segment of which the process dies: FAULTS P11, O20.

The crashes are real: libraries that have bugs, and events that hit them.
"""
import json
import os
import signal

import evidence
import harness

BUGS = harness.BUILD / "tests" / "system" / "libcrashing_libraries.so"
POISON = b"<EVENT><cn>poison</cn><text>CRASH-THE-PARSER</text></EVENT>"
POISON_OF_ZSTD = POISON.replace(b"PARSER", b"COMPRESSOR")


def with_bugs(server):
    """From the next start on its parser dies of POISON, and its compressor of POISON_OF_ZSTD."""
    assert BUGS.exists(), f"{BUGS} is not built"
    server.settings["LD_PRELOAD"] = BUGS
    # Sanitizers want to come first.
    server.settings["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") \
        + ":verify_asan_link_order=0:detect_leaks=0"
    return server


def assert_died(server, fatal_signal=signal.SIGSEGV):
    """It came to its end by the signal, whatever a sanitizer makes of that."""
    code = server.wait()
    assert code == -fatal_signal or (code != 0 and "Sanitizer" in server.log_text()), \
        f"exit code {code}:\n{server.log_tail()}"


def start_and_die(server, fatal_signal=signal.SIGSEGV):
    server.launch()
    assert_died(server, fatal_signal)


def marks(server):
    return (server.spool / "CRASHES").read_text().splitlines()


def crashing(server):
    """The sentence about the segment that crashes."""
    found = [one for one in server.status()["conditions"]
             if one["name"].startswith("spool.crashing_segment:")]
    return found[0] if found else None


def with_segments(scratch, **settings):
    """A spool with one segment of three that holds POISON, and what else was sent."""
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="64KiB", ROTATION_INTERVAL="1000", DRAIN_TIMEOUT="0.1",
                            **store.settings(**settings)).start()
    store.control("fault", match="^PUT", count=-1, kind="status", status=503, code="SlowDown")
    records = [scratch.path / "before", scratch.path / "after"]
    server.load("--count", 20, record=records[0])
    seal(server)
    server.send(POISON + b"<EVENT><cn>beside</cn></EVENT>")
    seal(server)
    server.load("--count", 20, record=records[1])
    server.stop()
    store.control("clear")
    return store, with_bugs(server), records


def seal(server):
    before = len(server.lines("segment rotated"))
    server.signal(signal.SIGUSR1)
    harness.wait_for(lambda: len(server.lines("segment rotated")) > before, "sealed")


def raw_segments(objects):
    return {key: path for key, path in evidence.list_objects(objects, "quarantine/").items()
            if key.endswith("_segment")}


def test_p11_o20_a_segment_that_kills_three_processes_is_stored_as_it_is_and_the_others_go_on(scratch):
    store, server, records = with_segments(scratch)
    for count in (1, 2, 3):
        start_and_die(server)
        assert len(marks(server)) == count, marks(server)
    segment = marks(server)[0].split()[1]
    assert {line.split()[1] for line in marks(server)} == {segment}

    server.start()  # the bug is still there
    harness.wait_for(lambda: raw_segments(store.objects), "the segment itself is stored")
    (key, path), = raw_segments(store.objects).items()
    harness.wait_for(lambda: list((server.spool / "quarantine").glob("*.wal")), "it is set aside")
    aside = server.spool / "quarantine" / f"seg-{segment}.wal"
    assert evidence.segment_of(key) == (int(segment[:16], 16), segment[17:])
    assert path.read_bytes() == aside.read_bytes()
    harness.wait_for(lambda: len(evidence.stored_events(store.objects)) >= 40, "the others")
    said = harness.wait_for(
        lambda: key in (crashing(server) or {"message": ""})["message"] and crashing(server),
        "the sentence")
    assert said["severity"] == "alarm" and server.ready()
    assert said["message"] in server.get("/ready")[1]
    assert [line for line in server.lines("alarm raised") if line["message"] == said["message"]]
    why = json.loads(aside.with_suffix(".why.json").read_text())
    assert why["events"] == 2 and key in why["reason"], why
    # What the sentence says to do, and the same from the object.
    for file in (aside, path):
        assert server.command("spool", "cat", file).encode() \
            == POISON + b"\n<EVENT><cn>beside</cn></EVENT>\n"
    harness.wait_for(lambda: server.status()["books"]["xml"]["pieces_in_spool"] == 0, "all done")
    books = server.status()["books"]["xml"]
    assert books["difference"] == 0 and books["pieces_set_aside"] == 2, books
    server.stop()
    evidence.assert_delivered(store, *records)
    audit = server.command("audit")
    assert "0 lost, 0 changed, 0 doubled, 0 segments incomplete; 0 more" in audit, audit

    # Mended, it can be given back by hand.
    del server.settings["LD_PRELOAD"]
    aside.rename(server.spool / "xml" / aside.name)
    server.start()
    harness.wait_for(lambda: len(evidence.stored_events(store.objects)) == 42, "its events")
    assert not marks(server)
    server.stop()


def test_p11_a_kill_between_the_object_and_setting_aside_stores_nothing_twice(scratch):
    store, server, records = with_segments(scratch)
    for _ in range(3):
        start_and_die(server)
    store.control("fault", match="^PUT .*_segment", count=1, kind="lost_reply")
    store.control("fault", match="^HEAD .*_segment", skip=1, count=-1, kind="status", status=503)
    server.start()
    harness.wait_for(lambda: raw_segments(store.objects), "the segment itself is stored")
    server.kill()
    assert not list((server.spool / "quarantine").glob("*.wal")), "the kill came too late"
    store.control("clear")
    server.start()
    harness.wait_for(lambda: list((server.spool / "quarantine").glob("*.wal")), "it is set aside")
    harness.wait_for(lambda: len(evidence.stored_events(store.objects)) >= 40, "the others")
    server.stop()
    assert len(raw_segments(store.objects)) == 1
    evidence.assert_delivered(store, *records)


def test_p11_sigkill_never_counts(scratch):
    store, server, records = with_segments(scratch)
    del server.settings["LD_PRELOAD"]
    store.control("fault", match="^PUT", count=-1, kind="status", status=503, code="SlowDown")
    for _ in range(4):
        server.start()
        harness.wait_for(lambda: server.lines("upload retry"), "it is at work")
        server.kill()
        assert not marks(server)
    store.control("clear")
    server.start()
    harness.wait_for(lambda: len(evidence.stored_events(store.objects)) >= 42, "all events")
    assert not crashing(server) and not raw_segments(store.objects)
    server.stop()


def start_and_die_in_read(scratch, server, wal, number):
    """Three times, in Rotate's read of this number from the segment `wal`."""
    harness.under_strace(server, scratch.path / "strace", "-P", wal, "-e", "trace=pread64", "-e",
                         f"inject=pread64:signal=SIGSEGV:when={number}", forget_signals=False)
    for count in (1, 2, 3):
        start_and_die(server)
        assert len(marks(server)) == count, marks(server)
    server.wrapper = ()


def test_p11_a_segment_that_kills_three_scans_or_walks_is_stored_unread(scratch):
    # What its thread reads: header, seal; of 2 MiB that nobody sealed three parts; header, and
    # then the headers of the records.
    for place, number in (("scan", 4), ("walk", 8)):
        server = scratch.server(place, MAX_FILE_SIZE="64MiB", ROTATION_INTERVAL="1000").start()
        record = scratch.path / f"record-{place}"
        server.load("--count", 1000, "--connections", 1, record=record)
        server.kill()  # nobody has sealed it
        wal, = (one for one in (server.spool / "xml").glob("*.wal")
                if b"<EVENT>" in one.read_bytes())
        start_and_die_in_read(scratch, server, wal, number)
        assert wal.with_suffix(".seal").exists() == (place == "walk")
        held = wal.read_bytes()
        server.start()
        quarantine = server.spool / "quarantine"
        harness.wait_for(lambda: list(quarantine.glob("*.wal")), "set aside")
        (_, path), = raw_segments(server.objects).items()
        assert (quarantine / wal.name).read_bytes() == held
        stored = path.read_bytes()
        assert stored == held if place == "scan" else stored.startswith(held.rstrip(b"\0"))
        assert server.command("spool", "cat", path).count("<EVENT>") == 1000
        server.stop()
        for file in [*quarantine.glob("*.wal"), *quarantine.glob("*.seal")]:
            file.rename(wal.parent / file.name)
        server.start()
        harness.wait_for(lambda: len(evidence.stored_events(server.objects)) == 1000, "its events")
        server.stop()
        evidence.assert_same(evidence.read_record(record), evidence.stored_events(server.objects))


def test_p11_a_segment_much_larger_than_the_memory_is_stored_in_parts(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="256MiB", ROTATION_INTERVAL="1000", DRAIN_TIMEOUT="0.1",
                            MEMORY_MAX_BYTES="32MiB", **store.settings()).start()
    store.control("fault", match="^(PUT|POST)", count=-1, kind="status", status=503,
                  code="SlowDown")
    server.load("--count", 30_000, record=scratch.path / "record")
    server.send(POISON)
    server.stop()
    store.control("clear")
    with_bugs(server)
    for _ in range(3):
        start_and_die(server)
    server.start()
    aside = harness.wait_for(lambda: list((server.spool / "quarantine").glob("*.wal")), "set aside")
    (_, path), = raw_segments(store.objects).items()
    assert path.read_bytes() == aside[0].read_bytes()
    assert path.stat().st_size > 48 << 20, path.stat().st_size
    assert [write for write in store.control("log") if write["op"] == "part"]
    memory = server.status()["memory"]["egress"]
    assert memory["peak"] <= memory["max"], memory
    server.stop()


def test_p11_a_segment_that_kills_three_compressors_goes_into_a_directory_as_it_is(scratch):
    server = scratch.server(ROTATION_INTERVAL="1000", COMPRESSION="zstd")
    with_bugs(server).start()
    server.send(POISON_OF_ZSTD)
    server.signal(signal.SIGUSR1)
    assert_died(server, signal.SIGABRT)
    for _ in range(2):
        start_and_die(server, signal.SIGABRT)
    assert [line.split()[0] for line in marks(server)] == 3 * ["ABRT"]
    server.start()
    aside = harness.wait_for(lambda: list((server.spool / "quarantine").glob("*.wal")), "set aside")
    (_, path), = raw_segments(server.objects).items()
    assert path.read_bytes() == aside[0].read_bytes()
    server.send(b"<EVENT><cn>later</cn></EVENT>")
    server.stop()
    assert len(evidence.data_objects(server.objects)) == 1


if __name__ == "__main__":
    harness.main(globals())

"""Events sent over many connections, cut anywhere, are in the objects exactly once, unchanged, and
in order per connection."""
import evidence
import harness


def sample_fields():
    sample = b"<EVENTS>" + harness.SAMPLE.read_bytes().split(b"?>", 1)[1] + b"</EVENTS>"
    return evidence.events_of("sample.xml", sample)[0]


def check_generated(scratch, connections, settings, events):
    server = scratch.server(**settings).start()
    record = scratch.path / "record"
    server.load("--count", events, "--connections", connections, "--cut", "random",
                "--declarations", "mixed", "--separator", "mixed", record=record)
    server.stop()
    sent = evidence.read_record(record)
    assert len(sent.events) == events and set(sent.ends.values()) == {"fin"}
    evidence.assert_same(sent, evidence.stored_events(server.objects))
    assert not evidence.list_objects(server.objects, "quarantine/")


def check_sample(scratch, form):
    server = scratch.server(OUTPUT_FORMAT=form).start()
    for _ in range(3):
        server.send(harness.SAMPLE.read_bytes())
    server.stop()
    stored = evidence.stored_events(server.objects)
    assert len(stored) == 3
    for event in stored:
        assert event.fields == sample_fields().fields
        assert event.sha256 in (None, sample_fields().sha256)


def test_vendor_sample_as_xml(scratch):
    check_sample(scratch, "xml")


def test_vendor_sample_as_json(scratch):
    check_sample(scratch, "json")


def test_vendor_sample_as_jsonl(scratch):
    check_sample(scratch, "jsonl")


def test_generated_events_over_1_connection_as_xml(scratch):
    check_generated(scratch, 1, {"OUTPUT_FORMAT": "xml"}, harness.EVENTS)


def test_generated_events_over_8_connections_as_xml(scratch):
    check_generated(scratch, 8, {"OUTPUT_FORMAT": "xml"}, harness.EVENTS)


def test_generated_events_over_64_connections_as_xml(scratch):
    check_generated(scratch, 64, {"OUTPUT_FORMAT": "xml"}, harness.EVENTS)


def test_generated_events_over_1_connection_as_json(scratch):
    check_generated(scratch, 1, {"OUTPUT_FORMAT": "json"}, harness.EVENTS)


def test_generated_events_over_8_connections_as_json(scratch):
    check_generated(scratch, 8, {"OUTPUT_FORMAT": "json"}, harness.EVENTS)


def test_generated_events_over_64_connections_as_json(scratch):
    check_generated(scratch, 64, {"OUTPUT_FORMAT": "json"}, harness.EVENTS)


def test_generated_events_over_1_connection_as_jsonl(scratch):
    check_generated(scratch, 1, {"OUTPUT_FORMAT": "jsonl"}, harness.EVENTS)


def test_generated_events_over_8_connections_as_jsonl(scratch):
    check_generated(scratch, 8, {"OUTPUT_FORMAT": "jsonl"}, harness.EVENTS)


def test_generated_events_over_64_connections_as_jsonl(scratch):
    check_generated(scratch, 64, {"OUTPUT_FORMAT": "jsonl"}, harness.EVENTS)


def test_compressed_objects_hold_the_same(scratch):
    for number, (form, compression) in enumerate(
            (form, compression) for form in ("xml", "json", "jsonl")
            for compression in ("gzip", "zstd")):
        server = scratch.server(f"server-{number}", OUTPUT_FORMAT=form, COMPRESSION=compression,
                                BLOCK_BYTES="64KiB").start()
        record = server.directory / "record"
        server.load("--count", 2000, "--connections", 4, record=record)
        server.stop()
        evidence.assert_same(evidence.read_record(record), evidence.stored_events(server.objects))


def test_every_object_is_made_by_size_or_age_while_it_runs(scratch):
    server = scratch.server(ROTATION_INTERVAL="0.5", MAX_FILE_SIZE="256KiB").start()
    record = scratch.path / "record"
    server.load("--count", 2000, "--connections", 2, record=record)
    sent = evidence.read_record(record)
    harness.wait_for(lambda: len(evidence.stored_events(server.objects)) >= len(sent.events),
                     "all events are stored while the server runs")
    evidence.assert_same(sent, evidence.stored_events(server.objects))
    assert len(evidence.data_objects(server.objects)) > 5
    server.stop()


if __name__ == "__main__":
    harness.main(globals())

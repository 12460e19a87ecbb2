"""A malformed event costs only itself, and its bytes are kept with the reason."""
import evidence
import harness


def test_one_malformed_event_among_a_thousand_costs_only_itself(scratch):
    server = scratch.server(OUTPUT_FORMAT="json").start()
    events = harness.SAMPLE.read_bytes().split(b"?>", 1)[1].strip()
    malformed = events.replace(b"</plasectrxMsg>", b"</plasectrxMessage>")
    well_formed = [events.replace(b"38901f4a95d14013", b"%016x" % i) for i in range(999)]
    server.send(b"\n".join(well_formed[:500] + [malformed] + well_formed[500:]))
    server.stop()

    stored = evidence.stored_events(server.objects)
    assert [event.identifier for event in stored] == [f"{i:016x}" for i in range(999)]
    [rejected] = evidence.quarantine(server.objects)
    assert rejected.bytes.strip() == malformed
    assert rejected.reason and rejected.line["peer"] and rejected.line["time"]


def check_share(scratch, declarations, settings=()):
    server = scratch.server(**dict(settings)).start()
    record = scratch.path / "record"
    server.load("--count", 5000, "--connections", 4, "--malformed", 0.02, "--cut", "random",
                "--declarations", declarations, "--separator", "mixed", record=record)
    server.stop()
    sent = evidence.read_record(record)
    assert sent.malformed()
    evidence.assert_same(sent, evidence.stored_events(server.objects))
    evidence.assert_quarantined(sent, evidence.quarantine(server.objects))


def test_malformed_events_with_declarations(scratch):
    check_share(scratch, "always")


def test_malformed_events_without_declarations(scratch):
    check_share(scratch, "never")


def test_malformed_events_in_small_blocks(scratch):
    check_share(scratch, "mixed", {"BLOCK_BYTES": "16KiB", "OUTPUT_FORMAT": "jsonl",
                                   "COMPRESSION": "gzip"})


def test_what_is_no_xml_is_kept_as_a_sample_and_closed(scratch):
    server = scratch.server().start()
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            end = client.recv(1)
        except ConnectionResetError:
            end = b""
        assert end == b""
    server.send(harness.SAMPLE.read_bytes())
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 1
    [rejected] = evidence.quarantine(server.objects)
    assert rejected.bytes.startswith(b"GET / HTTP/1.1")


def test_half_an_event_at_the_end_is_quarantined(scratch):
    server = scratch.server().start()
    whole = harness.SAMPLE.read_bytes()
    server.send(whole + whole[:700])
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 1
    [rejected] = evidence.quarantine(server.objects)
    assert rejected.bytes.strip() == whole[:700].strip()


def test_only_malformed_events_make_no_data_object(scratch):
    server = scratch.server().start()
    server.send(b"<EVENT><a></b></EVENT>")
    server.stop()
    assert not evidence.data_objects(server.objects)
    [rejected] = evidence.quarantine(server.objects)
    assert rejected.bytes == b"<EVENT><a></b></EVENT>"


if __name__ == "__main__":
    harness.main(globals())

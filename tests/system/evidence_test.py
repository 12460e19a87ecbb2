"""The judge itself: evidence.py accepts what sluice-load sent, and notices every kind of fault."""
import json
import re
import socket

import evidence
import harness


def sent_bytes(scratch, *arguments):
    """What one connection of sluice-load sent, and its record."""
    record = scratch.path / "record"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        load = harness.start_load(listener.getsockname()[1], *arguments, record=record)
        client, _ = listener.accept()
        received = b""
        while part := client.recv(1 << 20):
            received += part
        client.close()
        output = load.communicate()[0]
    assert load.returncode == 0, output
    return received, evidence.read_record(record)


def stored_as_xml(received):
    body = re.sub(rb"<\?xml [^>]*\?>", b"", received)
    return evidence.events_of("a.xml", b"<EVENTS>" + body + b"</EVENTS>")


def assert_refused(sent, stored, complaint):
    try:
        evidence.assert_same(sent, stored)
    except AssertionError as error:
        assert complaint in str(error), f"'{error}' does not say '{complaint}'"
        return
    raise AssertionError(f"not noticed: {complaint}")


def test_evidence_accepts_what_was_sent_in_every_form(scratch):
    received, sent = sent_bytes(scratch, "--count", 300, "--cut", "random", "--declarations",
                                "mixed", "--separator", "mixed")
    stored = stored_as_xml(received)
    evidence.assert_same(sent, stored)
    objects = [dict(event.fields) for event in stored]
    evidence.assert_same(sent, evidence.events_of("a.json", json.dumps(objects).encode()))
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)
    evidence.assert_same(sent, evidence.events_of("a.jsonl", lines.encode()))


def test_evidence_notices_loss_doubling_order_and_change(scratch):
    received, sent = sent_bytes(scratch, "--count", 50)
    stored = stored_as_xml(received)
    assert_refused(sent, stored[:-1], "not stored")
    assert_refused(sent, stored + stored[:1], "twice")
    assert_refused(sent, stored[1:2] + stored[:1] + stored[2:], "out of order")
    assert_refused(sent, stored_as_xml(received.replace(b"<plasectrxPri>", b"<plasectrxPrio>", 1)
                                       .replace(b"</plasectrxPri>", b"</plasectrxPrio>", 1)),
                   "changed")
    assert_refused(sent, stored_as_xml(received.replace(b"</EVENT>", b" </EVENT>", 1)),
                   "the bytes")


def test_evidence_matches_malformed_events_with_quarantine(scratch):
    received, sent = sent_bytes(scratch, "--count", 200, "--malformed", 0.2)
    assert sent.malformed()
    pieces = [evidence.Rejected(b"\n" + event.bytes, "why", {}) for event in sent.malformed()]
    assert all(event.bytes in received for event in sent.malformed())
    evidence.assert_quarantined(sent, pieces)
    for wrong in (pieces[1:], pieces + pieces[:1],
                  [evidence.Rejected(pieces[0].bytes + b"x", "why", {})] + pieces[1:]):
        try:
            evidence.assert_quarantined(sent, wrong)
        except AssertionError:
            continue
        raise AssertionError("not noticed")


if __name__ == "__main__":
    harness.main(globals())

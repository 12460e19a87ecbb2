"""What must hold of Sluice in front of any real S3-compatible store (real_store.py)."""
import datetime
import hashlib
import os
import pathlib
import re
import xml.etree.ElementTree

import evidence
import harness
import real_store

EVENTS = min(harness.EVENTS, 3000)
METADATA = "x-amz-meta-"


def metadata_of(headers):
    """Without the difference between "_" and "-": radosgw gives back uploaded-at."""
    return {name.removeprefix(METADATA).replace("_", "-"): value
            for name, value in headers.items() if name.startswith(METADATA)}


def assert_metadata(objects, headers):
    """What every object of a single PUT says about itself; that a segment's objects agree."""
    digests, ranges, counts = {}, {}, {}
    for key, path in evidence.list_objects(objects).items():
        about = metadata_of(headers[key])
        assert about["source"] == "xml-stream-aggregator", about
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", about["uploaded-at"]), about
        assert about["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest(), key
        assert re.fullmatch("[0-9a-f]{64}", about["digest"]), about
        assert about["segment"] in key, (key, about)
        assert about["sluice-version"], about
        segment = about["segment"]
        assert digests.setdefault(segment, about["digest"]) == about["digest"], key
        sequence = int(about["first-seq"]), int(about["last-seq"])
        assert ranges.setdefault(segment, sequence) == sequence, key
        if not key.endswith(".reasons.jsonl"):
            counts[segment] = counts.get(segment, 0) + int(about.get("events", 0)) \
                + int(about.get("pieces", 0))
    for segment, (first, last) in ranges.items():
        assert last - first + 1 == counts[segment], (segment, first, last, counts[segment])
    assert len(set(digests.values())) == len(digests), "two segments with one digest"


def assert_no_key_written_twice(store):
    writes = [key for key in store.writes() if "sluice-probe" not in key]
    assert sorted(writes) == store.keys(), "written twice, or gone"


def assert_same_events(scratch, store, *records):
    """Everything of the records is there once; the objects' folder and headers."""
    objects = scratch.path / "downloaded"
    headers = store.download(objects)
    sent = evidence.read_record(*records)
    evidence.assert_same(sent, evidence.stored_events(objects))
    evidence.assert_quarantined(sent, evidence.quarantine(objects))
    assert not store.open_uploads(), "an upload was left open"
    return objects, headers


def assert_stored(scratch, store, *records):
    """The same, and no object was written a second time."""
    found = assert_same_events(scratch, store, *records)
    assert_no_key_written_twice(store)
    return found


def check_arrival(scratch, store, suffix, content_type, count=EVENTS, **settings):
    server = scratch.server(MAX_FILE_SIZE="256KiB", **settings, **store.settings()).start()
    record = scratch.path / "record"
    server.load("--count", count, "--connections", 8, "--malformed", 0.01, record=record)
    server.stop()
    objects, headers = assert_stored(scratch, store, record)
    assert_metadata(objects, headers)
    types = {suffix: content_type, "_raw.xml": "application/xml",
             "_raw.reasons.jsonl": "application/x-ndjson"}
    kinds = set()
    for key in headers:
        kind = next(kind for kind in sorted(types, key=len, reverse=True) if key.endswith(kind))
        kinds.add(kind)
        about = store.head(key)
        assert about["content-type"] == headers[key]["content-type"] == types[kind], (key, about)
        assert "content-encoding" not in about, about
        assert metadata_of(about) == metadata_of(headers[key]), about
        assert int(about["content-length"]) == (objects / real_store.quote(key)).stat().st_size
    assert kinds == set(types), f"only {kinds}"
    assert len(evidence.data_objects(objects)) > 1
    assert_audit(server, store)


def check_parts(scratch, store, **settings):
    server = scratch.server(MAX_FILE_SIZE="40MiB", **store.settings(**settings)).start()
    record = scratch.path / "record"
    server.load("--count", 12000, "--connections", 4, record=record)
    server.stop()
    _, headers = assert_stored(scratch, store, record)
    in_parts = [one for one in headers.values()
                if re.fullmatch('"[0-9a-f]{32}-[2-9]"', one["etag"])]
    assert in_parts, "no multipart upload"
    assert int(in_parts[0]["content-length"]) > 16 << 20
    assert in_parts[0]["content-type"] == "application/xml"
    assert metadata_of(in_parts[0])["source"] == "xml-stream-aggregator"
    assert_audit(server, store)


def assert_audit(server, store):
    """The store's listing agrees with the ledger, until somebody removes an object."""
    text = server.command("audit")
    assert "0 lost, 0 changed, 0 doubled, 0 segments incomplete" in text, text
    gone = next(key for key in store.keys("xml-events/") if "sluice-probe" not in key)
    store.request("DELETE", f"/{store.BUCKET}/{gone}", expected=204)
    text = server.command("audit", expected=1)
    assert re.search(rf"^lost +{re.escape(gone)}: ", text, re.MULTILINE), text


def check_refused_starts(scratch, store, cases):
    """cases: [(settings, what the one line of the log must say)]"""
    for number, (settings, *reasons) in enumerate(cases):
        server = scratch.server(f"refused-{number}", **store.settings(**settings)).launch()
        assert server.wait() == 1, server.log_tail()
        refused = server.lines("refused to start")
        assert len(refused) == 1, server.log_tail()
        for reason in (*reasons, settings.get("BUCKET_NAME", store.BUCKET)):
            assert reason in str(refused), (reason, refused)
        assert "canary" not in server.log_text()
    assert not store.keys()


def check_check(scratch, store, cases, **settings):
    """The same of `sluice check`, which passes without them."""
    server = scratch.server(**store.settings(**settings))
    text = server.command("check")
    assert "FAIL" not in text, text
    for prefix in ("xml-events/", "quarantine/"):
        assert f'prefix "{prefix}" in s3://{store.BUCKET}' in text, text
    assert not store.keys(), "a probe was left"
    for settings, *reasons in cases:
        text = server.command("check", expected=1, **settings)
        failures = [line for line in text.splitlines() if line.startswith("FAIL")]
        assert failures, text
        for reason in reasons:
            assert all(reason in line for line in failures), (reason, text)
        assert "canary" not in text


# ---- the store is a referee


def check_referee(store, cases):
    """A store that takes anything would prove nothing. cases: [(what is wrong with the request,
    status, code)]"""
    path = f"/{store.BUCKET}/referee"
    for wrong, status, code in cases:
        answer, _, body = store.request("PUT", path, body=b"signed", **wrong)
        refusal = xml.etree.ElementTree.fromstring(body or b"<nothing/>").findtext("Code")
        assert (answer, refusal) == (status, code), (wrong, answer, body)
    assert not store.keys(), "it refused and stored"
    store.request("PUT", path, body=b"signed", expected=200)
    assert store.get("referee")[1] == b"signed"


# ---- a clock that is off

FAKETIME = "faketime/libfaketime.so.1"


def clock_settings(seconds):
    """Settings that make the server's wall clock, and no other, run ahead."""
    found = sorted(pathlib.Path("/usr/lib").glob("*/" + FAKETIME))
    if not found:
        raise harness.Skip("no libfaketime (package libfaketime)")
    # AddressSanitizer's library wants to be the first of all.
    options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return {"LD_PRELOAD": found[0], "FAKETIME": f"{seconds:+d}",
            "FAKETIME_DONT_FAKE_MONOTONIC": 1, "ASAN_OPTIONS": options.lstrip(":")}


class FaketimeLeftovers:
    """What libfaketime leaves in shared memory where its process is killed: the next process of
    that number would not start."""

    def __init__(self, server):
        self.server = server

    def stop(self):
        if self.server.process:
            for name in ("faketime_shm_", "sem.faketime_sem_"):
                pathlib.Path(f"/dev/shm/{name}{self.server.process.pid}").unlink(missing_ok=True)


def check_clock(scratch, store):
    records = []
    for name, seconds in (("ahead", 1200), ("behind", -1200)):
        server = scratch.server(name, MAX_FILE_SIZE="128KiB", **clock_settings(seconds),
                                **store.settings())
        scratch.started.append(FaketimeLeftovers(server))
        before = refusals_of_the_clock(store)
        server.start()
        records.append(scratch.path / f"record-{name}")
        server.load("--count", 500, "--connections", 4, record=records[-1])
        server.stop()
        said = datetime.datetime.fromisoformat(server.lines("server started")[0]["time"])
        off = (said - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        assert abs(off - seconds) < 300, f"the clock was never off: {off}"
        refused = refusals_of_the_clock(store) - before
        # Both prefixes are probed at once, before anything is uploaded.
        assert 1 <= refused <= 2, f"{refused} requests were refused: nothing was learnt"
        assert not server.lines("upload retry"), server.log_tail()
    assert_stored(scratch, store, *records)


def refusals_of_the_clock(store):
    return len([status for _, _, _, status in store.accesses() if status == 403])

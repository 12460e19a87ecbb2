"""Against a store that we did not write: Ceph's radosgw (radosgw.py starts it, one for each test).

s3_test.py has the faults; here is what a fake made by the same hands could have wrong as well:
signatures, conditions, parts, metadata, error bodies.
"""
import contextlib
import hashlib
import re
import socket
import threading

import evidence
import harness
import radosgw

EVENTS = min(harness.EVENTS, 3000)
METADATA = "x-amz-meta-"


def start_store(scratch):
    store = radosgw.Radosgw(scratch.path / "radosgw")
    scratch.started.append(store)
    return store


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


def assert_stored(scratch, store, record):
    """Everything of the record is there once; the objects' folder and headers."""
    objects = scratch.path / "downloaded"
    headers = store.download(objects)
    sent = evidence.read_record(record)
    evidence.assert_same(sent, evidence.stored_events(objects))
    evidence.assert_quarantined(sent, evidence.quarantine(objects))
    assert_no_key_written_twice(store)
    assert not store.open_uploads(), "an upload was left open"
    return objects, headers


def check_arrival(scratch, suffix, content_type, **settings):
    store = start_store(scratch)
    server = scratch.server(MAX_FILE_SIZE="256KiB", **settings, **store.settings()).start()
    record = scratch.path / "record"
    server.load("--count", EVENTS, "--connections", 8, "--malformed", 0.01, record=record)
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
        assert int(about["content-length"]) == (objects / radosgw.quote(key)).stat().st_size
    assert kinds == set(types), f"only {kinds}"
    assert len(evidence.data_objects(objects)) > 1


def test_radosgw_gets_xml_exactly_once(scratch):
    check_arrival(scratch, ".xml", "application/xml")


def test_radosgw_gets_compressed_json_exactly_once(scratch):
    check_arrival(scratch, ".json.gz", "application/json", OUTPUT_FORMAT="json",
                  COMPRESSION="gzip")


def test_radosgw_gets_large_objects_in_parts(scratch):
    store = start_store(scratch)
    server = scratch.server(MAX_FILE_SIZE="40MiB", **store.settings()).start()
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


def test_radosgw_encrypts_with_the_kms_key_that_is_named(scratch):
    store = start_store(scratch)
    server = scratch.server(MAX_FILE_SIZE="40MiB", S3_SSE="aws:kms", S3_SSE_KMS_KEY_ID=store.KMS_KEY,
                            **store.settings()).start()
    record = scratch.path / "record"
    server.load("--count", 12000, "--connections", 4, "--malformed", 0.001, record=record)
    server.stop()
    _, headers = assert_stored(scratch, store, record)
    assert any(re.search("-[2-9]\"$", one["etag"]) for one in headers.values()), "no parts"
    for key, one in headers.items():
        assert one.get("x-amz-server-side-encryption") == "aws:kms", (key, one)
        assert one["x-amz-server-side-encryption-aws-kms-key-id"] == store.KMS_KEY, (key, one)
    refused = server.command("check", expected=1, S3_SSE_KMS_KEY_ID="another")
    assert "FAIL" in refused, refused


# ---- refusals


def test_radosgw_refuses_at_the_first_start_and_sluice_exits_1(scratch):
    store = start_store(scratch)
    for name, settings, reason in [
            ("secret", {"AWS_SECRET_ACCESS_KEY": "canary-wrong"}, "SignatureDoesNotMatch"),
            ("key", {"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "InvalidAccessKeyId"),
            ("bucket", {"BUCKET_NAME": "another-bucket"}, "NoSuchBucket")]:
        server = scratch.server(name, **store.settings(**settings)).launch()
        assert server.wait() == 1, server.log_tail()
        refused = server.lines("refused to start")
        assert len(refused) == 1 and reason in str(refused), server.log_tail()
        assert settings.get("BUCKET_NAME", store.BUCKET) in str(refused), refused
        assert "canary" not in server.log_text()
    assert not store.keys()


def test_radosgw_satisfies_check_and_check_names_its_refusal(scratch):
    store = start_store(scratch)
    server = scratch.server(**store.settings())
    text = server.command("check")
    assert "FAIL" not in text, text
    for prefix in ("xml-events/", "quarantine/"):
        assert f'prefix "{prefix}" in s3://{store.BUCKET}' in text, text
    assert not store.keys(), "a probe was left"
    for settings, reason in [
            ({"AWS_SECRET_ACCESS_KEY": "canary-wrong"}, "SignatureDoesNotMatch"),
            ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "InvalidAccessKeyId"),
            ({"BUCKET_NAME": "another-bucket"}, "NoSuchBucket")]:
        text = server.command("check", expected=1, **settings)
        failures = [line for line in text.splitlines() if line.startswith("FAIL")]
        assert failures and all(reason in line for line in failures), text
        assert "canary" not in text


# ---- replies that are lost


class Relay:
    """Between Sluice and the store: passes requests on, and loses replies on demand."""

    def __init__(self, port):
        self.store = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.to_lose = 0
        self.mark = b""
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, count, mark=b"HTTP/1.1 200"):
        """The next replies that have `mark` in them: the connection ends instead."""
        with self.lock:
            self.to_lose, self.mark = count, mark

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                store = socket.create_connection(self.store)
                for source, sink, replies in ((client, store, False), (store, client, True)):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._pass_on, args=(source, sink, replies),
                                     daemon=True).start()

    def _loses(self, content):
        with self.lock:
            if self.to_lose == 0 or self.mark not in content:
                return False
            self.to_lose -= 1
            self.lost += 1
            return True

    def _pass_on(self, source, sink, replies):
        with contextlib.suppress(OSError):
            while content := source.recv(1 << 16):
                if replies and self._loses(content):
                    break
                sink.sendall(content)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.listener.close()


def start_relay(scratch, store):
    relay = Relay(store.port)
    scratch.started.append(relay)
    return relay, {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}


def statuses(store, method):
    return [status for verb, key, _, status in store.accesses()
            if verb == method and "sluice-probe" not in key]


def test_radosgw_refuses_to_write_over_what_it_has_when_replies_are_lost(scratch):
    store = start_store(scratch)
    relay, through = start_relay(scratch, store)
    server = scratch.server(MAX_FILE_SIZE="128KiB", **store.settings(**through)).start()
    relay.lose(3)
    record = scratch.path / "record"
    server.load("--count", EVENTS // 2, "--connections", 4, "--malformed", 0.01, record=record)
    harness.wait_for(lambda: relay.lost == 3, "lost replies")
    server.stop()
    assert_stored(scratch, store, record)
    assert 412 in statuses(store, "PUT"), "the condition was never tried"


def test_radosgw_has_an_object_in_parts_once_when_the_last_reply_is_lost(scratch):
    store = start_store(scratch)
    relay, through = start_relay(scratch, store)
    server = scratch.server(MAX_FILE_SIZE="40MiB", **store.settings(**through)).start()
    relay.lose(1, b"CompleteMultipartUploadResult")
    record = scratch.path / "record"
    server.load("--count", 12000, "--connections", 4, record=record)
    server.stop()
    assert relay.lost == 1
    assert_stored(scratch, store, record)


def test_radosgw_gets_nothing_twice_from_a_server_killed_before_the_reply(scratch):
    store = start_store(scratch)
    relay, through = start_relay(scratch, store)
    server = scratch.server(MAX_FILE_SIZE="64KiB", ROTATION_INTERVAL="0.3",
                            **store.settings(**through)).start()
    relay.lose(1 << 30)
    record = scratch.path / "record"
    server.load("--count", EVENTS // 2, "--connections", 4, "--malformed", 0.01, record=record)
    for _ in range(3):
        before = relay.lost
        harness.wait_for(lambda: relay.lost > before, "a lost reply")
        server.kill()
        server.start()
    server.kill()
    relay.lose(0)
    server.start()
    server.stop()
    assert_stored(scratch, store, record)  # a probe whose replies were lost is gone too
    assert [line for line in server.lines("uploaded") if line["found"] != "no"], \
        "nothing was found by HEAD"


if __name__ == "__main__":
    harness.main(globals())

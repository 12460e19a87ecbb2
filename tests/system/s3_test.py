"""The store fails, refuses, comes back: nothing is lost, nothing is written twice."""
import json
import re
import shutil
import signal
import subprocess
import urllib.parse

import evidence
import harness


def delivered(store, sent):
    return len(evidence.stored_events(store.objects)) >= len(sent.well_formed())


def test_events_arrive_in_s3_exactly_once(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="256KiB", OUTPUT_FORMAT="json", **store.settings())
    server.start()
    record = scratch.path / "record"
    server.load("--count", 5000, "--connections", 8, "--malformed", 0.01, record=record)
    server.stop()
    evidence.assert_delivered(store, record)


def test_multipart_objects_hold_the_same(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="40MiB", **store.settings()).start()
    record = scratch.path / "record"
    server.load("--count", 12000, "--connections", 4, record=record)
    server.stop()
    evidence.assert_same(evidence.read_record(record), evidence.stored_events(store.objects))
    assert any(write["op"] == "complete" for write in store.control("log")), "no multipart upload"
    assert not store.control("uploads"), "an upload was left open"
    evidence.assert_no_key_written_twice(store)


def test_a_store_that_stalls_does_not_make_memory_grow(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="100MiB", MEMORY_MAX_BYTES="64MiB", DRAIN_TIMEOUT=0,
                            **store.settings()).start()
    store.control("fault", match="partNumber", count=-1, kind="stall", seconds=3600)
    server.load("--count", 50_000, "--connections", 4)
    server.wait_for_line("segment rotated", reason="size")
    looks = []

    def egress_has_settled():
        looks.append(server.status()["memory"]["egress"]["used"])
        return len(looks) > 100 and len(set(looks[-100:])) == 1
    harness.wait_for(egress_has_settled, "egress waits for the store")
    # Its share, a part and a block's cost; the segment is three times as large.
    assert server.status()["memory"]["egress"]["peak"] < (32 + 16) << 20
    server.kill()


def check_outage(scratch, fault):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="128KiB", ROTATION_INTERVAL="0.3",
                            **store.settings()).start()
    fault_number = store.control("fault", match="^(PUT|POST|HEAD)", count=-1, **fault)
    assert fault_number
    record = scratch.path / "record"
    server.load("--count", 2000, "--connections", 4, record=record)
    sent = evidence.read_record(record)
    failed = [request for request in store.control("requests") if request.get("fault")]
    harness.wait_for(lambda: len([request for request in store.control("requests")
                                  if request.get("fault")]) > len(failed) + 3, "retries")
    store.control("clear")
    harness.wait_for(lambda: delivered(store, sent), "delivery after the outage")
    server.stop()
    evidence.assert_same(sent, evidence.stored_events(store.objects))
    evidence.assert_no_key_written_twice(store)


def test_503_for_a_while_loses_and_doubles_nothing(scratch):
    check_outage(scratch, {"kind": "status", "status": 503, "code": "SlowDown"})


def test_500_for_a_while_loses_and_doubles_nothing(scratch):
    check_outage(scratch, {"kind": "status", "status": 500, "code": "InternalError"})


def test_lost_replies_double_nothing(scratch):
    check_outage(scratch, {"kind": "lost_reply"})


def test_resets_lose_nothing(scratch):
    check_outage(scratch, {"kind": "reset", "after_body": True})


def test_200_with_an_error_body_is_a_failure(scratch):
    check_outage(scratch, {"kind": "error200", "code": "InternalError"})


def test_wrong_secret_at_the_first_start_exits_1_with_the_reason(scratch):
    store = scratch.fake_s3()
    server = scratch.server(**store.settings(AWS_SECRET_ACCESS_KEY="wrong")).launch()
    assert server.wait() == 1, server.log_tail()
    assert "SignatureDoesNotMatch" in server.log_text(), server.log_tail()


def test_no_such_bucket_at_the_first_start_exits_1_with_the_reason(scratch):
    store = scratch.fake_s3()
    server = scratch.server(**store.settings(BUCKET_NAME="another-bucket")).launch()
    assert server.wait() == 1, server.log_tail()
    assert "another-bucket" in server.log_text(), server.log_tail()


def test_wrong_secret_later_spools_and_the_right_one_delivers(scratch):
    store = scratch.fake_s3()
    server = scratch.server(ROTATION_INTERVAL="0.3", DRAIN_TIMEOUT=1, **store.settings()).start()
    records = [scratch.path / f"record-{i}" for i in range(2)]
    server.load("--count", 100, record=records[0])
    server.stop()
    assert evidence.data_objects(store.objects), "the spool has delivered"

    server.settings["AWS_SECRET_ACCESS_KEY"] = "wrong"
    server.start()
    server.load("--count", 500, "--connections", 2, record=records[1])
    harness.wait_for(lambda: not server.ready(), "/ready says 503")
    assert "SignatureDoesNotMatch" in server.get("/ready")[1]
    server.stop()

    server.settings["AWS_SECRET_ACCESS_KEY"] = store.SECRET_KEY
    server.start()
    sent = evidence.read_record(*records)
    harness.wait_for(lambda: delivered(store, sent), "delivery with the right secret")
    harness.wait_for(server.ready, "/ready says 200")
    server.stop()
    evidence.assert_same(sent, evidence.stored_events(store.objects))
    evidence.assert_no_key_written_twice(store)


def test_a_secret_that_is_mended_at_the_store_delivers_without_a_restart(scratch):
    store = scratch.fake_s3()
    server = scratch.server(ROTATION_INTERVAL="0.3", **store.settings()).start()
    store.control("set", secret_key="rotated")
    record = scratch.path / "record"
    server.load("--count", 200, record=record)
    harness.wait_for(lambda: not server.ready(), "/ready says 503")
    store.control("set", secret_key=store.SECRET_KEY)
    sent = evidence.read_record(record)
    harness.wait_for(lambda: delivered(store, sent), "delivery")
    harness.wait_for(server.ready, "/ready says 200")
    server.stop()
    evidence.assert_same(sent, evidence.stored_events(store.objects))


def check_without_conditions(scratch, argument):
    store = scratch.fake_s3(argument)
    server = scratch.server(**store.settings())
    text = server.command("check")
    warnings = [line for line in text.splitlines() if line.startswith("WARN")]
    assert any("If-None-Match" in line for line in warnings), text
    for start in range(2):  # the second one finds a spool that has delivered
        server.start()
        server.load("--count", 100, "--seed", start)
        server.stop()
        assert len(server.lines("store without conditions")) == 1, server.log_tail()
    puts = [request for request in store.control("requests")
            if request["method"] == "PUT" and "sluice-probe" not in request["path"]]
    assert puts and not any("if-none-match" in put["headers"] for put in puts), puts
    evidence.assert_no_key_written_twice(store)


def test_a_store_that_does_not_heed_conditions_is_warned_about(scratch):
    check_without_conditions(scratch, "--ignore-conditions")


def test_a_store_that_refuses_conditions_is_warned_about(scratch):
    check_without_conditions(scratch, "--no-conditional")


def test_a_store_that_heeds_conditions_is_not_warned_about(scratch):
    store = scratch.fake_s3()
    server = scratch.server(**store.settings())
    assert "If-None-Match" not in server.command("check")
    server.start()
    server.load("--count", 10)
    server.stop()
    assert not server.lines("store without conditions")


def test_a_refused_quarantine_prefix_never_holds_data_back(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="64KiB", ROTATION_INTERVAL="0.3", DRAIN_TIMEOUT=1,
                            **store.settings()).start()
    store.control("deny_prefix", prefix="quarantine/", deny=True)
    record = scratch.path / "record"
    server.load("--count", 1000, "--connections", 4, "--malformed", 0.05, record=record)
    sent = evidence.read_record(record)
    assert sent.malformed()
    harness.wait_for(lambda: delivered(store, sent), "the data is stored")
    assert not evidence.list_objects(store.objects, "quarantine/")
    assert "quarantine/" in str(server.wait_for_line("alarm raised"))
    assert server.ready(), "the data goes on, so it is an alarm and no more"
    store.control("deny_prefix", prefix="quarantine/", deny=False)
    harness.wait_for(lambda: rejected_so_far(store) == len(sent.malformed()),
                     "the rejected pieces are stored")
    server.stop()
    evidence.assert_same(sent, evidence.stored_events(store.objects))
    evidence.assert_quarantined(sent, evidence.quarantine(store.objects))
    evidence.assert_no_key_written_twice(store)


def rejected_so_far(store):
    try:
        return len(evidence.quarantine(store.objects))
    except KeyError:  # the reasons are not there yet
        return 0


def test_a_refused_quarantine_prefix_survives_a_restart(scratch):
    store = scratch.fake_s3()
    server = scratch.server(ROTATION_INTERVAL="0.3", DRAIN_TIMEOUT=0.2, **store.settings()).start()
    store.control("deny_prefix", prefix="quarantine/", deny=True)
    record = scratch.path / "record"
    server.load("--count", 300, "--malformed", 0.05, record=record)
    sent = evidence.read_record(record)
    harness.wait_for(lambda: delivered(store, sent), "the data is stored")
    server.kill()
    store.control("deny_prefix", prefix="quarantine/", deny=False)
    server.start()
    harness.wait_for(lambda: rejected_so_far(store) == len(sent.malformed()),
                     "the rejected pieces are stored")
    server.stop()
    evidence.assert_same(sent, evidence.stored_events(store.objects))
    evidence.assert_quarantined(sent, evidence.quarantine(store.objects))
    evidence.assert_no_key_written_twice(store)


def test_kill_nine_between_the_objects_of_segments(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="32KiB", ROTATION_INTERVAL="0.3", **store.settings())
    server.start()
    record = scratch.path / "record"
    server.load("--count", 2000, "--connections", 4, "--malformed", 0.02, record=record)
    sent = evidence.read_record(record)
    for _ in range(6):
        before = len(store.control("log"))
        harness.wait_for(lambda: len(store.control("log")) > before or delivered(store, sent),
                         "another object")
        server.kill()
        server.start()
    server.stop()
    evidence.assert_same(sent, evidence.stored_events(store.objects))
    evidence.assert_quarantined(sent, evidence.quarantine(store.objects))
    evidence.assert_no_key_written_twice(store)


def test_kill_nine_inside_a_multipart_upload_leaves_one_object_and_no_upload(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="100MiB", **store.settings()).start()
    store.control("fault", match="partNumber=2", count=-1, kind="stall", seconds=3600)
    record = scratch.path / "record"
    server.load("--count", 18_000, "--connections", 4, record=record)
    server.signal(signal.SIGUSR1)
    harness.wait_for(lambda: [write for write in store.control("log") if write["op"] == "part"],
                     "the first part")
    assert len(store.control("uploads")) == 1
    server.kill()
    store.control("clear")
    server.start()
    server.stop()
    sent = evidence.read_record(record)
    evidence.assert_same(sent, evidence.stored_events(store.objects))
    assert len(evidence.data_objects(store.objects)) == 1
    assert not store.control("uploads"), "the upload of the killed process is still open"
    assert [write for write in store.control("log") if write["op"] == "abort"]
    evidence.assert_no_key_written_twice(store)


def test_s1_a_wrong_checksum_is_looked_into_and_the_right_object_is_done(scratch):
    store = scratch.fake_s3()
    server = scratch.server(S3_CHECKSUM="md5", **store.settings()).start()
    store.control("fault", match="PUT /bucket/xml-events", count=1, kind="wrong_etag")
    record = scratch.path / "record"
    server.load("--count", 100, record=record)
    server.stop()
    evidence.assert_same(evidence.read_record(record), evidence.stored_events(store.objects))
    assert [line for line in server.lines("upload retry") if "EtagMismatch" in line["error"]]
    reads = [one for one in store.control("requests")
             if one["method"] == "GET" and "xml-events" in one["path"]]
    assert len(reads) == 1, "what the store holds was not read"
    evidence.assert_no_key_written_twice(store)


def test_s15_an_address_that_changes_is_found_by_its_name(scratch):
    """A hosts file of its own stands for the name server."""
    hosts = scratch.path / "hosts"
    wrapper = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts]
    hosts.write_text("127.0.0.1 localhost\n")
    if subprocess.run([*wrapper, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise harness.Skip("no right to a mount namespace")
    store = scratch.fake_s3()
    hosts.write_text("127.0.0.1 gate.invalid\n")
    server = scratch.server(ROTATION_INTERVAL="0.1", **store.settings(
        AWS_ENDPOINT_URL=f"http://gate.invalid:{store.port}"))
    server.wrapper = wrapper
    server.start()
    server.send(harness.SAMPLE.read_bytes())
    harness.wait_for(lambda: evidence.data_objects(store.objects), "delivery to the old address")
    port = store.port
    store.stop()
    hosts.write_text("127.0.0.2 gate.invalid\n")
    moved = harness.FakeS3(store.directory, "--host", "127.0.0.2", "--port", str(port))
    scratch.started.append(moved)
    server.send(harness.SAMPLE.read_bytes())
    harness.wait_for(lambda: len(evidence.data_objects(store.objects)) == 2,
                     "delivery to the new address")
    server.stop()


def test_s17_a_store_that_is_down_fills_the_spool_and_it_drains_while_the_feed_goes_on(scratch):
    store = scratch.fake_s3()
    budget = 48 << 20
    server = scratch.server(SPOOL_MAX_BYTES=budget, MAX_FILE_SIZE="1MiB", MEMORY_MAX_BYTES="32MiB",
                            **store.settings(RETRY_BASE_DELAY="0.2")).start()
    store.control("fault", match="^(PUT|POST|HEAD) /bucket/.", count=-1, kind="close")
    record = scratch.path / "record"
    load = harness.start_load(server.port, "--count", 45_000, "--rate", 1500, "--connections", 4,
                              record=record)
    server.wait_for_line("alarm raised", condition="spool.budget")
    full = server.status()["books"]["xml"]
    assert full["bytes_on_disk"] <= budget, full
    received = [full["bytes_received"]]

    def nothing_is_read():
        received.append(server.status()["books"]["xml"]["bytes_received"])
        return len(received) > 50 and len(set(received[-25:])) == 1
    harness.wait_for(nothing_is_read, "reading stopped")
    assert load.poll() is None, "the feed was not held back"
    assert server.status()["books"]["xml"]["bytes_on_disk"] <= budget
    assert not server.ready()
    store.control("clear")
    harness.wait_for(lambda: server.status()["books"]["xml"]["bytes_on_disk"] < budget // 3,
                     "the spool drains")
    assert load.poll() is None, "the feed had ended before"
    assert load.wait() == 0, load.stdout.read()
    server.stop()
    evidence.assert_delivered(store, record)


def test_s19_an_instance_that_restarts_leaves_the_uploads_of_another_alone(scratch):
    store = scratch.fake_s3()
    store.control("fault", match="partNumber=2", count=-1, kind="stall", seconds=3600)
    names = ("one", "two")
    servers = [scratch.server(name, MAX_FILE_SIZE="100MiB", **store.settings()).start()
               for name in names]
    instances = [server.status()["instance"] for server in servers]
    records = [scratch.path / f"record-{name}" for name in names]
    for number, (server, record) in enumerate(zip(servers, records)):
        server.load("--count", 10_000, "--connections", 4, record=record)
        server.signal(signal.SIGUSR1)
        harness.wait_for(lambda: len(store.control("uploads")) == number + 1, "an upload")
    of_two = {upload["id"] for upload in store.control("uploads")
              if instances[1] in upload["key"]}
    assert len(of_two) == 1, store.control("uploads")
    servers[0].kill()
    servers[0].start()
    servers[0].wait_for_line("leftover uploads aborted")
    harness.wait_for(lambda: len(store.control("uploads")) == 2, "the new upload of the first")
    assert of_two < {upload["id"] for upload in store.control("uploads")}
    store.control("clear")
    for server in servers:  # its stalled request would wait for an answer
        server.kill()
        server.start()
        server.stop()
    evidence.assert_delivered(store, *records)
    assert {key.split("_")[2] for key in evidence.data_objects(store.objects)} == set(instances)
    assert not store.control("uploads")


def test_audit_finds_what_is_lost_changed_and_doubled(scratch):
    store = scratch.fake_s3()
    server = scratch.server(MAX_FILE_SIZE="64KiB", **store.settings()).start()
    server.load("--count", 500, "--connections", 2, "--malformed", 0.05)
    server.stop()
    text = server.command("audit")
    assert "500 events; 0 lost, 0 changed, 0 doubled, 0 segments incomplete" in text, text

    store.control("fault", match="^GET /bucket.*list-type", count=2, kind="status", status=503)
    assert "0 lost" in server.command("audit"), "a page that fails at first"
    text = server.command("audit", PREFIX="elsewhere/")
    assert re.search(r"^[1-9]\d* objects under another PREFIX were not looked at$", text,
                     re.MULTILINE) and "0 lost" in text, text

    objects = evidence.data_objects(store.objects)
    (gone, gone_path), (altered, altered_path), (twice, twice_path) = list(objects.items())[:3]
    for path in (gone_path, meta_of(gone_path)):
        path.unlink()
    about = json.loads(meta_of(altered_path).read_text())
    meta_of(altered_path).write_text(json.dumps(about | {"etag": '"%s"' % ("0" * 32)}))
    second = twice.replace("xml-events/", "xml-events/2026/")
    second_path = twice_path.with_name(urllib.parse.quote(second, safe="-._~"))
    shutil.copy(twice_path, second_path)
    about = json.loads(meta_of(twice_path).read_text())
    meta_of(second_path).write_text(json.dumps(about | {"key": second}))
    text = server.command("audit", expected=1)
    for kind, key in (("lost", gone), ("changed", altered), ("doubled", second)):
        assert re.search(rf"^{kind} +{re.escape(key)}: ", text, re.MULTILINE), (kind, text)
    assert "1 lost, 1 changed, 1 doubled" in text, text


def meta_of(path):
    return path.with_name(path.name + ".meta.json")


if __name__ == "__main__":
    harness.main(globals())

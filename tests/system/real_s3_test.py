"""Against a store that we did not write: Ceph's radosgw (radosgw.py starts it, one for each test).

s3_test.py has the faults; here is what a fake made by the same hands could have wrong as well:
signatures, conditions, parts, metadata, error bodies.
"""
import re

import harness
import radosgw
import store_checks
from relay import start_relay


def start_store(scratch):
    store = radosgw.Radosgw(scratch.path / "radosgw")
    scratch.started.append(store)
    return store


def test_radosgw_gets_xml_exactly_once(scratch):
    store_checks.check_arrival(scratch, start_store(scratch), ".xml", "application/xml")


def test_radosgw_gets_compressed_json_exactly_once(scratch):
    store_checks.check_arrival(scratch, start_store(scratch), ".json.gz", "application/json",
                               OUTPUT_FORMAT="json", COMPRESSION="gzip")


def test_radosgw_gets_large_objects_in_parts(scratch):
    store_checks.check_parts(scratch, start_store(scratch))


def test_radosgw_encrypts_with_the_kms_key_that_is_named(scratch):
    store = start_store(scratch)
    server = scratch.server(MAX_FILE_SIZE="40MiB", S3_SSE="aws:kms", S3_SSE_KMS_KEY_ID=store.KMS_KEY,
                            **store.settings()).start()
    record = scratch.path / "record"
    server.load("--count", 12000, "--connections", 4, "--malformed", 0.001, record=record)
    server.stop()
    _, headers = store_checks.assert_stored(scratch, store, record)
    assert any(re.search("-[2-9]\"$", one["etag"]) for one in headers.values()), "no parts"
    for key, one in headers.items():
        assert one.get("x-amz-server-side-encryption") == "aws:kms", (key, one)
        assert one["x-amz-server-side-encryption-aws-kms-key-id"] == store.KMS_KEY, (key, one)
    refused = server.command("check", expected=1, S3_SSE_KMS_KEY_ID="another")
    assert "FAIL" in refused, refused


# ---- refusals

REFUSALS = [
    ({"AWS_SECRET_ACCESS_KEY": "canary-wrong"}, "SignatureDoesNotMatch"),
    ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "InvalidAccessKeyId"),
    ({"BUCKET_NAME": "another-bucket"}, "NoSuchBucket"),
]


def test_radosgw_refuses_at_the_first_start_and_sluice_exits_1(scratch):
    store_checks.check_refused_starts(scratch, start_store(scratch), REFUSALS)


def test_radosgw_satisfies_check_and_check_names_its_refusal(scratch):
    store_checks.check_check(scratch, start_store(scratch), REFUSALS)


def test_radosgw_is_a_referee_of_the_secret_the_payload_and_the_clock(scratch):
    store_checks.check_referee(start_store(scratch), [
        ({"secret": "canary-wrong"}, 403, "SignatureDoesNotMatch"),
        ({"tampered": b"changed"}, 400, "XAmzContentSHA256Mismatch"),
        ({"clock_ahead": 1200}, 403, "RequestTimeTooSkewed"),
        ({"clock_ahead": -1200}, 403, "RequestTimeTooSkewed"),
    ])


# ---- a clock that is off


def test_s6_a_clock_that_is_20_minutes_off_is_learnt_from_radosgw(scratch):
    store_checks.check_clock(scratch, start_store(scratch))


# ---- replies that are lost


def statuses(store, method):
    return [status for verb, key, _, status in store.accesses()
            if verb == method and "sluice-probe" not in key]


def test_radosgw_refuses_to_write_over_what_it_has_when_replies_are_lost(scratch):
    store = start_store(scratch)
    relay, through = start_relay(scratch, store)
    server = scratch.server(MAX_FILE_SIZE="128KiB", **store.settings(**through)).start()
    relay.lose(3, relay.OF_AN_OBJECT)
    record = scratch.path / "record"
    server.load("--count", store_checks.EVENTS // 2, "--connections", 4, "--malformed", 0.01,
                record=record)
    harness.wait_for(lambda: relay.lost == 3, "lost replies")
    server.stop()
    store_checks.assert_stored(scratch, store, record)
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
    store_checks.assert_stored(scratch, store, record)


def test_radosgw_gets_nothing_twice_from_a_server_killed_before_the_reply(scratch):
    store = start_store(scratch)
    relay, through = start_relay(scratch, store)
    server = scratch.server(MAX_FILE_SIZE="64KiB", ROTATION_INTERVAL="0.3",
                            **store.settings(**through)).start()
    relay.lose(1 << 30)
    record = scratch.path / "record"
    server.load("--count", store_checks.EVENTS // 2, "--connections", 4, "--malformed", 0.01,
                record=record)
    for _ in range(3):
        before = relay.lost
        harness.wait_for(lambda: relay.lost > before, "a lost reply")
        server.kill()
        server.start()
    server.kill()
    relay.lose(0)
    server.start()
    server.stop()
    # A probe whose replies were lost is gone too.
    store_checks.assert_stored(scratch, store, record)
    assert [line for line in server.lines("uploaded") if line["found"] != "no"], \
        "nothing was found by HEAD"


if __name__ == "__main__":
    harness.main(globals())

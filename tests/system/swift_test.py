"""Against OpenStack Swift's s3api (swift_s3.py starts it, one for each test): stricter than radosgw
about signatures, and a store that answers 501 to If-None-Match on a PUT.
"""
import harness
import store_checks
import swift_s3
from relay import start_relay

EVENTS = min(harness.EVENTS, 1000)


def start_store(scratch):
    store = swift_s3.Swift(scratch.path / "swift")
    scratch.started.append(store)
    return store


def test_swift_gets_xml_exactly_once(scratch):
    store_checks.check_arrival(scratch, start_store(scratch), ".xml", "application/xml",
                               count=EVENTS)


def test_swift_gets_compressed_json_exactly_once(scratch):
    store_checks.check_arrival(scratch, start_store(scratch), ".json.gz", "application/json",
                               count=EVENTS, OUTPUT_FORMAT="json", COMPRESSION="gzip")


def test_swift_gets_large_objects_in_parts_though_the_last_reply_is_lost(scratch):
    store = start_store(scratch)
    relay, through = start_relay(scratch, store)
    relay.lose(1, b"CompleteMultipartUploadResult")
    store_checks.check_parts(scratch, store, **through)
    assert relay.lost == 1


# ---- refusals

REFUSALS = [
    ({"AWS_SECRET_ACCESS_KEY": "canary-wrong"}, "SignatureDoesNotMatch"),
    ({"AWS_ACCESS_KEY_ID": "test:nobody"}, "SignatureDoesNotMatch"),  # does not say that none is
    ({"AWS_REGION": "eu-central-1"}, "AuthorizationHeaderMalformed", "Set AWS_REGION=us-east-1."),
    ({"BUCKET_NAME": "another-bucket"}, "NoSuchBucket"),
]


def test_swift_refuses_at_the_first_start_and_sluice_exits_1(scratch):
    store_checks.check_refused_starts(scratch, start_store(scratch), REFUSALS)


def test_swift_satisfies_check_and_check_names_its_refusal(scratch):
    store_checks.check_check(scratch, start_store(scratch), REFUSALS)


def test_swift_is_a_referee_of_the_secret_the_payload_the_clock_and_the_region(scratch):
    store_checks.check_referee(start_store(scratch), [
        ({"secret": "canary-wrong"}, 403, "SignatureDoesNotMatch"),
        ({"tampered": b"change"}, 400, "BadDigest"),
        ({"clock_ahead": 1200}, 403, "RequestTimeTooSkewed"),
        ({"clock_ahead": -1200}, 403, "RequestTimeTooSkewed"),
        ({"region": "eu-central-1"}, 400, "AuthorizationHeaderMalformed"),
    ])


def test_s6_a_clock_that_is_20_minutes_off_is_learnt_from_swift(scratch):
    store_checks.check_clock(scratch, start_store(scratch))


def test_s6_check_and_the_first_start_judge_swift_through_a_clock_that_is_off(scratch):
    """Swift looks at the clock first, at conditions next, and at the signature last."""
    store = start_store(scratch)
    clock = store_checks.clock_settings(1200)
    store_checks.check_check(scratch, store, [
        ({"AWS_SECRET_ACCESS_KEY": "canary-wrong"}, "SignatureDoesNotMatch")], **clock)
    store_checks.check_refused_starts(scratch, store, [
        (clock | {"AWS_SECRET_ACCESS_KEY": "canary-wrong"}, "SignatureDoesNotMatch")])


# ---- no conditions


def test_swift_says_that_it_has_no_conditions_and_is_asked_once_a_prefix(scratch):
    store = start_store(scratch)
    server = scratch.server(MAX_FILE_SIZE="64KiB", **store.settings()).start()
    record = scratch.path / "record"
    server.load("--count", 500, "--connections", 4, "--malformed", 0.05, record=record)
    server.stop()
    store_checks.assert_stored(scratch, store, record)
    unsupported = [key for method, key, _, status in store.accesses() if status == 501]
    assert 1 <= len(unsupported) <= 2, unsupported
    assert all("sluice-probe" in key for key in unsupported), unsupported
    assert not server.lines("upload retry"), server.log_tail()


def assert_same_bytes_each_time(store):
    """A PUT may be sent again where its connection died; that may not change the object."""
    written = store.written()
    changed = {key: etags for key, etags in written.items() if len(set(etags)) > 1}
    assert not changed, changed


def test_swift_has_each_object_once_when_replies_are_lost(scratch):
    store = start_store(scratch)
    relay, through = start_relay(scratch, store)
    server = scratch.server(MAX_FILE_SIZE="64KiB", **store.settings(**through)).start()
    relay.lose(3, relay.OF_AN_OBJECT)
    record = scratch.path / "record"
    server.load("--count", 1000, "--connections", 4, "--malformed", 0.02, record=record)
    harness.wait_for(lambda: relay.lost == 3, "lost replies")
    server.stop()
    store_checks.assert_same_events(scratch, store, record)
    assert_same_bytes_each_time(store)


def data_keys(store):
    return [key for key in store.keys("xml-events/") if "sluice-probe" not in key]


def stored_but_not_known(store, relay, server, record):
    """The key of an object that the store has, and of which a killed server knows nothing."""
    known = data_keys(store)
    relay.lose(1 << 30)
    server.load("--count", 100, record=record)
    key = harness.wait_for(lambda: [key for key in data_keys(store) if key not in known],
                           "the object is in the store")[0]
    server.kill()
    relay.lose(0)
    return key


def test_swift_is_asked_at_a_start_what_it_has_and_none_of_it_is_written_over(scratch):
    store = start_store(scratch)
    relay, through = start_relay(scratch, store)
    server = scratch.server(ROTATION_INTERVAL="0.3", **store.settings(**through)).start()
    record = scratch.path / "record"
    ours = stored_but_not_known(store, relay, server, record)
    puts = len(store.written()[ours])
    server.start()
    assert server.wait_for_line("uploaded", key=ours)["found"] != "no"
    assert len(store.written()[ours]) == puts, "it was written again"
    store_checks.assert_same_events(scratch, store, record)

    other = stored_but_not_known(store, relay, server, scratch.path / "another-record")
    store.request("PUT", f"/{store.BUCKET}/{other}", body=b"of another", expected=200)
    server.start()
    alarm = server.wait_for_line("alarm raised")
    assert other in alarm["message"] and "set aside" in alarm["message"], alarm
    server.stop()
    assert store.get(other)[1] == b"of another"
    assert list((server.spool / "quarantine").glob("*.wal")), "the events are not set aside"


def test_swift_keeps_what_another_wrote_before_a_put_is_repeated(scratch):
    store = start_store(scratch)
    relay, through = start_relay(scratch, store)
    server = scratch.server(ROTATION_INTERVAL="0.3", **store.settings(**through)).start()
    relay.lose(1 << 30)
    server.load("--count", 100)
    key = harness.wait_for(lambda: data_keys(store), "the object is in the store")[0]
    store.request("PUT", f"/{store.BUCKET}/{key}", body=b"of another", expected=200)
    relay.lose(0)
    server.stop()
    assert store.get(key)[1] == b"of another", store.written()


if __name__ == "__main__":
    harness.main(globals())

"""Keys never collide: rotations within a second, instances on one store, restarts."""
import re
import signal
import threading

import evidence
import harness

KEY = re.compile(r"xml-events/\d{8}_\d{6}_[A-Za-z0-9._-]+_[0-9a-f]{16}-[0-9a-f]{16}\.xml")


def test_two_rotations_within_a_second_make_two_objects(scratch):
    server = scratch.server().start()
    for number in range(1, 6):
        server.send(harness.SAMPLE.read_bytes())
        server.signal(signal.SIGUSR1)
        harness.wait_for(lambda: len(evidence.data_objects(server.objects)) == number,
                         f"object {number}")
    keys = list(evidence.data_objects(server.objects))
    assert all(KEY.fullmatch(key) for key in keys), keys
    stamps = [re.search(r"\d{8}_\d{6}", key)[0] for key in keys]
    server.stop()
    assert len(set(stamps)) < len(stamps), "slower than a rotation a second: nothing was tested"
    assert len(evidence.stored_events(server.objects)) == 5


def test_rotate_command_prints_the_keys(scratch):
    server = scratch.server().start()
    server.send(harness.SAMPLE.read_bytes())
    printed = server.command("rotate")
    keys = list(evidence.data_objects(server.objects))
    assert len(keys) == 1 and keys[0] in printed, printed
    server.stop()


def test_two_instances_on_one_store_never_meet(scratch):
    shared = scratch.path / "objects"
    servers = [scratch.server(name, OUTPUT_DIR=shared, MAX_FILE_SIZE="64KiB").start()
               for name in ("one", "two")]
    records = [scratch.path / f"record-{i}" for i in range(2)]
    loads = [threading.Thread(target=server.load,
                              args=("--count", 3000, "--connections", 4, "--rate", 6000),
                              kwargs={"record": record})
             for server, record in zip(servers, records)]
    for load in loads:
        load.start()
    for load in loads:
        load.join()
    for server in servers:
        server.stop()
    sent = evidence.read_record(*records)
    stored = [event for key, path in evidence.data_objects(shared).items()
              for event in evidence.events_of(key, path.read_bytes())]
    evidence.assert_same(sent, stored)
    instances = {re.match(r"xml-events/\d+_\d+_(.*)_[0-9a-f]{16}-", key)[1]
                 for key in evidence.data_objects(shared)}
    assert len(instances) == 2, instances


def test_instance_ids_outlive_a_restart_and_keys_still_differ(scratch):
    server = scratch.server()
    for _ in range(4):
        server.start()
        server.send(harness.SAMPLE.read_bytes())
        server.stop()
    keys = list(evidence.data_objects(server.objects))
    assert len(keys) == 4
    assert len({re.match(r"xml-events/\d+_\d+_(.*)_[0-9a-f]{16}-", key)[1] for key in keys}) == 1
    assert len(evidence.stored_events(server.objects)) == 4


def test_nothing_received_makes_no_object(scratch):
    server = scratch.server(ROTATION_INTERVAL="0.1").start()
    with server.connect():
        pass
    server.command("rotate")
    server.stop()
    assert not evidence.list_objects(server.objects)


if __name__ == "__main__":
    harness.main(globals())

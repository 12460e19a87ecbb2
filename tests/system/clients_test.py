"""Clients beside each other: one that floods, one that sends again."""
import hashlib
import time

import evidence
import harness

SAMPLE = harness.SAMPLE.read_bytes()


def test_n7_one_client_that_floods_does_not_starve_the_others(scratch):
    server = scratch.server(RECEIVE_THREADS=1, FRAME_THREADS=1, MEMORY_MAX_BYTES="16MiB").start()
    flood = harness.start_load(server.port, "--seconds", 600, "--connections", 1)
    harness.wait_for(lambda: server.status()["books"]["xml"]["bytes_received"] > 10 << 20, "a flood")
    waits = []
    for _ in range(15):
        begin = time.monotonic()
        server.send(SAMPLE)
        waits.append(time.monotonic() - begin)
    assert flood.poll() is None, "the flood ended"
    flood.terminate()
    flood.communicate(timeout=harness.DEADLINE_SECONDS)
    flooded = server.status()["books"]["xml"]["bytes_received"]
    print(f"the longest wait {max(waits):.3f} s, {flooded / (1 << 20):.0f} MiB of the one that floods")
    assert flooded > 1000 * 15 * len(SAMPLE), "it was no flood"
    assert max(waits) < 5, f"a client waited {max(waits)} s"
    server.stop()
    bodies = [path.read_bytes() for path in evidence.data_objects(server.objects).values()]
    assert sum(body.count(b"38901f4a95d14013") for body in bodies) == 15


def test_n13_a_document_that_is_sent_again_is_stored_again_with_the_same_sha256(scratch):
    server = scratch.server(ROTATION_INTERVAL="0.2").start()
    server.send(SAMPLE)
    harness.wait_for(lambda: evidence.data_objects(server.objects), "a first object")
    server.send(SAMPLE + SAMPLE)
    server.send(SAMPLE)
    server.stop()
    stored = evidence.stored_events(server.objects)
    root = SAMPLE[SAMPLE.index(b"<EVENT"):SAMPLE.rindex(b">") + 1]
    assert [event.sha256 for event in stored] == 4 * [hashlib.sha256(root).hexdigest()]
    assert len(evidence.data_objects(server.objects)) >= 2


if __name__ == "__main__":
    harness.main(globals())

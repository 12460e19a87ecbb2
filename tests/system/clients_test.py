"""Clients beside each other: one that floods, one that sends again."""
import hashlib

import evidence
import harness

SAMPLE = harness.SAMPLE.read_bytes()


def test_n7_one_client_that_floods_does_not_starve_the_others(scratch):
    memory_mib = 16
    server = scratch.server(RECEIVE_THREADS=1, FRAME_THREADS=1,
                            MEMORY_MAX_BYTES=f"{memory_mib}MiB").start()

    def mib_received():
        return server.status()["books"]["xml"]["bytes_received"] >> 20
    flood = harness.start_load(server.port, "--seconds", 600, "--connections", 1)
    harness.wait_for(lambda: mib_received() > 10, "a flood")
    passed_by = []  # of the flood, while one of the others waited for its FIN
    for _ in range(15):
        before = mib_received()
        server.send(SAMPLE)
        passed_by.append(mib_received() - before)
    assert flood.poll() is None, "the flood ended"
    flood.terminate()
    flood.communicate(timeout=harness.DEADLINE_SECONDS)
    print(f"MiB of the flood while each waited: {passed_by}")
    assert mib_received() > 2 * memory_mib, "it was no flood"
    # What lay before it in memory, and what one turn, one sync and we ourselves let by.
    assert max(passed_by) < 4 * memory_mib, f"{passed_by} MiB of the flood before one that waited"
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

"""kill -9, hundreds of times in one spool: at random moments, and at the n-th of each system call
that changes the disk. Judged by what the senders saw: a connection that ended in FIN is stored
once, whatever was killed when.
"""
import collections
import contextlib
import os
import random
import re
import signal
import threading
import time

import evidence
import harness

# tools/test --full asks for 300.
KILLS = int(os.environ.get("SLUICE_TEST_KILLS", "100"))
SEED = int(os.environ.get("SLUICE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
TORN_BYTES_MAX = 64 << 10
SETTINGS = {"MAX_FILE_SIZE": "128KiB", "ROTATION_INTERVAL": "0.2", "SPOOL_SYNC_INTERVAL_MS": 5}


class KilledServer:
    """One spool and one store, and the records of all that was ever sent there."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.server = scratch.server(**SETTINGS)
        self.immutable = evidence.Immutable()
        self.records = []
        self.start_seconds = None

    def measure_start(self):
        begin = time.monotonic()
        self.server.start()
        self.start_seconds = time.monotonic() - begin
        self.server.kill()

    def start_loads(self):
        """Connections of many lengths, so that some are acknowledged before the kill, some not."""
        loads = []
        for options in (("--count", 12), ("--count", 100, "--connections", 4),
                        ("--count", 100_000, "--rate", 2000, "--connections", 4, "--cut", "random")):
            self.records.append(self.scratch.path / f"record-{len(self.records)}")
            loads.append(harness.start_load(self.server.port, *options, "--malformed", 0.01,
                                            "--fin-timeout", 60, record=self.records[-1]))
        return loads

    def ended(self, loads=()):
        """After each end of the process: nothing of the disk was found to be wrong."""
        for load in loads:
            load.communicate(timeout=harness.DEADLINE_SECONDS)
        alarms = self.server.lines("alarm raised")
        assert not alarms, alarms

    def look(self):
        self.immutable.look(self.server.objects)

    def assert_nothing_lost(self):
        """After a last clean run; what the senders saw."""
        server = self.server
        server.settings["DRAIN_TIMEOUT"] = harness.DEADLINE_SECONDS
        server.start()
        self.records.append(self.scratch.path / "record-last")
        server.load("--count", 100, "--connections", 4, record=self.records[-1])
        server.stop(seconds=2 * harness.DEADLINE_SECONDS)
        self.ended()
        self.look()
        sent = evidence.read_record(*self.records)
        acknowledged = sent.acknowledged()
        print(f"{len(sent.events)} events sent, {len(acknowledged)} acknowledged, "
              f"{len(self.immutable.digests)} objects")
        evidence.assert_same(sent, evidence.stored_events(server.objects), exactly_once=acknowledged)
        self.assert_quarantine(sent)
        audit = server.command("audit")
        assert "; in the spool 0 segments" in audit and audit.endswith(" 0 set aside\n"), audit
        return sent

    def assert_quarantine(self, sent):
        """Acknowledged malformed events are there once; besides those what a kill cut, no more."""
        malformed = {event.identifier: event for event in sent.malformed()}
        counts = collections.Counter()
        for piece in evidence.quarantine(self.server.objects):
            inside = [one for one, event in malformed.items() if event.bytes in piece.bytes]
            assert inside or b"</EVENT>" not in piece.bytes, f"a whole event: {piece.line}"
            counts.update(inside)
        assert not [one for one, count in counts.items() if count > 1], "a piece is there twice"
        lost = [event for one, event in malformed.items()
                if sent.ends.get(event.connection) == "fin" and one not in counts]
        assert not lost, f"{len(lost)} malformed events are not in quarantine, as {lost[0]}"
        kept = list((self.server.spool / "quarantine").iterdir())
        for path in kept:
            assert re.search(r"\.torn-[0-9a-f]{16}(\.why\.json)?$", path.name), f"{path.name} in quarantine"
            assert path.stat().st_size <= TORN_BYTES_MAX, f"{path.name}: {path.stat().st_size} bytes"


# ---- at random moments

def end_at(server, *moments):
    """[(seconds from the one before, signal)]: they are sent from a thread of its own. Gives the
    exit code."""
    timers, at = [], 0
    for seconds, number in moments:
        at += seconds
        timers.append(threading.Timer(at, server.signal, [number]))
        timers[-1].start()
    code = server.wait()
    for timer in timers:
        timer.cancel()
    return code


def kill_under_load(killed, chance):
    killed.server.start()
    loads = killed.start_loads()
    code = end_at(killed.server, (chance.uniform(0, 0.4), signal.SIGKILL))
    killed.ended(loads)
    return code


def kill_in_recovery(killed, chance):
    killed.server.launch()
    code = end_at(killed.server, (chance.uniform(0, 2 * killed.start_seconds), signal.SIGKILL))
    killed.ended()
    return code


def kill_in_shutdown(killed, chance):
    killed.server.start()
    loads = killed.start_loads()
    code = end_at(killed.server, (chance.uniform(0, 0.3), signal.SIGTERM),
                  (chance.uniform(0, 0.15), signal.SIGKILL))
    killed.ended(loads)
    return code


def test_p2_whenever_it_is_killed_nothing_acknowledged_is_lost_and_nothing_stored_twice(scratch):
    print(f"SLUICE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    killed = KilledServer(scratch)
    killed.measure_start()
    seen = collections.Counter()
    while sum(seen.values()) < KILLS:
        how = chance.choice((kill_under_load, kill_under_load, kill_in_recovery, kill_in_shutdown))
        code = how(killed, chance)
        assert code == -signal.SIGKILL or how is kill_in_shutdown and code == 0, \
            f"{how.__name__}: exit code {code}\n" + killed.server.log_tail()
        name = how.__name__
        if how is kill_in_recovery and not killed.server.lines("server started"):
            name += ", before it listened"
        seen[name] += code != 0
        if sum(seen.values()) % 20 == 0:
            killed.look()
    print(dict(seen))
    sent = killed.assert_nothing_lost()
    acknowledged = len(sent.acknowledged())
    assert acknowledged > KILLS, "the kills left too few to judge by"
    assert len(sent.well_formed()) > acknowledged, "every kill came too late"
    if KILLS >= 50:
        assert len(seen) == 4, f"a moment that was never met: {seen}"


# ---- at the n-th system call

CALLS = ("pwritev", "fdatasync", "fsync", "fallocate", "ftruncate", "rename", "renameat2", "unlink",
         "write")


def run_until_killed(killed):
    """The exit code: killed at some call of its start, its work or its end, or 0."""
    server = killed.server
    server.launch()
    loads = []
    harness.wait_for(lambda: server.lines("server started") or not server.running(), "a start")
    started = server.lines("server started")
    if started:
        server.port = int(started[0]["listen"].rsplit(":", 1)[1])
        loads = killed.start_loads()
        loads[1].wait(harness.DEADLINE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        server.signal(signal.SIGTERM)
    code = server.wait()
    killed.ended(loads)
    return code


def test_p2_killed_at_the_nth_call_that_changes_the_disk_nothing_is_lost_or_doubled(scratch):
    killed = KilledServer(scratch)
    chance = random.Random(SEED)
    print(f"SLUICE_TEST_SEED={SEED}")
    kills = collections.Counter()

    def kill_at(call, number):
        harness.under_strace(killed.server, scratch.path / "strace", "-e", "trace=" + call, "-e",
                             f"inject={call}:signal=SIGKILL:when={number}", forget_signals=False)
        code = run_until_killed(killed)
        assert code in (0, -signal.SIGKILL), f"{call}: exit {code}\n" + killed.server.log_tail()
        kills[call] += code != 0

    for _ in range(KILLS // 25):
        for call in CALLS:
            # Of a thread: strace counts calls by thread.
            kill_at(call, chance.choice((1, 2, 3, 5, 8, 13)))
    for call in CALLS:
        # Not every start has something to rename or to cut: until each call was met.
        for _ in range(20):
            if not kills[call]:
                kill_at(call, 1)
    print(dict(kills))
    killed.server.wrapper = ()
    assert all(kills[call] for call in CALLS), f"a call that was never met: {kills}"
    killed.assert_nothing_lost()


if __name__ == "__main__":
    harness.main(globals())

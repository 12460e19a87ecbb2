"""Power cuts with a real kernel, file system and block layer: what was acknowledged before the cut
is stored, once.

A guest (uml.py) runs the server and senders on an ext4, whose writes are logged. At a moment that
the seed decides the power goes: the disk then holds what was flushed before that moment, and any
part of what was on its way (write_log.py). The next boot is on that disk. Spool, ledger and objects
lie on it alike; the senders' records are outside. What a sender learnt after the cut it did not
learn.

ext4 makes the entries of directories durable with the files in them, so a missing sync of a
directory is not seen here; the tests on the disk in memory (tests/fault) see it.
"""
import json
import os
import random

import evidence
import harness
import uml

# How often the power goes; tools/test --full asks for more.
CUTS = int(os.environ.get("SLUICE_TEST_POWER_CUTS", "5"))
SETTINGS = {"PORT": 7000, "MAX_FILE_SIZE": "256KiB", "SPOOL_MAX_BYTES": "96MiB",
            "MEMORY_MAX_BYTES": "48MiB", "SPOOL_SYNC_INTERVAL_MS": 5, "DRAIN_TIMEOUT": 300}
FIN = b'"end":"fin"'
RUNS_MAX = 1000  # more than any boot lasts


def dice_of(name):
    seed = int(os.environ.get("SLUICE_TEST_SEED", random.randrange(2**32)))
    print(f"SLUICE_TEST_SEED={seed}")
    return random.Random(f"{seed} {name}")


def run_of_load(dice, count_max):
    return ["--count", dice.randrange(5, count_max), "--connections", dice.randrange(1, 5),
            "--cut", dice.choice(["none", "random"]), "--seed", dice.randrange(1, 2**63)]


def feeds(dice):
    """Two senders: one of short runs, whose acks are many, one of longer ones."""
    return [[run_of_load(dice, count_max) for _ in range(RUNS_MAX)] for count_max in (40, 400)]


class Spool:
    """One spool over all its boots, and what its senders have recorded."""

    def __init__(self, scratch, dice):
        self.scratch, self.dice = scratch, dice
        self.disk = uml.Disk(scratch.path)
        self.boots = 0
        self.records = []

    def boot(self, feed):
        directory = self.scratch.path / f"boot-{self.boots}"
        directory.mkdir()
        self.boots += 1
        options = self.dice.choice(["data=ordered", "data=writeback", "data=journal"])
        # Events are for a while nowhere but in their segment, or soon in an object, too.
        interval = self.dice.choice(["0.5", "60"])
        guest = uml.Guest(directory, self.disk, feed, options, ROTATION_INTERVAL=interval,
                          **SETTINGS)
        self.scratch.started.append(guest)
        guest.wait_until_up()
        return guest

    def keep_records(self, guest, last_mark=None):
        """A file for each run of sluice-load. What the senders learnt after the mark they did not
        learn."""
        for path in guest.records:
            known = True
            for fields in lines_of(path):
                if "run" in fields:
                    self.records.append(path.with_name(f"{path.name}-{fields['run']}"))
                    self.records[-1].touch()
                elif "mark" in fields:
                    known = known and fields["mark"] != last_mark
                else:
                    if "end" in fields and not known:
                        fields["end"] = "after the cut"
                    with self.records[-1].open("a") as record:
                        record.write(json.dumps(fields) + "\n")

    def cut_power(self, guest, acks, flushes):
        """Cuts the power of a guest that is being fed: so many flushes after the senders knew of so
        many acks. Without acks: after its disk was mounted."""
        guest.wait_for(lambda: mark_behind(guest, acks) is not None, f"{acks} acks")
        mark = mark_behind(guest, acks)
        log = self.disk.log
        moment = str(mark) if acks else "mounted"
        guest.wait_for(lambda: log.look().mark(moment) is not None, "the mark is in the log")
        begin = log.mark(moment)
        guest.wait_for(lambda: len(log.look().settling(begin)) > flushes, f"{flushes} flushes")
        cut = [begin, *log.settling(begin)][flushes]
        # The senders have recorded all that can be on the disk.
        begun = runs_begun(guest)
        guest.wait_for(lambda: all(now >= then + 2 for now, then in zip(runs_begun(guest), begun)),
                       "the senders go on")
        guest.stop()
        self.keep_records(guest, mark)
        kept, lost = self.disk.lose_power(cut, self.dice)
        print(f"boot {self.boots}: {acks} acks, {flushes} flushes more, entry {cut} of "
              f"{len(log.writes)}; of what was on its way {kept} sectors are there, {lost} not",
              flush=True)

    def drained(self):
        """Boots once more, with a last sender, and lets the server deliver all: where the copies
        are."""
        guest = self.boot([[["--count", 200, "--seed", self.dice.randrange(1, 2**63)]]])
        guest.wait_for(lambda: guest.records[0].read_bytes().count(FIN) == 1, "the last ack")
        guest.drain()
        self.keep_records(guest)
        return guest.out


def lines_of(record):
    """Without the one that the cut cut."""
    return [json.loads(line) for line in record.read_bytes().split(b"\n")[:-1]]


def runs_begun(guest):
    return [path.read_bytes().count(b'{"run"') for path in guest.records]


def mark_behind(guest, acks):
    """The first mark behind so many acks in all records, or None."""
    found = {}
    for path in guest.records:
        known = 0
        for line in path.read_bytes().split(b"\n")[:-1]:
            if FIN in line:
                known += 1
            elif line.startswith(b'{"mark"'):
                found.setdefault(json.loads(line)["mark"], []).append(known)
    return next((mark for mark, known in sorted(found.items())
                 if sum(known) >= acks and len(known) == len(guest.records)), None)


def test_p3_a_power_cut_loses_nothing_that_was_acknowledged_and_stores_nothing_twice(scratch):
    dice = dice_of("cuts")
    spool = Spool(scratch, dice)
    for number in range(CUTS):
        guest = spool.boot(feeds(dice))
        # Every third while it recovers from the one before.
        recovers = number % 3 == 2
        spool.cut_power(guest, 0 if recovers else dice.randrange(1, 9),
                        dice.randrange(40) if recovers else dice.choice([0, 0, 1, 10]))
    out = spool.drained()
    sent = evidence.read_record(*spool.records)
    stored = evidence.stored_events(out / "objects")
    print(f"{len(sent.events)} events sent, {len(sent.acknowledged())} acknowledged, "
          f"{len(stored)} stored")
    assert 200 < len(sent.acknowledged()) < len(sent.events), "nothing to judge by"
    evidence.assert_same(sent, stored, exactly_once=sent.acknowledged())
    for rejected in evidence.quarantine(out / "objects"):
        assert b"</EVENT>" not in rejected.bytes, f"a whole event: {rejected.line}"
    damaged = [path.name for path in (out / "quarantine").glob("*.damage-*")]
    assert not damaged, f"what was flushed is taken for damaged: {damaged}"


def test_p3_a_disk_that_loses_what_was_flushed_is_noticed(scratch):
    """The judge itself: acks that came after the cut are taken for what they are."""
    dice = dice_of("judge")
    spool = Spool(scratch, dice)
    guest = spool.boot(feeds(dice))
    guest.wait_for(lambda: mark_behind(guest, 4) is not None, "acks")
    guest.stop()
    spool.keep_records(guest)
    spool.disk.lose_power(spool.disk.log.look().mark("mounted"), dice)
    out = spool.drained()
    sent = evidence.read_record(*spool.records)
    try:
        evidence.assert_same(sent, evidence.stored_events(out / "objects"),
                             exactly_once=sent.acknowledged())
    except AssertionError as error:
        assert "are not stored" in str(error), error
        return
    raise AssertionError("not noticed")


if __name__ == "__main__":
    harness.main(globals())

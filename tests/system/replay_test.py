"""What was rejected or set aside goes back through the pipeline: once, and with where it came from."""
import json
import re
import shutil

import evidence
import harness

REFUSE_DATA = {"match": "^PUT /bucket/xml-events", "count": -1, "kind": "status", "status": 400,
               "code": "InvalidArgument"}


def event(number, filling=0):
    return b"<EVENT><cn>%d</cn><text>%s</text></EVENT>" % (number, b"x" * filling)


def delivered(root, prefix="xml-events/"):
    return sorted(int(one.identifier) for one in evidence.stored_events(root, prefix))


def run_once(server):
    """Starts, delivers what the spool holds, stops."""
    server.start()
    server.stop()


def replay(server, *arguments, expected=0, **settings):
    return server.command("replay", *arguments, expected=expected, **settings)


def spool_files(server):
    return {path: path.stat().st_mtime_ns for path in server.spool.rglob("*")}


def raw_object(server):
    [path] = [path for key, path in evidence.list_objects(server.objects, "quarantine/").items()
              if key.endswith("_raw.xml")]
    return path


def ledger(server):
    return [json.loads(line) for path in server.spool.glob("ledger-*.jsonl")
            for line in path.read_text().splitlines()]


def rejected_as_too_long(scratch):
    """A stopped server that delivered 1 and 3; 2, longer than a limit since raised, is quarantined."""
    server = scratch.server(MAX_MESSAGE_SIZE="4KiB").start()
    server.send(event(1) + event(2, 9000) + event(3))
    server.stop()
    assert delivered(server.objects) == [1, 3]
    [rejected] = evidence.quarantine(server.objects)
    assert rejected.reason == "longer than MAX_MESSAGE_SIZE"
    del server.settings["MAX_MESSAGE_SIZE"]
    return server


def test_what_a_limit_rejected_is_delivered_once_when_the_limit_is_raised(scratch):
    server = rejected_as_too_long(scratch)
    source = raw_object(server)
    before = spool_files(server)
    assert "would replay" in replay(server, "--dry-run", source)
    assert spool_files(server) == before

    said = replay(server, source)
    assert "1 events, 0 malformed runs, as segment" in said, said
    run_once(server)
    assert delivered(server.objects) == [1, 2, 3]
    [line] = [line for line in ledger(server) if "replayed-from" in line["metadata"]]
    assert line["metadata"]["replayed-from"] == source.name
    # Placed and named by when it was received, not by when it was replayed.
    assert evidence.quarantine(server.objects)[0].line["time"][:19].replace("T", "_") \
        .replace("-", "").replace(":", "") in line["key"]

    assert f"already replayed: stored as {line['key']}" in replay(server, source, expected=1)
    for path in server.spool.glob("ledger-*.jsonl"):
        path.unlink()
    assert "already replayed: on 2" in replay(server, source, expected=1)
    run_once(server)
    assert delivered(server.objects) == [1, 2, 3]
    replay(server, "--again", source)
    run_once(server)
    assert delivered(server.objects) == [1, 2, 2, 3]


def test_a_copy_of_what_was_replayed_is_known_under_any_name(scratch):
    server = rejected_as_too_long(scratch)
    source = raw_object(server)
    shutil.copy(source, scratch.path / "other_raw.xml")
    shutil.copy(source.with_name(source.name.replace("_raw.xml", "_raw.reasons.jsonl")),
                scratch.path / "other_raw.reasons.jsonl")
    # A shell's pattern names both files of the pair.
    said = replay(server, scratch.path / "other_raw.reasons.jsonl", scratch.path / "other_raw.xml")
    assert said.count("replayed ") == 1, said
    assert "which the server delivers" in replay(server, source, expected=1)
    run_once(server)
    assert delivered(server.objects) == [1, 2, 3]


def test_what_is_still_malformed_is_rejected_again_with_the_same_bytes_and_reason(scratch):
    server = scratch.server().start()
    server.send(b"<EVENT><a></b></EVENT>" + event(1))
    server.stop()
    [before] = evidence.quarantine(server.objects)
    replay(server, raw_object(server))
    run_once(server)
    assert delivered(server.objects) == [1]
    again = evidence.quarantine(server.objects)
    assert len(again) == 2
    for one in again:
        assert (one.bytes, one.reason) == (before.bytes, before.reason)
        assert one.line["peer"] == before.line["peer"]
        assert one.line["time"] == before.line["time"]


def test_what_is_no_event_whatever_the_settings_is_refused(scratch):
    server = scratch.server().start()
    server.send(event(1) + b"<EVENT><half>")
    server.stop()
    said = replay(server, raw_object(server), expected=1)
    assert "refused" in said and "no event in it" in said
    raw_object(server).with_name(
        raw_object(server).name.replace("_raw.xml", "_raw.reasons.jsonl")).unlink()
    assert "it is not there" in replay(server, raw_object(server), expected=1)


def set_aside(scratch, **settings):
    """(store, running server, id of the segment with event 1, which was set aside)."""
    store = scratch.fake_s3()
    server = scratch.server(MAX_RETRIES=1, ROTATION_INTERVAL=0.2, **store.settings(), **settings)
    server.start()
    store.control("fault", **REFUSE_DATA)
    server.send(event(1) + b"<EVENT><a></b></EVENT>")
    [path] = harness.wait_for(lambda: list((server.spool / "quarantine").glob("*.why.json")),
                              "set aside")
    alarm = harness.wait_for(
        lambda: [line for line in server.lines("alarm raised")
                 if line["condition"].startswith("upload.set_aside:")], "the alarm")[0]
    segment = json.loads(path.read_text())["segment"]
    command = re.search(r"sluice (replay \S+)$", alarm["message"])
    assert command, alarm
    assert command[1] == f"replay {segment}"
    assert json.loads(path.read_text())["replay"] == f"sluice {command[1]}"
    return store, server, segment


def test_o18_the_command_in_the_alarm_brings_the_segment_in_once_when_the_store_is_repaired(scratch):
    store, server, segment = set_aside(scratch)
    server.stop()
    store.control("clear")
    assert "back in the spool" in replay(server, segment)
    assert not list((server.spool / "quarantine").glob("seg-*"))
    # The segments that the server has are its own business.
    [path] = (server.spool / "xml").glob(f"*{segment}.wal")
    assert "is uploaded anyway" in replay(server, path, expected=1)
    run_once(server)
    assert delivered(store.objects) == [1]
    assert len(evidence.quarantine(store.objects)) == 1
    evidence.assert_no_key_written_twice(store)
    assert "no such segment" in replay(server, segment, expected=1)
    assert "nothing is set aside" in replay(server, "--all-set-aside")


def test_a_segment_that_is_refused_again_is_set_aside_again_and_replayed_by_its_path(scratch):
    store, server, segment = set_aside(scratch)
    server.stop()
    assert segment in replay(server, "--all-set-aside")
    server.start()
    harness.wait_for(lambda: list((server.spool / "quarantine").glob("*.wal")), "set aside again")
    server.stop()
    store.control("clear")
    # All of its files are one segment.
    replay(server, *(server.spool / "quarantine").glob("seg-*"))
    run_once(server)
    assert delivered(store.objects) == [1]
    evidence.assert_no_key_written_twice(store)


def test_p7_beside_a_running_server_nothing_is_replayed(scratch):
    store, server, segment = set_aside(scratch)
    before = sorted(server.spool.rglob("seg-*"))
    for more in ((), ("--dry-run",)):
        done = harness.run_sluice("replay", segment, *more, settings=server.settings, expected=3)
        assert "stop it, replay, and start it again" in done.stderr, done.stderr
    # A spool that is not there is not made.
    done = harness.run_sluice("replay", segment, expected=3,
                              settings=server.settings | {"SPOOL_DIR": scratch.path / "none"})
    assert "SPOOL_DIR has to be that of the server" in done.stderr
    assert not (scratch.path / "none").exists()
    assert [path for path in before if "quarantine" in str(path)] \
        == sorted((server.spool / "quarantine").glob("seg-*"))


def test_the_export_of_a_segment_whose_keys_are_refused_goes_under_other_keys(scratch):
    store, server, segment = set_aside(scratch)
    peer = server.lines("connection opened")[0]["peer"]
    folder = scratch.path / "exported"
    folder.mkdir()
    # Also beside the running server.
    assert "2 pieces" in server.command("spool", "export", segment, "--to", folder)
    [source] = folder.glob("*_raw.xml")
    server.stop()
    said = replay(server, source, PREFIX="other/")
    assert "2 events" in said, said  # one of them is well-formed for Frame, and not for Validate
    assert "which the server delivers" in replay(server, source, expected=1, PREFIX="other/")
    server.settings["PREFIX"] = "other/"
    run_once(server)
    assert delivered(store.objects, "other/") == [1]
    assert {one.line["peer"] for one in evidence.quarantine(store.objects)} == {peer}
    [stored] = [one for one in store.control("objects") if one["key"].startswith("other/")]
    assert stored["metadata"]["replayed-from"] == source.name
    assert len(stored["metadata"]["replayed-sha256"]) == 64
    # The segment itself has nothing to bring any more.
    assert "would double" in replay(server, segment, expected=1)


def test_what_spool_cat_prints_can_be_replayed(scratch):
    store, server, segment = set_aside(scratch)
    server.stop()
    copy = scratch.path / "copy" / "xml"
    copy.mkdir(parents=True)
    for path in (server.spool / "quarantine").glob(f"*{segment}*"):
        shutil.copy(path, copy)
    printed = scratch.path / "ev ents.xml"
    printed.write_text(harness.run_sluice("spool", "--dir", copy.parent, "cat").stdout)
    store.control("clear")
    assert "2 events" in replay(server, printed)
    run_once(server)
    assert delivered(store.objects) == [1]
    [stored] = [one for one in store.control("objects") if one["key"].startswith("xml-events/")]
    assert stored["metadata"]["replayed-from"] == "ev%20ents.xml"


def test_a_segment_that_was_delivered_while_its_return_was_interrupted_is_found_done(scratch):
    store, server, segment = set_aside(scratch)
    server.stop()
    store.control("clear")
    quarantine = server.spool / "quarantine"
    shutil.copytree(quarantine, scratch.path / "as it was")
    replay(server, segment)
    run_once(server)
    # As a power cut leaves it between the links and the unlinks.
    shutil.copytree(scratch.path / "as it was", quarantine, dirs_exist_ok=True)
    replay(server, segment)
    run_once(server)
    assert not list((server.spool / "xml").glob(f"*{segment}*"))
    assert not list(quarantine.glob(f"*{segment}*"))
    assert delivered(store.objects) == [1]
    evidence.assert_no_key_written_twice(store)


if __name__ == "__main__":
    harness.main(globals())

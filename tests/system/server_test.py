"""One server from outside: its starts and stops, its pages, its commands while it runs."""
import json
import pathlib
import re
import signal

import evidence
import harness

SAMPLE = harness.SAMPLE.read_bytes()


def test_run_is_the_default_command(scratch):
    server = scratch.server()
    server.launch("--config", "/dev/null/none")
    assert server.wait() == 2, "a file that is not there"
    config = scratch.path / "config.json"
    config.write_text(json.dumps({"PREFIX": "from-the-file/", "OUTPUT_FORMAT": "xml"}))
    server.settings["OUTPUT_FORMAT"] = "json"  # the environment wins
    server.launch("--config", str(config))
    started = server.wait_for_line("server started")
    server.port = int(started["listen"].rsplit(":", 1)[1])
    server.send(SAMPLE)
    server.stop()
    [key] = evidence.list_objects(server.objects)
    assert key.startswith("from-the-file/") and key.endswith(".json")


def test_misspelt_variables_are_warned_about(scratch):
    server = scratch.server(OUTPUT_FORMT="json").start()
    assert "OUTPUT_FORMT" in server.log_text() and "OUTPUT_FORMAT" in server.log_text()
    server.stop()


def test_p7_a_second_instance_on_a_spool_exits_3_and_touches_nothing(scratch):
    server = scratch.server().start()
    server.send(SAMPLE)
    server.signal(signal.SIGSTOP)  # what changes now is the second one's doing
    harness.wait_for(lambda: is_stopped(server), "it has stopped")
    before = listing(server.spool)
    second = scratch.server("second", SPOOL_DIR=server.spool).launch()
    assert second.wait() == 3, second.log_tail()
    assert str(server.spool) in second.log_text(), second.log_tail()
    assert listing(server.spool) == before
    server.signal(signal.SIGCONT)
    server.send(SAMPLE)
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 2


def is_stopped(server):
    """Every thread of it."""
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/stat")
    return all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)


def listing(directory):
    """All that may be said of what lies there: times, sizes, rights, contents."""
    found = {}
    for path in [directory, *directory.rglob("*")]:
        about = path.stat()
        found[path] = (about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_blocks,
                       about.st_mode, path.read_bytes() if path.is_file() else None)
    return found


def test_taken_port_is_named(scratch):
    server = scratch.server().start()
    second = scratch.server("second", PORT=server.port).launch()
    assert second.wait() not in (0, None)
    assert str(server.port) in second.log_text(), second.log_tail()
    server.stop()


def test_spool_of_another_destination_is_refused(scratch):
    server = scratch.server().start()
    server.send(SAMPLE)
    server.kill()
    other = scratch.server("other", SPOOL_DIR=server.spool).launch()
    assert other.wait() in (2, 3), other.log_tail()
    assert "destination" in other.log_text() or str(server.objects) in other.log_text(), \
        other.log_tail()
    server.start()
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 1


def test_configuration_document_is_what_config_prints(scratch):
    del scratch
    document = harness.TOP / "docs" / "configuration.md"
    printed = harness.run_sluice("config", "--markdown").stdout
    assert document.read_text() == printed, \
        "make it again: sluice config --markdown > docs/configuration.md"


def test_status_shows_books_that_balance(scratch):
    server = scratch.server(ROTATION_INTERVAL=0.3).start()
    record = scratch.path / "record"
    server.load("--count", 500, "--connections", 4, "--malformed", 0.1, record=record)
    sent = evidence.read_record(record)

    def at_rest():
        books = server.status()["books"]["xml"]
        return books if books["events_uploaded"] == len(sent.well_formed()) and \
            books["segments_in_spool"] == 0 and books["difference"] == 0 else None
    books = harness.wait_for(at_rest, "all is uploaded and the books balance")
    assert books["pieces_quarantined"] >= len(sent.malformed()), books
    assert books["connections_opened"] == books["connections_closed"] == 4
    summary = server.command("status")
    assert re.search(rf"xml out +{len(sent.well_formed())} events", summary), summary
    printed = json.loads(server.command("status", "--json"))["books"]["xml"]
    counted = {name for name in books if name != "bytes_on_disk"}  # measured, not counted
    assert {name: printed[name] for name in counted} == {name: books[name] for name in counted}
    server.stop()
    server.command("status", expected=1)


def test_admin_pages_answer(scratch):
    server = scratch.server().start()
    server.send(SAMPLE)
    assert server.get("/health")[0] == 200
    assert server.get("/ready")[0] == 200
    code, metrics = server.get("/metrics")
    assert code == 200
    assert re.search(r'^sluice_events_framed_total\{stream="xml"\} 1$', metrics, re.MULTILINE)
    code, page = server.get("/")
    assert code == 200 and "<html" in page.lower()
    assert server.get("/no-such-page")[0] == 404
    server.stop()


def test_spool_commands_read_what_a_kill_left(scratch):
    server = scratch.server().start()
    for _ in range(3):  # each its own group: the later ones say how far the disk is sure to hold
        server.send(SAMPLE)
    server.kill()
    listed = dict.fromkeys(re.findall(r"[0-9a-f]{16}-[0-9a-f]{16}", server.command("spool", "ls")))
    # Others are prepared, and empty.
    [segment] = [one for one in listed if "38901f4a95d14013" in server.command("spool", "cat", one)]
    server.command("spool", "verify")

    path = next(server.spool.rglob(f"*{segment}*.wal"))
    content = bytearray(path.read_bytes())
    at = content.index(b"38901f4a95d14013")
    content[at] ^= 1
    path.write_bytes(content)
    done = harness.run_sluice("spool", "verify", settings=server.settings, expected=None,
                              cwd=server.directory)
    assert done.returncode == 1, done.stdout + done.stderr


def test_audit_counts_what_waits_in_the_spool_and_names_what_was_set_aside(scratch):
    server = scratch.server().start()
    server.send(SAMPLE)
    server.kill()
    assert "in the spool 1 segments with 0 events not uploaded yet, 0 set aside" in \
        server.command("audit"), "it was not sealed"
    [path] = [one for one in (server.spool / "xml").glob("*.wal")
              if b"38901f4a95d14013" in one.read_bytes()]  # the first or, where that came late, the next
    path.rename(server.spool / "quarantine" / path.name)
    audit = server.command("audit", expected=1)
    segment = path.stem.removeprefix("seg-")
    assert re.search(rf"^set aside +{segment}: ", audit, re.MULTILINE), audit
    assert "in the spool 0 segments with 0 events not uploaded yet, 1 set aside" in audit, audit


def test_sigint_stops_like_sigterm(scratch):
    server = scratch.server().start()
    server.send(SAMPLE)
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    assert len(evidence.stored_events(server.objects)) == 1


def test_a_bare_connect_and_close_is_no_error(scratch):
    server = scratch.server(ROTATION_INTERVAL=0.1).start()
    for _ in range(3):
        server.connect().close()
    harness.wait_for(lambda: len(server.lines("connection closed")) == 3, "three closed")
    server.stop()
    assert not [line for line in server.lines() if line["level"] == "error"], server.log_tail()
    assert not evidence.list_objects(server.objects)


if __name__ == "__main__":
    harness.main(globals())

"""The log file, and the lines that go to the store or nowhere: what stands there, and that each line
is there once, whatever renames the file or ends the process."""
import datetime
import json
import re

import evidence
import harness
from log_clients import (RECEIVED, books, exchange, lines_of, log_directory, log_files, log_line,
                         logged, logs_server, stored_lines, stored_messages)


def current(server):
    return log_directory(server) / "server.log"


def send(server, *messages):
    replies = exchange(server, b"".join(log_line(message) for message in messages))
    assert replies == [RECEIVED] * len(messages), replies


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_line_of_the_log_file_is_time_level_and_message(scratch):
    server = logs_server(scratch, MIN_LOG_LEVEL="DEBUG").start()
    before = now()
    exchange(server, b'{"level":" warning ","message":"disk full"}\n'
                     b'{"level":"Debug","message":"caf\\u00e9 \xe2\x82\xac \xf0\x9f\x98\x80","host":"a"}\n'
                     b'{"level":"error","message":{"code": 1.50, "tags": ["a", "b"]}}\n')
    after = now()
    times = [time for time, _, _ in lines_of(current(server))]
    assert before <= times[0] <= times[1] <= times[2] <= after, (before, times, after)
    text = re.sub(rb"(?m)^\S{27} ", b"", current(server).read_bytes())
    assert text == ("[WARNING] disk full\n[DEBUG] café € 😀\n"
                    '[ERROR] {"code":1.50,"tags":["a","b"]}\n').encode(), text
    server.stop()
    assert [line["_received_at"] for line in stored_lines(server.objects)] == times


def test_j5_whatever_could_end_a_line_or_command_a_terminal_is_escaped_in_the_log_file(scratch):
    server = logs_server(scratch).start()
    messages = {
        "a\nb": r"a\nb", "a\r\nb": r"a\r\nb", "a\tb": r"a\tb",
        "\x1b[31mred\x1b[0m": r"\u001b[31mred\u001b[0m", "bell\x07": r"bell\u0007",
        "nul\0": r"nul\u0000", "del\x7f": r"del\u007f", "csi\x9b": r"csi\u009b",
        "nel\x85": r"nel\u0085", "ls\u2028ps\u2029": r"ls\u2028ps\u2029",
        r"C:\temp\new": r"C:\temp\new", "quote\"": 'quote"',
        "x\n2026-01-01T00:00:00.000000Z [ERROR] forged":
            r"x\n2026-01-01T00:00:00.000000Z [ERROR] forged",
    }
    send(server, *messages)
    raw = [json.dumps({"level": "ERROR", "message": message}, ensure_ascii=False).encode()
           for message in messages]  # the same with what may stand unescaped in JSON as it is
    assert exchange(server, b"\n".join(raw)) == [RECEIVED] * len(raw)
    server.stop()
    assert logged(server) == 2 * list(messages.values())
    assert stored_messages(server) == 2 * list(messages), "objects hold what was sent"


def test_the_log_file_is_rotated_by_size_and_the_oldest_are_deleted(scratch):
    server = logs_server(scratch, LOG_FILE_MAX_BYTES="2KiB", LOG_FILES_KEEP=2).start()
    messages = [f"{number} " + "x" * 100 for number in range(100)]
    for message in messages:
        send(server, message)
    files = log_files(server)
    assert len(files) == 3, files
    for path in files[:-1]:
        assert re.fullmatch(r"server\.log\.\d{8}_\d{6}(\.\d+)?", path.name), path
    for path in files:
        assert path.stat().st_size <= 2048, f"{path}: {path.stat().st_size} bytes"
    assert all(path.stat().st_size > 1500 for path in files[:-1]), "rotated too early"
    left = logged(server)
    assert left == messages[-len(left):] and len(left) > 20, "the newest, in order"
    server.stop()
    assert stored_messages(server) == messages


def test_with_log_files_keep_0_every_rotated_line_stays(scratch):
    server = logs_server(scratch, LOG_FILE_MAX_BYTES="1KiB", LOG_FILES_KEEP=0).start()
    messages = [f"{number} " + "x" * 100 for number in range(60)]
    for message in messages:
        send(server, message)
    server.kill()
    server.start()
    server.stop()
    assert len(log_files(server)) > 6
    assert logged(server) == messages


def test_a_logrotate_that_renames_and_sends_sighup_loses_no_line(scratch):
    server = logs_server(scratch).start()
    send(server, "a")
    moved = log_directory(server) / "server.log.1"
    current(server).rename(moved)
    send(server, "b")  # until it is told, in the old one
    assert [line[2] for line in lines_of(moved)] == ["a", "b"] and not current(server).exists()
    server.reload()
    harness.wait_for(current(server).exists, "a new log file")
    send(server, "c")
    assert [line[2] for line in lines_of(current(server))] == ["c"]
    server.reload()  # nothing was moved: nothing changes
    send(server, "d")
    server.kill()
    server.start()
    send(server, "e")
    server.stop()
    assert [line[2] for line in lines_of(moved)] == ["a", "b"]
    assert [line[2] for line in lines_of(current(server))] == ["c", "d", "e"]


def test_a_logrotate_between_kill_and_start_loses_no_line_and_doubles_none(scratch):
    server = logs_server(scratch).start()
    send(server, "a", "b")
    server.kill()
    moved = log_directory(server) / "server.log.1"
    current(server).rename(moved)
    server.start()
    send(server, "c")
    server.stop()
    assert [line[2] for line in lines_of(moved, current(server))] == ["a", "b", "c"]


def test_lines_that_a_crash_took_from_the_log_file_are_written_again(scratch):
    for name in ("a byte", "a line and a half", "all"):
        server = logs_server(scratch, name).start()
        send(server, "a", "b", "c")
        server.kill()
        content = current(server).read_bytes()
        lost = {"a byte": 1, "a line and a half": len(content) // 2, "all": len(content)}[name]
        current(server).write_bytes(content[:-lost])  # as a power cut leaves what was not synced
        server.start()
        assert current(server).read_bytes() == content, f"without {name}"
        server.stop()
        assert logged(server) == stored_messages(server) == ["a", "b", "c"]


def test_without_persistence_lines_are_received_and_stored_and_no_file_is_written(scratch):
    server = logs_server(scratch, ENABLE_LOG_PERSISTENCE="false").start()
    send(server, "a", "b")
    server.kill()
    server.start()
    send(server, "c")
    server.stop()
    assert not log_directory(server).exists()
    assert stored_messages(server) == ["a", "b", "c"]


def test_with_neither_file_nor_store_it_does_not_start(scratch):
    server = logs_server(scratch, ENABLE_LOG_PERSISTENCE="false", LOGS_UPLOAD="no").launch()
    assert server.wait() == 2
    assert "ENABLE_LOG_PERSISTENCE and LOGS_UPLOAD" in server.log_text(), server.log_tail()


def test_without_upload_lines_are_in_the_log_file_alone_and_the_spool_empties(scratch):
    server = logs_server(scratch, LOGS_UPLOAD="false", ROTATION_INTERVAL=0.2).start()
    messages = []

    def send_more():
        messages.extend(f"line {len(messages) + number}" for number in range(50))
        send(server, *messages[-50:])

    def is_empty():
        counted = books(server)
        return counted["pieces_in_spool"] == 0 and counted["segments_in_spool"] == 0
    send_more()
    harness.wait_for(is_empty, "the spool empties by itself")
    assert books(server)["pieces_kept_locally"] == 50 and books(server)["difference"] == 0
    for _ in range(3):
        send_more()
        server.kill()
        server.start()
        assert logged(server) == messages
        send_more()
    harness.wait_for(is_empty, "the spool empties by itself")
    server.stop()
    assert logged(server) == messages
    assert not evidence.list_objects(server.objects), "nothing is stored"
    assert not any(b"line 1" in path.read_bytes() for path in (server.spool / "logs").glob("*.wal"))


def test_objects_of_lines_are_jsonl_under_their_prefix_with_time_and_peer(scratch):
    server = scratch.server(PROTOCOLS="xml,logs", RATE_LIMIT_ENABLED="false", LOGS_PREFIX="my/logs/",
                            USE_DATE_FOLDERS="true", OUTPUT_FORMAT="xml").start()
    before = now()
    with server.connect(server.logs_port) as client:
        peer = "%s:%d" % client.getsockname()
        client.sendall(log_line("disk full", "error", host="a", n=3) + log_line("b"))
        client.shutdown(1)
        assert client.recv(1000)
        server.send(harness.SAMPLE.read_bytes())
    after = now()
    server.command("rotate")
    server.stop()
    [key, _] = sorted(evidence.list_objects(server.objects))
    assert re.match(r"my/logs/\d{4}/\d\d/\d\d/\d{8}_\d{6}_.*\.jsonl$", key), key
    assert len(evidence.stored_events(server.objects)) == 1
    first, second = stored_lines(server.objects, "my/logs/")
    assert list(first) == ["level", "message", "host", "n", "_received_at", "_peer"], first
    assert first["level"] == "ERROR" and first["host"] == "a" and first["n"] == 3
    assert first["_peer"] == second["_peer"] == peer
    assert before <= first["_received_at"] <= second["_received_at"] <= after


if __name__ == "__main__":
    harness.main(globals())

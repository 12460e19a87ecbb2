"""The contract of the log collection server that this one replaces, from outside: each line gets its
reply, byte for byte and in order, however the bytes are cut."""
import itertools
import json
import os
import random

import harness
from log_clients import (FILTERED, INVALID, LIMITED, MISSING, NO_OBJECT, RECEIVED, books, exchange,
                         half_close, log_line, logged, logs_server, read_replies, reset,
                         stored_lines, stored_messages)

SEED = int(os.environ.get("SLUICE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# A line of each kind, and what it is answered.
KINDS = (
    (b'{"level":"ERROR","message":"disk full"}', RECEIVED),
    (b'{"level":"DEBUG","message":"too low"}', FILTERED),
    (b'{"level":"no level","message":"unknown"}', FILTERED),
    (b'{"level":"ERROR","message":', INVALID),
    (b'{"level":"ERROR"}', MISSING),
    (b'["ERROR","disk full"]', NO_OBJECT),
)
CLASSES = list(dict.fromkeys(reply for _, reply in KINDS))


def test_the_six_replies_are_those_of_the_predecessor_byte_for_byte(scratch):
    server = logs_server(scratch, RATE_LIMIT_ENABLED="true", RATE_LIMIT_MAX_REQUESTS=5).start()
    lines = (b'{"level":"ERROR","message":"disk full"}', b'{"level":"DEBUG","message":"x"}', b"{",
             b"{}", b"[]", b'{"level":"ERROR","message":"one too many"}')
    with server.connect(server.logs_port) as client:
        client.sendall(b"\n".join(lines) + b"\n")
        answer = half_close(client)
    assert answer == (
        b'{"status": "ok", "message": "received"}\n'
        b'{"status": "ok", "message": "filtered"}\n'
        b'{"status": "error", "message": "invalid JSON"}\n'
        b'{"status": "error", "message": "missing required fields: level, message"}\n'
        b'{"status": "error", "message": "expected JSON object"}\n'
        b'{"status": "error", "message": "rate limit exceeded"}\n'), answer
    server.stop()
    assert logged(server) == stored_messages(server) == ["disk full"]


def test_the_example_of_its_documents_works_by_default(scratch):
    """echo '{"level":"ERROR","message":"disk full"}' | nc localhost 9000"""
    server = scratch.server(PROTOCOLS="logs").start()
    with server.connect(server.logs_port) as client:
        client.sendall(b'{"level":"ERROR","message":"disk full"}\n')
        assert half_close(client) == RECEIVED
    server.stop()
    assert logged(server) == stored_messages(server) == ["disk full"]


def test_it_is_checked_for_json_then_an_object_then_both_keys_then_the_level(scratch):
    server = logs_server(scratch).start()
    cases = (
        (INVALID, (b"x", b"[1", b"{]", b'{"level":"ERROR","message":"a"', b"nul", b"'a'", b"NaN",
                   b'{"level":"ERROR","message":NaN}', b'{"level":"ERROR","message":"\xff"}',
                   b'{"level":"ERROR","message":"\xc0\xaf"}', b'{"level":"ERROR","message":"a"} b',
                   b'["no object" and no JSON', b'\xef\xbb\xbf{"level":"ERROR","message":"a"}')),
        (NO_OBJECT, (b"[]", b'"level"', b"1", b"null", b"true", b'[{"level":"ERROR","message":"a"}]',
                     b'["level","message"]')),
        (MISSING, (b"{}", b'{"level":"ERROR"}', b'{"message":"a"}', b'{"level":"no level"}',
                   b'{"Level":"ERROR","Message":"a"}', b'{"a":{"level":"ERROR","message":"a"}}')),
        (FILTERED, (b'{"level":"no level","message":"a"}', b'{"level":null,"message":"a"}',
                    b'{"level":40,"message":"a"}', b'{"level":"","message":"a"}',
                    b'{"level":["ERROR"],"message":"a"}', b'{"level":"DEBUG","message":null}')),
        (RECEIVED, (b'{"level":"ERROR","message":""}', b'{"level":"ERROR","message":null}',
                    b'{"level":"ERROR","message":{"a":[1,2.50]}}', b'{"message":7,"level":"ERROR"}',
                    b' \t{ "level" : "ERROR" , "message" : "a" } \t')))
    for reply, lines in cases:
        got = exchange(server, b"\n".join(lines) + b"\n")
        assert got == [reply] * len(lines), list(zip(lines, got, strict=False))
    server.stop()
    kept = ["", "null", '{"a":[1,2.50]}', "7", "a"]
    assert logged(server) == stored_messages(server) == kept


def test_the_rate_limit_comes_first_and_counts_every_line_but_blank_ones(scratch):
    server = logs_server(scratch, RATE_LIMIT_ENABLED="true", RATE_LIMIT_MAX_REQUESTS=6).start()
    with server.connect(server.logs_port) as client:
        client.sendall(b"{\n\n \r\n" + log_line("a", "DEBUG") + b"[]\n{}\n" + log_line("b") + b"x\n")
        assert read_replies(client, 6) == [INVALID, FILTERED, NO_OBJECT, MISSING, RECEIVED, INVALID]
        client.sendall(b"{\n[]\n{}\n" + log_line("c", "DEBUG") + log_line("d") + b"\n")
        assert read_replies(client, 5) == [LIMITED] * 5
        # Of the address, not of the connection; the others have limits of their own.
        assert exchange(server, log_line("e")) == [LIMITED]
        assert exchange(server, log_line("f"), source="127.0.0.2") == [RECEIVED]
        client.sendall(log_line("g"))
        assert half_close(client) == LIMITED, "the connection stays open"
    counted = books(server)
    assert counted["lines_rate_limited"] == 7 and counted["lines_invalid"] == 4, counted
    server.stop()
    assert logged(server) == ["b", "f"]


def test_the_window_of_the_rate_limit_is_fixed_from_the_first_line_on(scratch):
    server = logs_server(scratch, RATE_LIMIT_ENABLED="true", RATE_LIMIT_MAX_REQUESTS=2,
                         RATE_LIMIT_WINDOW_SECONDS=2).start()
    with server.connect(server.logs_port) as client:
        client.sendall(log_line("a") * 4)
        assert read_replies(client, 4) == [RECEIVED] * 2 + [LIMITED] * 2
        refused = 0

        def is_received():
            """Asked all the time: what is refused does not put the end of the window off."""
            nonlocal refused
            client.sendall(log_line("b"))
            [reply] = read_replies(client, 1)
            refused += reply == LIMITED
            return reply == RECEIVED
        harness.wait_for(is_received, "a new window", 30)
        assert refused > 0
    server.stop()


def test_each_level_is_kept_from_the_least_on_in_any_case(scratch):
    for number, least in enumerate(LEVELS):
        server = logs_server(scratch, least, MIN_LOG_LEVEL=least).start()
        lines, wanted, kept = [], [], []
        for place, level in enumerate(LEVELS):
            for written in (level, level.lower(), level.title(), level[0].lower() + level[1:],
                            f"  {level}\t"):
                lines.append(log_line(f"{len(lines)}", written))
                wanted.append(RECEIVED if place >= number else FILTERED)
                kept += [(level, f"{len(lines) - 1}")] if place >= number else []
        for unknown in ("", "WARN", "FATAL", "TRACE", "ERRORS", "E RROR", "5"):
            lines.append(log_line("unknown", unknown))
            wanted.append(FILTERED)
        got = exchange(server, b"".join(lines))
        assert got == wanted, [pair for pair in zip(lines, got, wanted) if pair[1] != pair[2]]
        server.stop()
        stored = stored_lines(server.objects)
        assert [(line["level"], line["message"]) for line in stored] == kept
        assert logged(server) == [message for _, message in kept]


# ---- J1: where a line ends


def test_j1_crlf_is_white_space_and_blank_lines_get_no_reply(scratch):
    server = logs_server(scratch).start()
    blank = b"\n \r\n\r\n\t\n   \n"
    content = blank + b'{"level":"ERROR","message":"a"}\r\n' + blank + \
        b' {"level":"ERROR","message":"b"} \r\r\n' + blank + b"}\r\n" + blank
    assert exchange(server, content) == [RECEIVED, RECEIVED, INVALID]
    assert exchange(server, blank) == []
    assert books(server)["difference"] == 0
    server.stop()
    assert logged(server) == stored_messages(server) == ["a", "b"]


def test_j1_a_last_line_without_its_end_counts_at_a_clean_end(scratch):
    server = logs_server(scratch).start()
    assert exchange(server, log_line("a") + log_line("b")[:-1]) == [RECEIVED, RECEIVED]
    assert exchange(server, log_line("c")[:-3]) == [INVALID]
    assert exchange(server, log_line("d")[:-1] + b"\r") == [RECEIVED]
    assert exchange(server, log_line("e") + b"  ") == [RECEIVED]
    server.stop()
    assert logged(server) == stored_messages(server) == ["a", "b", "d", "e"]


def test_j1_a_last_line_without_its_end_is_not_kept_at_a_reset(scratch):
    server = logs_server(scratch).start()
    client = server.connect(server.logs_port)
    client.sendall(log_line("a") + log_line("b")[:-1])
    assert read_replies(client, 1) == [RECEIVED]
    harness.wait_for(lambda: books(server)["bytes_framing"] == len(log_line("b")) - 1, "it was read")
    reset(client)
    server.wait_for_line("connection closed", reason="reset")
    after = books(server)
    assert after["bytes_refused"] == len(log_line("b")) - 1 and after["bytes_framing"] == 0, after
    server.stop()
    assert logged(server) == stored_messages(server) == ["a"]


# ---- order, however the bytes are cut


def test_a_thousand_pipelined_lines_of_all_kinds_are_answered_in_order(scratch):
    print(f"SLUICE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    server = logs_server(scratch, RATE_LIMIT_ENABLED="true", RATE_LIMIT_MAX_REQUESTS=900).start()
    lines, wanted, kept = [], [], []
    for number in range(1000):
        line, reply = chance.choice(KINDS)
        if reply == RECEIVED:
            line = log_line(f"{number} " + "x" * chance.randrange(200))[:-1]
        if number >= 900:
            reply = LIMITED
        elif reply == RECEIVED:
            kept.append(json.loads(line)["message"])
        lines.append(line + chance.choice((b"\n", b"\n", b"\r\n", b"\n\n")))
        wanted.append(reply)
    assert set(wanted) == {*CLASSES, LIMITED}
    assert exchange(server, b"".join(lines)) == wanted
    server.stop()
    assert logged(server) == stored_messages(server) == kept


def test_wherever_the_bytes_are_cut_the_replies_are_the_same(scratch):
    server = logs_server(scratch).start()
    content = b"\r\n".join(line for line, _ in KINDS) + b"\n\n" + KINDS[0][0]
    wanted = [reply for _, reply in KINDS] + [RECEIVED]
    received = 0
    for cut in range(1, len(content)):
        with server.connect(server.logs_port) as client:
            client.sendall(content[:cut])
            received += cut
            harness.wait_for(lambda now=received: books(server)["bytes_received"] == now, "read")
            client.sendall(content[cut:])
            received += len(content) - cut
            got = half_close(client).splitlines(keepends=True)
        assert got == wanted, f"cut at {cut}: {got}"
    with server.connect(server.logs_port) as client:  # and at all of them
        for byte in content:
            client.sendall(bytes([byte]))
            received += 1
            harness.wait_for(lambda now=received: books(server)["bytes_received"] == now, "read")
        assert half_close(client).splitlines(keepends=True) == wanted
    server.stop()
    assert logged(server) == ["disk full"] * 2 * len(content)


def test_a_stream_of_lines_that_are_all_filtered_is_no_slow_line(scratch):
    """Each read ends inside a line, and no event is ever counted: the deadline is a line's."""
    server = logs_server(scratch, DOCUMENT_TIMEOUT=2).start()
    line = log_line("too low", "DEBUG")
    with server.connect(server.logs_port) as client:
        client.sendall(line[:20])
        sent = 0

        def is_over():
            nonlocal sent
            client.sendall(line[20:] + line[:20])
            sent += 1
            assert read_replies(client, 1) == [FILTERED]
            return sent >= 300  # six seconds of wait_for's pauses
        harness.wait_for(is_over, "lines for longer than the deadline")
        assert not server.lines("connection closed"), server.log_tail()
        client.sendall(line[20:])
        assert half_close(client) == FILTERED
    server.stop()


# ---- J2 to J4: odd lines


def test_j2_a_line_that_is_too_long_is_answered_once_and_the_next_goes_on(scratch):
    limit = 64 << 10
    server = logs_server(scratch, MAX_MESSAGE_SIZE=limit).start()

    def of_length(length):
        return log_line("x" * (length - len(log_line("")) + 1))
    for length, reply in ((limit, RECEIVED), (limit + 1, INVALID), (5 * limit + 7, INVALID)):
        line = of_length(length)
        assert len(line) == length + 1
        content = log_line("before") + line + log_line("after")
        assert exchange(server, content) == [RECEIVED, reply, RECEIVED], length
        got = exchange(server, log_line("before") + line[:-1])  # it ends the connection
        assert got == [RECEIVED, reply], length
    assert books(server)["lines_invalid"] == 4
    server.stop()
    assert [len(message) for message in logged(server)].count(5) == 3
    assert len(logged(server)) == 3 + 6 + 2


def test_j2_an_endless_line_takes_constant_memory(scratch):
    server = logs_server(scratch, MEMORY_MAX_BYTES="32MiB").start()
    assert exchange(server, log_line("a")) == [RECEIVED]
    before = server.memory_of_process("VmHWM")
    with server.connect(server.logs_port) as client:
        client.sendall(b'{"level":"ERROR","message":"')
        for _ in range(256):
            client.sendall(bytes(1 << 20))
        client.sendall(b'"}\n' + log_line("b"))
        assert half_close(client) == INVALID + RECEIVED
    grown = server.memory_of_process("VmHWM") - before
    print(f"grown by {grown >> 10} KiB")
    assert server.is_sanitized() or grown < 40 << 20, f"{grown >> 20} MiB more"
    server.stop()
    assert logged(server) == ["a", "b"]


def nested(depth, bracket="[]"):
    """An object of this depth in all, its message the rest."""
    inner = bracket[0] * (depth - 1) + bracket[1] * (depth - 1)
    if bracket == "{}":
        inner = '{"a":' * (depth - 2) + "{}" + "}" * (depth - 2)
    return f'{{"level":"ERROR","message":{inner}}}\n'.encode()


def test_j3_depth_64_is_taken_and_65_and_a_hundred_thousand_are_not(scratch):
    server = logs_server(scratch).start()
    for bracket in ("[]", "{}"):
        content = nested(64, bracket) + nested(65, bracket) + nested(100_000, bracket)
        assert exchange(server, content) == [RECEIVED, INVALID, INVALID], bracket
    flood = b"[" * 100_000 + b"\n" + b'{"a":' * 100_000 + b"\n" + log_line("still here")
    assert exchange(server, flood) == [INVALID, INVALID, RECEIVED]
    server.stop()
    assert len(logged(server)) == 3 and logged(server)[2] == "still here"
    assert stored_messages(server)[0] == "[" * 63 + "]" * 63


def test_j4_odd_numbers_keys_and_characters_are_kept_as_they_were_sent(scratch):
    server = logs_server(scratch).start()
    cases = (
        # line, reply, what stands in the object between message and _received_at
        (rb'{"level":"ERROR","message":"a","n":1e400}', RECEIVED, '"n":1e400'),
        (rb'{"level":"ERROR","message":"a","n":12345678901234567890}', RECEIVED,
         '"n":12345678901234567890'),
        (rb'{"level":"ERROR","message":"a","n":[-0.10, 1E+2]}', RECEIVED, '"n":[-0.10,1E+2]'),
        (rb'{"level":"ERROR","message":"a","n":1,"n":2}', RECEIVED, '"n":2'),
        (rb'{"level":"ERROR","message":"a","n":{"b":1,"b":3}}', RECEIVED, '"n":{"b":3}'),
        (rb'{"level":"DEBUG","message":"a","level":"ERROR"}', RECEIVED, ""),
        (rb'{"level":"ERROR","message":"a","level":"DEBUG"}', FILTERED, None),
        (rb'{"level":"ERROR","message":"a","s":"\ud800 \udc00 \ud83d\ude00"}', RECEIVED,
         r'"s":"\ufffd \ufffd \ud83d\ude00"'),
        (rb'{"level":"ERROR","message":"a","s":"\u0000"}', RECEIVED, r'"s":"\u0000"'),
        (b'{"level":"ERROR","message":"a","s":"\0"}', INVALID, None),
        (b'{"level":"ERROR","message":"a"}\0', INVALID, None),
        (rb'{"\u006cevel":"ERROR","message":"a"}', RECEIVED, ""),
        (rb'{"level":"ERROR","message":"a","n":01}', INVALID, None),
        (rb'{"level":"ERROR","message":"a","_peer":"mine","_received_at":1}', RECEIVED,
         '"__peer":"mine","__received_at":1'),
    )
    content = b"".join(line + b"\n" for line, _, _ in cases)
    assert exchange(server, content) == [reply for _, reply, _ in cases]
    server.stop()
    wanted = [own for _, reply, own in cases if reply == RECEIVED]
    [path] = server.objects.glob("logs/*.jsonl")
    lines = path.read_bytes().decode().splitlines()
    for line, own in itertools.zip_longest(lines, wanted):
        begin, end = '{"level":"ERROR","message":"a"', ',"_received_at":"'
        assert line.startswith(begin + ("," if own else "") + own + end), (line, own)
    assert logged(server) == ["a"] * len(wanted)


if __name__ == "__main__":
    harness.main(globals())

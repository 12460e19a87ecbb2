"""sluice-load over logs and rpc, plain and TLS: its summary, its record, and that it notices what is
answered otherwise."""
import json
import re
import socket
import threading

import harness
from certificates import Authority, tls_settings
from log_clients import RECEIVED, logs_server, stored_lines

LINES = 20_000


def run_load(port, *arguments, expected=0, record=None):
    """Its summary as a dict, and all that it says."""
    load = harness.start_load(port, "--json", *arguments, record=record)
    output = load.communicate(timeout=4 * harness.DEADLINE_SECONDS)[0]
    assert load.returncode == expected, f"exit code {load.returncode}, not {expected}: {output}"
    summaries = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return summaries[0] if summaries else {}, output


def assert_complete(summary, count, connections):
    assert summary["sent"] == count, summary
    assert summary["connections"] == {"fin": connections, "rst": 0, "failed": 0}, summary
    answers = summary["answers"]
    assert answers["as_expected"] == count == sum(answers["by_kind"].values()), summary
    assert answers["others"] == answers["missing"] == 0, summary
    latency = summary["latency_ms"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99.9"] <= latency["max"], summary
    assert latency["max"] < 1000 * summary["seconds"], summary


def read_record(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return ([line for line in lines if "answer" in line], [line for line in lines if "end" in line])


def assert_record_is_what_is_stored(server, record, summary):
    """Each line of the record that was received is in an object, and nothing else is."""
    acked, ends = read_record(record)
    kinds = {}
    for line in acked:
        kinds[line["answer"]] = kinds.get(line["answer"], 0) + 1
    assert kinds == summary["answers"]["by_kind"], kinds
    assert [end["end"] for end in ends] == summary["connections"]["fin"] * ["fin"]
    received = [line["id"] for line in acked if line["answer"] == "received"]
    assert len(set(received)) == len(received)
    stored = [line["id"] for line in stored_lines(server.objects)]
    assert sorted(stored) == sorted(received), f"{len(stored)} stored, {len(received)} received"
    # Those of one connection in the order in which they were answered.
    of_first = [line["id"] for line in acked if line["conn"] == 0 and line["answer"] == "received"]
    wanted = set(of_first)
    assert [one for one in stored if one in wanted] == of_first


def test_log_lines_are_answered_and_the_record_is_what_is_stored(scratch):
    server = logs_server(scratch).start()
    record = scratch.path / "record"
    summary, _ = run_load(server.logs_port, "--protocol", "logs", "--count", LINES, "--connections",
                          5, "--malformed", 0.1, "--separator", "mixed", "--cut", "random",
                          record=record)
    assert_complete(summary, LINES, connections=5)
    assert set(summary["answers"]["by_kind"]) == {
        "received", "filtered", "invalid JSON", "missing fields", "not an object"}, summary
    server.stop()
    assert_record_is_what_is_stored(server, record, summary)


def test_as_text_it_says_answers_and_percentiles(scratch):
    server = logs_server(scratch).start()
    load = harness.start_load(server.logs_port, "--protocol", "logs", "--pipeline", 1, "--count", 50)
    output = load.communicate(timeout=harness.DEADLINE_SECONDS)[0]
    assert load.returncode == 0, output
    assert re.search(r"^sent 50 lines, .* lines/s, .*; connections: 1 closed by FIN, 0 by RST, "
                     r"0 failed$", output, re.MULTILINE), output
    assert re.search(r"^answers: 50 as expected \(.*received.*\), 0 others, 0 missing; p50 [\d.]+ "
                     r"ms, p99 [\d.]+ ms, p99\.9 [\d.]+ ms, max [\d.]+ ms$", output,
                     re.MULTILINE), output
    server.stop()


def test_rpc_requests_are_answered(scratch):
    server = scratch.server(PROTOCOLS="rpc").start()
    record = scratch.path / "record"
    summary, _ = run_load(server.rpc_port, "--protocol", "rpc", "--count", LINES, "--connections", 3,
                          "--cut", "random", record=record)
    assert_complete(summary, LINES, connections=3)
    assert set(summary["answers"]["by_kind"]) == {"echo", "sum"}, summary
    acked, _ = read_record(record)
    assert len({line["id"] for line in acked}) == LINES
    server.stop()


def test_over_tls_with_certificates_of_both_sides_all_is_the_same(scratch):
    authority = Authority(scratch.path)
    own = authority.issue("client", names="DNS:load.example")
    settings = tls_settings(authority.issue("server", names="IP:127.0.0.1"))
    server = logs_server(scratch, PROTOCOLS="xml,logs,rpc", TLS_CLIENT_CA=authority.path,
                         TLS_CLIENT_NAMES="load.example", **settings).start()
    tls = ["--tls", "--tls-ca", authority.path, "--tls-cert", own.path, "--tls-key", own.key]
    record = scratch.path / "record"
    logs, _ = run_load(server.logs_port, "--protocol", "logs", "--count", LINES, "--connections", 5,
                       "--cut", "random", *tls, record=record)
    assert_complete(logs, LINES, connections=5)
    rpc, _ = run_load(server.rpc_port, "--protocol", "rpc", "--count", LINES, *tls)
    assert_complete(rpc, LINES, connections=1)
    xml, _ = run_load(server.port, "--count", 500, "--connections", 2, *tls)
    assert xml["connections"] == {"fin": 2, "rst": 0, "failed": 0} and xml["sent"] == 500, xml
    # Not let in: without its certificate, with a server whose authority it does not know.
    run_load(server.logs_port, "--protocol", "logs", "--count", 10, *tls[:3], expected=1)
    other = Authority(scratch.path, "other")
    _, output = run_load(server.logs_port, "--protocol", "logs", "--count", 10, "--tls", "--tls-ca",
                         other.path, expected=1)
    assert "the server's certificate: " in output, output
    _, output = run_load(server.logs_port, "--host", "localhost", "--protocol", "logs", "--count",
                         10, *tls, expected=1)
    assert "the server's certificate: hostname mismatch" in output, output
    server.stop()
    assert_record_is_what_is_stored(server, record, logs)


def test_a_token_opens_the_door(scratch):
    authority = Authority(scratch.path)
    tokens = scratch.path / "tokens"
    tokens.write_text("# of the gates\n\ncanary-token-\\\"2f9e55aa\n")
    tokens.chmod(0o600)
    server = logs_server(scratch, SERVER_TOKEN_FILE=tokens,
                         **tls_settings(authority.issue("server"))).start()
    tls = ["--tls", "--tls-ca", authority.path]
    summary, _ = run_load(server.logs_port, "--protocol", "logs", "--count", 1000, "--connections",
                          3, *tls, "--token", tokens)
    assert_complete(summary, 1000, connections=3)
    run_load(server.logs_port, "--protocol", "logs", "--count", 10, *tls, expected=1)
    server.stop()


def test_an_answer_that_is_another_is_noticed(scratch):
    server = logs_server(scratch, RATE_LIMIT_ENABLED="true", RATE_LIMIT_MAX_REQUESTS=30).start()
    summary, _ = run_load(server.logs_port, "--protocol", "logs", "--count", 100, expected=1)
    answers = summary["answers"]
    assert (answers["as_expected"], answers["others"]) == (30, 70), summary
    assert answers["first_other"].startswith(
        '{"status": "error", "message": "rate limit exceeded"} instead of '), summary
    server.stop()


def serve_once(listener, replies):
    """A server that answers so, and then closes."""
    with listener.accept()[0] as client:
        client.recv(1 << 20)
        client.sendall(replies)
        client.shutdown(socket.SHUT_WR)
        while client.recv(1 << 20):
            pass


def test_answers_that_are_missing_are_noticed(scratch):
    for replies, missing in ((b"", 10), (9 * RECEIVED, 1), (9 * RECEIVED + RECEIVED[:-1], 1)):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve_once, args=(listener, replies))
            thread.start()
            summary, _ = run_load(listener.getsockname()[1], "--protocol", "logs", "--count", 10,
                                  "--min-level", "DEBUG", expected=1)
            thread.join()
        assert summary["answers"]["missing"] == missing, summary
        assert summary["connections"]["failed"] == 1, summary


def test_no_more_wait_for_their_answer_than_the_pipeline_is_deep(scratch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        load = harness.start_load(listener.getsockname()[1], "--protocol", "logs", "--count", 9,
                                  "--pipeline", 3, "--min-level", "DEBUG", "--fin-timeout", 1)
        with listener.accept()[0] as client:
            client.settimeout(harness.DEADLINE_SECONDS)
            got = b""
            for answers, lines in ((0, 3), (1, 4), (3, 7)):
                client.sendall(answers * RECEIVED)
                while got.count(b"\n") < lines:
                    got += client.recv(1 << 16)
                assert got.count(b"\n") == lines, got
            # It waits for three, and for nothing else, until it gives up.
            while more := client.recv(1 << 16):
                got += more
        output = load.communicate(timeout=harness.DEADLINE_SECONDS)[0]
    assert got.count(b"\n") == 7, got
    assert load.returncode == 1 and "no answer from the server in time" in output, output


def test_options_that_mean_nothing_together_are_refused(scratch):
    for arguments in (["--protocol", "logs", "--type", "alarm"], ["--pipeline", "3"],
                      ["--protocol", "rpc", "--malformed", "0.1"], ["--tls-ca", "/dev/null"],
                      ["--protocol", "logs", "--separator", "none"]):
        run_load(1, *arguments, expected=2)


if __name__ == "__main__":
    harness.main(globals())

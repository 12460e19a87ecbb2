"""What the options of the listeners and of the logs stream do, as options_test.py wants it. Where a
test of another file shows it, the check points there."""
import contextlib
import re
import socket
import time

import admission_test
import certificates
import harness
import log_file_test
import logs_test
import tls_test
from log_clients import (FILTERED, LIMITED, RECEIVED, books, exchange, has_ended, log_directory,
                         log_files, log_line, logged, logs_server, read_replies, stored_messages)
from s3_options import refused

SAMPLE = harness.SAMPLE.read_bytes()


def is_listening(host, port):
    with contextlib.suppress(OSError):
        socket.create_connection((host, port)).close()
        return True
    return False


def check_host(scratch, protocol, setting, port):
    server = scratch.server(PROTOCOLS=protocol, **{setting: "127.0.0.2"}).start()
    assert is_listening("127.0.0.2", getattr(server, port))
    assert not is_listening("127.0.0.1", getattr(server, port)), "listens elsewhere too"
    server.stop()


def check_port_of(scratch, protocol, setting, attribute):
    port = free_port()
    server = scratch.server(PROTOCOLS=protocol, **{setting: port}).start()
    assert getattr(server, attribute) == port and is_listening("127.0.0.1", port)
    server.stop()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def check_protocols(scratch):
    refused(scratch, 2, "PROTOCOLS", PROTOCOLS="smoke-signals")
    for protocols, ports in (("xml", (True, False, False)), ("logs,rpc", (False, True, True))):
        server = scratch.server(protocols, PROTOCOLS=protocols).start()
        served = server.port, server.logs_port, server.rpc_port
        assert tuple(port is not None for port in served) == ports, served
        assert all(is_listening("127.0.0.1", port) for port in served if port)
        server.stop()


def check_server_host(scratch):
    check_host(scratch, "logs", "SERVER_HOST", "logs_port")


def check_server_port(scratch):
    check_port_of(scratch, "logs", "SERVER_PORT", "logs_port")


def check_rpc_host(scratch):
    check_host(scratch, "rpc", "RPC_HOST", "rpc_port")


def check_rpc_port(scratch):
    check_port_of(scratch, "rpc", "RPC_PORT", "rpc_port")


def check_min_receive_rate(scratch):
    """From the fifth second on: one that sends a byte now and then, inside a line."""
    servers = [logs_server(scratch, f"rate-{rate}", MIN_RECEIVE_RATE=rate).start()
               for rate in (0, 1000)]
    any_rate, fast = clients = [server.connect(server.logs_port) for server in servers]
    begin = time.monotonic()

    def is_closed():
        for client in clients:
            client.sendall(b"{")
        return servers[1].lines("connection closed")
    with contextlib.suppress(ConnectionError):
        harness.wait_for(is_closed, "the slow one is closed", 30)
    assert 3.5 < time.monotonic() - begin < 30
    assert has_ended(fast)
    any_rate.sendall(b"\n" + log_line("a"))
    assert len(read_replies(any_rate, 2)) == 2
    for client in clients:
        client.close()
    for server in servers:
        server.stop()


def check_reply_timeout(scratch):
    admission_test.test_n6_a_client_that_reads_no_reply_is_closed_after_the_timeout(scratch)


# ---- who is let in


def check_allow_from(scratch):
    admission_test.test_only_addresses_of_the_allow_list_are_let_in_and_sighup_reads_it_again(scratch)


def check_proxy_from(scratch):
    admission_test.test_a_trusted_proxy_says_whose_the_connection_is_in_both_versions(scratch)


def check_accept_rate_max(scratch):
    admission_test.test_n9_connections_over_the_accept_rate_wait_and_none_is_lost(scratch)


def check_handshake_timeout(scratch):
    tls_test.test_n12_who_does_not_finish_the_handshake_is_closed(scratch)


def check_tls_cert(scratch):
    tls_test.test_events_lines_and_requests_over_tls_are_answered_as_in_plain_text(scratch)


def check_tls_key(scratch):
    authority = certificates.Authority(scratch.path)
    one, other = authority.issue("one"), authority.issue("other")
    refused(scratch, 2, "does not match", TLS_CERT=one.path, TLS_KEY=other.key)


def check_tls_client_ca(scratch):
    ours, theirs = (certificates.Authority(scratch.path, name) for name in ("ours", "theirs"))
    server = logs_server(scratch, TLS_CLIENT_CA=ours.path,
                         **certificates.tls_settings(ours.issue("server"))).start()
    for authority, let_in in ((ours, True), (theirs, False)):
        context = certificates.client_context(ours, authority.issue("client", names="DNS:c.test"))
        if let_in:
            with certificates.connect(server, server.logs_port, context) as client:
                client.sendall(log_line("a"))
                assert read_replies(client, 1) == [RECEIVED]
        else:
            assert certificates.refuses(server, server.logs_port, context, log_line("b"))
    server.stop()
    assert logged(server) == ["a"]


def check_tls_client_names(scratch):
    tls_test.test_n12_clients_without_the_right_certificate_send_nothing(scratch)


def check_tls_protocols(scratch):
    tls_test.test_tls_protocols_says_which_listeners_speak_it(scratch)


def check_server_token_file(scratch):
    tls_test.test_sighup_reads_the_tokens_again_and_keeps_the_old_ones_before_a_bad_file(scratch)


# ---- logs


def check_min_log_level(scratch):
    for least, reply in (("WARNING", RECEIVED), ("error", FILTERED)):
        server = logs_server(scratch, least, MIN_LOG_LEVEL=least).start()
        assert exchange(server, log_line("a", "WARNING")) == [reply]
        server.stop()


def check_rate_limit_max_requests(scratch):
    for most in (3, 7):
        server = logs_server(scratch, f"most-{most}", RATE_LIMIT_ENABLED="true",
                             RATE_LIMIT_MAX_REQUESTS=most).start()
        assert exchange(server, log_line("a") * 10) == [RECEIVED] * most + [LIMITED] * (10 - most)
        server.stop()


def check_rate_limit_window_seconds(scratch):
    logs_test.test_the_window_of_the_rate_limit_is_fixed_from_the_first_line_on(scratch)


def check_buffer_size(scratch):
    """A read of 16 bytes has no line in it but the end of one: each becomes a batch."""
    batches = {}
    for size in (16, None):
        server = logs_server(scratch, f"read-{size}", BUFFER_SIZE=size).start()
        assert exchange(server, log_line("x" * 20) * 100) == [RECEIVED] * 100
        batches[size] = books(server)["batches_spooled"]
        server.stop()
    assert batches[16] == 100 and batches[None] < 20, batches


def check_enable_log_persistence(scratch):
    log_file_test.test_without_persistence_lines_are_received_and_stored_and_no_file_is_written(scratch)


def check_log_dir(scratch):
    server = logs_server(scratch, LOG_DIR=scratch.path / "some" / "where").start()
    log_file_test.send(server, "a")
    assert [line[2] for line in log_file_test.lines_of(
        scratch.path / "some" / "where" / "server.log")] == ["a"]
    server.stop()


def check_log_filename(scratch):
    server = logs_server(scratch, LOG_FILENAME="lines.txt").start()
    log_file_test.send(server, "a")
    assert [path.name for path in log_directory(server).iterdir()] == ["lines.txt"]
    server.stop()
    refused(scratch, 2, "LOG_FILENAME", PROTOCOLS="logs", LOG_FILENAME="../lines.txt")


def check_log_file_max_bytes(scratch):
    log_file_test.test_with_log_files_keep_0_every_rotated_line_stays(scratch)


def check_log_file_max_age(scratch):
    sent = []
    server = logs_server(scratch, LOG_FILE_MAX_AGE=0.3).start()

    def has_rotated():
        sent.append(f"line {len(sent)}")
        log_file_test.send(server, sent[-1])
        return len(log_files(server)) > 2
    harness.wait_for(has_rotated, "two files by age")
    for path in log_files(server):
        assert re.fullmatch(r"server\.log(\.\d{8}_\d{6}(\.\d+)?)?", path.name), path
    assert len(sent) > 4 and logged(server) == sent
    server.stop()


def check_log_files_keep(scratch):
    log_file_test.test_the_log_file_is_rotated_by_size_and_the_oldest_are_deleted(scratch)


def check_logs_upload(scratch):
    log_file_test.test_without_upload_lines_are_in_the_log_file_alone_and_the_spool_empties(scratch)


def check_logs_prefix(scratch):
    server = logs_server(scratch, LOGS_PREFIX="my/lines/").start()
    log_file_test.send(server, "a")
    server.stop()
    assert stored_messages(server, "my/lines/") == ["a"]

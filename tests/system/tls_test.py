"""TLS with real clients: who is let in, what is refused before a byte of it counts, certificates and
tokens that are changed while the server runs."""
import contextlib
import os
import shutil
import socket
import ssl
import subprocess

import certificates
import evidence
import harness
from certificates import HalfClosing, client_context, connect, refuses, tls_settings
from log_clients import (INVALID, RECEIVED, books, has_ended, log_line, logged, logs_server,
                         read_replies)

SAMPLE = harness.SAMPLE.read_bytes()
TOKEN = "canary-token-0123456789abcdef"


def xml_over_tls(server, context, content=SAMPLE):
    """Sends it; the close_notify that comes back says that it is durable."""
    client = connect(server, server.port, context)
    client.sendall(content)
    client.unwrap().close()


def is_named(server, reason, attempt):
    """Attempts it until its line comes through: there is one a second at most."""
    before = len(server.lines("connection refused"))

    def attempted():
        attempt()
        return [line for line in server.lines("connection refused")[before:]
                if reason in line["limit"]]
    return harness.wait_for(attempted, f"refused: {reason}")


def assert_refused_untouched(server, reason, stream="logs"):
    """The last one was, for that reason, before anything of it became an event."""
    line = harness.wait_for(lambda: server.lines("connection refused"), "a refusal")[-1]
    assert reason in line["limit"], line
    counted = books(server, stream)
    assert counted["events_framed"] == counted["malformed_framed"] == 0, counted
    assert counted["bytes_received"] == counted["bytes_transport"] and not counted["difference"], \
        counted


def test_events_lines_and_requests_over_tls_are_answered_as_in_plain_text(scratch):
    authority = certificates.Authority(scratch.path)
    server = scratch.server(PROTOCOLS="xml,logs,rpc",
                            **tls_settings(authority.issue("server"))).start()
    context = client_context(authority)
    xml_over_tls(server, context, SAMPLE * 50)
    client = HalfClosing(server, server.logs_port, context)
    client.sendall(log_line("a") + b"{\n" + log_line("b")[:-1])
    assert client.half_close() == RECEIVED + INVALID + RECEIVED
    client = HalfClosing(server, server.rpc_port, context)
    client.sendall(bytes.fromhex("0a040a0248691204080a1014"))
    assert client.half_close() == bytes.fromhex("0a040a0248691202081e")
    assert {line["tls"] for line in server.lines("connection opened")} == {"TLSv1.3"}
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 50 and logged(server) == ["a", "b"]


def test_tls_protocols_says_which_listeners_speak_it(scratch):
    authority = certificates.Authority(scratch.path)
    server = scratch.server(PROTOCOLS="xml,logs", TLS_PROTOCOLS="logs",
                            **tls_settings(authority.issue("server"))).start()
    server.send(SAMPLE)
    client = HalfClosing(server, server.logs_port, client_context(authority))
    client.sendall(log_line("a"))
    assert client.half_close() == RECEIVED
    server.stop()


# ---- N11: the wrong one of the two


def test_n11_a_tls_client_on_a_plain_port_is_named_and_closed(scratch):
    server = scratch.server(PROTOCOLS="xml,logs,rpc", RATE_LIMIT_ENABLED="false").start()
    authority = certificates.Authority(scratch.path)
    for stream, port in (("xml", server.port), ("logs", server.logs_port), ("rpc", server.rpc_port)):
        named = len(server.lines("TLS on a plain port"))
        assert refuses(server, port, client_context(authority), SAMPLE), stream
        harness.wait_for(lambda: len(server.lines("TLS on a plain port")) > named or named, "named")
        counted = books(server, stream)
        assert counted["bytes_refused"] == counted["bytes_received"] > 0, counted
        assert counted["events_framed"] == counted["malformed_framed"] == 0, counted
    [line, *_] = server.lines("TLS on a plain port")
    assert line["peer"].startswith("127.0.0.1:") and "TLS_CERT" in line["advice"], line
    server.stop()
    assert not evidence.list_objects(server.objects)


def test_n11_plain_text_on_a_tls_port_is_named_and_closed(scratch):
    authority = certificates.Authority(scratch.path)
    server = scratch.server(PROTOCOLS="xml,logs",
                            **tls_settings(authority.issue("server"))).start()
    for stream, port, content in (("xml", server.port, SAMPLE),
                                  ("logs", server.logs_port, log_line("a"))):
        with server.connect(port) as client:
            client.sendall(content)
            assert has_ended(client)
        assert_refused_untouched(server, "plain text to a TLS port", stream)
    server.stop()
    assert not evidence.list_objects(server.objects) and logged(server) == []


# ---- N12: what is refused


def old_context(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


def test_n12_c6_tls_1_1_is_refused_and_1_2_and_1_3_are_taken(scratch):
    authority = certificates.Authority(scratch.path)
    server = logs_server(scratch, **tls_settings(authority.issue("server"))).start()
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        assert refuses(server, server.logs_port, old_context(version), log_line("old"))
        assert_refused_untouched(server, "neither TLS 1.2 nor 1.3")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(authority)
        context.minimum_version = context.maximum_version = version
        with connect(server, server.logs_port, context) as client:
            client.sendall(log_line(version.name))
            assert read_replies(client, 1) == [RECEIVED]
            assert client.compression() is None
    server.stop()
    assert logged(server) == ["TLSv1_2", "TLSv1_3"]


def test_n12_clients_without_the_right_certificate_send_nothing(scratch):
    authority, other = (certificates.Authority(scratch.path, name) for name in ("ours", "theirs"))
    server = logs_server(scratch, TLS_CLIENT_CA=authority.path, TLS_CLIENT_NAMES="feed.test,*.in.test",
                         **tls_settings(authority.issue("server"))).start()

    def certificate(issuer, name, **options):
        return issuer.issue(name, names="DNS:" + name, **options)
    cases = ((None, "client certificate missing"),
             (certificate(other, "feed.test"), "unknown authority"),
             (certificate(authority, "feed.test", days=-1), "expired"),
             (certificate(authority, "elsewhere.test"), "none of its names is on the list"))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for own, reason in cases:
            context = client_context(authority, own)
            context.maximum_version = version

            def attempt(context=context):
                assert refuses(server, server.logs_port, context, log_line("not let in"))
            is_named(server, reason, attempt)
            assert_refused_untouched(server, reason)
    for name in ("feed.test", "gate.in.test"):
        context = client_context(authority, certificate(authority, name))
        with connect(server, server.logs_port, context) as client:
            client.sendall(log_line(name))
            assert read_replies(client, 1) == [RECEIVED]
    assert [line["client"] for line in server.lines("connection opened")] == \
        ["feed.test", "gate.in.test"]
    server.stop()
    assert logged(server) == ["feed.test", "gate.in.test"]


def test_n12_an_end_without_close_notify_is_no_clean_end(scratch):
    authority = certificates.Authority(scratch.path)
    server = scratch.server(PROTOCOLS="xml,logs",
                            **tls_settings(authority.issue("server"))).start()
    context = client_context(authority)
    client = HalfClosing(server, server.logs_port, context)
    client.sendall(log_line("a") + log_line("b")[:-1])
    assert client.step(client.tls.read, len(RECEIVED)) == RECEIVED
    client.break_off()
    client = HalfClosing(server, server.port, context)
    client.sendall(SAMPLE + SAMPLE[:300])
    client.break_off()
    harness.wait_for(lambda: len(server.lines("connection closed")) == 2, "both are closed")
    assert {line["reason"] for line in server.lines("connection closed")} == {"reset"}
    server.stop()
    assert logged(server) == ["a"], "a line without its end is kept at a clean end alone"
    assert len(evidence.stored_events(server.objects)) == 1


def test_n12_garbage_in_place_of_records_ends_the_connection(scratch):
    authority = certificates.Authority(scratch.path)
    server = logs_server(scratch, **tls_settings(authority.issue("server"))).start()
    with server.connect(server.logs_port) as client:
        client.sendall(b"\x16\x03\x01\x00\x05hello" + bytes(100))
        assert has_ended(client)
    assert_refused_untouched(server, "TLS error")
    for garbage in (os.urandom(1000), b"\x17\x03\x03\x00\x40" + os.urandom(64)):
        client = connect(server, server.logs_port, client_context(authority))
        client.sendall(log_line("a"))
        assert read_replies(client, 1) == [RECEIVED]
        with socket.socket(fileno=client.detach()) as bare:
            bare.sendall(garbage)
            assert has_ended(bare)
    harness.wait_for(lambda: len(server.lines("connection closed")) == 2, "both are closed")
    assert {line["reason"] for line in server.lines("connection closed")} == {"reset"}
    server.stop()
    assert logged(server) == ["a", "a"]


def test_n12_who_does_not_finish_the_handshake_is_closed(scratch):
    authority = certificates.Authority(scratch.path)
    server = logs_server(scratch, HANDSHAKE_TIMEOUT=0.5,
                         **tls_settings(authority.issue("server"))).start()
    with server.connect(server.logs_port) as silent, server.connect(server.logs_port) as slow:
        slow.sendall(b"\x16\x03\x01\x02\x00")
        assert has_ended(silent) and has_ended(slow)
    assert_refused_untouched(server, "HANDSHAKE_TIMEOUT")
    server.stop()


# ---- C6 and P10: what a session may do, and certificates that change


def test_c6_no_renegotiation_and_no_session_to_resume(scratch):
    if not shutil.which("openssl"):
        raise harness.Skip("openssl is not installed")
    authority = certificates.Authority(scratch.path)
    server = logs_server(scratch, TLS_CLIENT_CA=authority.path,
                         **tls_settings(authority.issue("server"))).start()
    own = authority.issue("client", names="DNS:client.test")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(authority, own)
        context.maximum_version = version
        sessions = []
        for _ in range(2):
            plain = server.connect(server.logs_port)
            with context.wrap_socket(plain, server_hostname="127.0.0.1",
                                     session=sessions[-1] if sessions else None) as client:
                client.sendall(log_line("a"))
                assert read_replies(client, 1) == [RECEIVED]  # tickets would have come by now
                assert not client.session_reused, version
                sessions.append(client.session)
        assert not any(session and session.has_ticket for session in sessions), version
    asked = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.logs_port}", "-CAfile",
         authority.path, "-cert", own.path, "-key", own.key], input=b"R\n", capture_output=True,
        timeout=harness.DEADLINE_SECONDS)
    assert b"RENEGOTIATING" in asked.stdout + asked.stderr
    assert b"no renegotiation" in asked.stderr, asked.stderr.decode()
    server.stop()


def serial_of(server, authority):
    with connect(server, server.logs_port, client_context(authority)) as client:
        return client.getpeercert()["serialNumber"]


def put(certificate, path, key):
    for new, old in ((certificate.path, path), (certificate.key, key)):
        shutil.copy(new, str(old) + ".new")
        os.replace(str(old) + ".new", old)


def test_p10_c6_sighup_brings_a_good_certificate_and_keeps_the_old_one_before_a_bad_one(scratch):
    authority = certificates.Authority(scratch.path)
    first, second, expired = (authority.issue("first"), authority.issue("second"),
                              authority.issue("expired", days=-1))
    path, key = scratch.path / "server.pem", scratch.path / "server.key"
    put(first, path, key)
    server = logs_server(scratch, TLS_CERT=path, TLS_KEY=key).start()
    context = client_context(authority)
    begun = connect(server, server.logs_port, context)
    serial = begun.getpeercert()["serialNumber"]

    def alarms():
        return [one["message"] for one in server.status()["conditions"]
                if one["name"] == "configuration"]

    def assert_still_serves(messages):
        begun.sendall(b"".join(map(log_line, messages)))
        assert read_replies(begun, len(messages)) == [RECEIVED] * len(messages)
    bad = ((lambda: path.write_text("no certificate\n"), str(path)),
           (lambda: path.unlink(), str(path)),
           (lambda: put(certificates.Certificate(first.path, second.key), path, key), "key"),
           (lambda: put(expired, path, key), "expired"))
    for number, (spoil, word) in enumerate(bad):
        spoil()
        server.reload()
        [message] = alarms()
        assert "the old settings stay" in message and word in message, message
        assert serial_of(server, authority) == serial, "new connections get the old one"
        assert_still_serves([f"bad {number}"])
    assert server.lines("alarm raised")[0]["condition"] == "configuration"
    put(second, path, key)
    server.reload()
    assert not alarms() and server.lines("alarm cleared")
    assert serial_of(server, authority) != serial, "new connections get the new one"
    assert_still_serves(["c", "d"])
    begun.close()
    server.stop()
    assert logged(server) == [*(f"bad {number}" for number in range(len(bad))), "c", "d"]


# ---- tokens


def token_line(token):
    return b'{"token": "%s"}\n' % token.encode()


def token_server(scratch, **settings):
    authority = certificates.Authority(scratch.path)
    tokens = scratch.path / "tokens"
    tokens.write_text(f"# of the gates\n{TOKEN}\n")
    tokens.chmod(0o600)
    server = logs_server(scratch, SERVER_TOKEN_FILE=tokens, SLUICE_LOG_LEVEL="debug",
                         **tls_settings(authority.issue("server"), **settings)).start()
    return server, authority, tokens


def test_a_token_lets_in_and_is_never_written_anywhere(scratch):
    server, authority, _ = token_server(scratch)
    context = client_context(authority)
    client = HalfClosing(server, server.logs_port, context)
    for byte in token_line(TOKEN):
        client.sendall(bytes([byte]))
    client.sendall(log_line("a") + log_line("b"))
    assert client.half_close() == RECEIVED * 2, "the token has no reply"
    wrong = "canary-wrong-token-0123456789"
    for content, reason in ((token_line(wrong), "its token is not in SERVER_TOKEN_FILE"),
                            (token_line(TOKEN[:-1]), "its token is not in SERVER_TOKEN_FILE"),
                            (b'{"token": "%s", "a": 1}\n' % TOKEN.encode(), "its first line is no"),
                            (log_line("not let in"), "its first line is no"),
                            (b"x" * 10_000, "its first line is no")):
        def attempt(content=content):
            with connect(server, server.logs_port, context) as refused:
                with contextlib.suppress(OSError):
                    refused.sendall(content + log_line("not let in"))
                    assert b'"status": "ok"' not in refused.recv(1000)
                    has_ended(refused)
        is_named(server, reason, attempt)
    counted = books(server)
    assert counted["events_framed"] == 2 and counted["connections_refused"] >= 5, counted
    assert counted["difference"] == 0, counted
    pages = "".join(server.get(page)[1] for page in ("/status", "/metrics", "/"))
    server.stop()
    for secret in (TOKEN, TOKEN[:-1], wrong):
        assert secret not in server.log_text() + pages
        for path in [*server.directory.rglob("*"), *server.objects.rglob("*")]:
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    assert logged(server) == ["a", "b"]


def test_a_client_with_a_certificate_needs_no_token_where_both_are_asked_for(scratch):
    authority = certificates.Authority(scratch.path, "clients")
    server, servers, _ = token_server(scratch, TLS_CLIENT_CA=authority.path)
    own = authority.issue("client", names="DNS:client.test")
    with connect(server, server.logs_port, client_context(servers, own)) as client:
        client.sendall(log_line("a"))
        assert read_replies(client, 1) == [RECEIVED]
    assert refuses(server, server.logs_port, client_context(servers), token_line(TOKEN))
    server.stop()


def test_sighup_reads_the_tokens_again_and_keeps_the_old_ones_before_a_bad_file(scratch):
    server, authority, tokens = token_server(scratch)

    def is_let_in(token):
        with contextlib.suppress(OSError):
            with connect(server, server.logs_port, client_context(authority)) as client:
                client.sendall(token_line(token) + log_line("a"))
                return client.recv(len(RECEIVED)) == RECEIVED
        return False

    def reload(content):
        tokens.write_text(content)
        server.reload()
    other = "another-token-0123456789"
    assert is_let_in(TOKEN) and not is_let_in(other)
    reload("short\n")
    assert is_let_in(TOKEN), "the old ones stay"
    [alarm] = server.lines("alarm raised")
    assert str(tokens) in alarm["message"] and "short" not in alarm["message"].split(":")[-1], alarm
    reload(other + "\n")
    assert is_let_in(other) and not is_let_in(TOKEN)
    server.stop()


def test_a_token_file_without_tls_is_refused(scratch):
    tokens = scratch.path / "tokens"
    tokens.write_text(TOKEN + "\n")
    server = logs_server(scratch, SERVER_TOKEN_FILE=tokens).launch()
    assert server.wait() == 2 and "plain text" in server.log_text(), server.log_tail()


if __name__ == "__main__":
    harness.main(globals())

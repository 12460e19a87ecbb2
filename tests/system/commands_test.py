"""The commands beside `run`: what they print, what they find, and how they exit."""
import re
import socket

import evidence
import harness


def run(server, *arguments, expected=0, **settings):
    done = harness.run_sluice(*arguments, expected=expected, cwd=server.directory,
                              settings=server.settings | settings)
    text = done.stdout + done.stderr
    assert "canary" not in text, text
    return text


def test_config_names_every_value_and_its_source(scratch):
    server = scratch.server(AWS_SECRET_ACCESS_KEY="canary-secret", MAX_FILE_SIZE="1MiB")
    text = run(server, "config")
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    assert lines["MAX_FILE_SIZE"] == ["1MiB", "environment"]
    assert lines["MAX_CONNECTIONS"] == ["4096", "default"]
    assert lines["AWS_SECRET_ACCESS_KEY"] == ["(set)", "environment"]
    file = server.directory / "sluice.json"
    file.write_text('{"MAX_CONNECTIONS": 7}')
    text = run(server, "config", "--config", "sluice.json")
    assert "7" in text and "file sluice.json" in text


def test_bad_settings_exit_2_and_say_why(scratch):
    server = scratch.server()
    for settings, sentence in [
            ({"PORT": "http"}, 'PORT (environment) is "http", but must be a port'),
            ({"MEMORY_MAX_BYTES": "4MiB"}, "set MEMORY_MAX_BYTES to at least 8MiB"),
            ({"MAX_FILE_SIZE": "5GiB"}, "SPOOL_MAX_BYTES"),
            ({"OUTPUT_DIR": "", "PREFIX": "x/"}, "neither BUCKET_NAME nor OUTPUT_DIR"),
            ({"BUCKET_NAME": "b-1", "AWS_ACCESS_KEY_ID": "AKIA"}, "AWS_SECRET_ACCESS_KEY is not"),
            ({"BUCKET_NAME": "b-1", "AWS_SECRET_ACCESS_KEY": "canary"}, "AWS_ACCESS_KEY_ID is not")]:
        for command in ("config", "check", "status", "rotate"):
            assert sentence in run(server, command, expected=2, **settings)
    assert "no-such.json" in run(server, "config", "--config", "no-such.json", expected=2)
    run(server, "no-such-command", expected=2)
    run(server, "config", "--no-such-option", expected=2)


def test_check_passes_on_a_directory_and_makes_nothing(scratch):
    server = scratch.server()
    text = run(server, "check")
    assert "ok    settings" in text and "FAIL" not in text, text
    assert not server.spool.exists() and not server.objects.exists()


def test_check_takes_a_probe_under_every_prefix(scratch):
    store = scratch.fake_s3()
    server = scratch.server(**store.settings())
    text = run(server, "check")
    for prefix in ("xml-events/", "quarantine/"):
        assert f'prefix "{prefix}" in s3://bucket' in text, text
    assert not evidence.list_objects(store.objects), "a probe was left"


def test_check_names_what_the_store_refuses(scratch):
    store = scratch.fake_s3()
    server = scratch.server(**store.settings())
    text = run(server, "check", expected=1, AWS_SECRET_ACCESS_KEY="canary-wrong")
    assert "FAIL  store" in text and "SignatureDoesNotMatch" in text, text
    text = run(server, "check", expected=1, BUCKET_NAME="another-bucket")
    assert "FAIL  store" in text and "NoSuchBucket" in text, text
    store.control("fault", match="^PUT .*quarantine", count=-1, kind="status", status=403,
                  code="AccessDenied")
    lines = [line for line in run(server, "check", expected=1).splitlines() if "prefix" in line]
    assert lines[0].startswith("ok") and "xml-events/" in lines[0], lines
    assert lines[1].startswith("FAIL") and "AccessDenied" in lines[1], lines


def lines_of(text, subject):
    return [line for line in text.splitlines() if line.split()[1] == subject]


def test_check_goes_the_way_to_the_store_and_says_what_each_step_took(scratch):
    store = scratch.fake_s3(tls=True)
    server = scratch.server(**store.settings(S3_CA_FILE=store.ca_file))
    text = run(server, "check")
    for subject, pattern in [("dns", r"127\.0\.0\.1 in \d+\.\d ms"),
                             ("tls", r"handshake in \d+\.\d ms, certificate accepted until \S+Z"),
                             ("connection", r"https://\S+: connected in .* answered .*"),
                             ("clock", r"\d s (behind|ahead of) the store's")]:
        [line] = lines_of(text, subject)
        assert re.fullmatch(rf"(ok|WARN) +{subject} +{pattern}.*", line), line
    store.control("set", clock_offset=-3600)
    [line] = lines_of(run(server, "check"), "clock")
    assert line.startswith("WARN") and re.search(r"(3600|3599|3601) s ahead", line), line
    [line] = lines_of(run(server, "check", expected=1, S3_CA_FILE=None), "tls")
    assert "CertificateError" in line and "S3_CA_FILE" in line, line
    [line] = lines_of(run(server, "check", expected=1, AWS_ENDPOINT_URL="http://gate.invalid"),
                      "dns")
    assert "NameNotResolved" in line, line
    [line] = lines_of(run(server, "check", expected=1, AWS_ENDPOINT_URL="http://127.0.0.1:1"),
                      "connection")
    assert "ConnectionFailed" in line, line


def test_check_begins_an_upload_in_parts_and_gives_it_up(scratch):
    store = scratch.fake_s3()
    server = scratch.server(**store.settings())
    lines = lines_of(run(server, "check"), "multipart")
    assert len(lines) == 2 and all(line.startswith("ok") for line in lines), lines
    ops = [entry["op"] for entry in store.control("log") if "~parts" in entry["key"]]
    assert ops == ["create_multipart", "part", "abort"] * 2, ops
    assert not store.control("uploads") and not evidence.list_objects(store.objects)
    for match, verdict in [("^POST .*uploads", "FAIL"), ("^PUT .*partNumber", "FAIL"),
                           ("^GET .*uploads", "WARN"), ("^DELETE .*uploadId", "WARN")]:
        fault = store.control("fault", match=match, count=-1, kind="status", status=403,
                              code="AccessDenied")
        assert fault, match
        text = run(server, "check", expected=1 if verdict == "FAIL" else 0)
        lines = [line for line in lines_of(text, "multipart") if line.startswith(verdict)]
        assert len(lines) == 2 and all("AccessDenied" in line for line in lines), (match, text)
        store.control("clear")


def test_check_names_a_taken_port(scratch):
    server = scratch.server()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        text = run(server, "check", expected=1, PORT=port)
        assert f"FAIL  port         PORT: listen on 127.0.0.1:{port}" in text, text
        text = run(server, "check", expected=1, ADMIN_PORT=port)
        assert f"FAIL  port         ADMIN_PORT: listen on 127.0.0.1:{port}" in text, text


def test_commands_for_a_server_fail_where_none_runs(scratch):
    server = scratch.server(ADMIN_PORT=1)
    assert "no server answers" in run(server, "status", expected=1)
    assert "no server runs on SPOOL_DIR" in run(server, "rotate", expected=1)
    assert run(server, "version").startswith("sluice ")


if __name__ == "__main__":
    harness.main(globals())

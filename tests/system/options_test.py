"""Every option that `sluice config` prints has an effect that is seen from outside.

A function check_<option in lower case> for each, here, in s3_options.py or in listener_options.py;
a new option without one is a failing test.
"""
import json
import os
import pathlib
import re
import resource
import signal
import socket
import sys
import time
import traceback
import zlib

import evidence
import harness
import listener_options
import s3_options
from s3_options import refused, through_s3

SAMPLE = harness.SAMPLE.read_bytes()
DOWN = {"match": "^(PUT|POST)", "count": -1, "kind": "status", "status": 503, "code": "SlowDown"}


def sample_object(scratch, **settings):
    """(key, bytes) of the one object that the vendor's sample becomes under these settings."""
    server = scratch.server(**settings).start()
    server.send(SAMPLE)
    server.stop()
    [(key, path)] = evidence.list_objects(server.objects).items()
    return key, path.read_bytes()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def is_closed_by_server(client):
    client.settimeout(harness.DEADLINE_SECONDS)
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def is_turned_away(server):
    try:
        with server.connect() as client:
            return is_closed_by_server(client)
    except ConnectionError:  # the reset can be as fast as connect()
        return True


def numbered(count):
    return b"".join(SAMPLE.replace(b"38901f4a95d14013", b"%016x" % i) for i in range(count))


def threads_of(server, name):
    comms = [path.read_text().strip()
             for path in pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/comm")]
    return len([comm for comm in comms if re.fullmatch(rf"{name}-?\d*", comm)])


def check_thread_count(scratch, setting, name):
    for count in (1, 3):
        server = scratch.server(f"threads-{count}", **{setting: count}).start()
        assert threads_of(server, name) == count, f"{threads_of(server, name)} of {name}"
        server.stop()


# ---- listening


def check_bind_host(scratch):
    server = scratch.server(BIND_HOST="127.0.0.2").start()
    socket.create_connection(("127.0.0.2", server.port)).close()
    try:
        socket.create_connection(("127.0.0.1", server.port)).close()
        raise AssertionError("listens elsewhere too")
    except ConnectionRefusedError:
        pass
    server.stop()


def check_port(scratch):
    port = free_port()
    server = scratch.server(PORT=port).start()
    assert server.port == port
    server.send(SAMPLE)
    server.stop()


def check_max_connections(scratch):
    server = scratch.server(MAX_CONNECTIONS=1).start()
    with server.connect() as first:
        harness.wait_for(lambda: server.status()["connections"] == 1, "the first is accepted")
        assert is_turned_away(server)
        server.wait_for_line("connection refused")
        first.sendall(SAMPLE)
    server.stop()


def check_max_connections_per_ip(scratch):
    server = scratch.server(MAX_CONNECTIONS_PER_IP=1).start()
    other = socket.create_connection(("127.0.0.1", server.port), source_address=("127.0.0.2", 0))
    with server.connect() as first, other:
        harness.wait_for(lambda: server.status()["connections"] == 2, "both are accepted")
        assert is_turned_away(server)
        for client in (first, other):
            client.sendall(SAMPLE)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
    server.stop()


def check_document_timeout(scratch):
    server = scratch.server(DOCUMENT_TIMEOUT=0.2).start()
    with server.connect() as client:
        client.sendall(SAMPLE[:500])
        assert is_closed_by_server(client)
    assert server.wait_for_line("connection closed")["reason"] == "DOCUMENT_TIMEOUT"
    server.stop()


def check_feed_silent_after(scratch):
    server = scratch.server(FEED_SILENT_AFTER=0.2).start()
    with server.connect() as client:
        client.sendall(SAMPLE)
        alarm = server.wait_for_line("alarm raised")
        assert "silent" in str(alarm), alarm
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b"", "an alarm closes nothing"
    server.stop()


def seconds_to_send(scratch, name, **settings):
    server = scratch.server(name, **settings).start()
    begin = time.monotonic()
    for _ in range(3):  # what was read before it was counted is over the limit: the next one waits
        server.load("--count", 200)
    elapsed = time.monotonic() - begin
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 600, "the limit drops"
    return elapsed


# The limit makes a sender wait for at least a window; a busy machine slows both alike.


def check_rate_limit_enabled(scratch):
    limit = {"RATE_LIMIT_MAX_EVENTS": 100, "RATE_LIMIT_WINDOW": 1.5}
    slow = seconds_to_send(scratch, "on", RATE_LIMIT_ENABLED="true", **limit)
    fast = seconds_to_send(scratch, "off", RATE_LIMIT_ENABLED="false", **limit)
    assert slow > 1.5 and slow > fast + 1, (slow, fast)


def check_rate_limit_window(scratch):
    limit = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_MAX_EVENTS": 100}
    fast = seconds_to_send(scratch, "short", RATE_LIMIT_WINDOW=0.02, **limit)
    slow = seconds_to_send(scratch, "long", RATE_LIMIT_WINDOW=1.5, **limit)
    assert slow > 1.5 and slow > fast + 1, (slow, fast)


def check_rate_limit_max_events(scratch):
    limit = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_WINDOW": 1.5}
    fast = seconds_to_send(scratch, "many", RATE_LIMIT_MAX_EVENTS=100_000, **limit)
    slow = seconds_to_send(scratch, "few", RATE_LIMIT_MAX_EVENTS=100, **limit)
    assert slow > 1.5 and slow > fast + 1, (slow, fast)


# ---- events and objects


def check_max_message_size(scratch):
    server = scratch.server(MAX_MESSAGE_SIZE="4KiB").start()
    small = b"<EVENT><cn>1</cn>" + b"x" * 3000 + b"</EVENT>"
    large = b"<EVENT><cn>2</cn>" + b"x" * 5000 + b"</EVENT>"
    server.send(small + large + small)
    server.stop()
    assert len(evidence.stored_events(server.objects)) == 2
    assert b"<cn>2</cn>" in evidence.quarantine(server.objects)[0].bytes


def check_rotation_interval(scratch):
    server = scratch.server(ROTATION_INTERVAL=0.3).start()
    server.send(SAMPLE)
    harness.wait_for(lambda: evidence.data_objects(server.objects), "an object by age", 20)
    server.stop()


def check_max_file_size_basis(scratch):
    sizes = {}
    for basis in ("received", "compressed"):
        server = scratch.server(basis, MAX_FILE_SIZE="16KiB", MAX_FILE_SIZE_BASIS=basis,
                                COMPRESSION="gzip", OUTPUT_FORMAT="jsonl").start()
        for _ in range(8):  # each learns from those before it
            server.load("--count", 300)
            server.command("rotate")
        server.stop()
        sizes[basis] = max(path.stat().st_size
                           for path in evidence.data_objects(server.objects).values())
        assert len(evidence.stored_events(server.objects)) == 2400
    assert sizes["received"] < 10 << 10 and 12 << 10 < sizes["compressed"] < 40 << 10, sizes


def check_max_file_size(scratch):
    server = scratch.server(MAX_FILE_SIZE="8KiB").start()
    for _ in range(3):
        server.send(numbered(5))
    harness.wait_for(lambda: len(evidence.data_objects(server.objects)) == 3, "objects by size", 20)
    server.stop()


def check_output_format(scratch):
    key, body = sample_object(scratch, OUTPUT_FORMAT="jsonl")
    assert key.endswith(".jsonl") and json.loads(body)["cn"] == "38901f4a95d14013"


def check_pretty_print_json(scratch):
    _, plain = sample_object(scratch, OUTPUT_FORMAT="json")
    server = scratch.server("pretty", OUTPUT_FORMAT="json", PRETTY_PRINT_JSON="true").start()
    server.send(SAMPLE)
    server.stop()
    [path] = evidence.data_objects(server.objects).values()
    pretty = path.read_bytes()
    assert json.loads(pretty) == json.loads(plain)
    assert re.search(rb'\n\s+"cn": ', pretty) and pretty.count(b"\n") > 42 > plain.count(b"\n")


def check_use_date_folders(scratch):
    key, _ = sample_object(scratch, USE_DATE_FOLDERS="true")
    assert re.match(r"xml-events/\d{4}/\d\d/\d\d/\d{8}_", key), key


def check_prefix(scratch):
    key, _ = sample_object(scratch, PREFIX="my/own/")
    assert re.match(r"my/own/\d{8}_", key), key


def check_quarantine_prefix(scratch):
    server = scratch.server(QUARANTINE_PREFIX="bad/ones/").start()
    server.send(b"<EVENT><a></b></EVENT>")
    server.stop()
    assert evidence.quarantine(server.objects, "bad/ones/")


def check_instance_id(scratch):
    key, _ = sample_object(scratch, INSTANCE_ID="gate-7")
    assert "_gate-7_" in key, key


def check_compression(scratch):
    key, body = sample_object(scratch, COMPRESSION="gzip")
    assert key.endswith(".xml.gz") and body.startswith(b"\x1f\x8b")
    assert len(evidence.events_of(key, body)) == 1


def check_compression_level(scratch):
    sizes = {}
    for level in (1, 19):
        server = scratch.server(f"level-{level}", COMPRESSION="zstd", COMPRESSION_LEVEL=level)
        server.start()
        server.load("--count", 500, "--seed", 7)
        server.stop()
        sizes[level] = sum(path.stat().st_size
                           for path in evidence.data_objects(server.objects).values())
        assert len(evidence.stored_events(server.objects)) == 500
    assert sizes[19] < sizes[1], sizes


# ---- the store


def check_bucket_name(scratch):
    store = scratch.fake_s3()
    through_s3(scratch, store)
    assert len(evidence.data_objects(store.objects)) == 1
    refused(scratch, 1, "no-such-bucket", **store.settings(
        BUCKET_NAME="no-such-bucket", SPOOL_DIR=scratch.path / "another"))


def check_output_dir(scratch):
    server = scratch.server(OUTPUT_DIR=scratch.path / "elsewhere").start()
    server.send(SAMPLE)
    server.stop()
    assert evidence.data_objects(scratch.path / "elsewhere")


def check_aws_region(scratch):
    store = scratch.fake_s3()
    store.control("set", region="eu-central-1")
    refused(scratch, 1, "region", **store.settings(AWS_REGION="us-east-1"))
    through_s3(scratch, store, AWS_REGION="eu-central-1", SPOOL_DIR=scratch.path / "another")
    assert len(evidence.data_objects(store.objects)) == 1


def check_aws_endpoint_url(scratch):
    store = scratch.fake_s3()
    through_s3(scratch, store)
    assert len(evidence.data_objects(store.objects)) == 1
    refused(scratch, 2, "AWS_ENDPOINT_URL", **store.settings(AWS_ENDPOINT_URL="not a url"))


def check_s3_force_path_style(scratch):
    store = scratch.fake_s3()
    endpoint = f"http://localhost:{store.port}"
    for name, style, host in (("path", "true", "localhost"), ("host", "false", "bucket.localhost")):
        server = scratch.server(name, **store.settings(
            AWS_ENDPOINT_URL=endpoint, S3_FORCE_PATH_STYLE=style)).start()
        server.send(SAMPLE)
        server.stop()
        headers = {key.lower(): value for key, value
                   in store.control("requests")[-1]["headers"].items()}
        assert headers["host"] == f"{host}:{store.port}", headers["host"]
    assert len(evidence.data_objects(store.objects)) == 2


def check_aws_access_key_id(scratch):
    store = scratch.fake_s3()
    refused(scratch, 1, "InvalidAccessKeyId", **store.settings(AWS_ACCESS_KEY_ID="AKIANOBODY"))


def check_aws_secret_access_key(scratch):
    store = scratch.fake_s3()
    refused(scratch, 1, "SignatureDoesNotMatch", **store.settings(AWS_SECRET_ACCESS_KEY="wrong"))


def check_aws_session_token(scratch):
    store = scratch.fake_s3()
    store.control("set", session_token="token-1")
    through_s3(scratch, store, AWS_SESSION_TOKEN="token-1")
    assert len(evidence.data_objects(store.objects)) == 1
    server = scratch.server("another", **store.settings(AWS_SESSION_TOKEN="token-2")).launch()
    assert server.wait() == 1, server.log_tail()


# ---- credentials


def without_keys(scratch, store, **settings):
    return store.settings(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None,
                          HOME=scratch.path / "home", AWS_EC2_METADATA_DISABLED="true") | settings


def origin(scratch, expected=0, **settings):
    """What `sluice check` says of the credentials."""
    settings = {name: value for name, value in settings.items() if value is not None}
    text = harness.run_sluice("check", expected=expected, cwd=scratch.path, settings={
        "SPOOL_DIR": scratch.path / "spool", "PORT": 0, "ADMIN_PORT": 0} | settings).stdout
    return "\n".join(line for line in text.splitlines() if line.split()[1] == "credentials")


def file_with(scratch, name, content):
    (scratch.path / name).write_text(content)
    return scratch.path / name


def check_key_file(scratch, setting):
    store = scratch.fake_s3()
    store.control("set", session_token="token-1")
    contents = {"AWS_ACCESS_KEY_ID": store.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": store.SECRET_KEY,
                "AWS_SESSION_TOKEN": "token-1"}
    path = file_with(scratch, "file", contents.pop(setting) + "\n")
    settings = without_keys(scratch, store, **contents, **{setting + "_FILE": path})
    assert str(path) in origin(scratch, **settings)
    path.write_text("wrong\n")
    origin(scratch, expected=1, **settings)


def check_aws_access_key_id_file(scratch):
    check_key_file(scratch, "AWS_ACCESS_KEY_ID")


def check_aws_secret_access_key_file(scratch):
    check_key_file(scratch, "AWS_SECRET_ACCESS_KEY")


def check_aws_session_token_file(scratch):
    check_key_file(scratch, "AWS_SESSION_TOKEN")


def web_identity(scratch, token="web-token", **settings):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    return without_keys(scratch, store, **{
        "AWS_ENDPOINT_URL_STS": metadata.url, "AWS_ROLE_ARN": "arn:aws:iam::1:role/pod",
        "AWS_WEB_IDENTITY_TOKEN_FILE": file_with(scratch, "token", token)} | settings)


def check_aws_web_identity_token_file(scratch):
    assert "from the web identity token in" in origin(scratch, **web_identity(scratch))
    assert "AccessDenied" in origin(scratch, expected=1, **web_identity(scratch, token="other"))


def check_aws_role_arn(scratch):
    settings = web_identity(scratch, AWS_ROLE_ARN="arn:aws:iam::1:role/gate")
    assert "assumed-role/gate/" in origin(scratch, **settings)


def check_aws_role_session_name(scratch):
    settings = web_identity(scratch, AWS_ROLE_SESSION_NAME="gate-7")
    assert "assumed-role/pod/gate-7" in origin(scratch, **settings)


def check_aws_endpoint_url_sts(scratch):
    assert "assumed-role/pod/" in origin(scratch, **web_identity(scratch))
    refused = web_identity(scratch, AWS_ENDPOINT_URL_STS="http://127.0.0.1:1")
    assert "http://127.0.0.1:1 does not answer" in origin(scratch, expected=1, **refused)


def profile_file(scratch, store, name, section):
    return file_with(scratch, name, f"[{section}]\naws_access_key_id = {store.ACCESS_KEY}\n"
                                    f"aws_secret_access_key = {store.SECRET_KEY}\n")


def check_aws_profile(scratch):
    store = scratch.fake_s3()
    settings = without_keys(scratch, store, AWS_SHARED_CREDENTIALS_FILE=profile_file(
        scratch, store, "keys", "prod"))
    origin(scratch, expected=1, **settings)
    assert "from profile 'prod'" in origin(scratch, AWS_PROFILE="prod", **settings)


def check_aws_shared_credentials_file(scratch):
    store = scratch.fake_s3()
    path = profile_file(scratch, store, "keys", "default")
    settings = without_keys(scratch, store, AWS_SHARED_CREDENTIALS_FILE=path)
    assert f"from profile 'default' in {path}" in origin(scratch, **settings)


def check_aws_config_file(scratch):
    store = scratch.fake_s3()
    path = profile_file(scratch, store, "config", "profile prod")
    settings = without_keys(scratch, store, AWS_CONFIG_FILE=path, AWS_PROFILE="prod")
    assert f"from profile 'prod' in {path}" in origin(scratch, **settings)


def check_aws_container_credentials_relative_uri(scratch):
    # 169.254.170.2 is not here: the form is checked, and nothing is asked.
    settings = without_keys(scratch, scratch.fake_s3(),
                            AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="no-slash")
    assert "must begin with '/'" in origin(scratch, expected=1, **settings)


def container(scratch, **settings):
    return without_keys(scratch, scratch.fake_s3(), AWS_CONTAINER_CREDENTIALS_FULL_URI=
                        scratch.fake_metadata().url + "/v1/credentials", **settings)


def check_aws_container_credentials_full_uri(scratch):
    settings = container(scratch, AWS_CONTAINER_AUTHORIZATION_TOKEN="container-token")
    assert "from the container's endpoint" in origin(scratch, **settings)
    settings["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://192.0.2.1/credentials"
    assert "must be https" in origin(scratch, expected=1, **settings)


def check_aws_container_authorization_token(scratch):
    settings = container(scratch, AWS_CONTAINER_AUTHORIZATION_TOKEN="another")
    assert "HTTP 401" in origin(scratch, expected=1, **settings)


def check_aws_container_authorization_token_file(scratch):
    path = file_with(scratch, "token", "container-token\n")
    settings = container(scratch, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=path)
    assert "from the container's endpoint" in origin(scratch, **settings)


def check_aws_ec2_metadata_disabled(scratch):
    settings = without_keys(scratch, scratch.fake_s3(), AWS_EC2_METADATA_SERVICE_ENDPOINT=
                            scratch.fake_metadata().url)
    assert "AWS_EC2_METADATA_DISABLED is set" in origin(scratch, expected=1, **settings)
    settings["AWS_EC2_METADATA_DISABLED"] = "false"
    assert "test-role" in origin(scratch, **settings)


def check_aws_ec2_metadata_service_endpoint(scratch):
    metadata = scratch.fake_metadata()
    settings = without_keys(scratch, scratch.fake_s3(), AWS_EC2_METADATA_DISABLED=None,
                            AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata.url)
    assert f"the instance metadata service at {metadata.url}" in origin(scratch, **settings)


def check_max_retries(scratch):
    for tries in (2, 4):
        store = scratch.fake_s3()
        server = scratch.server(f"tries-{tries}", MAX_RETRIES=tries, ROTATION_INTERVAL=0.2,
                                **store.settings()).start()
        store.control("fault", match="^PUT /bucket/xml-events", count=-1, kind="status",
                      status=400, code="KeyTooLongError")
        server.send(SAMPLE)
        harness.wait_for(lambda: any((server.spool / "quarantine").glob("*.wal")), "set aside")
        server.stop()
        puts = [request for request in store.control("requests") if request.get("fault")]
        assert len(puts) == tries, puts
        store.stop()


def check_retry_base_delay(scratch):
    store = scratch.fake_s3()
    server = scratch.server(ROTATION_INTERVAL=0.2, **store.settings(RETRY_BASE_DELAY=0.005)).start()
    store.control("fault", **(DOWN | {"count": 9}))
    server.send(SAMPLE)
    # With the default of a second nine waits take minutes.
    harness.wait_for(lambda: evidence.data_objects(store.objects), "delivery", 20)
    server.stop()


def check_upload_concurrency(scratch):
    for concurrency, expected in ((1, 0), (4, 3)):
        store = scratch.fake_s3()
        server = scratch.server(f"concurrency-{concurrency}", UPLOAD_CONCURRENCY=concurrency,
                                DRAIN_TIMEOUT=0, **store.settings()).start()
        store.control("fault", match="^PUT /bucket/xml-events", count=1, kind="stall", seconds=3600)
        for number in range(4):
            server.send(SAMPLE)
            server.signal(signal.SIGUSR1)
            harness.wait_for(lambda: len(server.lines("segment rotated")) > number,
                             f"rotation {number}")
        harness.wait_for(lambda: len(evidence.data_objects(store.objects)) >= expected, "the others")
        assert len(evidence.data_objects(store.objects)) == expected
        server.kill()
        store.stop()


def check_config_probe_interval(scratch):
    store = scratch.fake_s3()
    server = scratch.server(ROTATION_INTERVAL=0.2,
                            **store.settings(CONFIG_PROBE_INTERVAL=0.2)).start()
    store.control("set", secret_key="rotated")
    server.send(SAMPLE)
    harness.wait_for(lambda: not server.ready(), "/ready says 503")
    store.control("set", secret_key=store.SECRET_KEY)
    # The default is a minute.
    harness.wait_for(lambda: evidence.data_objects(store.objects), "delivery", 20)
    server.stop()


# ---- the spool


def check_spool_dir(scratch):
    server = scratch.server(SPOOL_DIR=scratch.path / "my-spool").start()
    assert (scratch.path / "my-spool" / "FORMAT").exists()
    server.stop()


def check_spool_max_bytes(scratch):
    store = scratch.fake_s3()
    server = scratch.server(SPOOL_MAX_BYTES="24MiB", MEMORY_MAX_BYTES="8MiB",
                            MAX_MESSAGE_SIZE="256KiB", MAX_FILE_SIZE="512KiB", DRAIN_TIMEOUT=0,
                            **store.settings()).start()
    store.control("fault", **DOWN)
    load = harness.start_load(server.port, "--count", 30_000, record=scratch.path / "record")

    def is_full():
        # It may have stopped before, for the room that segments had allocated before they were cut.
        used = sum(path.stat().st_size for path in server.spool.rglob("*") if path.is_file())
        assert used < 24 << 20, f"{used} bytes in the spool"
        return used > 12 << 20 and not server.ready()
    harness.wait_for(is_full, "/ready says 503 at the high watermark")
    assert load.poll() is None, "reading did not stop"
    store.control("clear")
    assert load.wait(harness.DEADLINE_SECONDS) == 0, "reading did not go on"
    load.communicate()
    server.stop()
    server.start()
    sent = evidence.read_record(scratch.path / "record")
    harness.wait_for(lambda: len(evidence.stored_events(store.objects)) == 30_000, "delivery")
    server.stop()
    evidence.assert_same(sent, evidence.stored_events(store.objects))


def durable_while_open(scratch, **settings):
    """How many events are durable when 20 were framed, a second's worth, on an open connection."""
    server = scratch.server(**settings).start()
    load = harness.start_load(server.port, "--count", 40, "--rate", 25)
    def books():
        return server.status()["books"]["xml"]
    harness.wait_for(lambda: books()["events_framed"] >= 20, "events framed")
    durable = books()["events_durable"]
    load.terminate()
    load.communicate()
    server.stop()
    return durable


def check_spool_sync_interval_ms(scratch):
    assert durable_while_open(scratch, SPOOL_SYNC_INTERVAL_MS=60_000) == 0
    fast = scratch.server("fast", SPOOL_SYNC_INTERVAL_MS=1).start()
    with fast.connect() as client:
        client.sendall(SAMPLE + b"\n")
        harness.wait_for(lambda: fast.status()["books"]["xml"]["events_durable"] == 1, "sync")
    fast.stop()


def check_spool_sync_bytes(scratch):
    assert durable_while_open(scratch, SPOOL_SYNC_INTERVAL_MS=60_000,
                              SPOOL_SYNC_BYTES="4KiB") >= 10


def check_disk_failure_timeout(scratch):
    server = scratch.server(DISK_FAILURE_TIMEOUT=0.5)
    server.file_size_signal = False
    server.start()
    # From now on no file of this process may grow past a segment's header: every write fails.
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (6000, 6000))
    load = harness.start_load(server.port, "--count", 1000)
    # The default is a minute.
    assert server.wait(30) == 4
    load.communicate()
    assert load.returncode == 1, "it acknowledged what it could not write"


def check_ledger_keep_days(scratch):
    refused(scratch, 2, "LEDGER_KEEP_DAYS", LEDGER_KEEP_DAYS="soon")


# ---- memory and threads


def check_memory_max_bytes(scratch):
    refused(scratch, 2, "MEMORY_MAX_BYTES", MEMORY_MAX_BYTES="2MiB")


def check_block_bytes(scratch):
    def members(block_bytes):
        server = scratch.server(f"block-{block_bytes}", COMPRESSION="gzip",
                                BLOCK_BYTES=block_bytes).start()
        server.load("--count", 200, "--rate", 2000)
        server.stop()
        [path] = evidence.data_objects(server.objects).values()
        rest, count = path.read_bytes(), 0
        while rest:
            member = zlib.decompressobj(wbits=31)
            member.decompress(rest)
            rest, count = member.unused_data, count + 1
        return count
    assert members("4KiB") > members("4MiB") + 5


def check_queue_capacity(scratch):
    for capacity in (1, 7):
        server = scratch.server(f"capacity-{capacity}", QUEUE_CAPACITY=capacity).start()
        queues = server.status()["queues"]
        assert queues and capacity in {queue["capacity"] for queue in queues}, queues
        server.stop()


def check_receive_threads(scratch):
    check_thread_count(scratch, "RECEIVE_THREADS", "receive")


def check_frame_threads(scratch):
    check_thread_count(scratch, "FRAME_THREADS", "frame")


def check_validate_threads(scratch):
    check_thread_count(scratch, "VALIDATE_THREADS", "validate")


def check_convert_threads(scratch):
    check_thread_count(scratch, "CONVERT_THREADS", "convert")


# ---- operation


def check_admin_host(scratch):
    server = scratch.server(ADMIN_HOST="127.0.0.2").start()
    assert server.get("/health")[0] == 0
    with socket.create_connection(("127.0.0.2", server.admin_port)) as client:
        client.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert b" 200 " in client.recv(100)
    server.stop()


def check_admin_port(scratch):
    port = free_port()
    server = scratch.server(ADMIN_PORT=port).start()
    assert server.admin_port == port and server.get("/health")[0] == 200
    server.stop()


def check_drain_timeout(scratch):
    store = scratch.fake_s3()
    elapsed = {}
    for timeout in (0.1, 3):
        server = scratch.server(f"drain-{timeout}", DRAIN_TIMEOUT=timeout, **store.settings())
        server.start()
        store.control("fault", **DOWN)
        server.send(SAMPLE)
        begin = time.monotonic()
        server.stop()
        elapsed[timeout] = time.monotonic() - begin
        store.control("clear")
    assert elapsed[3] >= 3 > elapsed[0.1], elapsed


def check_sluice_log_format(scratch):
    server = scratch.server(SLUICE_LOG_FORMAT="text", PORT=free_port()).launch()
    harness.wait_for(lambda: " server started " in server.log_text(), "a line of text")
    assert re.match(r"\d{4}-\d\d-\d\dT\S+Z (info|warning) ", server.log_text())
    server.stop()


def check_sluice_log_level(scratch):
    server = scratch.server(SLUICE_LOG_LEVEL="warning", PORT=free_port(), ADMIN_PORT=free_port())
    server.launch()
    server.port, server.admin_port = server.settings["PORT"], server.settings["ADMIN_PORT"]
    harness.wait_for(server.ready, "/ready")
    server.send(SAMPLE)
    server.stop()
    assert not [line for line in server.lines() if line["level"] in ("info", "debug")]


CHECKS = {name.removeprefix("check_").upper(): function
          for name, function in (globals() | vars(s3_options) | vars(listener_options)).items()
          if name.startswith("check_") and name not in (
              "check_thread_count", "check_key_file", "check_host", "check_port_of")}


def printed_options():
    """What `sluice config` prints: a line an option, its name first."""
    lines = harness.run_sluice("config").stdout.splitlines()
    return [line.split()[0] for line in lines if re.match(r"[A-Z][A-Z0-9_]+\s", line)]


def test_every_option_that_config_prints_has_a_check(scratch):
    del scratch
    options = set(printed_options())
    assert len(options) > 40, options
    assert not options - CHECKS.keys(), f"options without a check: {options - CHECKS.keys()}"
    assert not CHECKS.keys() - options, f"checks without an option: {CHECKS.keys() - options}"


def test_every_option_has_an_effect(scratch):
    failed = []
    only = os.environ.get("SLUICE_TEST_OPTION")
    for option, check in CHECKS.items():
        if only and option != only:
            continue
        begin = time.monotonic()
        part = harness.Scratch(option.lower())
        try:
            check(part)
        except Exception:
            traceback.print_exc(file=sys.stdout)
            part.print_logs()
            failed.append(option)
        finally:
            part.end(keep=False)
        print(f"{option}: {'FAILED' if option in failed else 'passed'}, "
              f"{time.monotonic() - begin:.1f} s", flush=True)
    assert not failed, f"no effect seen: {failed}"


if __name__ == "__main__":
    harness.main(globals())

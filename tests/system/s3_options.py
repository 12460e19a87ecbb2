"""What the options of S3 do, as options_test.py wants it: seen by the store, or on the way there."""
import base64
import contextlib
import json
import re
import socket
import threading
import time
import urllib.parse

import evidence
import harness

SAMPLE = harness.SAMPLE.read_bytes()


def refused(scratch, code, *words, **settings):
    server = scratch.server(**settings).launch()
    assert server.wait() == code, f"not exit code {code}: " + server.log_tail()
    for word in words:
        assert word in server.log_text(), f"'{word}' is not in: " + server.log_tail()


def through_s3(scratch, store, **settings):
    server = scratch.server(**store.settings(**settings)).start()
    server.send(SAMPLE)
    server.stop()
    return server


def data_requests(store, method="PUT"):
    return [request for request in store.control("requests") if request["method"] == method
            and "/xml-events/2" in request["path"]]


def headers_of_an_object(scratch, name, **settings):
    """What is sent with an object under these settings; the store verifies that it is signed."""
    store = harness.FakeS3(scratch.path / f"s3-{name}")
    scratch.started.append(store)
    server = scratch.server(f"server-{name}", **store.settings(**settings)).start()
    server.send(SAMPLE)
    server.stop()
    assert len(evidence.data_objects(store.objects)) == 1
    [request] = data_requests(store)
    return request["headers"]


def check_s3_checksum(scratch):
    names = {"crc32c": "x-amz-checksum-crc32c", "sha256": "x-amz-checksum-sha256",
             "md5": "content-md5"}
    for kind in (None, "crc32c", "sha256", "md5", "none"):
        headers = headers_of_an_object(scratch, kind, S3_CHECKSUM=kind)
        sent = {name for name in names.values() if name in headers}
        assert sent == ({names[kind or "crc32c"]} if kind != "none" else set()), sent


def check_upload_bandwidth_max(scratch):
    """The same 600 KB with a tenth of a second's worth of them free."""
    seconds = {}
    for limit in (0, "256KiB"):
        store = harness.FakeS3(scratch.path / f"s3-{limit}")
        scratch.started.append(store)
        server = scratch.server(f"server-{limit}", MAX_FILE_SIZE="64KiB", UPLOAD_CONCURRENCY=4,
                                UPLOAD_BANDWIDTH_MAX=limit, **store.settings()).start()
        server.load("--count", 280)
        begin = time.monotonic()
        server.stop()
        seconds[limit] = time.monotonic() - begin
        assert len(evidence.stored_events(store.objects)) == 280
        assert not server.lines("upload retry"), server.log_tail()
    assert seconds["256KiB"] > 1.2 and seconds["256KiB"] > 1.5 * seconds[0], seconds


def check_s3_sse(scratch):
    for value in ("AES256", "aws:kms", "aws:kms:dsse"):
        headers = headers_of_an_object(scratch, value.replace(":", "-"), S3_SSE=value)
        assert headers["x-amz-server-side-encryption"] == value
    assert "x-amz-server-side-encryption" not in headers_of_an_object(scratch, "none")


KMS = {"S3_SSE": "aws:kms"}


def check_s3_sse_kms_key_id(scratch):
    headers = headers_of_an_object(scratch, "key", S3_SSE_KMS_KEY_ID="alias/gate", **KMS)
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/gate"


def check_s3_sse_kms_context(scratch):
    headers = headers_of_an_object(scratch, "context", S3_SSE_KMS_CONTEXT='{"hall": "3"}', **KMS)
    sent = base64.b64decode(headers["x-amz-server-side-encryption-context"])
    assert json.loads(sent) == {"hall": "3"}
    refused(scratch, 2, "S3_SSE_KMS_CONTEXT", BUCKET_NAME="bucket", AWS_ACCESS_KEY_ID="a",
            AWS_SECRET_ACCESS_KEY="b", S3_SSE_KMS_CONTEXT='{"hall": "3"}')


def check_s3_sse_bucket_key(scratch):
    headers = headers_of_an_object(scratch, "bucket-key", S3_SSE_BUCKET_KEY="true", **KMS)
    assert headers["x-amz-server-side-encryption-bucket-key-enabled"] == "true"


def check_s3_storage_class(scratch):
    headers = headers_of_an_object(scratch, "class", S3_STORAGE_CLASS="STANDARD_IA")
    assert headers["x-amz-storage-class"] == "STANDARD_IA"


def check_s3_acl(scratch):
    headers = headers_of_an_object(scratch, "acl", S3_ACL="bucket-owner-full-control")
    assert headers["x-amz-acl"] == "bucket-owner-full-control"


def check_s3_tags(scratch):
    headers = headers_of_an_object(scratch, "tags", S3_TAGS="cost centre=a+b&team=gate")
    assert urllib.parse.parse_qs(headers["x-amz-tagging"]) == {"cost centre": ["a+b"],
                                                               "team": ["gate"]}


def check_s3_expected_bucket_owner(scratch):
    store = scratch.fake_s3()
    refused(scratch, 1, "AccessDenied", **store.settings(S3_EXPECTED_BUCKET_OWNER="999999999999"))
    through_s3(scratch, store, S3_EXPECTED_BUCKET_OWNER="123456789012",
               SPOOL_DIR=scratch.path / "another")
    assert len(evidence.data_objects(store.objects)) == 1


def check_s3_request_payer(scratch):
    headers = headers_of_an_object(scratch, "payer", S3_REQUEST_PAYER="requester")
    assert headers["x-amz-request-payer"] == "requester"


def check_s3_user_agent(scratch):
    headers = headers_of_an_object(scratch, "agent", S3_USER_AGENT="gate/7 (hall 3)")
    assert re.fullmatch(r"sluice/\S+ gate/7 \(hall 3\)", headers["user-agent"]), headers


class Proxy:
    """An HTTP proxy, CONNECT and absolute URLs, that takes every host for one address."""

    def __init__(self, target=None):
        self.target = target
        self.asked = []  # (method, host and port, Proxy-Authorization)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],),
                                 daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(1 << 16)
                if not piece:
                    return
                head += piece
            line, _, rest = head.partition(b"\r\n")
            method, url, _ = line.decode().split(" ")
            host = re.sub(r"^http://", "", url).split("/")[0]
            secret = re.search(rb"(?im)^proxy-authorization: basic (\S+)", rest)
            self.asked.append((method, host, secret and base64.b64decode(secret[1]).decode()))
            if not self.target:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self.target)) as store:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:  # one request a connection, so that each begins with an absolute URL
                    path = url[len("http://" + host):]
                    store.sendall(f"{method} {path} HTTP/1.1\r\nConnection: close\r\n".encode()
                                  + rest)
                back = threading.Thread(target=self._pass_on, args=(store, client), daemon=True)
                back.start()
                self._pass_on(client, store)
                back.join()

    @staticmethod
    def _pass_on(source, sink):
        with contextlib.suppress(OSError):
            while content := source.recv(1 << 16):
                sink.sendall(content)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def stop(self):
        self.listener.close()


def start_proxy(scratch, target=None):
    proxy = Proxy(target)
    scratch.started.append(proxy)
    return proxy


def aws_host(scratch, name, **settings):
    """The host that is asked for the bucket where there is no endpoint but AWS's."""
    proxy = start_proxy(scratch)
    server = scratch.server(name, OUTPUT_DIR=None, BUCKET_NAME="feeds", AWS_ACCESS_KEY_ID="a",
                            AWS_SECRET_ACCESS_KEY="b", AWS_REGION="us-east-1",
                            S3_PROXY=f"http://127.0.0.1:{proxy.port}", **settings)
    text = server.command("check", expected=1)
    assert "FAIL" in text, text
    hosts = {host for method, host, _ in proxy.asked if method == "CONNECT"}
    assert len(hosts) == 1, proxy.asked
    return hosts.pop()


def check_s3_dualstack(scratch):
    assert aws_host(scratch, "off") == "feeds.s3.us-east-1.amazonaws.com:443"
    host = aws_host(scratch, "on", S3_DUALSTACK="true")
    assert host == "feeds.s3.dualstack.us-east-1.amazonaws.com:443"


def check_s3_fips(scratch):
    host = aws_host(scratch, "on", S3_FIPS="true")
    assert host == "feeds.s3-fips.us-east-1.amazonaws.com:443"


def check_s3_accelerate(scratch):
    host = aws_host(scratch, "on", S3_ACCELERATE="true")
    assert host == "feeds.s3-accelerate.amazonaws.com:443"


def check_s3_proxy(scratch):
    store = scratch.fake_s3()
    proxy = start_proxy(scratch, store.port)
    # A name that only the proxy knows. Those of the environment lead nowhere, and are not asked.
    nowhere = {name: "http://127.0.0.1:1" for name in ("http_proxy", "HTTPS_PROXY", "all_proxy")}
    server = through_s3(scratch, store, AWS_ENDPOINT_URL=f"http://store.invalid:{store.port}",
                        S3_PROXY=f"http://gate:canary-pw@127.0.0.1:{proxy.port}",
                        no_proxy="*", **nowhere)
    assert len(evidence.data_objects(store.objects)) == 1
    assert {asked[1:] for asked in proxy.asked} == \
        {(f"store.invalid:{store.port}", "gate:canary-pw")}, proxy.asked
    assert "canary-pw" not in server.log_text()
    assert "canary-pw" not in server.command("config")
    before = len(proxy.asked)
    through_s3(scratch, store, SPOOL_DIR=scratch.path / "another", **nowhere)
    assert len(proxy.asked) == before and len(evidence.data_objects(store.objects)) == 2
    closed = start_proxy(scratch)
    refused(scratch, 1, "ProxyRefused", "Check S3_PROXY", OUTPUT_DIR=None, BUCKET_NAME="feeds",
            AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", SPOOL_DIR=scratch.path / "closed",
            S3_PROXY=f"http://127.0.0.1:{closed.port}")


def check_s3_ca_file(scratch):
    store = scratch.fake_s3(tls=True)
    refused(scratch, 1, "CertificateError", "S3_CA_FILE", **store.settings())
    proxy = start_proxy(scratch, store.port)
    through_s3(scratch, store, S3_CA_FILE=store.ca_file, SPOOL_DIR=scratch.path / "another",
               S3_PROXY=f"http://127.0.0.1:{proxy.port}")
    assert len(evidence.data_objects(store.objects)) == 1
    assert {method for method, *_ in proxy.asked} == {"CONNECT"}


def seconds_of_check(server, **settings):
    begin = time.monotonic()
    text = server.command("check", expected=1, **settings)
    assert "Timeout" in text, text
    return time.monotonic() - begin


def check_s3_connect_timeout(scratch):
    # It accepts, and never says a word of TLS: that is part of connecting.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = scratch.server(OUTPUT_DIR=None, BUCKET_NAME="bucket", AWS_ACCESS_KEY_ID="a",
                                AWS_SECRET_ACCESS_KEY="b",
                                AWS_ENDPOINT_URL=f"https://127.0.0.1:{listener.getsockname()[1]}")
        assert seconds_of_check(server, S3_CONNECT_TIMEOUT=0.3) < 8  # the default is 10


def check_s3_request_timeout(scratch):
    store = scratch.fake_s3()
    store.control("fault", match="^PUT", count=-1, kind="stall", seconds=3600)
    server = scratch.server(**store.settings())
    assert seconds_of_check(server, S3_REQUEST_TIMEOUT=0.3) < 20  # without it 30: too slow


def check_s3_idle_timeout(scratch):
    for seconds, reused in ((1, False), (60, True)):
        store = harness.FakeS3(scratch.path / f"s3-{seconds}")
        scratch.started.append(store)
        server = scratch.server(f"idle-{seconds}", **store.settings(S3_IDLE_TIMEOUT=seconds))
        server.start()
        server.send(SAMPLE)
        server.command("rotate")
        harness.wait_for(lambda: data_requests(store), "an object")
        known = {request["connection"] for request in store.control("requests")}
        begin = time.monotonic()
        harness.wait_for(lambda: time.monotonic() - begin > 2.1, "an idle while")
        server.send(SAMPLE)
        server.command("rotate")
        harness.wait_for(lambda: len(data_requests(store)) == 2, "another object")
        assert (data_requests(store)[1]["connection"] in known) == reused
        server.stop()
        store.stop()

#!/usr/bin/env python3
"""A fake S3 server for tests: Python 3 standard library only, on loopback only.

    python3 tests/fakes/s3_server.py [--host 127.0.0.1] [--port 0] [--directory DIR]
                                     [--bucket NAME ...] [--region us-east-1]
                                     [--access-key KEY --secret-key SECRET] [--session-token TOKEN]
                                     [--host-suffix s3.test]
                                     [--no-conditional] [--ignore-conditions] [--no-checksums]
                                     [--clock-offset SECONDS]
                                     [--tls DIRECTORY [--certificate good|expired|other-host]]

Prints its port on the first line of stdout, then serves until SIGTERM, or until stdin ends with
--stdin-lifeline. It verifies every signature (SigV4) with code of its own, and the payload hash.
Defaults: key AKIATEST, secret "secret", bucket "bucket".

What it does: PUT, GET (whole), HEAD, DELETE of objects, HEAD of a bucket, ListObjectsV2 and
ListMultipartUploads by pages, multipart (create, part, complete, abort), If-None-Match: * (a 501
with --no-conditional, without effect with --ignore-conditions), path style, and virtual-host style
(Host: <bucket>.<host-suffix>). Checksums (Content-MD5, x-amz-checksum-crc32c and -sha256) are
verified, asked for in CompleteMultipartUpload, and confirmed; with --no-checksums they are ignored.
With S3_SSE=aws:kms the ETag is no MD5; the bucket belongs to account 123456789012. --tls serves
https with a certificate for 127.0.0.1 and localhost, made in DIRECTORY as ca.pem.

DIR holds each object as `objects/<bucket>/<percent-encoded key>` with `.meta.json` beside it
(content_type, metadata, etag, bytes, last_modified). Without --directory a temporary one is made
and removed.

Control, unsigned, JSON in and out:
  GET  /_control/log                 every write, in order: [{"op": "put"|"complete"|"delete"|
                                     "create_multipart"|"part"|"abort", "bucket", "key", "bytes",
                                     "sha256", "overwrite": bool}, ...]
  GET  /_control/requests            every signed request: [{"method", "path", "query", "status",
                                     "code", "fault", "connection", "headers"}, ...]
  GET  /_control/objects             [{"bucket", "key", "bytes", "etag", "metadata",
                                     "content_type", "sha256"}, ...]
  GET  /_control/uploads             multipart uploads that are open
  POST /_control/fault               {"match": regex on "METHOD /path?query", "count": 1 (-1: always),
                                     "skip": 0 (let so many pass first), "kind": ...} with kind:
       status      answer "status" (503) with <Code>"code"</Code>, "message", extra "headers" {};
                   "region" adds <Region>; "body" replaces the whole body. Nothing is stored.
       error200    200 with an <Error> body of "code"; nothing is stored
       wrong_etag  store it, answer 200 with another ETag
       wrong_checksum  store it, answer 200 with another x-amz-checksum-*
       close       end the connection in order before a byte of an answer
       reset       close with RST after the headers were read; "after_body": true: after the body
       truncate    the first half of an answer, then close (the request itself is carried out
                   only with "store": true)
       stall       say nothing for "seconds" (3600), then close
       drip        answer at one byte a second
       lost_reply  store it, then close without an answer
       huge        an error answer of "bytes" (10 MB) of body
       headers     an answer of "lines" (10000) headers
                                     Answers {"id": n}.
  POST /_control/random_faults       {"share": 0.05, "seed": n, "faults": [as above, with a
                                     "name"]}: that share of all requests gets one, each of them
                                     as often as the others
  POST /_control/clear               forget all faults and denials
  POST /_control/deny_prefix         {"prefix": "quarantine/", "deny": true}: 403 AccessDenied
  POST /_control/set                 {"secret_key", "access_key", "session_token", "clock_offset",
                                     "conditional", "checksums", "region"}: any of them. A
                                     session_token "until" takes every "until-<epoch>" before that
                                     time
Once: `curl -s localhost:PORT/_control/log`.
"""

import argparse
import base64
import ctypes
import datetime
import email.utils
import hashlib
import hmac
import http.server
import json
import os
import random
import re
import shutil
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from xml.sax.saxutils import escape

MAX_SKEW_SECONDS = 15 * 60
UNRESERVED = "-._~"

ending = threading.Event()  # of the server: whoever stalls goes on


class S3Error(Exception):
    def __init__(self, status, code, message, extra=None):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra or {}


def quote(text):
    return urllib.parse.quote(text, safe=UNRESERVED)


QUOTES = {'"': "&quot;"}
OWNER = "123456789012"
# Only where an object begins.
OBJECT_HEADERS = ("x-amz-server-side-encryption", "x-amz-storage-class", "x-amz-acl",
                  "x-amz-tagging")
CHECKSUM_HEADERS = {"CRC32C": "x-amz-checksum-crc32c", "SHA256": "x-amz-checksum-sha256"}


def crc32c_of_python(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def make_crc32c():
    """ISA-L's, which the server under test does not use for this; Python's own is very slow."""
    try:
        function = ctypes.CDLL("libisal.so.2").crc32_iscsi
    except (OSError, AttributeError):
        return crc32c_of_python
    function.restype = ctypes.c_uint
    function.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint]
    return lambda data: ~function(data, len(data), 0xFFFFFFFF) & 0xFFFFFFFF


crc32c = make_crc32c()


def checksum(algorithm, data):
    raw = struct.pack(">I", crc32c(data)) if algorithm == "CRC32C" else hashlib.sha256(data).digest()
    return base64.b64encode(raw).decode()


def iso_time(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%S.000Z")


def encoding_of(query):
    """How the answer writes a key, and what it says about that."""
    if query.get("encoding-type") == "url":
        return (lambda key: urllib.parse.quote_plus(key, safe="/-._*"),
                "<EncodingType>url</EncodingType>")
    return escape, ""


class RandomFaults:
    """Deals the faults like cards, so that each comes as often as the others."""

    def __init__(self, share, seed, faults):
        self.share = share
        self.random = random.Random(seed)
        self.faults = faults
        self.deck = []

    def take(self, line):
        if self.random.random() >= self.share:
            return None
        fault = self.find(line)
        if fault is None:  # what is left does not go with this request
            missing = [fault for fault in self.faults if fault not in self.deck]
            self.deck += self.random.sample(missing, len(missing))
            fault = self.find(line)
        if fault is not None:
            self.deck.remove(fault)
        return fault

    def find(self, line):
        return next((fault for fault in self.deck if re.search(fault.get("match", ""), line)), None)


class Store:
    """Objects, uploads, faults and the logs; one lock around all of it."""

    def __init__(self, options):
        self.lock = threading.RLock()
        self.root = options.directory
        self.buckets = set(options.bucket)
        self.access_key = options.access_key
        self.secret_key = options.secret_key
        self.session_token = options.session_token
        self.region = options.region
        self.host_suffix = options.host_suffix
        self.conditional = not options.no_conditional
        self.ignore_conditions = options.ignore_conditions
        self.checksums = not options.no_checksums
        self.clock_offset = options.clock_offset
        self.uploads = {}
        self.faults = []
        self.random_faults = None
        self.denied = set()
        self.log = []
        self.requests = []
        self.next_fault = 1
        for bucket in self.buckets:
            os.makedirs(os.path.join(self.root, "objects", bucket), exist_ok=True)

    def now(self):
        return time.time() + self.clock_offset

    def path_of(self, bucket, key):
        return os.path.join(self.root, "objects", bucket, quote(key))

    def find(self, bucket, key):
        try:
            with open(self.path_of(bucket, key) + ".meta.json", encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def read(self, bucket, key):
        with open(self.path_of(bucket, key), "rb") as file:
            return file.read()

    def write(self, bucket, key, body, about, op):
        """Stores an object; keeps what was overwritten in the log."""
        overwrite = self.find(bucket, key) is not None
        path = self.path_of(bucket, key)
        with open(path + ".tmp", "wb") as file:
            file.write(body)
        about = dict(about, bytes=len(body), key=key, last_modified=self.now(),
                     sha256=hashlib.sha256(body).hexdigest())
        with open(path + ".meta.json.tmp", "w", encoding="utf-8") as file:
            json.dump(about, file)
        os.replace(path + ".tmp", path)
        os.replace(path + ".meta.json.tmp", path + ".meta.json")
        self.note(op, bucket, key, len(body), about["sha256"], overwrite)

    def note(self, op, bucket, key, size=0, sha256="", overwrite=False):
        self.log.append({"op": op, "bucket": bucket, "key": key, "bytes": size,
                         "sha256": sha256, "overwrite": overwrite})

    def objects(self):
        found = []
        for bucket in sorted(self.buckets):
            folder = os.path.join(self.root, "objects", bucket)
            for name in sorted(os.listdir(folder)):
                if name.endswith(".meta.json"):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        about = json.load(file)
                    found.append(dict(about, bucket=bucket))
        return sorted(found, key=lambda entry: (entry["bucket"], entry["key"].encode()))

    def take_fault(self, line):
        with self.lock:
            for fault in self.faults:
                if re.search(fault.get("match", ""), line):
                    if fault.get("skip", 0) > 0:
                        fault["skip"] -= 1
                        continue
                    if fault["count"] == 0:
                        continue
                    if fault["count"] > 0:
                        fault["count"] -= 1
                    return fault
            return self.random_faults.take(line) if self.random_faults else None


# ---- SigV4, written from AWS's description and sharing nothing with the client -------------------

def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def canonical_query(query):
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        pairs.append((quote(urllib.parse.unquote(name)), quote(urllib.parse.unquote(value))))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def verify_signature(store, handler, path, query):
    """Raises S3Error unless the request is signed as it should be."""
    header = handler.headers.get("Authorization", "")
    match = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
        r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})", header)
    if not match:
        raise S3Error(403 if not header else 400,
                      "AccessDenied" if not header else "AuthorizationHeaderMalformed",
                      "The authorization header is missing or malformed")
    access_key, day, region, service, signed, signature = match.groups()
    if access_key != store.access_key:
        raise S3Error(403, "InvalidAccessKeyId",
                      "The AWS Access Key Id you provided does not exist in our records.")
    if region != store.region or service != "s3":
        raise S3Error(400, "AuthorizationHeaderMalformed",
                      f"The authorization header is malformed; the region '{region}' is wrong; "
                      f"expecting '{store.region}'", {"Region": store.region})
    names = signed.split(";")
    required = {"host", "x-amz-date", "x-amz-content-sha256"}
    required |= {name.lower() for name in handler.headers.keys()
                 if name.lower().startswith("x-amz-")}
    if names != sorted(names) or not required <= set(names):
        raise S3Error(403, "AccessDenied", "There were headers present which were not signed")
    stamp = handler.headers.get("x-amz-date", "")
    try:
        at = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(
            tzinfo=datetime.timezone.utc).timestamp()
    except ValueError:
        raise S3Error(403, "AccessDenied", "x-amz-date is no date") from None
    if abs(at - store.now()) > MAX_SKEW_SECONDS:
        raise S3Error(403, "RequestTimeTooSkewed",
                      "The difference between the request time and the current time is too large.")
    token = handler.headers.get("x-amz-security-token", "")
    lasts = re.fullmatch(r"until-(\d+)", token) if store.session_token == "until" else None
    if store.session_token and token != store.session_token \
            and not (lasts and float(lasts[1]) > store.now()):
        raise S3Error(400, "ExpiredToken", "The provided token has expired.")
    lines = []
    for name in names:
        values = handler.headers.get_all(name) or []
        lines.append(name + ":" + ",".join(" ".join(value.split()) for value in values) + "\n")
    path_text = urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe=UNRESERVED + "/")
    request = "\n".join([handler.command, path_text, canonical_query(query), "".join(lines), signed,
                         handler.headers.get("x-amz-content-sha256", "")])
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(request.encode()).hexdigest()])
    key = sign(("AWS4" + store.secret_key).encode(), day)
    for part in (region, service, "aws4_request"):
        key = sign(key, part)
    if not stamp.startswith(day) or not hmac.compare_digest(sign(key, text).hex(), signature):
        raise S3Error(403, "SignatureDoesNotMatch",
                      "The request signature we calculated does not match the signature you "
                      "provided. Check your key and signing method.")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "FakeS3"
    disable_nagle_algorithm = True
    timeout = 3700
    store = None
    connections = 0

    def setup(self):
        super().setup()
        with self.store.lock:
            Handler.connections += 1
            self.connection_number = Handler.connections

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(self.store.now() if timestamp is None else timestamp,
                                      usegmt=True)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = lambda self: self.answer()

    # ---- answering

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path.startswith("/_control/"):
            return self.control(url.path[len("/_control/"):])
        self.written = False
        self.record = {"method": self.command, "path": url.path, "query": url.query, "status": 0,
                       "code": "", "fault": "", "connection": self.connection_number,
                       "headers": {name.lower(): value for name, value in self.headers.items()
                                   if name.lower() != "authorization"}}
        with self.store.lock:
            self.store.requests.append(self.record)
        fault = self.store.take_fault(f"{self.command} {self.path}")
        self.record["fault"] = fault.get("name", fault["kind"]) if fault else ""
        if fault and fault["kind"] == "reset" and not fault.get("after_body"):
            return self.reset()
        if self.headers.get("Expect", "").lower() == "100-continue":
            pass  # BaseHTTPRequestHandler has answered it
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        except OSError:
            self.close_connection = True
            return None
        if fault and not self.before(fault):
            return None
        try:
            self.carry_out(url, body, fault)
        except S3Error as error:
            self.send_error_body(error)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        return None

    def before(self, fault):
        """Faults that leave the request undone. False: answered."""
        kind = fault["kind"]
        if kind == "status":
            headers = dict(fault.get("headers", {}))
            extra = {"Region": fault["region"]} if "region" in fault else {}
            error = S3Error(fault.get("status", 503), fault.get("code", "ServiceUnavailable"),
                            fault.get("message", "injected"), extra)
            self.send_error_body(error, headers, fault.get("body"))
        elif kind == "error200":
            self.send_error_body(S3Error(200, fault.get("code", "InternalError"), "injected"))
        elif kind == "reset":
            self.reset()
        elif kind == "close":
            self.record["status"] = -1
            self.close_connection = True
        elif kind == "truncate" and not fault.get("store"):
            self.cut(b"<?xml version=\"1.0\"?><Error><Code>Internal")
        elif kind == "stall":
            self.record["status"] = -1
            ending.wait(fault.get("seconds", 3600))
            self.close_connection = True
        elif kind == "drip":
            self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            try:
                self.raw(b".")
                while not ending.wait(1):
                    self.raw(b".")
            except OSError:
                pass
            self.close_connection = True
        elif kind == "huge":
            self.send_error_body(S3Error(500, "InternalError", "injected"), None,
                                 "x" * fault.get("bytes", 10_000_000))
        elif kind == "headers":
            text = "".join(f"x-filler-{i}: {'y' * 60}\r\n" for i in range(fault.get("lines", 10000)))
            try:
                self.raw(b"HTTP/1.1 200 OK\r\n" + text.encode() + b"Content-Length: 0\r\n\r\n")
            except OSError:
                pass
            self.close_connection = True
        else:
            return True
        return False

    def raw(self, data):
        self.wfile.write(data)
        self.wfile.flush()

    def reset(self):
        self.record["status"] = -1
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def cut(self, body):
        self.record["status"] = 200
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: "
                 + str(len(body) * 2).encode() + b"\r\n\r\n" + body)
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def send(self, status, body=b"", headers=None):
        fault = getattr(self, "after_fault", None)
        self.after_fault = None
        if fault and fault["kind"] == "lost_reply":
            self.record["status"] = -1
            self.close_connection = True
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            return
        if fault and fault["kind"] == "truncate":
            self.cut(body or b"<x/>")
            return
        headers = dict(headers or {})
        if fault and fault["kind"] == "wrong_etag":
            headers["ETag"] = '"00000000000000000000000000000000"'
        if fault and fault["kind"] == "wrong_checksum":
            headers.update((name, "AAAAAA==") for name in CHECKSUM_HEADERS.values()
                           if name in headers)
        self.record["status"] = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amz-request-id", uuid.uuid4().hex[:16].upper())
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_xml(self, text, status=200):
        self.send(status, ('<?xml version="1.0" encoding="UTF-8"?>\n' + text).encode(),
                  {"Content-Type": "application/xml"})

    def send_error_body(self, error, headers=None, body=None):
        self.record["code"] = error.code
        extra = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in error.extra.items())
        if body is None:
            body = ('<?xml version="1.0" encoding="UTF-8"?>\n'
                    f"<Error><Code>{escape(error.code)}</Code>"
                    f"<Message>{escape(error.message)}</Message>{extra}"
                    "<RequestId>TEST</RequestId></Error>")
        all_headers = {"Content-Type": "application/xml"}
        all_headers.update(headers or {})
        try:
            self.send(error.status, body.encode(), all_headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # ---- the operations

    def address(self, url):
        """(bucket, key) of a request in either style."""
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        path = urllib.parse.unquote(url.path)
        if host.endswith("." + self.store.host_suffix):
            return host[:-len(self.store.host_suffix) - 1], path[1:]
        bucket, _, key = path[1:].partition("/")
        return bucket, key

    def carry_out(self, url, body, fault):
        store = self.store
        self.after_fault = fault
        verify_signature(store, self, url.path, url.query)
        declared = self.headers.get("x-amz-content-sha256", "")
        if declared != "UNSIGNED-PAYLOAD" and declared != hashlib.sha256(body).hexdigest():
            raise S3Error(400, "XAmzContentSHA256Mismatch",
                          "The provided 'x-amz-content-sha256' header does not match what was "
                          "computed.")
        self.confirmed = self.verify_checksums(body)
        bucket, key = self.address(url)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        with store.lock:
            if self.headers.get("x-amz-expected-bucket-owner", OWNER) != OWNER:
                raise S3Error(403, "AccessDenied", "Access Denied")
            begins = self.command == "PUT" and "partNumber" not in query or "uploads" in query
            if not begins and any(name in self.headers for name in OBJECT_HEADERS):
                raise S3Error(400, "InvalidArgument", "A header is not supported for this operation")
            if bucket not in store.buckets:
                raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
            if not key:
                return self.bucket_operation(bucket, query)
            if any(key.startswith(prefix) for prefix in store.denied):
                raise S3Error(403, "AccessDenied", "Access Denied")
            if len(key.encode()) > 1024:
                raise S3Error(400, "KeyTooLongError", "Your key is too long")
            return self.object_operation(bucket, key, query, body)

    def verify_checksums(self, body):
        """The x-amz-checksum-* of the answer: {header: value}."""
        md5 = self.headers.get("Content-MD5")
        if md5 is not None and base64.b64encode(hashlib.md5(body).digest()).decode() != md5:
            raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match")
        if not self.store.checksums:
            return {}
        confirmed = {}
        for algorithm, header in CHECKSUM_HEADERS.items():
            declared = self.headers.get(header)
            if declared is not None:
                if declared != checksum(algorithm, body):
                    raise S3Error(400, "BadDigest",
                                  f"The {algorithm} you specified did not match")
                confirmed[header] = declared
        declared = self.headers.get("x-amz-sdk-checksum-algorithm")
        if declared is not None and CHECKSUM_HEADERS.get(declared) not in confirmed:
            raise S3Error(400, "InvalidRequest",
                          "x-amz-sdk-checksum-algorithm specified, but no corresponding "
                          "x-amz-checksum-* header was found")
        return confirmed

    def encryption(self):
        name = "x-amz-server-side-encryption"
        return {header: self.headers[header]
                for header in (name, name + "-aws-kms-key-id", name + "-bucket-key-enabled")
                if header in self.headers}

    def etag_of(self, body, encryption):
        by_kms = "kms" in encryption.get("x-amz-server-side-encryption", "")
        return '"' + hashlib.md5(body + b"kms" * by_kms).hexdigest() + '"'

    def bucket_operation(self, bucket, query):
        if self.command == "HEAD":
            return self.send(200)
        if self.command != "GET":
            raise S3Error(405, "MethodNotAllowed", "not here")
        if "uploads" in query:
            return self.list_uploads(bucket, query)
        return self.list_objects(bucket, query)

    def list_objects(self, bucket, query):
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        limit = min(int(query.get("max-keys", "1000")), 1000)
        name_of, encoding = encoding_of(query)
        names = [o for o in self.store.objects()
                 if o["bucket"] == bucket and o["key"].startswith(prefix)
                 and o["key"].encode() > after.encode()]
        items = "".join(
            f"<Contents><Key>{name_of(o['key'])}</Key>"
            f"<LastModified>{iso_time(o['last_modified'])}</LastModified>"
            f"<ETag>{escape(o['etag'], QUOTES)}</ETag><Size>{o['bytes']}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>" for o in names[:limit])
        more = len(names) > limit
        token = ""
        if more:
            token = ("<NextContinuationToken>" + escape(names[limit - 1]["key"])
                     + "</NextContinuationToken>")
        return self.send_xml(
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{name_of(prefix)}</Prefix>{encoding}"
            f"<KeyCount>{len(names[:limit])}</KeyCount><MaxKeys>{limit}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}"
            "</ListBucketResult>")

    def list_uploads(self, bucket, query):
        prefix = query.get("prefix", "")
        after = (query.get("key-marker", "").encode(), query.get("upload-id-marker", ""))
        limit = min(int(query.get("max-uploads", "1000")), 1000)
        name_of, encoding = encoding_of(query)
        found = sorted((u["key"].encode(), upload_id, u) for upload_id, u
                       in self.store.uploads.items()
                       if u["bucket"] == bucket and u["key"].startswith(prefix))
        # Without an upload id the marker stands behind all uploads of its key.
        found = [one for one in found if (one[:2] > after if after[1] else one[0] > after[0])]
        items = "".join(
            f"<Upload><Key>{name_of(u['key'])}</Key><UploadId>{upload_id}</UploadId>"
            "<Initiator><ID>one</ID></Initiator><Owner><ID>one</ID></Owner>"
            f"<Initiated>{iso_time(u['initiated'])}</Initiated></Upload>"
            for _, upload_id, u in found[:limit])
        more = len(found) > limit
        marker = ""
        if more:
            key, upload_id, _ = found[limit - 1]
            marker = (f"<NextKeyMarker>{name_of(key.decode())}</NextKeyMarker>"
                      f"<NextUploadIdMarker>{upload_id}</NextUploadIdMarker>")
        return self.send_xml(
            f"<ListMultipartUploadsResult><Bucket>{bucket}</Bucket>{encoding}{marker}"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{items}</ListMultipartUploadsResult>")

    def object_operation(self, bucket, key, query, body):
        store = self.store
        if self.command == "PUT" and "partNumber" in query:
            return self.put_part(query, body)
        if self.command == "PUT":
            self.check_condition(bucket, key)
            etag = self.etag_of(body, self.encryption())
            store.write(bucket, key, body, self.about(etag), "put")
            return self.send(200, b"", {"ETag": etag} | self.confirmed | self.encryption())
        if self.command == "POST" and "uploads" in query:
            upload = uuid.uuid4().hex
            store.uploads[upload] = {"bucket": bucket, "key": key, "about": self.about(""),
                                     "parts": {}, "initiated": store.now(),
                                     "algorithm": self.headers.get("x-amz-checksum-algorithm")
                                     if store.checksums else None,
                                     "encryption": self.encryption()}
            store.note("create_multipart", bucket, key)
            return self.send_xml("<InitiateMultipartUploadResult>"
                                 f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
                                 f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
        if self.command == "POST" and "uploadId" in query:
            return self.complete(bucket, key, query, body)
        if self.command == "DELETE" and "uploadId" in query:
            self.upload_of(query)
            del store.uploads[query["uploadId"]]
            store.note("abort", bucket, key)
            return self.send(204)
        if self.command == "DELETE":
            for suffix in ("", ".meta.json"):
                if os.path.exists(store.path_of(bucket, key) + suffix):
                    os.unlink(store.path_of(bucket, key) + suffix)
            store.note("delete", bucket, key)
            return self.send(204)
        if self.command in ("GET", "HEAD"):
            return self.read_object(bucket, key)
        raise S3Error(405, "MethodNotAllowed", "The specified method is not allowed")

    def about(self, etag):
        prefix = "x-amz-meta-"
        return {"etag": etag, "content_type": self.headers.get("Content-Type", ""),
                "metadata": {name.lower()[len(prefix):]: value
                             for name, value in self.headers.items()
                             if name.lower().startswith(prefix)}}

    def check_condition(self, bucket, key):
        condition = self.headers.get("If-None-Match")
        if condition is None or self.store.ignore_conditions:
            return
        if not self.store.conditional or condition != "*":
            raise S3Error(501, "NotImplemented",
                          "A header you provided implies functionality that is not implemented")
        if self.store.find(bucket, key):
            raise S3Error(412, "PreconditionFailed",
                          "At least one of the pre-conditions you specified did not hold",
                          {"Condition": "If-None-Match"})

    def upload_of(self, query):
        upload = self.store.uploads.get(query["uploadId"])
        if upload is None:
            raise S3Error(404, "NoSuchUpload", "The specified upload does not exist")
        return upload

    def put_part(self, query, body):
        upload = self.upload_of(query)
        etag = self.etag_of(body, upload["encryption"])
        upload["parts"][int(query["partNumber"])] = (
            etag, body, self.confirmed.get(CHECKSUM_HEADERS.get(upload["algorithm"])))
        self.store.note("part", upload["bucket"], upload["key"], len(body))
        return self.send(200, b"", {"ETag": etag} | self.confirmed | upload["encryption"])

    def complete(self, bucket, key, query, body):
        upload = self.upload_of(query)
        text = body.decode()
        element = f"Checksum{upload['algorithm']}"
        wanted = [(int(number), etag.replace("&quot;", '"'), given) for number, etag, _, given
                  in re.findall(r"<Part><PartNumber>(\d+)</PartNumber><ETag>([^<]+)</ETag>"
                                rf"(<{element}>([^<]+)</{element}>)?</Part>", text)]
        numbers = [number for number, *_ in wanted]
        if not wanted or numbers != sorted(set(numbers)) or len(wanted) != text.count("<Part>"):
            raise S3Error(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        pieces = []
        for number, etag, given in wanted:
            have = upload["parts"].get(number)
            if have is None or have[0].strip('"') != etag.strip('"') or (have[2] or "") != given:
                raise S3Error(400, "InvalidPart", "One or more of the parts could not be found.")
            pieces.append(have[1])
        if any(len(piece) < 5 * 1024 * 1024 for piece in pieces[:-1]):
            raise S3Error(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum")
        self.check_condition(bucket, key)
        digests = b"".join(hashlib.md5(piece).digest() for piece in pieces)
        etag = f'"{hashlib.md5(digests).hexdigest()}-{len(pieces)}"'
        self.store.write(bucket, key, b"".join(pieces), dict(upload["about"], etag=etag),
                         "complete")
        whole = ""
        if upload["algorithm"]:
            checksums = b"".join(base64.b64decode(given) for *_, given in wanted)
            fault = self.after_fault or {}
            value = ("AAAAAA==" if fault.get("kind") == "wrong_checksum"
                     else checksum(upload["algorithm"], checksums))
            whole = f"<{element}>{value}-{len(pieces)}</{element}>"
        del self.store.uploads[query["uploadId"]]
        return self.send_xml(f"<CompleteMultipartUploadResult><Key>{escape(key)}</Key>"
                             f"<ETag>{escape(etag)}</ETag>{whole}</CompleteMultipartUploadResult>")

    def read_object(self, bucket, key):
        about = self.store.find(bucket, key)
        if about is None:
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
        headers = {"ETag": about["etag"], "Content-Type": about["content_type"],
                   "Last-Modified": self.date_time_string(about["last_modified"])}
        for name, value in about["metadata"].items():
            headers["x-amz-meta-" + name] = value
        if self.command == "HEAD":
            headers["Content-Length"] = str(about["bytes"])
            return self.send(200, b"", headers)
        return self.send(200, self.store.read(bucket, key), headers)

    # ---- control

    def control(self, name):
        store = self.store
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        given = json.loads(body) if body else {}
        with store.lock:
            reply = {}
            if name == "log":
                reply = store.log
            elif name == "requests":
                reply = store.requests
            elif name == "objects":
                reply = store.objects()
            elif name == "uploads":
                reply = [{"bucket": u["bucket"], "key": u["key"], "id": i,
                          "parts": sorted(u["parts"])} for i, u in store.uploads.items()]
            elif name == "fault":
                given.setdefault("count", 1)
                given.setdefault("kind", "status")
                given["id"] = store.next_fault
                store.next_fault += 1
                store.faults.append(given)
                reply = {"id": given["id"]}
            elif name == "clear":
                store.faults.clear()
                store.random_faults = None
                store.denied.clear()
            elif name == "random_faults":
                store.random_faults = RandomFaults(given["share"], given["seed"], given["faults"])
            elif name == "deny_prefix":
                if given.get("deny", True):
                    store.denied.add(given["prefix"])
                else:
                    store.denied.discard(given["prefix"])
            elif name == "set":
                for field in ("secret_key", "access_key", "session_token", "clock_offset",
                              "conditional", "checksums", "region"):
                    if field in given:
                        setattr(store, field, given[field])
            else:
                self.record = {}
                return self.send(404)
            text = json.dumps(reply).encode()
        self.record = {}
        return self.send(200, text, {"Content-Type": "application/json"})


def tls_context(directory, kind):
    """With ca.pem and key.pem in the directory, made here: the certificate signs itself."""
    key, request, certificate = (os.path.join(directory, name)
                                 for name in ("key.pem", "request.pem", "ca.pem"))
    names = "DNS:elsewhere.test" if kind == "other-host" else "IP:127.0.0.1,DNS:localhost"
    for command in (
            ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", key, "-out", request, "-subj", "/CN=fake-s3",
             "-addext", "subjectAltName=" + names],
            ["x509", "-req", "-in", request, "-signkey", key, "-out", certificate,
             "-days", "-1" if kind == "expired" else "2", "-copy_extensions", "copy"]):
        subprocess.run(["openssl", *command], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256
    tls = None

    def finish_request(self, request, client_address):
        # Here, in the connection's own thread: a handshake may take any time.
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def add_server_options(parser):
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stdin-lifeline", action="store_true")
    parser.add_argument("--tls", metavar="DIRECTORY")
    parser.add_argument("--certificate", default="good",
                        choices=("good", "expired", "other-host"))


def serve(handler, options):
    """Prints its port, and serves until SIGTERM, or the end of stdin where that is its lifeline."""
    server = Server((options.host, options.port), handler)
    if options.tls:
        server.tls = tls_context(options.tls, options.certificate)
    print(server.server_address[1], flush=True)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    if options.stdin_lifeline:
        def wait_for_end():
            while os.read(0, 4096):
                pass
            server.shutdown()
        threading.Thread(target=wait_for_end, daemon=True).start()
    try:
        server.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        pass
    finally:
        ending.set()


def main():
    parser = argparse.ArgumentParser(description="A fake S3 server for tests.")
    add_server_options(parser)
    parser.add_argument("--directory")
    parser.add_argument("--bucket", action="append")
    parser.add_argument("--access-key", default="AKIATEST")
    parser.add_argument("--secret-key", default="secret")
    parser.add_argument("--session-token", default="")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--host-suffix", default="s3.test")
    parser.add_argument("--no-conditional", action="store_true")
    parser.add_argument("--ignore-conditions", action="store_true")
    parser.add_argument("--no-checksums", action="store_true")
    parser.add_argument("--clock-offset", type=float, default=0)
    options = parser.parse_args()
    options.bucket = options.bucket or ["bucket"]
    temporary = None if options.directory else tempfile.mkdtemp(prefix="fake-s3-")
    options.directory = options.directory or temporary
    Handler.store = Store(options)
    try:
        serve(Handler, options)
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    main()

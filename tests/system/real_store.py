"""What the tests of real S3-compatible servers share: daemons that die with the test, requests that
are signed here, with code that shares nothing with the server's.
"""
import ctypes
import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import signal
import urllib.parse
import xml.etree.ElementTree

import harness

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_UNRESERVED = "-._~"


def end_with(parent):
    """In the child: dies when the test does. Ctrl-C at a terminal reaches the test alone."""
    os.setpgrp()
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)


def quote(text):
    return urllib.parse.quote(text, safe=_UNRESERVED)


class RealStore:
    """What a rig says of itself, and what can be asked of its server. A rig adds the daemons, and
    accesses(): [(method, key, query, status)] of every request about an object so far, in order of
    their ends."""

    ACCESS_KEY = SECRET_KEY = None
    BUCKET = "events"
    REGION = "us-east-1"
    port = None

    # ---- what the server under test is told

    def settings(self, **more):
        return {
            "OUTPUT_DIR": None,
            "BUCKET_NAME": self.BUCKET,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": self.REGION,
            "AWS_ACCESS_KEY_ID": self.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": self.SECRET_KEY,
            "RETRY_BASE_DELAY": "0.05",
            "CONFIG_PROBE_INTERVAL": "0.2",
        } | more

    # ---- requests

    def _signed(self, method, path, query, body, headers, secret, region, clock_ahead):
        """The headers of a request: Signature Version 4, from AWS's description of it."""
        now = datetime.datetime.now(datetime.timezone.utc) \
            + datetime.timedelta(seconds=clock_ahead)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        digest = hashlib.sha256(body).hexdigest()
        signed = {name.lower(): value for name, value in headers.items()} | {
            "host": f"127.0.0.1:{self.port}", "x-amz-content-sha256": digest, "x-amz-date": stamp}
        names = ";".join(sorted(signed))
        canonical = "\n".join([
            method, urllib.parse.quote(path, safe=_UNRESERVED + "/"), query,
            "".join(f"{name}:{signed[name]}\n" for name in sorted(signed)), names, digest])
        scope = f"{day}/{region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + secret).encode()
        for part in (day, region, "s3", "aws4_request", text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return signed | {"authorization": f"AWS4-HMAC-SHA256 Credential={self.ACCESS_KEY}/{scope}, "
                                          f"SignedHeaders={names}, Signature={key.hex()}"}

    def request(self, method, path, query=(), body=b"", expected=None, tampered=None, secret=None,
                region=None, clock_ahead=0, **headers):
        """(status, {header: value}, body) of a signed request. What a store should refuse: another
        body than the signed one, another secret or region, a clock some seconds off."""
        query = "&".join(f"{quote(name)}={quote(value)}"
                         for name, value in sorted(dict(query).items()))
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=harness.DEADLINE_SECONDS)
        try:
            signed = self._signed(method, path, query, body, headers, secret or self.SECRET_KEY,
                                  region or self.REGION, clock_ahead)
            connection.request(
                method, urllib.parse.quote(path, safe=_UNRESERVED + "/") + "?" * bool(query)
                + query, body if tampered is None else tampered, signed)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        assert expected in (None, response.status), f"{method} {path}: {response.status} {content}"
        return response.status, {name.lower(): value for name, value in response.getheaders()}, \
            content

    def keys(self, prefix=""):
        """All of them, sorted; by pages of 1000."""
        keys, token = [], {}
        while True:
            body = self.request("GET", f"/{self.BUCKET}", expected=200,
                                query={"list-type": "2", "prefix": prefix} | token)[2]
            page = xml.etree.ElementTree.fromstring(body)
            keys += [one.text for one in page.findall("{*}Contents/{*}Key")]
            next_token = page.findtext("{*}NextContinuationToken")
            if not next_token:
                return keys
            token = {"continuation-token": next_token}

    def get(self, key):
        """(headers, body)"""
        return self.request("GET", f"/{self.BUCKET}/{key}", expected=200)[1:]

    def head(self, key):
        return self.request("HEAD", f"/{self.BUCKET}/{key}", expected=200)[1]

    def open_uploads(self):
        body = self.request("GET", f"/{self.BUCKET}", query={"uploads": ""}, expected=200)[2]
        return [one.text for one in
                xml.etree.ElementTree.fromstring(body).findall("{*}Upload/{*}Key")]

    def writes(self):
        """The keys that were written, one for each time."""
        writes = [(key, query) for method, key, query, status in self.accesses() if status == 200
                  and (method == "PUT" and not query or method == "POST" and "uploadId" in query)]
        # To complete an upload again is confirmed, and does nothing.
        return [key for key, query in dict.fromkeys(writes) if query] + \
            [key for key, query in writes if not query]

    def download(self, root):
        """Every object into a folder as evidence.py reads one; {key: headers}."""
        headers = {}
        for key in self.keys():
            headers[key], body = self.get(key)
            path = pathlib.Path(root) / quote(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return headers

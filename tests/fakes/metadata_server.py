#!/usr/bin/env python3
"""Everything that gives AWS credentials over HTTP, for tests: standard library only, 127.0.0.1 only.

    python3 tests/fakes/metadata_server.py [--port 0] [--access-key KEY --secret-key SECRET]
                                           [--tls DIRECTORY] [--stdin-lifeline]

Prints its port on the first line of stdout. It is, on one port:
  - the instance metadata service, version 2 only: PUT /latest/api/token, then GET
    /latest/meta-data/iam/security-credentials/[ROLE] with the token; without it 401
  - the endpoint of a container: GET /v1/credentials, Authorization: container-token; else 401
  - STS: POST / with AssumeRole, signed by the keys BASEKEY and base-secret for service sts, and
    AssumeRoleWithWebIdentity with the token "web-token", not signed
What they give: the keys of the arguments, a session token "token-1", "token-2" … and an expiry
after "lifetime" seconds (3600).

Control, JSON in and out:
  GET  /_control/requests   every request: [{"method", "path", "status", "action"}, ...]
  POST /_control/set        {"lifetime", "access_key", "secret_key", "token", "role"}: any of them.
                            "token": a fixed one, "" for counted ones; "until": "until-<epoch>",
                            which s3_server.py believes until then
  POST /_control/fault      until the next one: {"kind": "status", "status": 401}, {"kind": "html"},
                            {"kind": "stall"}, {"kind": "reset"}, {"kind": ""} for none
"""
import argparse
import datetime
import hashlib
import hmac
import http.server
import json
import os
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse

import s3_server

ROLES = "/latest/meta-data/iam/security-credentials/"


class State:
    def __init__(self, options):
        self.lock = threading.RLock()
        self.access_key = options.access_key
        self.secret_key = options.secret_key
        self.token = ""
        self.role = "test-role"
        self.lifetime = 3600.0
        self.given = 0
        self.sessions = set()
        self.fault = {"kind": ""}
        self.requests = []

    def issue(self):
        """(key, secret, token, expiry as ISO 8601)"""
        with self.lock:
            self.given += 1
            expiry = time.time() + self.lifetime
            token = {"": f"token-{self.given}", "until": f"until-{expiry:.0f}"}.get(
                self.token, self.token)
            at = datetime.datetime.fromtimestamp(expiry, datetime.timezone.utc)
            return self.access_key, self.secret_key, token, at.strftime("%Y-%m-%dT%H:%M:%SZ")


def signature_is_good(handler, body):
    """SigV4 of service sts by BASEKEY."""
    match = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=BASEKEY/(\d{8})/([^/]+)/sts/aws4_request, ?"
        r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})", handler.headers.get("Authorization", ""))
    if not match:
        return False
    day, region, signed, signature = match.groups()
    if not {"host", "x-amz-date", "content-type"} <= set(signed.split(";")):
        return False
    headers = "".join(f"{name}:{' '.join(handler.headers.get(name, '').split())}\n"
                      for name in signed.split(";"))
    request = "\n".join(["POST", "/", "", headers, signed, hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", handler.headers.get("x-amz-date", ""),
                      f"{day}/{region}/sts/aws4_request",
                      hashlib.sha256(request.encode()).hexdigest()])
    key = s3_server.sign(b"AWS4base-secret", day)
    for part in (region, "sts", "aws4_request"):
        key = s3_server.sign(key, part)
    return hmac.compare_digest(s3_server.sign(key, text).hex(), signature)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = None
    do_GET = do_PUT = do_POST = lambda self: self.answer()

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.startswith("/_control/"):
            return self.control(self.path[len("/_control/"):], json.loads(body or b"{}"))
        form = dict(urllib.parse.parse_qsl(body.decode(errors="replace")))
        self.record = {"method": self.command, "path": self.path, "status": -1,
                       "action": form.get("Action", "")}
        with self.state.lock:
            self.state.requests.append(self.record)
            fault = self.state.fault
        if fault["kind"] == "status":
            return self.send(fault["status"], "refused")
        if fault["kind"] == "html":
            return self.send(200, "<html><body>Welcome to the captive portal</body></html>")
        if fault["kind"] == "stall":
            self.close_connection = True
            s3_server.ending.wait()
            return None
        if fault["kind"] == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        if self.command == "POST" and self.path == "/":
            return self.sts(form, body)
        if self.path == "/v1/credentials":
            return self.container()
        return self.instance()

    def send(self, status, text="", content_type="text/plain"):
        self.record["status"] = status
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_credentials(self, **more):
        key, secret, token, expiry = self.state.issue()
        self.send(200, json.dumps({"AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                                   "Expiration": expiry} | more), "application/json")

    def instance(self):
        state = self.state
        if self.command == "PUT" and self.path == "/latest/api/token":
            if not self.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
                return self.send(400)
            session = os.urandom(8).hex()
            state.sessions.add(session)
            return self.send(200, session)
        if self.headers.get("x-aws-ec2-metadata-token") not in state.sessions:
            return self.send(401)
        if self.path == ROLES and state.role:
            return self.send(200, state.role)
        if state.role and self.path == ROLES + state.role:
            return self.send_credentials(Code="Success", Type="AWS-HMAC")
        return self.send(404)

    def container(self):
        if self.headers.get("Authorization") != "container-token":
            return self.send(401)
        return self.send_credentials(RoleArn="arn:aws:iam::123456789012:role/task")

    def sts(self, form, body):
        action = form.get("Action")
        good = form.get("Version") == "2011-06-15" and form.get("RoleArn", "").startswith("arn:") \
            and form.get("RoleSessionName")
        if action == "AssumeRole":
            good = good and signature_is_good(self, body)
        elif action == "AssumeRoleWithWebIdentity":
            good = good and "Authorization" not in self.headers \
                and form.get("WebIdentityToken") == "web-token"
        else:
            good = False
        if not good:
            return self.send(403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not "
                                  "authorized to perform sts:" + str(action) +
                                  "</Message></Error></ErrorResponse>", "text/xml")
        key, secret, token, expiry = self.state.issue()
        role = form["RoleArn"].rsplit("/", 1)[-1]
        return self.send(
            200, f"<{action}Response><{action}Result><AssumedRoleUser><Arn>arn:aws:sts::1:"
                 f"assumed-role/{role}/{form['RoleSessionName']}</Arn></AssumedRoleUser>"
                 f"<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}"
                 f"</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{expiry}"
                 f"</Expiration></Credentials></{action}Result></{action}Response>", "text/xml")

    def control(self, name, given):
        state = self.state
        self.record = {}
        with state.lock:
            if name == "set":
                for field in ("lifetime", "access_key", "secret_key", "token", "role"):
                    if field in given:
                        setattr(state, field, given[field])
            elif name == "fault":
                state.fault = given
            elif name != "requests":
                return self.send(404)
            text = json.dumps(state.requests if name == "requests" else {})
        return self.send(200, text, "application/json")


def main():
    parser = argparse.ArgumentParser(description="A fake giver of AWS credentials for tests.")
    s3_server.add_server_options(parser)
    parser.add_argument("--access-key", default="AKIATEST")
    parser.add_argument("--secret-key", default="secret")
    options = parser.parse_args()
    Handler.state = State(options)
    s3_server.serve(Handler, options)


if __name__ == "__main__":
    sys.exit(main())

"""A second real S3-compatible server for the system tests: OpenStack Swift's s3api. It is stricter
about signatures than radosgw (a wrong region in the scope is refused), and it answers 501 to a
condition on a PUT.

swift_servers.py is all of it, in one process that the kernel kills when the test dies. That runs on
Debian's own Python, since Debian's package of Swift is a library for that one.
"""
import errno
import json
import os
import pathlib
import subprocess
import uuid

import harness
import real_store

PYTHON = "/usr/bin/python3"
SERVERS = pathlib.Path(__file__).with_name("swift_servers.py")


def _demand_attributes(directory):
    """Swift keeps what it knows of an object in the attributes of its file."""
    try:
        os.setxattr(directory, "user.swift.metadata", b"x" * 2000)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOSPC, errno.EPERM):
            raise
        raise harness.Skip(f"no extended attributes for Swift in {directory}: {error}") from error


class Swift(real_store.RealStore):
    """Runs once it is made, with BUCKET in it. Raises Skip where it cannot be had."""

    ACCESS_KEY = "test:sluice"
    SECRET_KEY = "canary-swift/secret+5f1d0c"

    def __init__(self, directory):
        if not os.access(PYTHON, os.X_OK):
            raise harness.Skip(f"no {PYTHON}, and so no OpenStack Swift (package python3-swift)")
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        _demand_attributes(self.directory)
        parent = os.getpid()
        with (self.directory / "err").open("wb") as errors:
            # Isolated: Swift is not looked for beside the tests, nor in another Python's folders.
            self.process = subprocess.Popen(
                [PYTHON, "-I", SERVERS, self.directory, self.ACCESS_KEY, self.SECRET_KEY,
                 self.REGION],
                env=harness.clean_environment({"HOME": self.directory}), cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
                preexec_fn=lambda: real_store.end_with(parent))
        try:
            said, _, rest = self.process.stdout.readline().strip().partition(" ")
            if said == "skip":
                raise harness.Skip(rest)
            assert said == "port", (self.directory / "err").read_text(errors="replace")
            self.port = int(rest)
            self.request("PUT", f"/{self.BUCKET}", expected=200)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.process.kill()
        self.process.communicate()

    # ---- what it has written down

    def _log(self):
        """[(method, key, query, status, etag)]"""
        marker = f"marker-{uuid.uuid4()}"
        self.request("HEAD", f"/{self.BUCKET}/{marker}", expected=404)
        log = self.directory / "access"
        harness.wait_for(lambda: marker in log.read_text(), "the access is in the log")
        found = []
        for line in log.read_text().splitlines():
            method, path, *rest = json.loads(line)
            bucket, _, key = path[1:].partition("/")
            if bucket == self.BUCKET and key and not key.startswith("marker-"):
                found.append((method, key, *rest))
        return found

    def accesses(self):
        return [access[:4] for access in self._log()]

    def written(self):
        """{key: [etag of each PUT that was answered 200]}, without probes."""
        found = {}
        for method, key, query, status, etag in self._log():
            if method == "PUT" and not query and status == 200 and "sluice-probe" not in key:
                found.setdefault(key, []).append(etag)
        return found

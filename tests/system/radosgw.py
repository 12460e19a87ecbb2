"""A real S3-compatible server for the system tests: Ceph's radosgw in front of one mon and one osd
that keeps its data in memory.

All three run in the foreground as children of the test, in its scratch folder, on free ports of
127.0.0.1, as whatever user runs the test. The kernel kills them when the test dies, however it
dies.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import urllib.parse
import uuid

import harness
import real_store

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_STARTS = 3  # a port that was free may be taken until it is bound
_ACCESS = re.compile(r'beast: \S+ \S+ - \S+ \[[^]]*\] '
                     r'"(\S+) ([^?\s"]+)(?:\?(\S*))? HTTP/1.1" (\d+)')

_CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{mon_port}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = {folder}
admin_socket =
pid_file =
crash_dir = {folder}
log_file = {folder}/$name.log
log_to_stderr = false
log_to_syslog = false
mon_cluster_log_file = {folder}/cluster.log
mon_cluster_log_to_syslog = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0

[mon]
mon_data = {folder}/mon
mon_initial_members = a
mon_allow_pool_size_one = true
mon_data_avail_crit = 0
mon_data_avail_warn = 0
mon_tick_interval = 1
paxos_propose_interval = 0.02
paxos_min_wait = 0.01

[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
osd_class_load_list = *
osd_class_default_list = *

[client]
ms_mon_client_mode = crc
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_data = {folder}/rgw
rgw_thread_pool_size = 64
rgw_enable_usage_log = false
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = {kms_key}=YWxsIG9mIHRoZXNlIDMyIGJ5dGVzIGFyZSB0ZXN0cyE=
debug_rgw = 1
"""


class Gone(Exception):
    """A daemon ended while the others waited for it."""


def _free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Radosgw(real_store.RealStore):
    """Runs once it is made, with BUCKET in it. Raises Skip where the packages are missing."""

    ACCESS_KEY = "AKIARADOSGWTEST"
    SECRET_KEY = "canary-rados/secret+5f1d0c"
    KMS_KEY = "gate"

    def __init__(self, directory):
        missing = [name for name in PROGRAMS if not shutil.which(name)]
        if missing:
            raise harness.Skip(f"no {missing[0]} (packages ceph-mon, ceph-osd and radosgw)")
        self.directory = pathlib.Path(directory)
        self.daemons = {}
        try:
            for attempt in range(_STARTS):
                try:
                    self._start(self.directory / f"start-{attempt}")
                    break
                except Gone:
                    self.stop()
                    if attempt + 1 == _STARTS:
                        raise
            self.request("PUT", f"/{self.BUCKET}", expected=200)
        except BaseException:
            self.stop()
            raise

    # ---- the daemons

    def _start(self, folder):
        mon_port, self.port = _free_ports(2)
        self.folder = folder
        for name in ("mon", "osd", "rgw"):
            (folder / name).mkdir(parents=True)
        self.configuration = folder / "ceph.conf"
        fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
        self.configuration.write_text(
            _CONFIGURATION.format(fsid=fsid, folder=folder, mon_port=mon_port, port=self.port,
                                  kms_key=self.KMS_KEY))
        monmap = folder / "monmap"
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a",
                  f"[v2:127.0.0.1:{mon_port}]", monmap)
        self._run("ceph-mon", "--mkfs", "--id", "a", "--monmap", monmap)
        self._launch("ceph-mon", "-f", "--id", "a")
        self._run("ceph", "osd", "new", osd)
        self._run("ceph-osd", "--mkfs", "--id", "0", "--osd-uuid", osd, "--monmap", monmap)
        self._launch("ceph-osd", "-f", "--id", "0")
        log = folder / "osd.0.log"
        # Before this a pool has nowhere to be, and radosgw-admin hangs.
        self._wait(lambda: log.exists() and b"booting -> active" in log.read_bytes(),
                   "the osd is active")
        self._run("radosgw-admin", "user", "create", "--uid", "sluice", "--display-name", "sluice",
                  "--access-key", self.ACCESS_KEY, "--secret-key", self.SECRET_KEY)
        self._launch("radosgw", "-f", "--name", "client.rgw")
        self._wait(self._answers, "radosgw answers")

    def _command(self, program, arguments):
        return [program, "-c", self.configuration, *map(str, arguments)]

    def _spawn(self, program, arguments):
        parent = os.getpid()
        with (self.folder / f"{program}.out").open("wb") as output:
            return subprocess.Popen(
                self._command(program, arguments), cwd=self.folder,
                env=harness.clean_environment({"HOME": self.folder}), stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, preexec_fn=lambda: real_store.end_with(parent))

    def _launch(self, program, *arguments):
        self.daemons[program] = self._spawn(program, arguments)

    def _run(self, program, *arguments):
        """One that ends by itself."""
        process = self._spawn(program, arguments)
        try:
            self._wait(lambda: process.poll() is not None, f"{program} has ended")
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            raise Gone(f"{program} exited with {process.returncode}: {self._output(program)}")

    def _output(self, program):
        return (self.folder / f"{program}.out").read_text(errors="replace")

    def _wait(self, condition, what):
        def met_or_gone():
            for program, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    raise Gone(f"{program} exited with {daemon.returncode}: "
                               + self._output(program))
            return condition()
        harness.wait_for(met_or_gone, what)

    def _answers(self):
        try:
            return self.request("GET", "/")[0] == 200
        except OSError:
            return False

    def stop(self):
        for daemon in self.daemons.values():
            daemon.kill()
        for daemon in self.daemons.values():
            daemon.wait()
        self.daemons.clear()

    # ---- what it has written down

    def accesses(self):
        """[(method, key, query, status)] of every request about an object so far, in order of their
        ends; from radosgw's own log."""
        marker = f"marker-{uuid.uuid4()}"
        self.request("HEAD", f"/{self.BUCKET}/{marker}", expected=404)
        log = self.folder / "client.rgw.log"
        self._wait(lambda: marker.encode() + b" HTTP/1.1\" 404" in log.read_bytes(),
                   "the access is in the log")
        found = []
        for method, path, query, status in _ACCESS.findall(log.read_text(errors="replace")):
            bucket, _, key = urllib.parse.unquote(path)[1:].partition("/")
            if bucket == self.BUCKET and key and not key.startswith("marker-"):
                found.append((method, key, query, int(status)))
        return found

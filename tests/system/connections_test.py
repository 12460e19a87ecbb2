"""Where the program connects to, by every system call that names an address: the store's endpoint,
name servers and the source of credentials, and nothing else."""
import ipaddress
import os
import pathlib
import re
import socket
import subprocess
import sys

import credentials_test
import evidence
import harness
import log_clients
import rpc_test

# Those that take an address, and the one by which calls could pass strace by.
CALLS = "connect,sendto,sendmsg,sendmmsg,io_uring_setup"
# Where libc looks a name up besides files and DNS: its cache, systemd's resolver, mDNS.
NAME_SERVICES = ("/var/run/nscd/", "/run/systemd/resolve/", "/run/avahi-daemon/")
EXTERNAL_ENTITY = (b'<!DOCTYPE EVENT SYSTEM "http://192.0.2.1/e.dtd" '
                   b'[<!ENTITY e SYSTEM "http://192.0.2.1/e">]><EVENT><cn>&e;</cn></EVENT>')
# A program that names an address in each way.
CALLER = """
import contextlib, socket, sys
def call(family, kind, name, *arguments):
    with contextlib.suppress(OSError), socket.socket(family, kind) as one:
        getattr(one, name)(*arguments)
call(socket.AF_INET, socket.SOCK_STREAM, "connect", ("127.0.0.2", 1))
call(socket.AF_INET, socket.SOCK_DGRAM, "connect", ("127.0.0.2", 2))
call(socket.AF_INET, socket.SOCK_DGRAM, "sendto", b"x", ("127.0.0.2", 3))
call(socket.AF_INET, socket.SOCK_DGRAM, "sendmsg", [b"x"], [], 0, ("127.0.0.2", 4))
call(socket.AF_INET6, socket.SOCK_STREAM, "connect", ("::1", 5))
call(socket.AF_INET6, socket.SOCK_DGRAM, "sendto", b"x", ("::ffff:127.0.0.2", 6))
call(socket.AF_UNIX, socket.SOCK_DGRAM, "sendto", b"x", sys.argv[1])
"""
_ADDRESS = re.compile(r"\{sa_family=AF_(\w+)(?:, ([^}]*))?\}")


class Trace:
    """Of one process and its children: complete once both that and strace have ended."""

    def __init__(self, scratch, server):
        self.path = scratch.path / f"strace-{len(scratch.started)}"
        self.server = server
        # In full, but without the bytes that are sent.
        harness.under_strace(server, self.path, "-s", "0", "-v", "-e", "trace=" + CALLS)

    def start(self):
        """The server. The pipe ends when nobody writes to the trace any more."""
        self.rest, end = os.pipe()
        self.server.passed_descriptors = (end,)
        self.server.start()
        os.close(end)

    def stop(self):
        self.server.stop()
        return self.destinations()

    def command(self, *arguments, expected=0, **settings):
        self.rest, end = os.pipe()
        done = subprocess.run([*self.server.wrapper, *arguments],
                              env=harness.clean_environment(self.server.settings | settings),
                              cwd=self.server.directory, stdin=subprocess.DEVNULL, pass_fds=(end,),
                              capture_output=True, text=True, timeout=harness.DEADLINE_SECONDS)
        os.close(end)
        assert done.returncode == expected, (arguments, done.returncode, done.stdout, done.stderr)
        return self.destinations()

    def sluice(self, *arguments, expected=0, **settings):
        return self.command(harness.SLUICE, *arguments, expected=expected, **settings)

    def destinations(self):
        """(address, port) and ("unix", path) of all that was named as one, name services aside."""
        with open(self.rest, "rb") as rest:
            rest.read()
        found = set()
        for line in self.path.read_text().splitlines():
            assert_all_is_seen(line)
            found |= {destination(*one.groups()) for one in _ADDRESS.finditer(line)}
        return {one for one in found - {None}
                if not (one[0] == "unix" and one[1].startswith(NAME_SERVICES))}


def assert_all_is_seen(line):
    assert "io_uring_setup" not in line, "its calls would not be in the trace: " + line
    # An address as a number, or a list that is cut short, is one that nobody looks at.
    assert not re.search(r"\b0x[0-9a-f]{5,}|\[\.\.\.", line), line
    assert "connect(" not in line or _ADDRESS.search(line), line


def destination(family, fields):
    if family in ("UNSPEC", "NETLINK"):  # ends a connection of UDP; the kernel
        return None
    if family == "UNIX":
        return "unix", re.search(r'sun_path=@?"([^"]*)"', fields)[1]
    assert family in ("INET", "INET6"), f"a connection by AF_{family}: {fields}"
    port = re.search(r"sin6?_port=htons\((\d+)\)", fields)[1]
    address = re.search(r'inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"', fields)[1]
    return internet(address, int(port))


def internet(address, port):
    address = ipaddress.ip_address(address)
    return str(getattr(address, "ipv4_mapped", None) or address), port


def local(port):
    return internet("127.0.0.1", port)


def resolvers():
    settings = pathlib.Path("/etc/resolv.conf")
    text = settings.read_text() if settings.exists() else ""
    found = re.findall(r"^nameserver\s+([^\s%]+)", text, re.MULTILINE)
    return {internet(address, 53) for address in found or ["127.0.0.1"]}


def assert_connected(found, needed, others=()):
    assert needed <= found, f"the trace shows no connection to {needed - found}, only to {found}"
    assert found <= needed | set(others), f"connections to {found - needed - set(others)}"


def serve_everything(scratch, **settings):
    """A whole life: traffic of each protocol, objects, pages, SIGHUP. Gives where it connected to,
    its own admin listener aside, which it wakes at a stop."""
    server = scratch.server(**({"PROTOCOLS": "xml,logs,rpc", "MAX_FILE_SIZE": "64KiB"} | settings))
    trace = Trace(scratch, server)
    trace.start()
    server.load("--count", 300, "--connections", 4, "--malformed", 0.05)
    server.send(EXTERNAL_ENTITY)
    line = log_clients.log_line("http://192.0.2.1/")
    assert log_clients.exchange(server, line) == [log_clients.RECEIVED]
    assert rpc_test.exchange(server, rpc_test.ADD_10_20) == rpc_test.SUM_30
    server.reload()
    server.command("rotate")
    for stream in ("xml", "logs"):
        harness.wait_for(lambda of=stream: not log_clients.books(server, of)["pieces_in_spool"],
                         "uploads")
    for page in ("/", "/status", "/metrics", "/ready", "/health"):
        assert server.get(page)[0] == 200, page
    admin = local(server.admin_port)
    found = trace.stop()
    assert server.lines("server stopped")[0]["objects"] > 2, server.log_tail()
    assert admin in found, f"the trace does not show the last call: {found}"
    return found - {admin}


def test_c3_a_server_connects_to_the_endpoint_of_its_store_alone(scratch):
    store = scratch.fake_s3()
    # Which sends it elsewhere, too.
    store.control("fault", match="^PUT /bucket/xml-events/2", count=3, kind="status", status=307,
                  code="TemporaryRedirect", headers={"Location": "https://192.0.2.1/bucket"})
    assert_connected(serve_everything(scratch, **store.settings()), {local(store.port)})
    assert [one for one in store.control("requests") if one["fault"]], "nothing was sent elsewhere"


def test_c3_an_endpoint_is_found_by_its_name_with_name_servers_alone(scratch):
    store = scratch.fake_s3(tls=True)
    found = serve_everything(scratch, **store.settings(
        AWS_ENDPOINT_URL=f"https://localhost:{store.port}", S3_CA_FILE=store.ca_file))
    names = {internet(*one[4][:2]) for one in socket.getaddrinfo("localhost", store.port)}
    assert_connected(found, {local(store.port)}, names | resolvers())
    server = scratch.server("unknown", **store.settings(AWS_ENDPOINT_URL="http://store.invalid"))
    trace = Trace(scratch, server)
    assert_connected(trace.sluice("check", expected=1), set(), resolvers())
    asked = [line for line in trace.path.read_text().splitlines() if "connect(" in line]
    assert asked, "the trace shows nobody who was asked for a name"


def test_c3_with_the_role_of_an_instance_its_metadata_service_is_asked_too(scratch):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    found = serve_everything(scratch, **credentials_test.with_instance(scratch, store, metadata))
    assert_connected(found, {local(store.port), local(metadata.port)})


def test_c3_without_a_store_nothing_is_connected_to(scratch):
    assert_connected(serve_everything(scratch), set())


def test_c3_each_way_to_name_an_address_is_in_the_trace(scratch):
    """What the other tests lean on."""
    told = scratch.path / "told"
    trace = Trace(scratch, scratch.server())
    found = trace.command(sys.executable, "-c", CALLER, told)
    assert_connected(found, {("unix", str(told)), ("::1", 5)}
                     | {("127.0.0.2", port) for port in (1, 2, 3, 4, 6)})


def test_c3_commands_connect_to_the_endpoint_or_to_the_running_server_alone(scratch):
    store = scratch.fake_s3()
    server = scratch.server(**store.settings(PROTOCOLS="xml,logs,rpc"))
    trace = Trace(scratch, server)
    store_alone = {local(store.port)}
    assert_connected(trace.sluice("check"), store_alone)
    server.wrapper, wrapper = (), server.wrapper
    server.start()
    server.wrapper = wrapper
    server.send(harness.SAMPLE.read_bytes())
    admin = server.admin_port
    assert_connected(trace.sluice("status", ADMIN_PORT=admin), {local(admin)})
    assert_connected(trace.sluice("rotate"), set())  # by a signal
    harness.wait_for(lambda: evidence.data_objects(store.objects), "an object")
    assert_connected(trace.sluice("audit"), store_alone)
    server.stop()
    for command in ("config", "version"):
        assert_connected(trace.sluice(command), set())


if __name__ == "__main__":
    harness.main(globals())

"""What the system tests share: a scratch directory, the server, the load generator, waiting.

A test is a function test_*() in a *_test.py that ends with `harness.main(globals())`; meson
registers each by name. Nothing here sleeps for a fixed time: wait_for() is the one place that
waits, for a condition and up to a deadline. Python's standard library only.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", TOP / "build" / "release")).resolve()
SLUICE = BUILD / "sluice"
LOAD = BUILD / "sluice-load"
SAMPLE = TOP / "tests" / "data" / "acm-event.xml"

# How many events the large tests send in all; fewer under sanitizers.
EVENTS = int(os.environ.get("SLUICE_TEST_EVENTS", "100000"))
# Deadlines are for broken code, so they are generous: sanitizers and busy machines are slow.
DEADLINE_SECONDS = 120
_POLL_SECONDS = 0.02
_KEPT_VARIABLES = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "TMPDIR")


class Skip(Exception):
    """Why this machine cannot run the test."""


def wait_for(condition, what, seconds=DEADLINE_SECONDS):
    """Waits until condition() gives something true, and returns that."""
    pause = threading.Event()
    for _ in range(int(seconds / _POLL_SECONDS)):
        result = condition()
        if result:
            return result
        pause.wait(_POLL_SECONDS)
    raise AssertionError(f"after {seconds} s still not: {what}")


def clean_environment(settings=()):
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {name: str(value) for name, value in dict(settings).items()}


def port_of(addresses):
    """Of "127.0.0.1:8080, [::1]:8080, unix:/path", which have one; None of "none"."""
    found = re.search(r"(?:^|, )(?!unix:)[^,]*:(\d+)(?:,|$)", addresses)
    return int(found[1]) if found else None


class Server:
    """`sluice run` with settings of its own, in a directory of its own."""

    def __init__(self, directory, **settings):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.settings = {
            "BIND_HOST": "127.0.0.1",
            "PORT": 0,
            "SERVER_HOST": "127.0.0.1",
            "SERVER_PORT": 0,
            "RPC_HOST": "127.0.0.1",
            "RPC_PORT": 0,
            "ADMIN_PORT": 0,
            "LOG_DIR": self.directory / "logs",
            "SPOOL_DIR": self.directory / "spool",
            "OUTPUT_DIR": self.directory / "objects",
            "SLUICE_LOG_FORMAT": "json",
        }
        self.settings.update(settings)
        self.settings = {name: value for name, value in self.settings.items() if value is not None}
        self.log_path = self.directory / "log"
        self.log_path.touch()
        self.log_begin = 0  # of this start
        self.process = None
        self.forget_ports()
        self.wrapper = ()  # a command that ends by executing what follows it
        self.passed_descriptors = ()
        self.file_size_signal = True  # False: a write past RLIMIT_FSIZE fails, and does not kill

    @property
    def objects(self):
        return pathlib.Path(self.settings["OUTPUT_DIR"])

    @property
    def spool(self):
        return pathlib.Path(self.settings["SPOOL_DIR"])

    def environment(self):
        return clean_environment(self.settings)

    def forget_ports(self):
        # Of the listeners, those that are served by TCP.
        self.port = self.logs_port = self.rpc_port = self.admin_port = None

    def launch(self, *arguments):
        """Starts the process, without waiting for anything."""
        self.log_begin = self.log_path.stat().st_size
        self.forget_ports()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, SLUICE, *(arguments or ("run",))], env=self.environment(), cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                restore_signals=self.file_size_signal, pass_fds=self.passed_descriptors)
        return self

    def start(self):
        """Starts and waits until it says that it listens."""
        self.launch()
        return self.wait_until_started()

    def wait_until_started(self):
        started = wait_for(self._started_or_gone, "server started")
        self.port, self.logs_port, self.rpc_port, self.admin_port = (
            port_of(started[field]) for field in ("listen", "listen_logs", "listen_rpc", "admin"))
        return self

    def _started_or_gone(self):
        started = self.lines("server started")
        if not started and self.process.poll() is not None:
            raise AssertionError(f"the server exited with {self.process.returncode} at start:\n"
                                 + self.log_tail())
        return started[0] if started else None

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=DEADLINE_SECONDS):
        """The exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not end in {seconds} s:\n" + self.log_tail()) \
                from None

    def stop(self, expected=0, seconds=DEADLINE_SECONDS):
        self.signal(signal.SIGTERM)
        code = self.wait(seconds)
        assert code == expected, f"exit code {code}, not {expected}:\n" + self.log_tail()
        if code == 0:
            self.assert_books_balance()

    def assert_books_balance(self):
        """By the last line of a clean stop."""
        stopped = self.lines("server stopped")
        says_so = self.settings["SLUICE_LOG_FORMAT"] == "json" and \
            self.settings.get("SLUICE_LOG_LEVEL", "info") in ("debug", "info")
        assert len(stopped) == says_so, f"{len(stopped)} lines 'server stopped'\n" + self.log_tail()
        for line in stopped:
            assert line["difference"] == 0, f"the books do not balance: {line}"

    def kill(self):
        if self.running():
            self.signal(signal.SIGKILL)
            self.process.wait()

    def memory_of_process(self, name):
        """Bytes, as /proc has them under this name: VmSize, VmHWM."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[1]) << 10

    def is_sanitized(self):
        """A sanitizer maps terabytes, and keeps what was freed."""
        return self.memory_of_process("VmSize") > 1 << 40

    def reload(self):
        """SIGHUP; returns once it was heeded, or refused for another reason than the last time."""
        def answers():
            refused = [line for line in self.lines("alarm raised")
                       if line["condition"] == "configuration"]
            return len(refused) + len(self.lines("configuration reloaded"))
        before = answers()
        self.signal(signal.SIGHUP)
        wait_for(lambda: answers() > before, "an answer to SIGHUP")

    # ---- what it says

    def log_text(self):
        with self.log_path.open("rb") as log:
            log.seek(self.log_begin)
            return log.read().decode(errors="replace")

    def log_tail(self):
        return "\n".join(self.log_text().splitlines()[-15:])

    def lines(self, event=None):
        """The log lines of this start as dicts, of one event or all."""
        found = []
        for line in self.log_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                fields = json.loads(line)
                if isinstance(fields, dict) and event in (None, fields.get("event")):
                    found.append(fields)
        return found

    def wait_for_line(self, event, **fields):
        def line():
            return [one for one in self.lines(event)
                    if all(one.get(name) == value for name, value in fields.items())]
        return wait_for(line, f"log line '{event}' {fields}")[0]

    def get(self, path):
        """(status, body) from the admin server; (0, "") where it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def status(self):
        code, body = self.get("/status")
        assert code == 200, f"/status answers {code}"
        return json.loads(body)

    def ready(self):
        return self.get("/ready")[0] == 200

    def command(self, *arguments, expected=0, **settings):
        """Runs a sluice command with this server's settings; its stdout."""
        ports = {"PORT": self.port, "SERVER_PORT": self.logs_port, "RPC_PORT": self.rpc_port,
                 "ADMIN_PORT": self.admin_port}
        ports = {name: port for name, port in ports.items() if port}
        return run_sluice(*arguments, expected=expected, cwd=self.directory,
                          settings=self.settings | ports | settings).stdout

    # ---- what it is sent

    def load(self, *arguments, expected=0, record=None):
        """Runs sluice-load against it to its end."""
        load = start_load(self.port, *arguments, record=record)
        output = load.communicate(timeout=4 * DEADLINE_SECONDS)[0]
        if expected is not None and load.returncode != expected:
            raise AssertionError(f"sluice-load exited with {load.returncode}: {output}\n"
                                 + self.log_tail())
        return output

    def connect(self, port=None, source=None):
        """To the XML listener, or to the port of another; from an address of its own."""
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=DEADLINE_SECONDS,
                                        source_address=(source, 0) if source else None)

    def send(self, content):
        """Sends bytes over a connection of their own; returns after the server's FIN."""
        with self.connect() as client:
            client.sendall(content)
            client.shutdown(socket.SHUT_WR)
            rest = client.recv(1)
            assert rest == b"", "the server sent something"


def start_load(port, *arguments, record=None):
    command = [LOAD, "--port", str(port), "--quiet", *map(str, arguments)]
    if record:
        command += ["--record", str(record)]
    return subprocess.Popen(command, env=clean_environment(), text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def under_strace(server, log, *options, forget_signals=True):
    """The next starts of this server are under strace with these options; it counts calls by thread.
    Raises Skip where it cannot be. With --seccomp-bpf strace 6.1 is fast and forgets to send most
    signals: forget_signals=False for those who inject some."""
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    fast = ["--seccomp-bpf"] if forget_signals else []
    server.wrapper = ["strace", "-D", "-f", *fast, "-qq", "-o", log, *options]
    # LeakSanitizer does not work where another one traces.
    server.settings["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    if subprocess.run([*server.wrapper, "true"], capture_output=True).returncode != 0:
        server.wrapper = ()
        raise Skip("strace may not trace")


def run_sluice(*arguments, settings=(), expected=0, cwd=None):
    done = subprocess.run([SLUICE, *map(str, arguments)], env=clean_environment(settings), cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=DEADLINE_SECONDS)
    if expected is not None and done.returncode != expected:
        raise AssertionError(f"sluice {' '.join(map(str, arguments))} exited with "
                             f"{done.returncode}, not {expected}:\n{done.stdout}\n{done.stderr}")
    return done


class Fake:
    """A server of tests/fakes/ as a process, with its control endpoints."""

    def __init__(self, script, *arguments, ca_file=None):
        self.ca_file = ca_file  # with it, it serves https
        self.process = subprocess.Popen(
            [sys.executable, TOP / "tests" / "fakes" / script, *arguments, "--stdin-lifeline"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f"http{'s' * bool(ca_file)}://127.0.0.1:{self.port}"

    def control(self, path, **body):
        if self.ca_file:
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=10,
                context=ssl.create_default_context(cafile=self.ca_file))
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            if body:
                connection.request("POST", "/_control/" + path, json.dumps(body))
            else:
                connection.request("POST" if path == "clear" else "GET", "/_control/" + path)
            response = connection.getresponse()
            assert response.status == 200, f"{path}: {response.status}"
            return json.loads(response.read() or "null")
        finally:
            connection.close()

    def stop(self):
        self.process.kill()
        self.process.communicate()


class FakeMetadata(Fake):
    """tests/fakes/metadata_server.py: gives the keys of FakeS3."""

    def __init__(self, directory, tls=False):
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__("metadata_server.py", "--access-key", FakeS3.ACCESS_KEY, "--secret-key",
                         FakeS3.SECRET_KEY, *(["--tls", directory] if tls else []),
                         ca_file=directory / "ca.pem" if tls else None)


class FakeS3(Fake):
    """tests/fakes/s3_server.py; its directory holds the objects."""

    ACCESS_KEY = "AKIATEST"
    SECRET_KEY = "canary-secret-5f1d0c"
    BUCKET = "bucket"

    def __init__(self, directory, *arguments, tls=False):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        # Its certificate and the authority of that it makes itself.
        super().__init__("s3_server.py", "--directory", self.directory, "--bucket", self.BUCKET,
                         "--access-key", self.ACCESS_KEY, "--secret-key", self.SECRET_KEY,
                         "--host-suffix", "localhost", *(["--tls", self.directory] if tls else []),
                         *arguments, ca_file=self.directory / "ca.pem" if tls else None)

    @property
    def objects(self):
        return self.directory / "objects" / self.BUCKET

    def settings(self, **more):
        return {
            "OUTPUT_DIR": None,
            "BUCKET_NAME": self.BUCKET,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": self.SECRET_KEY,
            "RETRY_BASE_DELAY": "0.05",
            "CONFIG_PROBE_INTERVAL": "0.2",
        } | more


class Scratch:
    """A directory for one test, and all that it starts there; with the test they end."""

    def __init__(self, name):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"sluice-{name}-"))
        self.started = []

    def server(self, name="server", **settings):
        server = Server(self.path / name, **settings)
        self.started.append(server)
        return server

    def fake_s3(self, *arguments, tls=False):
        store = FakeS3(self.path / "s3", *arguments, tls=tls)
        self.started.append(store)
        return store

    def fake_metadata(self, tls=False):
        metadata = FakeMetadata(self.path / "metadata", tls)
        self.started.append(metadata)
        return metadata

    def end(self, keep):
        for one in self.started:
            one.kill() if isinstance(one, Server) else one.stop()
        if keep:
            print(f"kept: {self.path}")
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def print_logs(self):
        for one in self.started:
            if isinstance(one, Server) and one.process:
                print(f"---- end of {one.log_path.parent.name}'s log\n{one.log_tail()}")


def run_test(name, function):
    """0 passed, 1 failed, 77 skipped: what meson understands."""
    scratch = Scratch(name.removeprefix("test_")[:40])
    code = 1
    try:
        function(scratch)
        code = 0
    except Skip as reason:
        print(f"skipped: {reason}")
        code = 77
    except Exception:  # whatever it is, the log belongs beside it
        traceback.print_exc(file=sys.stdout)
        scratch.print_logs()
    finally:
        scratch.end(keep=code == 1 and "SLUICE_TEST_KEEP" in os.environ)
    return code


def main(names):
    """python3 this_test.py [NAME...]: these tests, or all of the file."""
    tests = {name: function for name, function in names.items() if name.startswith("test_")}
    wanted = sys.argv[1:] or list(tests)
    codes = []
    for name in wanted:
        begin = time.monotonic()
        codes.append(run_test(name, tests[name]))
        outcome = {0: "passed", 77: "skipped"}.get(codes[-1], "FAILED")
        print(f"{name}: {outcome}, {time.monotonic() - begin:.1f} s", flush=True)
    sys.exit(1 if 1 in codes else max(codes, default=1))

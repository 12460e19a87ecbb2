"""A guest with a Linux kernel of its own, whose power can be cut: Debian's user-mode-linux.

Its root is the host's, read-only through hostfs, process 1 is power_cut_guest.py. Its disk is a
file; each write to it is logged (write_log.py), so that a cut may lose, tear and reorder what was
not flushed. All that it runs are processes of the host in a group of their own, in no need of any
right; they end with the test.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import harness
import real_store
import write_log

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = {"linux.uml": "user-mode-linux", "mke2fs": "e2fsprogs"}
_MIB = 1 << 20
_DISK_BYTES, _LOG_BYTES = 1024 * _MIB, 4096 * _MIB  # both sparse
_MEMORY_MIB = 256
_BOOT_SECONDS = 60
BOOTED = "process 1 runs"  # as power_cut_guest.py says it
# Administrators' programs are not on everybody's path.
_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def _look_for_programs():
    missing = [package for program, package in PROGRAMS.items()
               if not shutil.which(program, path=_PATH)]
    if missing:
        raise harness.Skip(f"not installed: {', '.join(missing)}")
    program = harness.SLUICE.read_bytes()
    if b"__asan_init" in program or b"__tsan_init" in program:
        raise harness.Skip("the guest has no address space for a sanitizer")


class Disk:
    """The guest's disk between two boots, an ext4 at first. Raises Skip where a program is
    missing."""

    def __init__(self, directory):
        _look_for_programs()
        self.image = directory / "disk.img"
        self.before = directory / "disk-before.img"  # at the last boot
        self.log_path = directory / "writes.log"
        with self.image.open("wb") as file:
            file.truncate(_DISK_BYTES)
        subprocess.run([shutil.which("mke2fs", path=_PATH), "-q", "-t", "ext4", "-N", "16384",
                        "-J", "size=16", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
                        self.image], check=True)

    def boots(self):
        _copy(self.image, self.before)
        self.log_path.unlink(missing_ok=True)
        with self.log_path.open("wb") as file:
            file.truncate(_LOG_BYTES)
        self.log = write_log.WriteLog(self.log_path)

    def lose_power(self, cut, dice):
        """It becomes what a power cut after this entry of the log leaves."""
        self.log.look()
        _copy(self.before, self.image)
        return self.log.replay(self.image, cut, dice)


def _copy(source, target):
    target.unlink(missing_ok=True)
    subprocess.run(["cp", "--sparse=always", source, target], check=True)


class Guest:
    """A boot. wait_until_up() raises Skip where this machine cannot boot it."""

    def __init__(self, directory, disk, feeds, mount_options, **server):
        self.directory = directory
        self.disk = disk
        self.records = [directory / f"record-{number}" for number in range(len(feeds))]
        self.console = directory / "console"
        self.out = directory / "out"
        self.out.mkdir()
        mount_point = directory.parent / "disk"  # the same in each boot
        mount_point.mkdir(exist_ok=True)
        (directory / "settings.json").write_text(json.dumps({
            "system_tests": str(HERE),
            "environment": {"PATH": _PATH, "SLUICE_BUILD": str(harness.BUILD)},
            "sectors": _DISK_BYTES // write_log.SECTOR_BYTES,
            "mount_point": str(mount_point),
            "mount_options": mount_options,
            "server": server,
            "feeds": feeds,
        }))
        init = directory / "init"
        init.write_text(f"#!{sys.executable} {HERE / 'power_cut_guest.py'}\n")
        init.chmod(0o755)
        disk.boots()
        self._boot(init)

    def _boot(self, init):
        parent = os.getpid()
        outputs = [path.open("wb") for path in self.records]
        serial = [f"ssl{number}=null,fd:{file.fileno()}"
                  for number, file in enumerate(outputs, start=1)]
        with self.console.open("wb") as console:
            self.process = subprocess.Popen(
                [shutil.which("linux.uml", path=_PATH), f"mem={_MEMORY_MIB}M", "root=/dev/root",
                 "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}", "quiet", "panic=-1",
                 f"ubd0={self.disk.image}", f"ubd1={self.disk.log_path}", "con=null",
                 "con0=null,fd:1", "ssl=null", "ssl0=fd:0,null", *serial,
                 f"uml_dir={self.directory}", f"umid=guest-{parent}"],
                stdin=subprocess.PIPE, stdout=console, stderr=subprocess.STDOUT,
                pass_fds=[file.fileno() for file in outputs],
                env={"PATH": _PATH, "TMPDIR": self._memory_directory(), "HOME": "/"},
                preexec_fn=lambda: real_store.end_with(parent))
        for file in outputs:
            file.close()

    def _memory_directory(self):
        """Where the guest's memory, a file, fits."""
        shared = pathlib.Path("/dev/shm")
        fits = shared.is_dir() and shutil.disk_usage(shared).free > 2 * _MEMORY_MIB * _MIB
        return str(shared if fits else self.directory)

    def said(self):
        return self.console.read_text(errors="replace")

    def wait_for(self, condition, what):
        def met_or_gone():
            if self.process.poll() is not None:
                raise AssertionError(f"the guest ended, while: {what}\n{self.said()[-4000:]}")
            return condition()
        return harness.wait_for(met_or_gone, what)

    def wait_until_up(self):
        """Until its disk is mounted."""
        try:
            harness.wait_for(lambda: self.process.poll() is not None or BOOTED in self.said(),
                             "process 1 runs", seconds=_BOOT_SECONDS)
        except AssertionError:
            pass  # what it said says more
        if BOOTED not in self.said():
            raise harness.Skip(f"user-mode-linux does not boot here: {self.said()[-300:]}")
        self.wait_for(lambda: self.disk.log.look().mark("mounted") is not None,
                      "its disk is mounted")

    def drain(self):
        """The server delivers all; copies of the objects, the log and what was set aside are then
        in `out`. Ends the guest."""
        self.process.stdin.write(b"drain\n")
        self.process.stdin.flush()
        self.process.wait(4 * harness.DEADLINE_SECONDS)  # more than the server's DRAIN_TIMEOUT
        assert (self.out / "drained").exists(), self.said()[-4000:]

    def stop(self):
        """Its power is cut."""
        self.process.stdin.close()
        harness.wait_for(self._all_gone, "the guest's processes are gone")

    def _all_gone(self):
        self.process.poll()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return True
        return False

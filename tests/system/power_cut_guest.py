"""What runs as process 1 of the guest of power_cut_test.py: the server on a disk of its own, and
senders beside it.

The guest sees the host's files through hostfs, read-only, so the programs and this file are those
of the host. In: settings.json beside the file that the kernel was told to execute (uml.py writes
both); "drain" on ttyS0. Out: records of sluice-load on ttyS1 and on, which the host gets byte by
byte, however the guest ends; what goes wrong on the console; after a drain, copies in out/.

Marks tie the records to the log of the disk's writes: every few milliseconds a line with a number
goes into each record, then the number into the log. What a sender learnt before that line was
durable, if ever, by writes that stand before it in the log.
"""
import ctypes
import fcntl
import itertools
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import traceback
import tty

_SYS_FINIT_MODULE = 313  # of amd64
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_POWER_OFF = 0x4321FEDC
_MODULES = ("dm-mod", "dm-log-writes")
_MARK_SECONDS = 0.01
_LIBC = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind, options=""):
    check(_LIBC.mount(str(source).encode(), str(target).encode(), kind.encode(), 0,
                      str(options).encode()), f"mount of {source} at {target}")


def insert_module(name):
    [path] = pathlib.Path("/usr/lib/uml/modules", os.uname().release).rglob(name + ".ko")
    with path.open("rb") as module:
        check(_LIBC.syscall(_SYS_FINIT_MODULE, module.fileno(), b"", 0), f"module {name}")


class LoggedDisk:
    """ubda, every write and flush of which dm-log-writes notes on ubdb."""

    PATH = "/dev/dm-0"
    _HEADER = struct.Struct("=6Ii3IQ128s129s7x")
    _CREATE, _SUSPEND, _LOAD, _MESSAGE = 3, 6, 9, 14  # <linux/dm-ioctl.h>

    def __init__(self, sectors):
        for name in _MODULES:
            insert_module(name)
        self.control = os.open("/dev/mapper/control", os.O_RDWR)
        self._call(self._CREATE)
        table = b"/dev/ubda /dev/ubdb\0"
        target = struct.pack("=2Qi I16s", 0, sectors, 0, 0, b"log-writes")
        self._call(self._LOAD, target + table, targets=1)
        self._call(self._SUSPEND)  # without its flag: resume

    def _call(self, command, content=b"", targets=0):
        size = self._HEADER.size
        header = self._HEADER.pack(4, 0, 0, size + len(content) + 8, size, targets, 0, 0, 0, 0, 0,
                                   b"disk", b"")
        fcntl.ioctl(self.control, 3 << 30 | size << 16 | 0xFD << 8 | command,
                    bytearray(header + content + bytes(8)))

    def mark(self, name):
        self._call(self._MESSAGE, struct.pack("=Q", 0) + b"mark " + name.encode() + b"\0")


def loopback_up():
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def open_serial(number):
    line = os.open(f"/dev/ttyS{number}", os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    return line


def feed(server, line, runs):
    """One run of sluice-load after the other, until the power goes. Each begins with a line of its
    own: the one before has said all that it had to say."""
    for number, arguments in enumerate(runs):
        os.write(line, json.dumps({"run": number}).encode() + b"\n")
        server.load(*arguments, expected=None, record=os.ttyname(line))


def mark(disk, records):
    pause = threading.Event()
    for number in itertools.count():
        for record in records:
            os.write(record, json.dumps({"mark": number}).encode() + b"\n")
        disk.mark(str(number))
        pause.wait(_MARK_SECONDS)


def drain(server, disk, out):
    server.stop()
    mount("none", out, "hostfs", out)
    for name in ("objects", "spool/quarantine"):
        if (server.directory / name).exists():
            shutil.copytree(server.directory / name, out / pathlib.Path(name).name)
    shutil.copy(server.log_path, out / "log")
    (out / "drained").touch()
    for target in (out, disk):
        check(_LIBC.umount(str(target).encode()), f"umount of {target}")


def main():
    print("process 1 runs", flush=True)  # uml.py waits for it
    here = pathlib.Path(sys.argv[1]).parent
    settings = json.loads((here / "settings.json").read_text())
    os.environ.update(settings["environment"])
    sys.path.insert(0, settings["system_tests"])
    import harness  # which looks at the environment

    mount("proc", "/proc", "proc")
    mount("sysfs", "/sys", "sysfs")
    loopback_up()
    disk, at = LoggedDisk(settings["sectors"]), pathlib.Path(settings["mount_point"])
    mount(disk.PATH, at, "ext4", settings["mount_options"])
    disk.mark("mounted")
    server = harness.Server(at / "server", **settings["server"])
    try:
        server.start()
        records = [open_serial(number + 1) for number in range(len(settings["feeds"]))]
        for record, runs in zip(records, settings["feeds"]):
            threading.Thread(target=feed, args=(server, record, runs), daemon=True).start()
        threading.Thread(target=mark, args=(disk, records), daemon=True).start()
        with os.fdopen(open_serial(0), "rb", buffering=0) as orders:
            assert orders.readline() == b"drain\n"
        drain(server, at, here / "out")
    except BaseException:
        print(server.log_tail())
        raise


try:
    main()
except BaseException:  # process 1 may not end
    traceback.print_exc(file=sys.stdout)
finally:
    sys.stdout.flush()
    _LIBC.reboot(_POWER_OFF)

"""OpenStack Swift in one process: account, container and object server, and a proxy with s3api and
tempauth in front of them. swift_s3.py starts it:

    /usr/bin/python3 -I swift_servers.py FOLDER ACCOUNT:USER SECRET REGION

Swift's own functional tests put the four into one process too; here every hop still goes over a
socket, each server on a free port of 127.0.0.1. What comes back: "port N" on stdout once it
listens, or "skip REASON" where Swift is not installed; FOLDER/access, a line of JSON for each
request; FOLDER/log. It is to be killed.
"""
import json
import logging
import pathlib
import sys

try:
    import eventlet
    import eventlet.wsgi
    from swift.common import utils
except ImportError as missing:
    print(f"skip no OpenStack Swift (package python3-swift): {missing}", flush=True)
    sys.exit(77)

_PATIENCE = "120"  # seconds; a busy machine is no failed server
_PARTITIONS_LOG2 = 2


def configure(folder):
    """Before anything of Swift looks for /etc/swift."""
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = test\n"
        "[storage-policy:0]\nname = only\ndefault = yes\n")
    utils.set_swift_dir(str(folder))
    handler = logging.FileHandler(folder / "log")
    # Instead of the machine's syslog.
    utils.ThreadSafeSysLogHandler = lambda *_, **__: handler


def make_ring(folder, name, port):
    from swift.common.ring import RingBuilder
    builder = RingBuilder(part_power=_PARTITIONS_LOG2, replicas=1, min_part_hours=0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk",
                     "weight": 1.0, "replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance(seed=1)
    builder.get_ring().save(str(folder / f"{name}.ring.gz"))


class Cache:
    """What memcached is to Swift. Nothing expires: it lives as long as a test."""

    def __init__(self):
        self.values = {}

    def get(self, key, raise_on_error=False):
        return self.values.get(key)

    def set(self, key, value, serialize=True, time=0, min_compress_len=0, raise_on_error=False):
        self.values[key] = json.loads(json.dumps(value))

    def incr(self, key, delta=1, time=0):
        self.values[key] = max(0, self.values.get(key, 0) + delta)
        return self.values[key]

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -delta)

    def delete(self, key, server_key=None):
        self.values.pop(key, None)


def front(app, access):
    """Gives every request the cache, and writes down how it was answered."""
    cache = Cache()

    def handle(environ, start_response):
        environ["swift.cache"] = cache

        def note(status, headers, *rest):
            etag = {name.lower(): value for name, value in headers}.get("etag", "")
            access.write(json.dumps([environ["REQUEST_METHOD"], environ["PATH_INFO"],
                                     environ.get("QUERY_STRING", ""), int(status.split()[0]),
                                     etag]) + "\n")
            access.flush()
            return start_response(status, headers, *rest)
        # s3api rewrites the request in place: what is noted is what came.
        return app(dict(environ), note)
    return handle


def make_proxy(options, key, secret, region):
    from swift.common.middleware import catch_errors, gatekeeper, slo, tempauth
    from swift.common.middleware.s3api import s3api
    from swift.proxy import server
    account, user = key.split(":")
    app = server.app_factory(options, account_autocreate="true", __name__="proxy",
                             __file__=options["swift_dir"] + "/swift.conf")
    for factory, more in [
            (slo.filter_factory, {}),
            (tempauth.filter_factory, {f"user_{account}_{user}": secret + " .admin"}),
            (s3api.filter_factory, {"location": region}),
            (gatekeeper.filter_factory, {}),
            (catch_errors.filter_factory, {})]:
        app = factory(options, **more)(app)
    return app


def serve(listener, app):
    from swift.common.wsgi import SwiftHttpProtocol
    eventlet.spawn(eventlet.wsgi.server, listener, app, utils.NullLogger(),
                   protocol=SwiftHttpProtocol, capitalize_response_headers=False)


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "devices" / "disk").mkdir(parents=True)
    configure(folder)
    eventlet.monkey_patch(all=False, socket=True, select=True, thread=True)  # as Swift does
    from swift.account import server as account
    from swift.container import server as container
    from swift.obj import server as obj
    options = {"swift_dir": str(folder), "devices": str(folder / "devices"),
               "mount_check": "false", "fallocate_reserve": "0", "node_timeout": _PATIENCE,
               "conn_timeout": _PATIENCE, "container_update_timeout": _PATIENCE,
               "bind_ip": "127.0.0.1"}
    listeners = {name: eventlet.listen(("127.0.0.1", 0)) for name in
                 ("account", "container", "object", "proxy")}
    for name in ("account", "container", "object"):
        make_ring(folder, name, listeners[name].getsockname()[1])
    for name, module in (("account", account), ("container", container), ("object", obj)):
        port = str(listeners[name].getsockname()[1])
        serve(listeners[name], module.app_factory(options, bind_port=port))
    with (folder / "access").open("w") as access:
        serve(listeners["proxy"], front(make_proxy(options, *sys.argv[2:5]), access))
        print("port", listeners["proxy"].getsockname()[1], flush=True)
        eventlet.Event().wait()


if __name__ == "__main__":
    main()

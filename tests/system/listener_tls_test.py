"""Listeners with settings of TLS of their own, from the configuration file, with real clients: who is
let in where, what SIGHUP changes, what is refused."""
import json

import certificates
import evidence
import harness
from certificates import HalfClosing, client_context, connect, refuses
from log_clients import RECEIVED, log_line, logged, read_replies
from tls_test import SAMPLE, put, xml_over_tls

REQUEST = bytes.fromhex("0a040a0248691204080a1014")
ANSWER = bytes.fromhex("0a040a0248691202081e")


def own(certificate, **settings):
    return {"TLS_CERT": str(certificate.path), "TLS_KEY": str(certificate.key)} | settings


class Listeners:
    """All three: rpc with the certificate for all; logs with one that an authority of its own issued,
    for clients with a certificate of that one; xml in plain text."""

    def __init__(self, scratch, logs_days=90):
        self.all, self.logs = (certificates.Authority(scratch.path, name) for name in ("all", "logs"))
        self.certificates = {"rpc": self.all.issue("server"),
                             "logs": self.logs.issue("server", days=logs_days)}
        self.client = self.logs.issue("client", names="DNS:client.test")
        self.path = scratch.path / "sluice.json"
        self.configuration = own(self.certificates["rpc"]) | {
            "logs": own(self.certificates["logs"], TLS_CLIENT_CA=str(self.logs.path)),
            "xml": {"TLS_CERT": ""}}
        self.write()
        self.server = scratch.server(PROTOCOLS="xml,logs,rpc", RATE_LIMIT_ENABLED="false")
        self.server.launch("run", "--config", str(self.path))
        self.server.wait_until_started()

    def write(self, **changes):
        self.configuration |= changes
        self.path.write_text(json.dumps(self.configuration))

    def reload(self, **changes):
        self.write(**changes)
        self.server.reload()

    def context(self, protocol):
        return client_context(self.logs, self.client) if protocol == "logs" else \
            client_context(self.all)

    def serial(self, protocol):
        """Of the certificate that it shows now."""
        port = {"logs": self.server.logs_port, "rpc": self.server.rpc_port}[protocol]
        with connect(self.server, port, self.context(protocol)) as client:
            return client.getpeercert()["serialNumber"]

    def send_line(self, message):
        with connect(self.server, self.server.logs_port, self.context("logs")) as client:
            client.sendall(log_line(message))
            assert read_replies(client, 1) == [RECEIVED]

    def alarms(self, name):
        return [one["message"] for one in self.server.status()["conditions"] if one["name"] == name]


def test_each_listener_shows_its_certificate_and_asks_for_its_clients_or_speaks_plain_text(scratch):
    listeners = Listeners(scratch)
    server = listeners.server
    client = HalfClosing(server, server.rpc_port, listeners.context("rpc"))
    client.sendall(REQUEST)
    assert client.half_close() == ANSWER
    listeners.send_line("let in")
    server.send(SAMPLE)
    assert listeners.serial("rpc") != listeners.serial("logs")
    # Each for itself: the authority of the one vouches for nobody at the other.
    stranger = listeners.all.issue("stranger", names="DNS:client.test")
    for port, context in ((server.rpc_port, client_context(listeners.logs)),
                          (server.logs_port, client_context(listeners.all, listeners.client)),
                          (server.logs_port, client_context(listeners.logs)),
                          (server.logs_port, client_context(listeners.logs, stranger)),
                          (server.port, client_context(listeners.all))):
        content = {server.logs_port: log_line("not let in"), server.port: SAMPLE}
        assert refuses(server, port, context, content.get(port, REQUEST)), port
    ends = [line for line in server.get("/metrics")[1].splitlines()
            if line.startswith("sluice_tls_certificate_expires_timestamp_seconds{")]
    assert len(ends) == 2 and 'listener="logs"' in ends[0] + ends[1] and \
        'listener="rpc"' in ends[0] + ends[1], ends
    server.stop()
    assert logged(server) == ["let in"] and len(evidence.stored_events(server.objects)) == 1


def test_sighup_reads_the_files_of_each_listener_and_what_is_set_for_it(scratch):
    listeners = Listeners(scratch)
    before = {protocol: listeners.serial(protocol) for protocol in ("logs", "rpc")}
    put(listeners.logs.issue("second"), *own(listeners.certificates["logs"]).values())
    listeners.server.reload()
    assert listeners.serial("rpc") == before["rpc"] and listeners.serial("logs") != before["logs"]
    before["logs"] = listeners.serial("logs")
    # One whose file is spoilt keeps what it has; the other takes what is new.
    listeners.certificates["logs"].path.write_text("no certificate\n")
    put(listeners.all.issue("third"), *own(listeners.certificates["rpc"]).values())
    listeners.server.reload()
    [alarm] = listeners.alarms("configuration")
    assert "TLS of the logs listener" in alarm and str(listeners.certificates["logs"].path) in alarm
    assert listeners.serial("logs") == before["logs"] and listeners.serial("rpc") != before["rpc"]
    # Other paths, and TLS where there was none.
    fourth = listeners.logs.issue("fourth")
    listeners.reload(logs=own(fourth, TLS_CLIENT_CA=str(listeners.logs.path)), xml={})
    assert not listeners.alarms("configuration")
    assert listeners.serial("logs") != before["logs"]
    xml_over_tls(listeners.server, listeners.context("xml"))
    listeners.send_line("still let in")
    listeners.server.stop()
    assert logged(listeners.server) == ["still let in"]


def test_the_alarm_of_a_certificate_that_ends_soon_names_its_listener(scratch):
    listeners = Listeners(scratch, logs_days=10)
    [alarm] = harness.wait_for(lambda: listeners.alarms("tls.certificate"), "the alarm")
    assert "of the logs listener" in alarm, alarm
    put(listeners.logs.issue("second"), *own(listeners.certificates["logs"]).values())
    listeners.server.reload()
    harness.wait_for(lambda: not listeners.alarms("tls.certificate"), "no alarm")
    listeners.server.stop()


def test_what_is_wrong_for_one_listener_is_a_line_and_exit_2(scratch):
    authority = certificates.Authority(scratch.path)
    certificate, other = authority.issue("server"), authority.issue("other")
    path = scratch.path / "sluice.json"
    tokens = scratch.path / "tokens"
    cases = (({"logs": {"TLS_CERT": str(certificate.path)}}, {},
              ("TLS_CERT is set for the logs listener", "set TLS_KEY", str(path))),
             ({"logs": {"PORT": "1"}}, {}, ("logs.PORT", "only TLS_CERT", str(path))),
             ({"logs": own(certificate) | {"TLS_KEY": str(other.key)}}, {},
              ("TLS of the logs listener", "does not match", str(other.key))),
             (own(certificate) | {"logs": {"TLS_CERT": ""}}, {"SERVER_TOKEN_FILE": tokens},
              ("SERVER_TOKEN_FILE", "the logs listener speaks plain text")))
    for number, (configuration, settings, words) in enumerate(cases):
        path.write_text(json.dumps(configuration))
        server = scratch.server(f"server-{number}", PROTOCOLS="xml,logs", **settings)
        server.launch("run", "--config", str(path))
        assert server.wait() == 2, server.log_tail()
        [line] = [line for line in server.log_text().splitlines() if words[0] in line]
        assert all(word in line for word in words), line


def test_config_prints_what_is_set_for_one_listener_and_check_tries_it(scratch):
    authority = certificates.Authority(scratch.path)
    certificate = authority.issue("server")
    path = scratch.path / "sluice.json"
    path.write_text(json.dumps({"TLS_CERT": "none.pem", "TLS_KEY": "none.key",
                                "logs": own(certificate, TLS_CLIENT_CA="")}))
    server = scratch.server(PROTOCOLS="logs", TLS_CERT="environment.pem")
    lines = server.command("config", "--config", path).splitlines()
    values = {line.split()[0]: line.split()[1:] for line in lines}
    assert values["TLS_CERT"] == ["environment.pem", "environment"]
    assert values["logs.TLS_CERT"] == [str(certificate.path), "file", str(path)]
    assert values["logs.TLS_CLIENT_CA"] == ["-", "file", str(path)]
    server.command("check", "--config", path)
    path.write_text(json.dumps(own(certificate) | {"logs": {"TLS_KEY": "none.key"}}))
    server.settings.pop("TLS_CERT")
    text = server.command("check", "--config", path, expected=1)
    assert "TLS of the logs listener" in text and "none.key" in text, text


if __name__ == "__main__":
    harness.main(globals())

"""Where credentials come from, with the real program: what check says, and what run does when they
expire."""
import re
import time

import evidence
import harness
import s3_options


def settings_of(scratch, store, **more):
    """The store's, without its keys, and without what this machine may have."""
    return store.settings(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None,
                          HOME=scratch.path / "home", AWS_EC2_METADATA_DISABLED="true") | more


def with_instance(scratch, store, metadata, **more):
    return settings_of(scratch, store, AWS_EC2_METADATA_DISABLED=None,
                       AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata.url, **more)


def check(server, expected=0):
    done = harness.run_sluice("check", expected=expected, cwd=server.directory,
                              settings=server.settings)
    assert "canary" not in done.stdout + done.stderr, done.stdout
    return [line for line in done.stdout.splitlines() if line.split()[1] == "credentials"]


def refreshes(server):
    return server.lines("credentials fetched")


def test_check_says_which_link_gave_credentials_for_whom_and_until_when(scratch):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    token_file = scratch.path / "token"
    token_file.write_text("web-token\n")
    config = scratch.path / "home" / ".aws" / "config"
    config.parent.mkdir(parents=True)
    config.write_text("[profile base]\naws_access_key_id = BASEKEY\n"
                      "aws_secret_access_key = base-secret\n"
                      "[profile prod]\nrole_arn = arn:aws:iam::1:role/gate\n"
                      "source_profile = base\n"
                      "[profile tool]\ncredential_process = cat '" + str(config.parent) + "/keys'\n")
    (config.parent / "keys").write_text(
        '{"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "%s", "SessionToken": "token-9"}'
        % (store.ACCESS_KEY, store.SECRET_KEY))
    role = {"AWS_ROLE_ARN": "arn:aws:iam::1:role/pod", "AWS_WEB_IDENTITY_TOKEN_FILE": token_file,
            "AWS_ENDPOINT_URL_STS": metadata.url}
    until = r", until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
    for name, settings, pattern in [
            ("environment", store.settings(),
             "from the environment, key id …TEST, without an end$"),
            ("instance", with_instance(scratch, store, metadata),
             "from the instance metadata service at .*, for the instance's role test-role, "
             "key id …TEST" + until),
            ("container", settings_of(
                scratch, store, AWS_CONTAINER_CREDENTIALS_FULL_URI=metadata.url + "/v1/credentials",
                AWS_CONTAINER_AUTHORIZATION_TOKEN="container-token"),
             "from the container's endpoint .*, for arn:aws:iam::123456789012:role/task, " ".*" + until),
            ("web", settings_of(scratch, store, **role),
             "from the web identity token in .*, for arn:aws:sts::1:assumed-role/pod/sluice, "
             ".*" + until),
            ("profile", settings_of(scratch, store, AWS_PROFILE="prod",
                                    AWS_ENDPOINT_URL_STS=metadata.url),
             "from profile 'prod' in .*, assumed by those from profile 'base' in .*, for "
             "arn:aws:sts::1:assumed-role/gate/sluice, .*" + until),
            ("process", settings_of(scratch, store, AWS_PROFILE="tool"),
             "from profile 'tool' in .*, by its credential_process, .*, without an end$")]:
        server = scratch.server(name, **settings)
        [line] = check(server)
        assert re.search("^ok    credentials  " + pattern, line), (name, line)


def test_check_names_every_link_where_none_gives_credentials(scratch):
    store = scratch.fake_s3()
    server = scratch.server(**settings_of(scratch, store))
    lines = check(server, expected=1)
    assert lines[-1].startswith("FAIL"), lines
    for link in ("environment", "run secrets", "web identity", "profile", "container",
                 "instance metadata"):
        assert [line for line in lines if line.startswith("WARN") and f"not from {link}: " in line]
    keys = scratch.path / "half"
    keys.write_text("[default]\naws_access_key_id = canary\n")
    server.settings["AWS_SHARED_CREDENTIALS_FILE"] = keys
    lines = check(server, expected=1)
    assert "FAIL" in lines[-1] and f"profile 'default' in {keys}" in lines[-1], lines


def test_sts_is_asked_through_the_proxy_and_the_services_of_this_machine_are_not(scratch):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    proxy = s3_options.start_proxy(scratch, metadata.port)
    token_file = scratch.path / "token"
    token_file.write_text("web-token\n")
    through = {"S3_PROXY": f"http://127.0.0.1:{proxy.port}"}
    server = scratch.server("web", **settings_of(
        scratch, store, AWS_ROLE_ARN="arn:aws:iam::1:role/pod",
        AWS_WEB_IDENTITY_TOKEN_FILE=token_file, AWS_ENDPOINT_URL_STS="http://sts.invalid", **through))
    [line] = check(server, expected=1)  # the proxy knows no store
    assert line.startswith("ok") and "assumed-role/pod" in line, line
    assert "sts.invalid" in [host for _, host, _ in proxy.asked], proxy.asked
    before = len(proxy.asked)
    for name, settings in [
            ("instance", with_instance(scratch, store, metadata, **through)),
            ("container", settings_of(
                scratch, store, AWS_CONTAINER_CREDENTIALS_FULL_URI=metadata.url + "/v1/credentials",
                AWS_CONTAINER_AUTHORIZATION_TOKEN="container-token", **through))]:
        [line] = check(scratch.server(name, **settings), expected=1)
        assert line.startswith("ok"), line
    hosts = {host for _, host, _ in proxy.asked[before:]}
    assert hosts == {f"127.0.0.1:{store.port}"}, hosts


def test_sts_is_believed_by_the_authority_of_s3_ca_file(scratch):
    store, sts = scratch.fake_s3(tls=True), scratch.fake_metadata(tls=True)
    token_file = scratch.path / "token"
    token_file.write_text("web-token\n")
    both = scratch.path / "both.pem"
    both.write_text(store.ca_file.read_text() + sts.ca_file.read_text())
    server = scratch.server(**settings_of(
        scratch, store, AWS_ROLE_ARN="arn:aws:iam::1:role/pod", S3_CA_FILE=both,
        AWS_WEB_IDENTITY_TOKEN_FILE=token_file, AWS_ENDPOINT_URL_STS=sts.url))
    [line] = check(server)
    assert line.startswith("ok"), line
    server.settings["S3_CA_FILE"] = store.ca_file
    [line] = [line for line in check(server, expected=1) if line.startswith("FAIL")]
    assert "certificate" in line, line


def test_without_credentials_the_first_start_exits_2_and_a_later_one_spools(scratch):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    server = scratch.server(ROTATION_INTERVAL="0.3", DRAIN_TIMEOUT=1,
                            **with_instance(scratch, store, metadata))
    metadata.control("fault", kind="status", status=404)
    server.launch()
    assert server.wait() == 2, server.log_tail()
    refused = server.lines("refused to start")
    assert "the instance metadata service" in str(refused), server.log_tail()
    metadata.control("fault", kind="")
    server.start()
    server.send(harness.SAMPLE.read_bytes())
    harness.wait_for(lambda: evidence.data_objects(store.objects), "delivery")
    server.stop()

    metadata.control("fault", kind="html")
    server.start()
    server.send(harness.SAMPLE.read_bytes())
    harness.wait_for(lambda: not server.ready(), "/ready says 503")
    assert "something else than a session token" in server.get("/ready")[1]
    metadata.control("fault", kind="")
    harness.wait_for(server.ready, "/ready says 200")
    harness.wait_for(lambda: len(evidence.data_objects(store.objects)) == 2, "delivery")
    server.stop()


def test_s16_a_token_service_that_is_away_at_the_first_start_does_not_refuse_the_feed(scratch):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    token_file = scratch.path / "token"
    token_file.write_text("web-token\n")
    server = scratch.server(ROTATION_INTERVAL="0.1", **settings_of(
        scratch, store, AWS_ROLE_ARN="arn:aws:iam::1:role/pod", AWS_ENDPOINT_URL_STS=metadata.url,
        AWS_WEB_IDENTITY_TOKEN_FILE=token_file))
    metadata.control("fault", kind="status", status=503)
    server.start()
    server.send(harness.SAMPLE.read_bytes())
    harness.wait_for(lambda: not server.ready(), "/ready says 503")
    metadata.control("fault", kind="")
    harness.wait_for(lambda: evidence.data_objects(store.objects), "delivery")
    server.stop()


def test_credentials_that_expire_while_it_runs_are_fetched_before_that(scratch):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    metadata.control("set", token="until", lifetime=8)
    store.control("set", session_token="until")
    server = scratch.server(ROTATION_INTERVAL="0.1", **with_instance(scratch, store, metadata))
    server.start()
    record = scratch.path / "record"
    load = harness.start_load(server.port, "--count", 10_000, "--rate", 200, record=record)
    harness.wait_for(lambda: len(refreshes(server)) >= 4, "refreshes")
    expires = re.search(r"^sluice_credentials_expire_timestamp_seconds (\S+)$",
                        server.get("/metrics")[1], re.MULTILINE)
    assert abs(float(expires[1]) - time.time()) < 60, expires
    load.terminate()
    load.communicate()
    server.stop()
    assert not server.lines("upload retry"), server.lines("upload retry")[0]
    refused = [one for one in store.control("requests")
               if one["code"] and "sluice-probe" not in one["path"]]
    assert not refused, refused[0]
    assert len(evidence.data_objects(store.objects)) > 10


def test_s16_a_metadata_service_that_fails_is_an_alarm_until_the_credentials_expire(scratch):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    metadata.control("set", token="until", lifetime=20)
    store.control("set", session_token="until")
    server = scratch.server(ROTATION_INTERVAL="0.1", **with_instance(scratch, store, metadata))
    server.start()
    metadata.control("fault", kind="status", status=401)
    server.signal(harness.signal.SIGHUP)
    alarm = server.wait_for_line("alarm raised", condition="credentials")
    assert "HTTP 401" in alarm["message"] and "the old ones serve on" in alarm["message"], alarm
    server.send(harness.SAMPLE.read_bytes())
    harness.wait_for(lambda: evidence.data_objects(store.objects), "delivery by the old ones")
    assert server.ready()
    assert "HTTP 401" in server.status()["credentials"]["error"]
    metadata.control("fault", kind="")
    server.wait_for_line("alarm cleared", condition="credentials")
    credentials = server.status()["credentials"]
    assert credentials["for"] == "the instance's role test-role" and not credentials["error"]
    server.stop()


def test_s5_a_token_that_the_store_calls_expired_is_replaced_without_a_restart(scratch):
    store, metadata = scratch.fake_s3(), scratch.fake_metadata()
    metadata.control("set", token="first")
    store.control("set", session_token="first")
    server = scratch.server(ROTATION_INTERVAL="0.1", **with_instance(scratch, store, metadata))
    server.start()
    server.send(harness.SAMPLE.read_bytes())
    harness.wait_for(lambda: evidence.data_objects(store.objects), "delivery")
    metadata.control("set", token="second")
    store.control("set", session_token="second")
    server.send(harness.SAMPLE.read_bytes())
    harness.wait_for(lambda: len(evidence.data_objects(store.objects)) == 2, "delivery")
    harness.wait_for(server.ready, "/ready says 200")
    server.stop()


def test_c1_no_secret_of_any_source_is_in_log_pages_or_environment_of_the_command_line(scratch):
    store = scratch.fake_s3()
    secrets = {"AWS_ACCESS_KEY_ID_FILE": store.ACCESS_KEY,
               "AWS_SECRET_ACCESS_KEY_FILE": store.SECRET_KEY,
               "AWS_SESSION_TOKEN_FILE": "canary-token-77"}
    store.control("set", session_token="canary-token-77")
    files = {}
    for name, content in secrets.items():
        files[name] = scratch.path / name.lower()
        files[name].write_text(content + "\n")
    server = scratch.server(ROTATION_INTERVAL="0.1", SLUICE_LOG_LEVEL="debug",
                            **settings_of(scratch, store, **files)).start()
    server.send(harness.SAMPLE.read_bytes())
    harness.wait_for(lambda: evidence.data_objects(store.objects), "delivery")
    files["AWS_SESSION_TOKEN_FILE"].write_text("canary token of two words\n")
    server.signal(harness.signal.SIGHUP)
    server.wait_for_line("alarm raised", condition="credentials")
    pages = "".join(server.get(path)[1] for path in ("/", "/status", "/metrics", "/ready"))
    arguments = (harness.pathlib.Path("/proc") / str(server.process.pid) / "cmdline").read_text()
    text = server.log_text() + pages + arguments + server.command("check", expected=None) \
        + server.command("config")
    server.stop()
    assert "canary" not in text
    assert store.ACCESS_KEY not in text


if __name__ == "__main__":
    harness.main(globals())

"""`sluice sign`: AWS's published examples through the built program, and random requests against a
second implementation."""
import json
import os
import random
import re

import harness
import sigv4_reference as reference

SUITE = json.loads((harness.TOP / "tests" / "data" / "sigv4" / "suite.json").read_text("utf-8"))
EMPTY = reference.sha256(b"")
S3_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HEADINGS = ("canonical request", "string to sign", "authorization", "presigned url",
            "chunk signatures", "the signature that the request had")


def run(scratch, request, *options, expected=0, **settings):
    """(sections of stdout by heading, stderr) of `sluice sign` for these bytes."""
    path = scratch.path / "request"
    path.write_bytes(request)
    credentials = {"AWS_ACCESS_KEY_ID": SUITE["credentials"]["access_key_id"],
                   "AWS_SECRET_ACCESS_KEY": SUITE["credentials"]["secret_access_key"]}
    settings = {name: value for name, value in (credentials | settings).items() if value}
    done = harness.run_sluice("sign", "--request", path, *options, settings=settings,
                              expected=expected)
    for secret in (S3_SECRET, credentials["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in done.stdout + done.stderr
    sections = {}
    for line in done.stdout.splitlines(keepends=True):
        if line.rstrip("\n") in HEADINGS:
            heading = line.rstrip("\n")
            assert heading not in sections, f"{heading} twice"
            sections[heading] = ""
        else:
            sections[heading] += line
    for heading, text in sections.items():
        assert text.endswith("\n\n"), f"{heading}: {text!r}"
        sections[heading] = text[:-2]
    return sections, done.stderr


def suite_options(case):
    options = ["--region", SUITE["region"], "--service", SUITE["service"]]
    options += [] if case.get("normalize", True) else ["--no-normalize"]
    options += ["--sign-body"] if case.get("sign_body") else []
    options += ["--omit-session-token"] if case.get("omit_session_token") else []
    return options


def run_suite_case(scratch, case, *more, request=None):
    request = case["request"].encode() if request is None else request
    return run(scratch, request, *suite_options(case), *more, AWS_SESSION_TOKEN=case.get("token"))


def authorization(canonical, signature):
    names = canonical.splitlines()[-2]
    return (f"{reference.ALGORITHM} Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
            f" SignedHeaders={names}, Signature={signature}")


def test_aws_test_suite_is_signed_as_published(scratch):
    for case in SUITE["cases"]:
        expected = {"canonical request": case["canonical_request"],
                    "string to sign": case["string_to_sign"],
                    "authorization": authorization(case["canonical_request"], case["signature"])}
        for time in (SUITE["timestamp"], "20150830T123600Z"):
            sections, errors = run_suite_case(scratch, case, "--time", time)
            assert sections == expected, f"{case['name']}: {sections}"
            assert errors == "", f"{case['name']}: {errors}"


def test_aws_test_suite_is_presigned_as_published(scratch):
    presigned = [case for case in SUITE["cases"] if "query_signature" in case]
    assert len(presigned) == 36
    for case in presigned:
        # A date header goes into the query, and no header is left that would have to be signed.
        dated = case["request"].replace(" HTTP/1.1\n", " HTTP/1.1\nX-Amz-Date:20150830T123600Z\n")
        for request, time in ((case["request"], SUITE["timestamp"]), (dated, "20200101T000000Z")):
            sections, _ = run_suite_case(scratch, case, "--time", time, "--presign",
                                         SUITE["expires_seconds"], request=request.encode())
            found = re.search(r"&X-Amz-Signature=([0-9a-f]{64})$", sections["presigned url"])
            assert found and found[1] == case["query_signature"], f"{case['name']}: {sections}"
            assert "authorization" not in sections


def test_line_ends_of_http_and_a_date_of_its_own_change_no_signature(scratch):
    for case in SUITE["cases"]:
        head, blank, body = case["request"].partition("\n\n")
        head = head.rstrip("\n") + "\nX-Amz-Date:20150830T123600Z"
        request = head.replace("\n", "\r\n") + "\r\n\r\n" + (body if blank else "")
        sections, _ = run_suite_case(scratch, case, request=request.encode())
        assert sections["string to sign"] == case["string_to_sign"], case["name"]


def test_signed_request_of_the_suite_is_found_to_be_right(scratch):
    for case in SUITE["cases"]:
        head, blank, body = case["request"].partition("\n\n")
        signed = authorization(case["canonical_request"], case["signature"])
        token = case.get("token")
        lines = [head.rstrip("\n"), "X-Amz-Date:20150830T123600Z", "Authorization:" + signed,
                 "User-Agent: not signed"] + ([f"X-Amz-Security-Token:{token}"] if token else [])
        if case.get("sign_body") and "x-amz-content-sha256" not in head:
            lines.append("X-Amz-Content-Sha256:" + reference.sha256(body.encode()))
        request = "\n".join(lines) + "\n\n" + (body if blank else "")
        sections, _ = run_suite_case(scratch, case, request=request.encode())
        assert sections["authorization"] == signed, f"{case['name']}: {sections}"
        had = sections["the signature that the request had"].splitlines()
        assert had[:3] == ["signature: the same", "credential: the same",
                           "signed headers: the same"], f"{case['name']}: {had}"
        unsigned = "User-Agent, X-Amz-Security-Token" if case.get("omit_session_token") \
            else "User-Agent"
        assert had[3:] == ["the request has, but nobody signed: " + unsigned], had


def test_what_differs_from_the_signature_of_a_request_is_said(scratch):
    right = ("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
             "SignedHeaders=host;x-amz-date,Signature=" + "0" * 64)
    request = "GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n{}\n"
    vanilla = next(case for case in SUITE["cases"] if case["name"] == "get-vanilla")

    def had(value, *more):
        sections, errors = run_suite_case(
            scratch, vanilla, *more, request=request.format(f"Authorization: {value}").encode())
        assert sections["string to sign"] == vanilla["string_to_sign"] or more, sections
        assert "canary" not in errors
        return sections["the signature that the request had"].splitlines()

    assert had(right) == [
        f"signature: {'0' * 64}, here {vanilla['signature']}", "credential: the same",
        "signed headers: the same",
        "so the secret, or something in the canonical request, is not what the signer had"]
    lines = had(right.replace("us-east-1", "eu-west-1").replace("host;", "host;range;"))
    assert "credential: AKIDEXAMPLE/20150830/eu-west-1/service/aws4_request, here " \
        "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request" in lines, lines
    assert "signed headers: host;range;x-amz-date, here host;x-amz-date" in lines, lines
    assert "it names, but the request does not have: range" in lines, lines
    lines = had(right + "\nx-amz-content-sha256: " + EMPTY, "--s3")
    assert "signed headers: host;x-amz-date, here host;x-amz-content-sha256;x-amz-date" in lines, \
        lines
    for other in ("Bearer canary", "AWS AKID:canary", "canary"):
        assert had(other) == ["it is not of the kind AWS4-HMAC-SHA256: left out"]


def test_presigned_url_of_the_s3_documentation_is_signed_and_recognised(scratch):
    host = "examplebucket.s3.amazonaws.com"
    options = ["--region", "us-east-1", "--service", "s3", "--s3", "--presign", "86400"]
    settings = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": S3_SECRET}
    query = ("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
             "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
             "X-Amz-SignedHeaders=host&X-Amz-Signature="
             "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    sections, _ = run(scratch, f"GET /test.txt HTTP/1.1\nHost: {host}\n".encode(), *options,
                      "--time", "2013-05-24T00:00:00Z", **settings)
    assert sections["presigned url"] == f"https://{host}/test.txt?{query}"
    captured = f"GET /test.txt?{query} HTTP/1.1\nHost: {host}\n".encode()
    sections, _ = run(scratch, captured, *options, **settings)
    assert sections["presigned url"] == f"https://{host}/test.txt?{query}"
    had = sections["the signature that the request had"]
    assert had == "\n".join(f"{what}: the same" for what in
                            ("signature", "credential", "signed headers", "expires"))
    _, errors = run(scratch, captured, *options[:-2], expected=2, **settings)
    assert "presigned" in errors and "--presign" in errors, errors


def test_token_of_a_presigned_url_is_signed_or_behind_the_signature(scratch):
    request = b"GET /a b HTTP/1.1\nHost: h\n"
    options = ["--region", "r", "--service", "s3", "--s3", "--presign", "60"]
    sections, _ = run(scratch, request, *options, AWS_SESSION_TOKEN="a/b=")
    assert "X-Amz-Security-Token=a%2Fb%3D" in sections["canonical request"]
    assert sections["presigned url"].startswith("https://h/a%20b?X-Amz-Algorithm=")
    sections, _ = run(scratch, request, *options, "--omit-session-token", AWS_SESSION_TOKEN="a/b=")
    assert "Token" not in sections["canonical request"]
    assert re.search("&X-Amz-Signature=[0-9a-f]{64}&X-Amz-Security-Token=a%2Fb%3D$",
                     sections["presigned url"])


def test_chunks_of_the_s3_documentation_are_signed_as_published(scratch):
    head = ("PUT /examplebucket/chunkObject.txt HTTP/1.1\nHost: s3.amazonaws.com\n"
            "x-amz-storage-class: REDUCED_REDUNDANCY\nContent-Encoding: aws-chunked\n")
    body = b"\n" + b"a" * 66560
    options = ["--region", "us-east-1", "--service", "s3", "--s3", "--time",
               "2013-05-24T00:00:00Z", "--chunked", "65536"]
    settings = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": S3_SECRET}
    sections, errors = run(scratch, (head + "Content-Length: 66824\n").encode() + body, *options,
                           **settings)
    assert sections["authorization"].endswith(
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"), sections
    assert sections["chunk signatures"].splitlines() == [
        "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"]
    assert errors == "", errors
    sections, _ = run(scratch, head.encode() + body, *options, "--trailer",
                      "x-amz-checksum-crc32c:sOO8/Q==", **settings)
    assert sections["authorization"].endswith(
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"), sections
    assert sections["chunk signatures"].splitlines() == [
        "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        "x-amz-checksum-crc32c:sOO8/Q==",
        "x-amz-trailer-signature:"
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"]


def test_examples_of_the_s3_documentation_are_signed_as_published(scratch):
    host = "Host: examplebucket.s3.amazonaws.com\n"
    settings = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": S3_SECRET}
    for request, signature in [
            ("GET /test.txt HTTP/1.1\n" + host + "Range: bytes=0-9\n",
             "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            ("PUT /test$file.text HTTP/1.1\n" + host + "Date: Fri, 24 May 2013 00:00:00 GMT\n"
             "x-amz-storage-class: REDUCED_REDUNDANCY\n\nWelcome to Amazon S3.",
             "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            ("GET /?lifecycle HTTP/1.1\n" + host,
             "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("GET /?max-keys=2&prefix=J HTTP/1.1\n" + host,
             "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]:
        sections, errors = run(scratch, request.encode(), "--region", "us-east-1", "--service",
                               "s3", "--s3", "--time", "20130524T000000Z", **settings)
        assert sections["authorization"].endswith("Signature=" + signature), sections
        assert errors == "", errors


def random_request(dice):
    """Method, target, headers and body in bytes, with all that the rules are about."""
    letters = [b"a", b"Z", b"0", b"~", b"%20", b"%2f", b"%C3%a9", b"\xc3\xa9", b" ", b"+", b"$",
               b"=", b"(", b"%", b".", b"..", b"/", b"//", b"/./", b"/../"]

    def text(some, most):
        return b"".join(dice.choices(some, k=dice.randrange(most)))

    path = b"/" + text(letters, 12)
    query = text([*letters, b"&", b"&", b"?"], 12)
    headers = [(b"Host", b" h.example ")]
    for _ in range(dice.randrange(5)):
        name = dice.choice([b"X-a", b"x-A", b"X-Amz-Meta-B", b"Range", b"my_header"])
        value = text([b"a", b"B", b" ", b"  ", b"\t", b",", b"\n ", b'"', b"\xc3\xa9"], 8)
        headers.append((name, value))
    return (dice.choice([b"GET", b"PUT", b"DELETE"]), path, query, headers,
            dice.randbytes(dice.randrange(40)))


def test_random_requests_are_signed_as_a_second_implementation_signs_them(scratch):
    seed = int(os.environ.get("SLUICE_TEST_SEED", random.randrange(2**32)))
    print(f"SLUICE_TEST_SEED={seed}")
    dice = random.Random(seed)
    for _ in range(200):
        method, path, query, headers, body = random_request(dice)
        s3, normalize, sign_body, token = (dice.random() < 0.5 for _ in range(4))
        options = ["--region", "r-1", "--service", "one", "--time", "2024-02-29T23:59:59Z"]
        options += ["--s3"] * s3 + ["--no-normalize"] * (not normalize) + \
            ["--sign-body"] * sign_body
        request = (method + b" " + path + (b"?" + query if query else b"") + b" HTTP/1.1\n"
                   + b"".join(name + b":" + value + b"\n" for name, value in headers)
                   + b"\n" + body)
        (scratch.path / "last").write_bytes(request)
        sections, _ = run(scratch, request, *options, AWS_SESSION_TOKEN="tok/en=" * token)
        date, digest = "20240229T235959Z", reference.sha256(body)
        headers.append((b"x-amz-date", date.encode()))
        if s3 or sign_body:
            headers.append((b"x-amz-content-sha256", digest.encode()))
        if token:
            headers.append((b"x-amz-security-token", b"tok/en="))
        canonical = reference.canonical_request(
            method, reference.canonical_path(path, s3, normalize), query, headers, digest)
        assert sections["canonical request"].encode() == canonical, f"{request}: {sections}"
        to_sign = reference.string_to_sign(date, "r-1", "one", canonical)
        assert sections["string to sign"] == to_sign, f"{request}: {sections}"
        signature = reference.signature(SUITE["credentials"]["secret_access_key"], date, "r-1",
                                        "one", to_sign)
        assert sections["authorization"].endswith(f"Signature={signature}"), f"{request}"


def test_notes_name_what_the_reader_may_have_got_wrong(scratch):
    options = ["--region", "r", "--service", "s3", "--time", "20240101T000000Z"]
    _, errors = run(scratch, b"GET / HTTP/1.1\nHost:h\n", *options)
    assert "--s3" in errors, errors
    request = (b"PUT / HTTP/1.1\nHost:h\nContent-Length: 3\nX-Amz-Security-Token: other\n"
               b"x-amz-content-sha256: " + EMPTY.encode() + b"\n\nabc\n")
    _, errors = run(scratch, request, *options, "--s3", AWS_SESSION_TOKEN="token")
    assert "x-amz-content-sha256 is not the hash of this body" in errors, errors
    assert "Content-Length is 3, the body in the file has 4 bytes" in errors, errors
    assert "X-Amz-Security-Token of the request is not AWS_SESSION_TOKEN" in errors, errors
    assert len(errors.splitlines()) == 3, errors


def test_bad_use_of_sign_exits_2_with_one_sentence(scratch):
    good = b"GET / HTTP/1.1\nHost:h\n"
    options = ["--region", "r", "--service", "s"]
    for request, more, settings, sentence in [
            (good, ["--time", "yesterday"], {}, "--time must be a time like"),
            (good, [], {"AWS_SECRET_ACCESS_KEY": None}, "AWS_SECRET_ACCESS_KEY is not set"),
            (good, [], {"AWS_ACCESS_KEY_ID": None}, "AWS_ACCESS_KEY_ID is not set"),
            (b"nonsense", [], {}, "line 1 of the request"),
            (b"GET / HTTP/1.1\nX:1\n", [], {}, "no Host header"),
            (good + b"X-Amz-Date: noon\n", [], {}, "X-Amz-Date of the request"),
            (good + b"x-amz-content-sha256: UNSIGNED-PAYLOAD\n", ["--chunked", "8192"], {},
             "must be STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            (good, ["--chunked", "8192", "--trailer", "x"], {}, "--trailer must be name:value")]:
        sections, errors = run(scratch, request, *options, *more, expected=2, **settings)
        assert sections == {} and sentence in errors, errors
        assert errors.count("\n") == 1 and errors.startswith("sluice: "), errors
    for more in (["--presign", "0"], ["--presign", "604801"], ["--chunked", "8191"],
                 ["--trailer", "a:b"], ["--presign", "9", "--chunked", "8192"], ["--no-such"]):
        run(scratch, good, *options, *more, expected=2)
    run(scratch, good, "--region", "r", expected=2)
    run(scratch, good, "--service", "s", expected=2)
    done = harness.run_sluice("sign", "--request", scratch.path / "missing", *options, expected=2,
                              settings={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
    assert "cannot read the request from" in done.stderr and "No such file" in done.stderr


if __name__ == "__main__":
    harness.main(globals())

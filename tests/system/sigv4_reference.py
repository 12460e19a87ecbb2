"""Signature Version 4 a second time, in Python's own hashlib and hmac: what `sluice sign` is held
against for requests that no published vector has. Written from AWS's text, not from the C++.
"""
import hashlib
import hmac
import re
import urllib.parse

ALGORITHM = "AWS4-HMAC-SHA256"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def encode(content, safe=b""):
    """Every byte but the unreserved ones as %XX."""
    return urllib.parse.quote_from_bytes(content, safe=safe.decode() + "-._~")


def canonical_path(path, s3=False, normalize=True):
    """`path` in bytes, as it stands in the request line."""
    if s3:
        return encode(urllib.parse.unquote_to_bytes(path), b"/") or "/"
    if normalize:
        kept = []
        for segment in path.split(b"/"):
            if segment == b"..":
                kept = kept[:-1]
            elif segment not in (b"", b"."):
                kept.append(segment)
        tail = b"/" if path.endswith(b"/") and kept else b""
        path = b"/" + b"/".join(kept) + tail
    return encode(path, b"/") or "/"


def canonical_query(query):
    pairs = []
    for parameter in filter(None, query.split(b"&")):
        name, _, value = parameter.partition(b"=")
        pairs.append(tuple(encode(urllib.parse.unquote_to_bytes(part)) for part in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def canonical_headers(headers):
    """{name: value} in order, of [(name, value)] in bytes."""
    joined = {}
    for name, value in headers:
        folded = re.sub(rb"[ \t\r\n]+", b" ", value).strip(b" ")
        joined.setdefault(name.lower(), []).append(folded)
    return {name: b",".join(joined[name]) for name in sorted(joined)}


def canonical_request(method, path, query, headers, payload_hash):
    """In bytes; `path` is canonical already, `query` is not."""
    canonical = canonical_headers(headers)
    lines = [method, path.encode(), canonical_query(query).encode(),
             *(name + b":" + value for name, value in canonical.items()),
             b"", b";".join(canonical), payload_hash.encode()]
    return b"\n".join(lines)


def scope(date, region, service):
    return f"{date[:8]}/{region}/{service}/aws4_request"


def string_to_sign(date, region, service, request):
    return "\n".join([ALGORITHM, date, scope(date, region, service), sha256(request)])


def signature(secret, date, region, service, text):
    key = ("AWS4" + secret).encode()
    for part in scope(date, region, service).split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

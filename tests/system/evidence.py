"""What was sent, what was stored, and whether the two agree.

Sent is read from sluice-load's record, stored from the objects with Python's own parsers (expat
and json), which share nothing with the server's.
"""
import base64
import collections
import dataclasses
import gzip
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import urllib.parse
import xml.parsers.expat

import harness


@dataclasses.dataclass
class SentEvent:
    connection: int
    index: int
    identifier: str
    sha256: str
    values: str | None  # digest of the values; None: malformed
    bytes: bytes | None  # of a malformed one


@dataclasses.dataclass
class Sent:
    events: dict  # identifier -> SentEvent
    ends: dict  # connection -> "fin" | "rst" | "error"

    def acknowledged(self):
        """The well-formed events of connections whose FIN the sender saw."""
        return {event.identifier for event in self.well_formed()
                if self.ends.get(event.connection) == "fin"}

    def well_formed(self):
        return [event for event in self.events.values() if event.values]

    def malformed(self):
        return [event for event in self.events.values() if not event.values]


def read_record(*paths):
    """The records of one run or more; connections of different runs stay apart."""
    sent = Sent({}, {})
    for run, path in enumerate(paths):
        for line in pathlib.Path(path).read_text().splitlines():
            fields = json.loads(line)
            connection = (run, fields["conn"])
            if "end" in fields:
                sent.ends[connection] = fields["end"]
                continue
            raw = fields.get("base64")
            event = SentEvent(connection, fields["n"], fields["cn"], fields["sha256"],
                              fields.get("values"), base64.b64decode(raw) if raw else None)
            assert event.identifier not in sent.events, "the generator repeats an identifier"
            sent.events[event.identifier] = event
    return sent


@dataclasses.dataclass
class StoredEvent:
    identifier: str
    values: str  # digest of "name=value\n" lines, as in the record
    sha256: str | None  # of the bytes; None where the format keeps none
    fields: list  # [(name, value)]


def values_digest(fields):
    text = "".join(f"{name}={value}\n" for name, value in fields)
    return hashlib.sha256(text.encode()).hexdigest()


class _XmlObject:
    """Reads <EVENTS><EVENT>…</EVENT>…</EVENTS> and remembers where each event's bytes lie."""

    def __init__(self, body):
        self.body = body
        self.events = []
        self.depth = 0
        self.begin = 0
        self.fields = []
        self.text = []
        self.parser = xml.parsers.expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text.append
        self.parser.Parse(body, True)

    def start(self, name, attributes):
        if self.depth == 0:
            assert name == "EVENTS" and not attributes, f"the root is {name}"
        elif self.depth == 1:
            self.begin = self.parser.CurrentByteIndex
            self.fields = []
        self.text.clear()
        self.depth += 1

    def end(self, name):
        self.depth -= 1
        if self.depth == 2:
            self.fields.append((name, "".join(self.text).strip()))
        elif self.depth == 1:
            raw = self.body[self.begin:self.body.index(b">", self.parser.CurrentByteIndex) + 1]
            self.events.append(_stored(self.fields, hashlib.sha256(raw).hexdigest()))
        self.text.clear()


def _stored(fields, sha256=None):
    identifier = next((value for name, value in fields if name == "cn"), "")
    return StoredEvent(identifier, values_digest(fields), sha256, fields)


def decompress(name, body):
    if name.endswith(".gz"):
        return gzip.decompress(body), name[:-3]
    if name.endswith(".zst"):
        if not shutil.which("zstd"):
            raise harness.Skip("zstd is not installed")
        return subprocess.run(["zstd", "-dc"], input=body, capture_output=True,
                              check=True).stdout, name[:-4]
    return body, name


def events_of(name, body):
    """The events of an object, in its order."""
    body, name = decompress(name, body)
    if name.endswith(".xml"):
        return _XmlObject(body).events
    if name.endswith(".json"):
        parsed = json.loads(body)
    else:
        assert name.endswith(".jsonl"), name
        assert body.endswith(b"\n"), "the last line does not end"
        parsed = [json.loads(line) for line in body.decode().split("\n")[:-1]]
    for event in parsed:
        assert all(isinstance(value, str) for value in event.values()), "a value is no string"
    return [_stored(list(event.items())) for event in parsed]


SEGMENT_IN_KEY = re.compile(r"_([0-9a-f]{16})-([0-9a-f]{16})")


def segment_of(key):
    """(instance and number, uid): sorts as the segments were written."""
    found = SEGMENT_IN_KEY.search(key)
    assert found, f"no segment in the key {key}"
    return int(found[1], 16), found[2]


def list_objects(root, prefix=""):
    """{key: path} of a directory store or the fake S3's directory, without temporary files."""
    root = pathlib.Path(root)
    found = {}
    for path in root.rglob("*"):
        key = urllib.parse.unquote(str(path.relative_to(root)))
        temporary = key.startswith(".") or key.endswith((".meta.json", ".tmp"))
        if path.is_file() and not temporary and key.startswith(prefix):
            found[key] = path
    return dict(sorted(found.items(), key=lambda item: item[0]))


def data_objects(root, prefix="xml-events/"):
    """{key: path} in the order in which the segments were written."""
    return dict(sorted(list_objects(root, prefix).items(), key=lambda item: segment_of(item[0])))


def stored_events(root, prefix="xml-events/"):
    events = []
    for key, path in data_objects(root, prefix).items():
        events += events_of(key, path.read_bytes())
    return events


@dataclasses.dataclass
class Rejected:
    bytes: bytes
    reason: str
    line: dict


def quarantine(root, prefix="quarantine/"):
    """The rejected pieces, each with its line of reasons."""
    found = []
    objects = list_objects(root, prefix)
    for key, path in objects.items():
        if not key.endswith("_raw.xml"):
            continue
        raw = path.read_bytes()
        reasons = objects[key.removesuffix("_raw.xml") + "_raw.reasons.jsonl"]
        end = 0
        for text in reasons.read_text().splitlines():
            line = json.loads(text)
            begin, end = line["offset"], line["offset"] + line["length"]
            found.append(Rejected(raw[begin:end], line["reason"], line))
        assert end == len(raw), "bytes in quarantine without a reason"
    return found


def assert_same(sent, stored, exactly_once=None):
    """Every event of `exactly_once` (all well-formed ones) is stored once; what is stored was sent,
    is not changed, is there once, and in order per connection."""
    counts = collections.Counter(event.identifier for event in stored)
    doubled = [identifier for identifier, count in counts.items() if count > 1]
    assert not doubled, f"{len(doubled)} events are stored twice, as {doubled[0]}"
    wanted = {event.identifier for event in sent.well_formed()} if exactly_once is None \
        else exactly_once
    lost = wanted - counts.keys()
    assert not lost, f"{len(lost)} of {len(wanted)} events are not stored, as " \
                     f"{sent.events[min(lost)]}"
    last_index = {}
    for event in stored:
        original = sent.events.get(event.identifier)
        assert original, f"{event.identifier} was never sent"
        assert original.values == event.values, f"{event.identifier} changed: {event.fields}"
        assert event.sha256 in (None, original.sha256), f"the bytes of {event.identifier} changed"
        assert last_index.get(original.connection, -1) < original.index, \
            f"connection {original.connection}: event {original.index} out of order"
        last_index[original.connection] = original.index


def assert_quarantined(sent, rejected):
    """Every malformed event is in quarantine once, byte for byte, and nothing else is."""
    wanted = {event.identifier: event for event in sent.malformed()}
    for piece in rejected:
        assert piece.reason, "no reason"
        inside = [identifier for identifier, event in wanted.items() if event.bytes in piece.bytes]
        assert len(inside) == 1, f"{len(inside)} malformed events in a piece: {piece.line}"
        event = wanted.pop(inside[0])
        around = piece.bytes.replace(event.bytes, b"", 1).strip()
        assert not around or re.fullmatch(rb"<\?xml [^>]*\?>", around), f"also there: {around!r}"
    assert not wanted, f"{len(wanted)} malformed events are not in quarantine, as " \
                       f"{next(iter(wanted.values()))}"


def assert_no_key_written_twice(store):
    """By the log of a harness.FakeS3."""
    digests = {}
    for write in store.control("log"):
        if write["op"] in ("put", "complete") and "sluice-probe" not in write["key"]:
            known = digests.setdefault(write["key"], write["sha256"])
            assert known == write["sha256"], f"{write['key']} was written with different bytes"
            assert not write["overwrite"], f"{write['key']} was written over"


def assert_delivered(store, *records, acknowledged_only=False):
    """Of a harness.FakeS3: all of the records (or what was acknowledged of them) is there once and
    unchanged, what was malformed is in quarantine, and no key was written twice. Gives what was
    sent."""
    sent = read_record(*records)
    if acknowledged_only:
        assert_same(sent, stored_events(store.objects), exactly_once=sent.acknowledged())
    else:
        assert_same(sent, stored_events(store.objects))
        assert_quarantined(sent, quarantine(store.objects))
    assert_no_key_written_twice(store)
    return sent


class Immutable:
    """Watches that no object ever changes or goes."""

    def __init__(self):
        self.digests = {}

    def look(self, root):
        now = {key: hashlib.sha256(path.read_bytes()).hexdigest()
               for key, path in list_objects(root).items()}
        for key, digest in self.digests.items():
            assert key in now, f"{key} is gone"
            assert now[key] == digest, f"{key} changed"
        self.digests = now

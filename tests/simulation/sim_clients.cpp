#include "simulation/sim_clients.h"

namespace sluice::simulation {
namespace {

DocumentKind kind_of(SimRandom& random, bool first) {
  const std::uint64_t roll = random.below(100);
  if (roll < 80) {
    return DocumentKind::valid;
  }
  if (roll < 87) {
    return DocumentKind::strict;
  }
  return roll < 95 || first ? DocumentKind::refused : DocumentKind::junk;
}

std::string filler(SimRandom& random) {
  const std::uint64_t bytes = random.one_in(15) ? random.below(20'000) : random.below(300);
  return std::string(bytes, static_cast<char>('a' + random.below(26)));
}

// What a framer could trip over.
std::string content(SimRandom& random) {
  switch (random.below(6)) {
    case 0:
      return "<![CDATA[</EVENT>]]><t>" + filler(random) + "</t>";
    case 1:
      return "<!-- </EVENT> --><t a=\"x > y\">" + filler(random) + "</t>";
    case 2:
      return "<EVENT><t>" + filler(random) + "</t></EVENT>";
    default:
      return "<t>" + filler(random) + "</t>";
  }
}

// Of a line that is not kept: why, with its marker.
std::string refused_line(SimRandom& random, const std::string& marker, LogVerdict& verdict) {
  switch (random.below(4)) {
    case 0:
      verdict = LogVerdict::filtered;
      return R"({"level":"debug","message":")" + marker + "\"}";
    case 1:
      verdict = LogVerdict::missing_fields;
      return R"({"level":"error","text":")" + marker + "\"}";
    case 2:
      verdict = LogVerdict::not_an_object;
      return "[\"" + marker + "\"]";
    default:
      verdict = LogVerdict::invalid_json;
      return R"({"level":"error","message":")" + marker;
  }
}

void make_line(SimDocument& document, SimRandom& random) {
  const std::string marker = marker_of(document.number);
  if (document.kind == DocumentKind::valid || document.kind == DocumentKind::strict) {
    document.bytes = R"({"level":"error","message":")" + marker + filler(random) +
                     (document.kind == DocumentKind::strict ? std::string(kStrictMark) : "") +
                     R"(","n":1e400})";
  } else {
    document.bytes = refused_line(random, marker, document.verdict);
  }
}

}  // namespace

std::string marker_of(std::uint64_t number) { return "doc-" + std::to_string(number) + ";"; }

SimDocument& Documents::make(bool first) {
  SimDocument document;
  document.number = all_.size();
  document.connection = connections_;
  document.host = host_;
  document.kind = kind_of(random_, first);
  if (stream_ == Stream::logs) {
    make_line(document, random_);
    return all_.emplace_back(std::move(document));
  }
  const std::string marker = marker_of(document.number);
  const bool declared = first || random_.one_in(3);
  document.bytes = declared ? "<?xml version=\"1.0\"?>\n" : "";
  if (document.kind == DocumentKind::junk) {
    document.bytes = "junk " + marker + " ";
  } else {
    document.root_begin = document.bytes.size();
    document.bytes += "<EVENT><id>" + marker + "</id>" + content(random_) +
                      (document.kind == DocumentKind::strict    ? std::string(kStrictMark)
                       : document.kind == DocumentKind::refused ? std::string(kRefusedMark)
                                                                : "") +
                      "</EVENT>";
  }
  return all_.emplace_back(std::move(document));
}

SimClient make_client(Documents& documents, SimRandom& random, int host, ConnectionId id) {
  documents.begin_connection(host);
  const bool logs = documents.stream() == Stream::logs;
  SimClient client;
  client.connection = std::make_shared<Connection>();
  client.connection->id = id;
  client.connection->protocol = logs ? Protocol::logs : Protocol::xml;
  client.connection->peer.port = static_cast<std::uint16_t>(id);
  const std::uint64_t count = random.one_in(12) ? random.between(20, 60) : random.between(0, 6);
  bool first = true;
  bool was_junk = false;
  for (std::uint64_t i = 0; i < count; ++i) {
    SimDocument& document = documents.make(first);
    if (!logs && was_junk && document.kind != DocumentKind::junk &&
        !document.bytes.starts_with("<?xml")) {
      // Where junk ends is what follows it.
      document.bytes.insert(0, "<?xml version=\"1.0\"?>\n");
      document.root_begin += 22;
    }
    was_junk = document.kind == DocumentKind::junk;
    first = false;
    client.stream += document.bytes;
    client.stream += random.one_in(4) ? "\r\n" : random.one_in(4) && !logs ? "" : "\n";
    client.documents.push_back(document.number);
  }
  if (random.one_in(6)) {
    client.end = random.one_in(2) ? ConnectionEnd::reset : ConnectionEnd::timed_out;
  }
  if (client.end != ConnectionEnd::finished && random.one_in(2)) {
    client.stream += logs ? R"({"level":"error","message":"half"})" : "<EVENT><id>half";
  }
  if (logs && client.end == ConnectionEnd::finished && random.one_in(3)) {
    // The last line has no line feed.
    client.stream.resize(client.stream.find_last_not_of("\r\n") + 1);
  }
  return client;
}

}  // namespace sluice::simulation

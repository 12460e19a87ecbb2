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

}  // namespace

std::string marker_of(std::uint64_t number) { return "doc-" + std::to_string(number) + ";"; }

SimDocument& Documents::make(bool first) {
  SimDocument document;
  document.number = all_.size();
  document.connection = connections_;
  document.host = host_;
  document.kind = kind_of(random_, first);
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
  SimClient client;
  client.connection = std::make_shared<Connection>();
  client.connection->id = id;
  client.connection->peer.port = static_cast<std::uint16_t>(id);
  const std::uint64_t count = random.one_in(12) ? random.between(20, 60) : random.between(0, 6);
  bool first = true;
  bool was_junk = false;
  for (std::uint64_t i = 0; i < count; ++i) {
    SimDocument& document = documents.make(first);
    if (was_junk && document.kind != DocumentKind::junk && !document.bytes.starts_with("<?xml")) {
      // Where junk ends is what follows it.
      document.bytes.insert(0, "<?xml version=\"1.0\"?>\n");
      document.root_begin += 22;
    }
    was_junk = document.kind == DocumentKind::junk;
    first = false;
    client.stream += document.bytes;
    client.stream += random.one_in(4) ? "\r\n" : random.one_in(4) ? "" : "\n";
    client.documents.push_back(document.number);
  }
  if (random.one_in(6)) {
    client.end = random.one_in(2) ? ConnectionEnd::reset : ConnectionEnd::timed_out;
  }
  if (client.end != ConnectionEnd::finished && random.one_in(2)) {
    client.stream += "<EVENT><id>half";
  }
  return client;
}

}  // namespace sluice::simulation

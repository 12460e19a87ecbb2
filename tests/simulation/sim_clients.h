// The senders of a simulation and their documents: what is sent, what became of it as the sender
// saw it, and so what must be found in the end.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ndjson/log_line.h"
#include "simulation/sim_random.h"
#include "stages/messages.h"

namespace sluice::simulation {

enum class DocumentKind : std::uint8_t {
  valid,    // belongs into a data object
  strict,   // some versions take it, some do not
  refused,  // framed, and not well-formed; of logs a line that is answered and not kept
  junk,     // no document at all
};

struct SimDocument {
  std::uint64_t number = 0;      // over all of the simulation
  std::uint64_t connection = 0;  // the same, of its connection
  int host = 0;                  // that it is sent to
  DocumentKind kind = DocumentKind::valid;
  std::string bytes;  // as sent; a valid one's root element begins at root_begin
  std::size_t root_begin = 0;
  LogVerdict verdict = LogVerdict::received;  // of logs: what it has to be told
  bool acked = false;     // its sender saw the FIN after it; of logs: "received"
  bool forgiven = false;  // a backup without it took its spool's place
};

// Found in the document, and in nothing else.
std::string marker_of(std::uint64_t number);
// What a stricter validator looks for.
inline constexpr std::string_view kStrictMark = "<strict/>";
inline constexpr std::string_view kRefusedMark = "&unknown;";

// All documents that were ever sent, by number.
class Documents {
 public:
  explicit Documents(SimRandom& random, Stream stream = Stream::xml)
      : random_(random), stream_(stream) {}

  [[nodiscard]] Stream stream() const { return stream_; }
  // What senders were told that is not so.
  std::vector<std::string> wrong_replies;

  // The next one of the last connection. `first`: where junk would make it no XML at all.
  SimDocument& make(bool first);
  void begin_connection(int host) {
    ++connections_;
    host_ = host;
  }
  [[nodiscard]] std::deque<SimDocument>& all() { return all_; }
  [[nodiscard]] const std::deque<SimDocument>& all() const { return all_; }

 private:
  SimRandom& random_;
  const Stream stream_;
  std::deque<SimDocument> all_;
  std::uint64_t connections_ = 0;
  int host_ = 0;
};

// One connection, as its sender sees it.
struct SimClient {
  ConnectionPtr connection;
  std::string stream;                           // all that it will send
  std::size_t sent = 0;                         // bytes that the server has read
  std::vector<std::uint64_t> documents;         // in order
  std::size_t answered = 0;                     // of them; of logs
  ConnectionEnd end = ConnectionEnd::finished;  // how it will end
  bool end_sent = false;
  bool over = false;
};

// A connection to `host` with its documents and how it will end.
SimClient make_client(Documents& documents, SimRandom& random, int host, ConnectionId id);

}  // namespace sluice::simulation

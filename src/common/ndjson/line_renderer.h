// LineRenderer: what is stored of a line of the logs protocol. A line, when and from where it came
// in; a line of the log file, or of an object in S3, out. The same for the same line and times,
// wherever and whenever: objects are made again after a crash. Which lines are kept is
// check_log_line's to say; here every line is one that has a known level and a message.
//
// The log file's line: "2026-11-21T09:14:07.123456Z [ERROR] disk full". A message that is a string
// is written as it is, another as its JSON text. One record is one line, and no terminal obeys it:
// LF, CR and tab become \n, \r and \t, other control characters (C0, DEL, C1), the line and
// paragraph separators U+2028 and U+2029 \u and four digits. A backslash stays one, as in the files
// of the server before this one: paths are full of them.
//
// The object's line: level in upper case, message as a string, the other fields in their order with
// their JSON text (no white space between tokens, numbers untouched), then `_received_at`,
// `_peer` and, of clients with a certificate, `_client`. A client's own field of such a name gets
// underscores in front until no other has it. Of fields of one name, in nested objects, too, only
// the last is there: a loader may refuse doubles. Surrogates that stand alone are U+FFFD.
//
// Keeps its buffers: one a thread. They take up to 30 bytes a byte of the line (of nothing but
// members), and are given back behind a large one. Never blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/units.h"
#include "common/base/utc_text.h"
#include "common/ndjson/json_text.h"
#include "common/ndjson/log_level.h"
#include "common/net/peer_address.h"

namespace sluice {

// Bytes of a log file's line, its LF included, at most: of a raw DEL come six.
constexpr std::uint64_t log_file_bytes_max(std::uint64_t line_bytes) {
  constexpr std::uint64_t kFixed = kUtcMicrosecondsLength + kLogLevelLengthMax + 5;  // " [] \n"
  return kFixed + 6 * line_bytes;
}

// Bytes of an object's line, its LF included, at most. A message that is no string can double, all
// else is copied. A renamed field gets an underscore for each field that has the name it cannot
// have, and a field takes more than 8 bytes.
constexpr std::uint64_t jsonl_bytes_max(std::uint64_t line_bytes) {
  // What we add, with the longest peer and a name of 255 bytes that are all escaped.
  constexpr std::uint64_t kFixed = 192 + 2 * 255 + 12;
  return kFixed + 2 * line_bytes + line_bytes / 8;
}

class LineRenderer {
 public:
  // Appends a line. False, and nothing appended: no object, a field is missing, the level unknown.
  // White space around `line` is ignored; it is shorter than 2 GiB.
  bool append_log_file_line(std::string_view line, WallTime received_at, std::string& out);
  struct Origin {
    WallTime received_at{};
    PeerAddress peer;
    std::string_view client_name;  // of its certificate, printable ASCII; none: no field
  };
  bool append_jsonl(std::string_view line, const Origin& origin, std::string& out);

 private:
  struct Tape;  // fills members_

  bool read(std::string_view line);
  void drop_doubles();
  bool find_fields();
  [[nodiscard]] std::string_view name_of(const JsonMember& member) const;
  [[nodiscard]] std::string_view value_of(std::size_t member) const;
  void append_message(std::string& out);
  void append_field(std::size_t number, std::string& out);
  [[nodiscard]] std::size_t free_underscores(std::string_view name) const;
  void compact_into_text(std::size_t member);
  void release_large();

  std::string_view line_;
  std::vector<JsonMember> members_;
  std::string decoded_names_;
  std::vector<std::uint32_t> order_;
  std::string text_;
  std::size_t level_member_ = 0;
  std::size_t message_member_ = 0;
  LogLevel level_ = LogLevel::debug;
};

}  // namespace sluice

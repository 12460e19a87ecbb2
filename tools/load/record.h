// The record of a run, JSON lines in the order in which things happened, for a checker:
//   {"conn":0,"n":7,"cn":"9f…","bytes":2208,"sha256":"…","values":"…","malformed":false}
//   {"conn":0,"end":"fin","sent_events":8}
// An event's line is written once its last byte was handed to the socket. sha256 is of the bytes
// from <EVENT> to </EVENT>; values is the SHA-256 of "name=value\n" for each child, entities
// resolved and values stripped, as any XML parser or the JSON object must give it. A malformed
// event carries its bytes in base64 instead of values.
// The end "fin": after our FIN we read the server's, which is its word that all before is durable.
// "rst": the server reset; "error": everything else.
// Of logs and rpc a line is written once its answer has come, and is the one that was expected:
//   {"conn":0,"n":7,"id":"9f…","bytes":203,"sha256":"…","answer":"received"}
// n counts the answers of the connection; id is the one in the line (or the echo); sha256 is of the
// line without its end. What was answered otherwise, or not at all, has no line.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::load {

struct EventNote {
  std::uint64_t identifier = 0;
  std::size_t bytes = 0;
  bool malformed = false;
  std::string sha256;  // hex
  std::string values;  // hex
  std::string base64;
};

class Record {
 public:
  // Opens (truncates) the file; false where that failed, with errno.
  bool open(const std::string& path);
  [[nodiscard]] bool is_open() const { return file_ != nullptr; }

  // The digests of an event; `values` is empty for a malformed one.
  EventNote note(std::uint64_t identifier, std::string_view bytes, std::string_view values);
  // Of a log line, or an rpc request.
  EventNote note_of_line(std::uint64_t identifier, std::string_view bytes);
  void answered(std::uint64_t connection, std::uint64_t index, const EventNote& note,
                std::string_view answer);
  void sent(std::uint64_t connection, std::uint64_t index, const EventNote& note);
  void ended(std::uint64_t connection, std::string_view how, std::uint64_t sent_events);
  // False where a line could not be written.
  bool close();

 private:
  std::string sha256_hex(std::string_view bytes);

  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct FreeDigest {
    void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::unique_ptr<EVP_MD, FreeDigest> digest_;
  std::unique_ptr<EVP_MD_CTX, FreeDigest> context_;
};

}  // namespace sluice::load

#include "record.h"

#include <array>
#include <cinttypes>

namespace sluice::load {
namespace {

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

}  // namespace

bool Record::open(const std::string& path) {
  file_.reset(std::fopen(path.c_str(), "we"));
  digest_.reset(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  context_.reset(EVP_MD_CTX_new());
  return file_ != nullptr && digest_ != nullptr && context_ != nullptr;
}

std::string Record::sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_DigestInit_ex(context_.get(), digest_.get(), nullptr);
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  EVP_DigestFinal_ex(context_.get(), digest.data(), &length);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * std::size_t{length});
  for (unsigned int i = 0; i < length; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 0xf];
  }
  return hex;
}

EventNote Record::note(std::uint64_t identifier, std::string_view bytes, std::string_view values) {
  EventNote note;
  note.identifier = identifier;
  note.bytes = bytes.size();
  note.malformed = values.empty();
  note.sha256 = sha256_hex(bytes);
  if (note.malformed) {
    note.base64 = base64(bytes);
  } else {
    note.values = sha256_hex(values);
  }
  return note;
}

EventNote Record::note_of_line(std::uint64_t identifier, std::string_view bytes) {
  EventNote note;
  note.identifier = identifier;
  note.bytes = bytes.size();
  note.sha256 = sha256_hex(bytes);
  return note;
}

void Record::answered(std::uint64_t connection, std::uint64_t index, const EventNote& note,
                      std::string_view answer) {
  std::fprintf(file_.get(),
               "{\"conn\":%" PRIu64 ",\"n\":%" PRIu64 ",\"id\":\"%016" PRIx64
               "\",\"bytes\":%zu,\"sha256\":\"%s\",\"answer\":\"%.*s\"}\n",
               connection, index, note.identifier, note.bytes, note.sha256.c_str(),
               static_cast<int>(answer.size()), answer.data());
}

void Record::sent(std::uint64_t connection, std::uint64_t index, const EventNote& note) {
  std::fprintf(file_.get(),
               "{\"conn\":%" PRIu64 ",\"n\":%" PRIu64 ",\"cn\":\"%016" PRIx64
               "\",\"bytes\":%zu,\"sha256\":\"%s\",\"%s\":\"%s\",\"malformed\":%s}\n",
               connection, index, note.identifier, note.bytes, note.sha256.c_str(),
               note.malformed ? "base64" : "values",
               note.malformed ? note.base64.c_str() : note.values.c_str(),
               note.malformed ? "true" : "false");
}

void Record::ended(std::uint64_t connection, std::string_view how, std::uint64_t sent_events) {
  std::fprintf(file_.get(), "{\"conn\":%" PRIu64 ",\"end\":\"%.*s\",\"sent_events\":%" PRIu64 "}\n",
               connection, static_cast<int>(how.size()), how.data(), sent_events);
  std::fflush(file_.get());
}

bool Record::close() {
  const bool written = std::fflush(file_.get()) == 0 && std::ferror(file_.get()) == 0;
  file_.reset();
  return written;
}

}  // namespace sluice::load

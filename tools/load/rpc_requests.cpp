#include "rpc_requests.h"

#include "event_forms.h"

namespace sluice::load {
namespace {

constexpr std::uint64_t kContentBytesMax = 100;  // beside the identifier

// Base 128, the lowest seven bits first.
void put_varint(std::uint64_t value, std::string& to) {
  while (value >= 0x80) {
    to += static_cast<char>((value & 0x7f) | 0x80);
    value >>= 7;
  }
  to += static_cast<char>(value);
}

void put_int32(char tag, std::int32_t value, std::string& to) {
  if (value != 0) {
    to += tag;
    put_varint(static_cast<std::uint64_t>(std::int64_t{value}), to);  // negative ones have 10 bytes
  }
}

std::string member(char tag, std::string_view body) {
  std::string message(1, tag);
  put_varint(body.size(), message);
  message += body;
  return message;
}

constexpr char kFirstBytes = 0x0a;   // field 1, length and bytes
constexpr char kSecondBytes = 0x12;  // field 2
constexpr char kFirstInt = 0x08;
constexpr char kSecondInt = 0x10;

}  // namespace

std::string encode_echo(std::string_view content) {
  return member(kFirstBytes, content.empty() ? "" : member(kFirstBytes, content));
}

std::string encode_add(std::int32_t a, std::int32_t b) {
  std::string body;
  put_int32(kFirstInt, a, body);
  put_int32(kSecondInt, b, body);
  return member(kSecondBytes, body);
}

std::string encode_sum(std::int32_t result) {
  std::string body;
  put_int32(kFirstInt, result, body);
  return member(kSecondBytes, body);
}

RpcSource::RpcSource(const Options& options, Record& record)
    : record_(record), random_(mix(options.seed)), next_identifier_(random_.next()) {}

void RpcSource::append(bool /*first_of_connection*/, std::string& buffer,
                       std::deque<RenderedEvent>& rendered) {
  const std::uint64_t identifier = mix(next_identifier_++);
  const std::size_t begin = buffer.size();
  RenderedEvent& event = rendered.emplace_back();
  if (random_.below(2) == 0) {
    std::string content(kIdentifierDigits, '0');
    put_identifier(identifier, content.data());
    content.append(random_.below(kContentBytesMax + 1), '.').append("\u00fc");
    event.answer.own = encode_echo(content);
    event.answer.kind = AnswerKind::echo;
    buffer += event.answer.own;
  } else {
    // Small and large ones; every second sum of large ones wraps.
    const std::uint64_t bits = random_.next();
    const unsigned shift = static_cast<unsigned>(random_.below(32));
    const auto a = static_cast<std::int32_t>(static_cast<std::uint32_t>(bits)) >> shift;
    const auto b = static_cast<std::int32_t>(static_cast<std::uint32_t>(bits >> 32)) >> shift;
    event.answer.own = encode_sum(
        static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b)));
    event.answer.kind = AnswerKind::sum;
    buffer += encode_add(a, b);
  }
  event.end = buffer.size();
  if (record_.is_open()) {
    event.note = record_.note_of_line(identifier, std::string_view(buffer).substr(begin));
  }
}

}  // namespace sluice::load

// Drives an RpcConnection with a stream cut anywhere, and says what libprotobuf alone makes of the
// same messages: for tests, fuzz targets and nothing else. Throws where the connection breaks its
// contract with the caller.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <messages.pb.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/buffer.h"
#include "common/rpc/rpc_connection.h"

namespace sluice::test {

// The examples of the protocol, as they stand on the wire.
inline constexpr std::string_view kEchoHi = "\x0a\x04\x0a\x02Hi";
inline constexpr std::string_view kAdd10And20 = "\x12\x04\x08\x0a\x10\x14";
inline constexpr std::string_view kSum30 = "\x12\x02\x08\x1e";

inline void require(bool holds, const char* what) {
  if (!holds) {
    throw std::logic_error(what);
  }
}

inline std::string with_prefix(std::string_view message) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(message.size() >> static_cast<unsigned>(shift) & 0xffU);
  }
  return bytes + std::string(message);
}

inline std::string echo_request(std::string_view content) {
  messages::ClientMessage message;
  message.mutable_echo_message()->set_content(std::string(content));
  return message.SerializeAsString();
}

inline std::string add_request(std::int32_t a, std::int32_t b) {
  messages::ClientMessage message;
  message.mutable_add_request()->set_a(a);
  message.mutable_add_request()->set_b(b);
  return message.SerializeAsString();
}

// Where in a stream a request lay that was answered, and its answer.
struct Exchange {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string answer;
};

struct Answered {
  std::string answers;
  std::string refusal;         // the reason, or nothing
  std::size_t refused_at = 0;  // bytes given by then
  std::size_t bytes_framing = 0;
  std::uint64_t bytes_answered = 0;
  std::vector<Exchange> exchanges;  // exact where the stream is given byte by byte
};

// `ends`: ascending ends of the parts that the stream arrives in; the last is stream.size().
inline Answered answer(std::string_view stream, const std::vector<std::size_t>& ends,
                       std::uint32_t message_bytes_max = RpcConnection::kMessageBytesMax) {
  constexpr std::size_t kHeaderBytesMax = 10;
  Answerer answerer;
  RpcConnection connection(answerer, message_bytes_max);
  Answered result;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    const std::size_t held = connection.bytes_framing();
    const std::uint64_t answered = connection.bytes_answered();
    const std::uint64_t messages = connection.messages();
    const std::size_t answers = result.answers.size();
    const Status status =
        connection.feed(as_bytes(stream.substr(begin, end - begin)), result.answers);
    require(result.answers.size() - answers <= answer_bytes_max(held + end - begin),
            "more answers than the bound");
    require(
        connection.bytes_framing() <= std::max<std::size_t>(message_bytes_max + 4, kHeaderBytesMax),
        "holds more than a message");
    begin = end;
    if (connection.messages() != messages) {
      result.exchanges.push_back(
          {answered, connection.bytes_answered(), result.answers.substr(answers)});
    }
    if (!status) {
      require(status.error().kind == ErrorKind::rejected, "an error of another kind");
      require(connection.bytes_framing() == 0, "holds bytes that nobody will look at");
      result.refusal = status.error().message;
      result.refused_at = end;
      std::string none;
      require(!connection.feed(as_bytes(add_request(1, 1)), none) && none.empty(),
              "answers after it has refused");
      break;
    }
    require(connection.bytes_answered() + connection.bytes_framing() == end, "bytes are missing");
  }
  result.bytes_framing = connection.bytes_framing();
  result.bytes_answered = connection.bytes_answered();
  return result;
}

inline Answered answer(std::string_view stream,
                       std::uint32_t message_bytes_max = RpcConnection::kMessageBytesMax) {
  return answer(stream, std::vector<std::size_t>{stream.size()}, message_bytes_max);
}

inline Answered answer_bytewise(std::string_view stream,
                                std::uint32_t message_bytes_max = RpcConnection::kMessageBytesMax) {
  std::vector<std::size_t> ends;
  for (std::size_t end = 1; end <= stream.size(); ++end) {
    ends.push_back(end);
  }
  return answer(stream, ends, message_bytes_max);
}

// What libprotobuf alone answers to one message, or nothing where it cannot read it or there is no
// request in it.
inline std::string answer_of_libprotobuf(std::string_view message) {
  messages::ClientMessage request;
  messages::ServerMessage reply;
  if (!request.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return {};
  }
  if (request.has_echo_message()) {
    reply.mutable_echo_message()->set_content(request.echo_message().content());
  } else if (request.has_add_request()) {
    const std::int64_t sum = std::int64_t{request.add_request().a()} + request.add_request().b();
    reply.mutable_add_response()->set_result(static_cast<std::int32_t>(sum));
  }
  return reply.SerializeAsString();
}

// Of the bare message that `bytes` begin with: its length as libprotobuf reads its tag and length;
// 0 if they are no request's, or not there. CodedInputStream also takes varints that the parser of
// messages does not: longer than five bytes, and lengths of 2 GiB.
inline std::size_t bare_length_of_libprotobuf(std::string_view bytes) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  const std::uint32_t tag = in.ReadTagNoLastTag();
  const int tag_bytes = in.CurrentPosition();
  std::uint64_t length = 0;
  if ((tag != 0x0a && tag != 0x12) || !in.ReadVarint64(&length)) {
    return 0;
  }
  const int length_bytes = in.CurrentPosition() - tag_bytes;
  if (tag_bytes > 5 || length_bytes > 5 || length >= std::uint64_t{1} << 31U) {
    return 0;
  }
  return static_cast<std::size_t>(in.CurrentPosition()) + length;
}

// Each message of the stream again, by libprotobuf alone.
inline void compare_with_libprotobuf(std::string_view stream, std::uint32_t message_bytes_max) {
  const Answered bytewise = answer_bytewise(stream, message_bytes_max);
  std::size_t behind = 0;
  for (const Exchange& exchange : bytewise.exchanges) {
    require(exchange.begin == behind, "a message begins where none ended");
    behind = exchange.end;
    const auto message = stream.substr(exchange.begin, exchange.end - exchange.begin);
    if (message[0] == '\0') {
      require(with_prefix(message.substr(4)) == message, "another length than the prefix says");
      require(with_prefix(answer_of_libprotobuf(message.substr(4))) == exchange.answer,
              "another answer to a prefixed message than libprotobuf's");
    } else {
      require(bare_length_of_libprotobuf(message) == message.size(), "cut elsewhere");
      require(answer_of_libprotobuf(message) == exchange.answer,
              "another answer to a bare message than libprotobuf's");
    }
  }
  if (bytewise.refusal.empty()) {
    return;
  }
  // What was refused was so for its length, or libprotobuf does not read it either.
  const auto refused = stream.substr(behind, bytewise.refused_at - behind);
  if (refused[0] != '\0') {
    const std::size_t length = bare_length_of_libprotobuf(refused);
    require(length == 0 || length > message_bytes_max ||
                (length == refused.size() && answer_of_libprotobuf(refused).empty()),
            "refuses a bare message that libprotobuf reads");
  } else if (refused.size() > 4) {
    require(answer_of_libprotobuf(refused.substr(4)).empty(),
            "refuses a prefixed message that libprotobuf reads");
  }
}

}  // namespace sluice::test

#include "common/rpc/rpc_connection.h"

#include <algorithm>
#include <utility>

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/rpc/request_header.h"

namespace sluice {
namespace {

constexpr std::size_t kPrefixBytes = 4;
constexpr auto kPrefixBegin = std::byte{0};

std::uint32_t read_prefix(std::span<const std::byte> bytes) {
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < kPrefixBytes; ++i) {
    length = length << 8U | std::to_integer<std::uint32_t>(bytes[i]);
  }
  return length;
}

void write_prefix(std::size_t length, char* to) {
  for (std::size_t i = kPrefixBytes; i > 0; --i) {
    to[i - 1] = static_cast<char>(length & 0xffU);
    length >>= 8U;
  }
}

Error too_long(std::uint64_t bytes, std::uint32_t bytes_max) {
  return rejected("a message of " + std::to_string(bytes) + " bytes, more than the " +
                  std::to_string(bytes_max) + " allowed");
}

}  // namespace

RpcConnection::RpcConnection(Answerer& answerer, std::uint32_t message_bytes_max)
    : answerer_(answerer), message_bytes_max_(message_bytes_max) {
  CHECK_THAT(message_bytes_max <= kMessageBytesMax);
}

Status RpcConnection::feed(std::span<const std::byte> bytes, std::string& answers) {
  if (refused_) {
    return *refused_;
  }
  if (!held_.empty()) {
    if (Status status = finish_held(bytes, answers); !status) {
      return refuse(status.error());
    }
  }
  while (!bytes.empty()) {
    const auto message_bytes = measure(bytes);
    if (!message_bytes) {
      return refuse(message_bytes.error());
    }
    if (*message_bytes == 0 || *message_bytes > bytes.size()) {
      held_ = as_text(bytes);
      held_message_bytes_ = *message_bytes;
      return {};
    }
    if (Status status = answer(bytes.first(*message_bytes), answers); !status) {
      return refuse(status.error());
    }
    bytes = bytes.subspan(*message_bytes);
  }
  return {};
}

Result<std::size_t> RpcConnection::measure(std::span<const std::byte> bytes) const {
  if (bytes.front() != kPrefixBegin) {
    return measure_bare(bytes);
  }
  if (bytes.size() < kPrefixBytes) {
    return std::size_t{0};
  }
  const std::uint32_t length = read_prefix(bytes);
  if (length == 0) {
    return rejected("an empty message");
  }
  if (length > message_bytes_max_) {
    return too_long(length, message_bytes_max_);
  }
  return kPrefixBytes + length;
}

Result<std::size_t> RpcConnection::measure_bare(std::span<const std::byte> bytes) const {
  const RequestHeader header = read_request_header(bytes);
  switch (header.state) {
    case RequestHeader::State::unfinished:
      return std::size_t{0};
    case RequestHeader::State::no_request:
      return rejected("field " + std::to_string(header.tag >> 3U) + " of wire type " +
                      std::to_string(header.tag & 7U) + " begins no request");
    case RequestHeader::State::tag_too_long:
      return rejected("a tag of more than five bytes");
    case RequestHeader::State::length_too_long:
      return rejected("a length of 2 GiB or more");
    case RequestHeader::State::whole:
      break;
  }
  const std::uint64_t length = std::uint64_t{header.header_bytes} + header.body_bytes;
  if (length > message_bytes_max_) {
    return too_long(length, message_bytes_max_);
  }
  return static_cast<std::size_t>(length);
}

Status RpcConnection::finish_held(std::span<const std::byte>& bytes, std::string& answers) {
  const auto take = [&](std::size_t count) {
    held_ += as_text(bytes.first(count));
    bytes = bytes.subspan(count);
  };
  while (held_message_bytes_ == 0 && !bytes.empty()) {
    take(1);
    const auto message_bytes = measure(as_bytes(held_));
    if (!message_bytes) {
      return message_bytes.error();
    }
    held_message_bytes_ = *message_bytes;
  }
  if (held_message_bytes_ == 0) {
    return {};
  }
  const std::size_t missing = held_message_bytes_ - held_.size();
  const std::size_t taken = std::min(missing, bytes.size());
  if (held_.size() + taken > held_.capacity()) {
    // By doubling, but never beyond the message.
    held_.reserve(std::min(held_message_bytes_, 2 * (held_.size() + taken)));
  }
  take(taken);
  if (taken < missing) {
    return {};
  }
  const std::string message = std::exchange(held_, {});
  return answer(as_bytes(message), answers);
}

Status RpcConnection::answer(std::span<const std::byte> message, std::string& answers) {
  const bool prefixed = message.front() == kPrefixBegin;
  const std::size_t begin = answers.size();
  if (prefixed) {
    answers.append(kPrefixBytes, '\0');
  }
  if (Status status = answerer_.answer(message.subspan(prefixed ? kPrefixBytes : 0), answers);
      !status) {
    answers.resize(begin);
    return status;
  }
  if (prefixed) {
    write_prefix(answers.size() - begin - kPrefixBytes, answers.data() + begin);
  }
  ++messages_;
  bytes_answered_ += message.size();
  return {};
}

Status RpcConnection::refuse(Error error) {
  held_ = {};
  refused_ = std::move(error);
  return *refused_;
}

}  // namespace sluice

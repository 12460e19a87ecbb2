// RpcConnection: the bytes of one connection of the echo/add protocol in, answers out, however the
// bytes are cut. Pure; one a connection, on one thread.
//
// On the wire each request is a serialized ClientMessage (messages.proto) in one of two forms, and
// its answer, a ServerMessage, comes in the same one; both may be mixed. The first byte decides:
//   0x00        a 4-byte big-endian length, then the message. As a tag a zero is none. Lengths from
//               16 MiB on begin with another byte; no message may be that long.
//   any other   the bare message. It has one member, whose tag and length delimit it, and so it
//               begins with field 1 or 2, length-delimited, or is refused.
// A prefixed message may hold all that libprotobuf reads: unknown fields, and several members of
// which the last counts. One without a member, an empty one among them, is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/base/result.h"
#include "common/base/units.h"
#include "common/rpc/answerer.h"

namespace sluice {

class RpcConnection {
 public:
  static constexpr std::uint32_t kMessageBytesMax = 16 * kMiB;

  // `message_bytes_max`, without a length before the message, is at most kMessageBytesMax. The
  // answerer must outlive this; connections of one thread share it.
  RpcConnection(Answerer& answerer, std::uint32_t message_bytes_max);

  // Appends to `answers` those of all requests that end in `bytes`, in order: at most
  // answer_bytes_max(bytes_framing() before + bytes.size()). A request that lies in `bytes` whole
  // is read where it lies. Error: rejected, with the reason, at the first byte that shows that a
  // message cannot be read or is too long; the answers to all before it are there, nothing is
  // held, and every later call is refused as well.
  Status feed(std::span<const std::byte> bytes, std::string& answers);

  // Answered.
  [[nodiscard]] std::uint64_t messages() const { return messages_; }
  [[nodiscard]] std::uint64_t bytes_answered() const { return bytes_answered_; }
  // Held, of a message that has not ended: at most message_bytes_max, and its 4-byte length. They
  // take at most twice as much memory.
  [[nodiscard]] std::size_t bytes_framing() const { return held_.size(); }

 private:
  // The bytes of the message that `bytes` begin with, its prefix too; 0: not known yet.
  [[nodiscard]] Result<std::size_t> measure(std::span<const std::byte> bytes) const;
  [[nodiscard]] Result<std::size_t> measure_bare(std::span<const std::byte> bytes) const;
  // What of `bytes` belongs to the held message is taken off them.
  Status finish_held(std::span<const std::byte>& bytes, std::string& answers);
  Status answer(std::span<const std::byte> message, std::string& answers);
  Status refuse(Error error);

  Answerer& answerer_;
  const std::uint32_t message_bytes_max_;
  std::string held_;
  std::size_t held_message_bytes_ = 0;  // of the message that held_ begins with; 0: not known yet
  std::optional<Error> refused_;
  std::uint64_t messages_ = 0;
  std::uint64_t bytes_answered_ = 0;
};

}  // namespace sluice

// Requests of the echo/add protocol, half and half, bare as its first clients send them, and what
// is to be answered to each. Encoded here by hand (protobuf encoding, proto3: fields that are 0 are
// left out), not by the library that the server uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "options.h"
#include "random.h"
#include "source.h"

namespace sluice::load {

// A ClientMessage or ServerMessage with an EchoMessage.
std::string encode_echo(std::string_view content);
// A ClientMessage with an AddRequest.
std::string encode_add(std::int32_t a, std::int32_t b);
// A ServerMessage with an AddResponse.
std::string encode_sum(std::int32_t result);

class RpcSource final : public Source {
 public:
  RpcSource(const Options& options, Record& record);

  void append(bool first_of_connection, std::string& buffer,
              std::deque<RenderedEvent>& rendered) override;

 private:
  Record& record_;
  Random random_;
  std::uint64_t next_identifier_;
};

}  // namespace sluice::load

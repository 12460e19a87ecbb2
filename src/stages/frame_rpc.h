// Frame in an rpc pipeline: chunks of many connections in, replies out; nothing goes to Spool. Each
// request is answered from here as soon as its last byte is there, in order. One RpcFramer a lane,
// on the lane's thread; a connection stays on one lane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/pipeline/outbox.h"
#include "common/rpc/answerer.h"
#include "common/rpc/rpc_connection.h"
#include "stages/books.h"
#include "stages/messages.h"

namespace sluice {

struct RpcFrameOptions {
  std::uint32_t message_bytes_max = kMiB;  // of one request, at most 16 MiB
  std::size_t reply_bytes_max = kMiB;      // answers longer than this go in several replies
};

// Memory: a chunk's carry, answer_bytes_max of it, pays for what is held of an unfinished request,
// then for the answers that go out. Beyond it a lane takes, while it answers one request, up to 3 ×
// message_bytes_max: the text once more, and its answers twice while they are cut into replies.
class RpcFramer {
 public:
  RpcFramer(const RpcFrameOptions& options, Books& books);

  // The answers to a chunk's requests, then its end, are replies of their own. Bytes that are no
  // request make Receive close the connection (Connection::refuse) and are logged with the reason;
  // what comes behind them is dropped. The reply to an end is always `durable`: no request that
  // was whole is unanswered; one that was cut by the end is logged and dropped.
  Status process(Chunk chunk, Outbox<Reply>& out);
  // Receive has sent the end of every connection by now.
  Status finish(Outbox<Reply>& out);

 private:
  struct Caller {
    Caller(Answerer& answerer, std::uint32_t message_bytes_max)
        : rpc(answerer, message_bytes_max) {}
    RpcConnection rpc;
    Charge charge;  // for what rpc holds, and for the answer to it
    bool refused = false;
    // Of rpc, as they stand in the books.
    std::uint64_t messages = 0;
    std::uint64_t bytes_answered = 0;
    std::uint64_t bytes_framing = 0;
  };

  std::string answer(Caller& caller, const Chunk& chunk);
  void refuse(Caller& caller, Connection& connection, std::string_view event,
              std::string_view reason);
  void keep_books(Caller& caller, const Chunk& chunk);
  Status send(Chunk& chunk, std::string bytes, Charge charge, Outbox<Reply>& out) const;

  const RpcFrameOptions options_;
  Books& books_;
  Answerer answerer_;
  std::unordered_map<ConnectionId, Caller> callers_;
};

}  // namespace sluice

#include "stages/frame_rpc.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/log/log.h"

namespace sluice {

RpcFramer::RpcFramer(const RpcFrameOptions& options, Books& books)
    : options_(options), books_(books) {
  CHECK_THAT(options_.reply_bytes_max > 0);
}

Status RpcFramer::process(Chunk chunk, Outbox<Reply>& out) {
  const bool at_end = chunk.end != ConnectionEnd::open;
  Caller& caller = callers_.try_emplace(chunk.connection->id, answerer_, options_.message_bytes_max)
                       .first->second;
  caller.charge.merge(std::move(chunk.carry));
  std::string answers = answer(caller, chunk);
  // Before the replies: who sees one sees that its request is answered.
  keep_books(caller, chunk);
  // What is held is paid for first; what its answer will not need goes back.
  const std::size_t charged = caller.charge.bytes();
  const std::size_t framing = caller.bytes_framing;
  Charge charge =
      caller.charge.split(std::min(answers.size(), charged - std::min(charged, framing)));
  caller.charge.shrink_to(std::min<std::size_t>(caller.charge.bytes(), answer_bytes_max(framing)));
  if (at_end) {
    callers_.erase(chunk.connection->id);
  }
  if (Status status = send(chunk, std::move(answers), std::move(charge), out); !status || !at_end) {
    return status;
  }
  return out.push({chunk.connection, {}, chunk.end, true, {}}) ? Status() : Status(cancelled());
}

// Those to all requests that end in the chunk.
std::string RpcFramer::answer(Caller& caller, const Chunk& chunk) {
  std::string answers;
  if (caller.refused) {
    return answers;
  }
  answers.reserve(chunk.bytes.size());  // mostly they are about as long as their requests
  if (Status status = caller.rpc.feed(chunk.bytes.bytes(), answers); !status) {
    refuse(caller, *chunk.connection, "rpc refused", status.error().message);
  } else if (chunk.end != ConnectionEnd::open && caller.rpc.bytes_framing() > 0) {
    refuse(caller, *chunk.connection, "rpc cut",
           "the connection ended inside a message, " + std::to_string(caller.rpc.bytes_framing()) +
               " bytes of it were there");
  }
  return answers;
}

void RpcFramer::refuse(Caller& caller, Connection& connection, std::string_view event,
                       std::string_view reason) {
  caller.refused = true;
  connection.refuse.store(true, std::memory_order_relaxed);
  connection.malformed.fetch_add(1, std::memory_order_relaxed);
  books_.rpc_malformed.fetch_add(1, std::memory_order_relaxed);
  log::limited(log::Level::warning, event,
               {{"peer", to_string(connection.peer)}, {"reason", std::string(reason)}});
}

void RpcFramer::keep_books(Caller& caller, const Chunk& chunk) {
  const std::uint64_t messages = caller.rpc.messages() - caller.messages;
  const std::uint64_t answered = caller.rpc.bytes_answered() - caller.bytes_answered;
  const std::uint64_t framing = chunk.end == ConnectionEnd::open ? caller.rpc.bytes_framing() : 0;
  // Neither answered nor held: behind bad bytes, or cut by the end.
  const std::uint64_t dropped = caller.bytes_framing + chunk.bytes.size() - answered - framing;
  books_.bytes_framing.fetch_add(framing - caller.bytes_framing, std::memory_order_relaxed);
  books_.bytes_answered.fetch_add(answered, std::memory_order_relaxed);
  books_.bytes_refused.fetch_add(dropped, std::memory_order_relaxed);
  books_.rpc_requests.fetch_add(messages, std::memory_order_relaxed);
  chunk.connection->bytes_framing.store(framing, std::memory_order_relaxed);
  chunk.connection->events.fetch_add(messages, std::memory_order_relaxed);
  caller.messages += messages;
  caller.bytes_answered += answered;
  caller.bytes_framing = framing;
}

// In pieces of at most reply_bytes_max, each with its part of the charge. The chunk is in flight
// until the last is with Receive: so many replies of a connection are under way and no more.
Status RpcFramer::send(Chunk& chunk, std::string bytes, Charge charge, Outbox<Reply>& out) const {
  const auto push = [&](std::string part, bool is_last) {
    Reply reply;
    reply.connection = chunk.connection;
    reply.charge = charge.split(std::min(charge.bytes(), part.size()));
    reply.bytes = std::move(part);
    if (is_last) {
      reply.in_flight = std::move(chunk.in_flight);
    }
    return out.push(std::move(reply));
  };
  const std::size_t bytes_max = options_.reply_bytes_max;
  if (bytes.size() <= bytes_max) {
    return bytes.empty() || push(std::move(bytes), true) ? Status() : Status(cancelled());
  }
  for (std::size_t begin = 0; begin < bytes.size(); begin += bytes_max) {
    if (!push(bytes.substr(begin, bytes_max), begin + bytes_max >= bytes.size())) {
      return cancelled();
    }
  }
  return {};
}

Status RpcFramer::finish(Outbox<Reply>& /*out*/) {
  callers_.clear();
  return {};
}

}  // namespace sluice

// RpcHalf: Receive and Frame of the rpc protocol. Requests are answered from Frame; nothing is
// spooled, so there is no other half.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "commands/reception.h"
#include "common/config/config.h"
#include "common/pipeline/pipeline.h"
#include "common/platform/clock.h"
#include "stages/books.h"
#include "stages/frame_rpc.h"

namespace sluice {

class RpcHalf {
 public:
  // All outlive it.
  RpcHalf(const Config& config, const Clock& clock, Listener& listener);

  void start() { pipeline_.start(); }
  // Accepts nothing more, answers what was received, closes. Does not wait.
  void stop() { pipeline_.stop_sources(); }

  [[nodiscard]] Pipeline& pipeline() { return pipeline_; }
  [[nodiscard]] const Pipeline& pipeline() const { return pipeline_; }
  [[nodiscard]] const MemoryBudget& memory() const { return reception_.memory(); }
  [[nodiscard]] const Books& books() const { return books_; }
  // What its threads, queues and memory are named with: "rpc.".
  [[nodiscard]] const std::string& scope() const { return scope_; }
  [[nodiscard]] std::vector<QueueLevel> queues() const { return reception_.queues(); }

 private:
  // To the Receive thread of each reply's connection.
  class ReplyOutbox final : public Outbox<Reply> {
   public:
    explicit ReplyOutbox(Reception& reception) : reception_(reception) {}
    bool push(Reply reply) override {
      reception_.reply(std::move(reply));
      return true;
    }
    bool try_push(Reply& reply) override { return push(std::move(reply)); }

   private:
    Reception& reception_;
  };

  const std::string scope_ = "rpc.";
  Books books_;
  std::atomic<bool> never_pauses_{false};
  // In the order of construction; the pipeline goes first when this dies.
  Reception reception_;
  ReplyOutbox replies_{reception_};
  std::vector<std::unique_ptr<RpcFramer>> framers_;
  Pipeline pipeline_{"rpc"};
};

}  // namespace sluice

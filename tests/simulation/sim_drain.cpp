// SIGTERM: what the pipeline does as one stage after the other comes to its end.
#include <algorithm>

#include "simulation/sim_process.h"

namespace sluice::simulation {

void SimProcess::begin_drain() {
  if (draining_.exchange(true)) {
    return;
  }
  for (SimClient& client : clients_) {
    if (!client.end_sent) {
      push_end(client, ConnectionEnd::shutdown);
    }
  }
}

// What the pipeline does as one stage after the other comes to its end.
bool SimProcess::turn_drain() {
  if (!draining_.load() || ended_) {
    return false;
  }
  const bool lanes_empty =
      std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane->empty(); });
  if (!frames_finished_ && lanes_empty) {
    for (auto& framer : framers_) {
      ingest_did(framer->finish(batches_));
    }
    for (auto& framer : log_framers_) {
      ingest_did(framer->finish(batches_));
    }
    frames_finished_ = true;
    return true;
  }
  if (frames_finished_ && !spool_finished_ && batches_.empty() && spooler_->wants_input()) {
    ingest_did(spooler_->finish(link_));
    spool_finished_ = true;
    return true;
  }
  if (spool_finished_ && !drain_asked_) {
    rotate_in_.push(RotateInput(DrainEgress{}));
    drain_asked_ = true;
    return true;
  }
  if (drain_asked_ && rotate_in_.empty() && egress_->rotator->finished()) {
    egress_did(egress_->rotator->finish(egress_->blocks));
    give_up_draining();
    return true;
  }
  return false;
}

void SimProcess::give_up_draining() {
  egress_->stop.store(true);
  (void)egress_->uploader->finish(outcomes_).ok();
  ended_ = true;
}

Drained drain(SimProcess& process, ManualClock& clock) {
  constexpr std::chrono::hours kPatience{6};
  process.begin_drain();
  const MonotonicTime deadline = clock.now() + kPatience;
  while (!process.ended()) {
    if (process.failed()) {
      return Drained::failed;
    }
    if (clock.now() > deadline) {
      return Drained::stuck;
    }
    if (!process.turn_all()) {
      const auto wait = std::min<std::chrono::nanoseconds>(process.wake_at() - clock.now(),
                                                           std::chrono::seconds(1));
      clock.advance(std::max<std::chrono::nanoseconds>(wait, std::chrono::milliseconds(1)));
    }
  }
  return Drained::ended;
}

}  // namespace sluice::simulation

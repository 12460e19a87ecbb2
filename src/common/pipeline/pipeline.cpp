#include "common/pipeline/pipeline.h"

#include <pthread.h>

#include <algorithm>
#include <exception>

namespace sluice {
namespace {

thread_local ThreadHealth* health_of_this_thread = nullptr;

}  // namespace

void beat() {
  if (health_of_this_thread != nullptr) {
    health_of_this_thread->heartbeat_ns.store(
        std::chrono::steady_clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  }
}

Pipeline::~Pipeline() {
  cancel();
  join();
}

void Pipeline::add_thread(std::string name, Body body, std::shared_ptr<void> outlet) {
  planned_.push_back({std::move(body), std::move(outlet)});
  health_.push_back(std::make_unique<ThreadHealth>());
  health_.back()->name = std::move(name);
}

void Pipeline::start() {
  running_.store(planned_.size());
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    threads_.emplace_back(
        [this, planned = std::move(planned_[i]), health = health_[i].get()]() mutable {
          run_thread(planned.body, *health);
          planned.outlet.reset();  // the last of a stage closes the queue behind it
        });
    // Linux keeps 15 characters.
    pthread_setname_np(threads_.back().native_handle(), health_[i]->name.substr(0, 15).c_str());
  }
  planned_.clear();
}

void Pipeline::run_thread(const Body& body, ThreadHealth& health) {
  health_of_this_thread = &health;
  beat();
  Status status;
  try {
    status = body(health, stop_.get_token());
  } catch (const std::exception& exception) {
    status = fatal(std::string("exception: ") + exception.what());
  }
  health.ended.store(true);
  running_.fetch_sub(1);
  if (status || status.error().kind == ErrorKind::cancelled) {
    return;
  }
  bool first = false;
  {
    const std::scoped_lock lock(failure_mutex_);
    if (!failure_) {
      failure_ = Failure{health.name, status.error()};
      first = true;
    }
  }
  cancel();
  if (first && on_failure_) {
    on_failure_();
  }
}

void Pipeline::stop_sources() { stop_.request_stop(); }

void Pipeline::cancel() {
  stop_.request_stop();
  for (const auto& cancel_queue : cancels_) {
    cancel_queue();
  }
}

void Pipeline::join() {
  for (auto& thread : threads_) {
    if (thread.joinable()) {
      thread.join();
    }
  }
}

std::optional<Pipeline::Failure> Pipeline::first_failure() const {
  const std::scoped_lock lock(failure_mutex_);
  return failure_;
}

bool Pipeline::ended() const { return running_.load() == 0; }

}  // namespace sluice

#include "common/admin/conditions.h"

#include <algorithm>
#include <chrono>

#include "common/log/log.h"

namespace sluice {

void Conditions::raise(std::string_view name, Severity severity, std::string message) {
  if (all_ != nullptr) {
    return all_->raise(scope_ + std::string(name), severity, std::move(message));
  }
  {
    const std::scoped_lock lock(mutex_);
    auto found = conditions_.find(name);
    if (found != conditions_.end() && found->second.message == message &&
        found->second.severity == severity) {
      return;
    }
    const WallTime since = found != conditions_.end() ? found->second.since
                                                      : WallTime(std::chrono::system_clock::now());
    conditions_.insert_or_assign(std::string(name),
                                 Condition{std::string(name), severity, message, since});
  }
  log::error("alarm raised", {{"condition", name}, {"message", std::move(message)}});
}

void Conditions::clear(std::string_view name) {
  if (all_ != nullptr) {
    return all_->clear(scope_ + std::string(name));
  }
  {
    const std::scoped_lock lock(mutex_);
    auto found = conditions_.find(name);
    if (found == conditions_.end()) {
      return;
    }
    conditions_.erase(found);
  }
  log::info("alarm cleared", {{"condition", name}});
}

std::vector<Conditions::Condition> Conditions::current() const {
  if (all_ != nullptr) {
    return all_->current();
  }
  const std::scoped_lock lock(mutex_);
  std::vector<Condition> all;
  for (const auto& [name, condition] : conditions_) {
    all.push_back(condition);
  }
  return all;
}

bool Conditions::ready() const {
  if (all_ != nullptr) {
    return all_->ready();
  }
  const std::scoped_lock lock(mutex_);
  return std::none_of(conditions_.begin(), conditions_.end(), [](const auto& entry) {
    return entry.second.severity == Severity::not_ready;
  });
}

}  // namespace sluice

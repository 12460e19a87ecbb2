// One request to a store, waited for: for commands, which have nothing else to do.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/s3/object_store.h"

namespace sluice {

inline StoreError no_answer() {
  return {.kind = StoreErrorKind::retry,
          .code = "Timeout",
          .message = "no answer in time",
          .advice = "Check the network and AWS_ENDPOINT_URL."};
}

// `start` begins the request with the completion that it is given. Blocks, driving poll(), until
// the answer or `until`: then the error is no_answer().
template <class T>
StoreResult<T> wait_for(ObjectStore& store, MonotonicTime until,
                        const std::function<void(StoreCompletion<T>)>& start) {
  // Shared: an answer may come after the deadline.
  const auto result = std::make_shared<std::optional<StoreResult<T>>>();
  start([result](StoreResult<T> given) { *result = std::move(given); });
  while (!*result && std::chrono::steady_clock::now() < until) {
    store.poll(until);
  }
  return *result ? std::move(**result) : StoreResult<T>{.value = {}, .error = no_answer()};
}

}  // namespace sluice

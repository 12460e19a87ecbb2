// What a failed request means, and how long to wait before the next: pure, a table and a formula.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "common/s3/object_store.h"

namespace sluice {

// A failed answer, as far as its meaning goes.
struct S3Failure {
  int http_status = 0;    // 0: none came
  std::string code = {};  // S3's <Code>; empty where there is none
  std::string message = {};
  std::string region = {};  // that the store names
  std::optional<std::chrono::milliseconds> retry_after = {};
};

// Classified by code first, status second.
StoreError classify(const S3Failure& failure);

// Back-off with full jitter (Marc Brooker, "Exponential Backoff And Jitter"): uniform between zero
// and base * 2^(attempt - 1), at most the cap.
class Backoff {
 public:
  struct Options {
    std::chrono::milliseconds base{1'000};
    std::chrono::milliseconds cap{60'000};
    std::uint64_t seed = 0;
  };
  explicit Backoff(Options options) : options_(options), random_(options.seed) {}

  // `failures` so far, from 1. Never less than what the store asked for, of which five minutes are
  // believed.
  std::chrono::milliseconds delay(std::uint32_t failures, const StoreError& error);

 private:
  Options options_;
  std::mt19937_64 random_;
};

}  // namespace sluice

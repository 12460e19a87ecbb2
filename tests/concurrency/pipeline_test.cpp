#include "common/pipeline/pipeline.h"

#include <doctest/doctest.h>

#include <numeric>

using namespace sluice;

namespace {

struct Counting {
  int last;
  Status run(Outbox<int>& out, const std::stop_token& stop) const {
    for (int i = 1; i <= last && !stop.stop_requested(); ++i) {
      if (!out.push(i)) {
        return cancelled();
      }
    }
    return {};
  }
};

struct Doubling {
  int fail_at = -1;
  Status process(int item, Outbox<int>& out) const {
    if (item == fail_at) {
      return fatal("cannot double");
    }
    return out.push(2 * item) ? Status() : Status(cancelled());
  }
  Status finish(Outbox<int>& /*out*/) const { return {}; }
};

struct Summing {
  long sum = 0;
  bool finish_seen = false;
  Status process(int item, Outbox<int>& /*out*/) {
    sum += item;
    return {};
  }
  Status finish(Outbox<int>& /*out*/) {
    finish_seen = true;
    return {};
  }
};

// Source, two doublers that share a queue, one sum: with queues of one item.
struct Assembly {
  explicit Assembly(int last, int fail_at = -1) : counting{last}, doublers{{fail_at}, {fail_at}} {
    pipeline.adopt(numbers);
    pipeline.adopt(doubled);
    pipeline.source("count", counting, numbers_out, Pipeline::closes([this] { numbers.close(); }));
    auto outlet = Pipeline::closes([this] { doubled.close(); });
    for (auto& doubler : doublers) {
      pipeline.stage("double", doubler, numbers, doubled_out, outlet);
    }
    outlet.reset();
    pipeline.stage("sum", summing, doubled, nowhere, nullptr);
  }

  BoundedQueue<int> numbers{1};
  BoundedQueue<int> doubled{1};
  QueueOutbox<int> numbers_out{numbers};
  QueueOutbox<int> doubled_out{doubled};
  VectorOutbox<int> nowhere;
  Counting counting;
  std::vector<Doubling> doublers;
  Summing summing;
  Pipeline pipeline{"test"};
};

}  // namespace

TEST_CASE("a_pipeline_drains_in_order_and_every_item_is_seen") {
  Assembly assembly(1000);
  assembly.pipeline.start();
  assembly.pipeline.join();
  CHECK(assembly.summing.sum == 2L * 1000 * 1001 / 2);
  CHECK(assembly.summing.finish_seen);
  CHECK(assembly.pipeline.ended());
  CHECK_FALSE(assembly.pipeline.first_failure().has_value());
}

TEST_CASE("the_first_failure_names_its_stage_and_ends_everyone") {
  Assembly assembly(1 << 30, 500);
  int failures = 0;
  assembly.pipeline.on_failure([&] { ++failures; });
  assembly.pipeline.start();
  assembly.pipeline.join();
  REQUIRE(assembly.pipeline.first_failure().has_value());
  CHECK(assembly.pipeline.first_failure()->stage == "double");
  CHECK(assembly.pipeline.first_failure()->error.message == "cannot double");
  CHECK(failures == 1);
  CHECK_FALSE(assembly.summing.finish_seen);
}

TEST_CASE("stop_sources_ends_the_stream_cleanly") {
  Assembly assembly(1 << 30);
  assembly.pipeline.start();
  assembly.pipeline.stop_sources();
  assembly.pipeline.join();
  CHECK(assembly.summing.finish_seen);
}

TEST_CASE("cancel_ends_a_running_pipeline") {
  Assembly assembly(1 << 30);
  assembly.pipeline.start();
  assembly.pipeline.cancel();
  assembly.pipeline.join();
  CHECK(assembly.pipeline.ended());
  CHECK_FALSE(assembly.summing.finish_seen);
}

// What a hop between two stages costs: BoundedQueue with one and two producers.
#include <benchmark/benchmark.h>

#include <thread>
#include <vector>

#include "common/pipeline/bounded_queue.h"

namespace {

void hop(benchmark::State& state) {
  const auto producers_count = static_cast<int>(state.range(0));
  const auto capacity = static_cast<std::size_t>(state.range(1));
  constexpr std::int64_t kItems = 200'000;
  for (auto _ : state) {
    sluice::BoundedQueue<std::int64_t> queue(capacity);
    std::vector<std::thread> producers;
    for (int p = 0; p < producers_count; ++p) {
      producers.emplace_back([&] {
        for (std::int64_t i = 0; i < kItems / producers_count; ++i) {
          benchmark::DoNotOptimize(queue.push(i));
        }
      });
    }
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < kItems / producers_count * producers_count; ++i) {
      sum += *queue.pop();
    }
    benchmark::DoNotOptimize(sum);
    for (auto& producer : producers) {
      producer.join();
    }
  }
  state.SetItemsProcessed(state.iterations() * kItems);
}

BENCHMARK(hop)
    ->ArgNames({"producers", "capacity"})
    ->Args({1, 1})
    ->Args({1, 256})
    ->Args({2, 256})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();

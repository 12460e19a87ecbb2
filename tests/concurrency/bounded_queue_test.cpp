#include "common/pipeline/bounded_queue.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace sluice;

TEST_CASE("every_item_arrives_once_and_in_order_per_producer_at_any_capacity") {
  constexpr int kProducers = 4;
  constexpr int kItems = 20000;
  for (const std::size_t capacity : {1UL, 2UL, 64UL}) {
    BoundedQueue<std::pair<int, int>> queue(capacity);
    std::vector<std::thread> producers;
    producers.reserve(kProducers);
    for (int p = 0; p < kProducers; ++p) {
      producers.emplace_back([&queue, p] {
        for (int i = 0; i < kItems; ++i) {
          std::pair<int, int> item{p, i};
          if (i % 3 != 0 || !queue.try_push(item)) {
            (void)queue.push(item);
          }
        }
      });
    }
    std::vector<int> next(kProducers, 0);
    bool ordered = true;
    std::size_t largest = 0;
    std::thread consumer([&] {
      while (auto item = queue.pop()) {
        ordered = ordered && next[static_cast<std::size_t>(item->first)]++ == item->second;
        largest = std::max(largest, queue.size());
      }
    });
    for (auto& producer : producers) {
      producer.join();
    }
    queue.close();
    consumer.join();
    CHECK(ordered);
    for (const int count : next) {
      CHECK(count == kItems);
    }
    // A producer counts before it enqueues: at most one more a producer.
    CHECK(largest <= capacity + kProducers);
  }
}

TEST_CASE("close_drains_with_many_consumers_and_loses_nothing") {
  for (int round = 0; round < 200; ++round) {
    BoundedQueue<int> queue(8);
    std::atomic<int> popped{0};
    std::atomic<int> pushed{0};
    std::vector<std::thread> threads;
    threads.reserve(6);
    for (int c = 0; c < 3; ++c) {
      threads.emplace_back([&] {
        while (queue.pop()) {
          popped.fetch_add(1);
        }
      });
    }
    for (int p = 0; p < 2; ++p) {
      threads.emplace_back([&] {
        while (queue.push(1)) {
          if (pushed.fetch_add(1) > 300) {
            break;
          }
        }
      });
    }
    std::thread closer([&] {
      while (pushed.load() < 100) {
        std::this_thread::yield();
      }
      queue.close();
    });
    closer.join();
    for (auto& thread : threads) {
      thread.join();
    }
    CHECK(popped.load() == pushed.load());
    CHECK(queue.finished());
  }
}

TEST_CASE("cancel_lets_everyone_go") {
  BoundedQueue<int> queue(1);
  REQUIRE(queue.push(1));
  BoundedQueue<int> empty(1);
  std::thread producer([&] { CHECK_FALSE(queue.push(2)); });
  std::thread consumer([&] { CHECK_FALSE(empty.pop().has_value()); });
  queue.cancel();
  empty.cancel();
  producer.join();
  consumer.join();
  CHECK_FALSE(queue.pop().has_value());
}

TEST_CASE("try_push_calls_the_space_listener_after_a_refusal") {
  BoundedQueue<int> queue(1);
  int calls = 0;
  queue.set_space_listener([&] { ++calls; });
  int item = 1;
  REQUIRE(queue.try_push(item));
  CHECK(queue.pop() == 1);
  CHECK(calls == 0);
  REQUIRE(queue.try_push(item));
  CHECK_FALSE(queue.try_push(item));
  CHECK(queue.pop() == 1);
  CHECK(calls == 1);
}

TEST_CASE("pop_until_gives_nothing_at_the_deadline_and_is_not_finished") {
  BoundedQueue<int> queue(1);
  CHECK_FALSE(
      queue.pop_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(1)).has_value());
  CHECK_FALSE(queue.finished());
}

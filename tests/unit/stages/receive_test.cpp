// Receive over real sockets on loopback; the test stands where Frame and Spool are.
#include "stages/receive.h"

#include <doctest/doctest.h>

#include <deque>
#include <thread>

#include "receive_rig.h"

using namespace sluice;
using namespace std::chrono_literals;

TEST_CASE("n1_connect_and_close_is_answered_at_once_and_sends_nothing_down") {
  Running running;
  auto probe = running.client();
  probe.finish();
  CHECK(probe.ending() == LoopbackClient::Ending::fin);
  CHECK(running.lane.queue.size() == 0);
}

TEST_CASE("n5_fin_is_answered_only_after_spool_says_durable") {
  Running running;
  auto client = running.client();
  REQUIRE(client.send("<a/><b/>"));
  client.finish();
  Chunk last;
  CHECK(running.read_to_end(last) == "<a/><b/>");
  CHECK(last.end == ConnectionEnd::finished);
  running.answer(last, true);
  CHECK(client.ending() == LoopbackClient::Ending::fin);
}

TEST_CASE("n5_what_could_not_be_made_durable_is_answered_with_reset") {
  Running running;
  auto client = running.client();
  REQUIRE(client.send("<a/>"));
  client.finish();
  Chunk last;
  CHECK(running.read_to_end(last) == "<a/>");
  running.answer(last, false);
  CHECK(client.ending() == LoopbackClient::Ending::reset);
}

TEST_CASE("a_full_lane_loses_nothing_and_keeps_the_order") {
  Running::Setup setup;
  setup.lane_capacity = 1;
  setup.receiver.slab_bytes = 16 * kKiB;
  setup.receiver.read_bytes_max = 1000;
  Running running(setup);
  std::string sent;
  for (int i = 0; i < 50'000; ++i) {
    sent += std::to_string(i) + " ";
  }
  auto client = running.client();
  std::jthread sender([&] {
    CHECK(client.send(sent));
    client.finish();
  });
  Chunk last;
  CHECK(running.read_to_end(last) == sent);
  running.answer(last, true);
  sender.join();
  CHECK(client.ending() == LoopbackClient::Ending::fin);
  CHECK(running.books.bytes_received.load() == sent.size());
}

TEST_CASE("without_memory_nothing_is_read_until_some_is_returned") {
  Running::Setup setup;
  setup.ingest_bytes = 64 * kKiB;
  setup.reserve_bytes = 1;
  setup.receiver.slab_bytes = 16 * kKiB;
  setup.receiver.privileged_read_bytes = 64 * kKiB;  // more than the reserve: no way around
  Running running(setup);
  const std::string sent(1 << 20, 'x');
  auto client = running.client();
  std::jthread sender([&] {
    CHECK(client.send(sent));
    client.finish();
  });
  // Held chunks keep their memory: Receive must come to a stand below the budget.
  std::vector<Chunk> held;
  std::size_t bytes = 0;
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (running.ingest.bytes_used() < 40 * kKiB && std::chrono::steady_clock::now() < deadline) {
    // Short looks: the last charge may be made after the last chunk came.
    auto chunk = running.lane.queue.pop_until(std::chrono::steady_clock::now() + 5ms);
    if (chunk) {
      bytes += chunk->bytes.size();
      held.push_back(std::move(*chunk));
    }
  }
  CHECK(running.ingest.bytes_peak() <= 64 * kKiB);
  held.clear();
  Chunk last;
  bytes += running.read_to_end(last).size();
  CHECK(bytes == sent.size());
  CHECK(running.ingest.bytes_peak() <= 64 * kKiB);
  running.answer(last, true);
}

TEST_CASE("d13_reading_stops_while_the_disk_is_at_its_watermark") {
  Running running;
  running.pause_reading.store(true);
  auto client = running.client();
  REQUIRE(client.send("<a/>"));
  client.finish();
  auto other = running.client();
  other.finish();
  // The feed with bytes waits; a probe beside it may too, but nothing comes down.
  CHECK_FALSE(running.lane.queue.pop_until(std::chrono::steady_clock::now() + 200ms).has_value());
  running.pause_reading.store(false);
  running.receiver.wake();
  Chunk last;
  CHECK(running.read_to_end(last) == "<a/>");
  running.answer(last, true);
  CHECK(other.ending() == LoopbackClient::Ending::fin);
}

TEST_CASE("n2_the_document_deadline_counts_reading_time_and_spares_idle_feeds") {
  Running running;
  auto idle = running.client();
  auto slow = running.client();
  REQUIRE(slow.send("<half"));
  auto chunk = running.next();
  REQUIRE(chunk);
  chunk->connection->bytes_framing.store(5);  // what Frame would say
  for (int second = 0; second < 61; ++second) {
    running.clock.advance(1s);
    running.turn();
  }
  Chunk last;
  (void)running.read_to_end(last);
  CHECK(last.end == ConnectionEnd::timed_out);
  CHECK(last.connection->id == chunk->connection->id);
  running.answer(last, true);
  CHECK(slow.ending() == LoopbackClient::Ending::reset);
  idle.finish();
  CHECK(idle.ending() == LoopbackClient::Ending::fin);
}

TEST_CASE("p5_time_in_which_the_process_was_stopped_is_no_time_of_reading") {
  Running running;
  auto client = running.client();
  REQUIRE(client.send("<half"));
  auto chunk = running.next();
  REQUIRE(chunk);
  chunk->connection->bytes_framing.store(5);
  for (int i = 0; i < 3; ++i) {
    running.clock.advance(10min);
    running.turn();
  }
  REQUIRE(client.send("/>"));
  chunk = running.next();
  REQUIRE(chunk);
  CHECK(chunk->end == ConnectionEnd::open);
  CHECK(chunk->bytes.text() == "/>");
}

TEST_CASE("p4_memory_that_the_machine_cannot_give_is_waited_for") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  MESSAGE("a sanitizer ends the process where memory cannot be had");
#else
  Running::Setup setup;
  setup.ingest_bytes = std::size_t{1} << 56;
  setup.receiver.slab_bytes = std::size_t{1} << 55;
  Running running(setup);
  auto client = running.client();
  REQUIRE(client.send("<a/>"));
  CHECK_FALSE(running.next_within(200ms));
  CHECK(running.ingest.bytes_used() == 0);
  CHECK(running.books.connections_closed.load() == 0);
#endif
}

TEST_CASE("n7_memory_that_comes_back_goes_to_who_has_waited_for_it_longest") {
  constexpr std::size_t kRead = 4 * kKiB;
  Running::Setup setup;
  setup.ingest_bytes = 4 * kRead;  // two reads, each with what Frame may copy of it
  setup.receiver.slab_bytes = kRead;
  setup.receiver.read_bytes_max = kRead;
  Running running(setup);
  running.pause_reading.store(true);  // until it has sent more than is ever read
  auto flood = running.client();
  auto other = running.client();
  REQUIRE(flood.send(std::string(12 * kRead, 'f')));
  running.pause_reading.store(false);
  running.receiver.wake();
  std::deque<Chunk> unframed;
  const auto take = [&] {
    auto chunk = running.next();
    REQUIRE(chunk);
    unframed.push_back(std::move(*chunk));
    return unframed.back().connection->id;
  };
  const ConnectionId flooding = take();
  CHECK(take() == flooding);
  REQUIRE(other.send("o"));
  running.turn_of_nobody();  // both wait for memory, the flood first
  std::size_t served_before = 0;
  for (;; ++served_before) {
    REQUIRE(served_before < 6);
    unframed.pop_front();
    if (take() != flooding) {
      break;
    }
  }
  CHECK(served_before <= 1);
  running.lane.queue.cancel();
  unframed.clear();
}

TEST_CASE("n7_the_last_of_the_memory_is_for_one_event_and_not_for_those_behind_it") {
  constexpr std::size_t kRead = 4 * kKiB;
  Running::Setup setup;
  setup.ingest_bytes = 8 * kRead;  // two reads of anybody, and two of who is privileged
  setup.reserve_bytes = 4 * kRead;
  setup.receiver.slab_bytes = kRead;
  setup.receiver.read_bytes_max = kRead;
  setup.receiver.privileged_read_bytes = kRead;
  Running running(setup);
  running.pause_reading.store(true);  // until it has sent more than is ever read
  auto flood = running.client();
  REQUIRE(flood.send(std::string(12 * kRead, 'f')));
  running.pause_reading.store(false);
  running.receiver.wake();
  std::deque<Chunk> unwritten;
  for (int i = 0; i < 4; ++i) {
    auto chunk = running.next();
    REQUIRE(chunk);
    unwritten.push_back(std::move(*chunk));
  }
  const ConnectionPtr flooding = unwritten.front().connection;
  // Inside of its event what comes back is for it.
  unwritten.pop_back();
  auto more = running.next();
  REQUIRE(more);
  unwritten.push_back(std::move(*more));
  flooding->events = 1;
  unwritten.pop_back();
  CHECK_FALSE(running.next_within(200ms));
  // Once all of it is written it may begin with another, or has it back from what is anybody's.
  unwritten.clear();
  CHECK(running.next());
  running.lane.queue.cancel();
}

TEST_CASE("n7_a_turn_takes_no_more_of_a_flood_than_its_share") {
  Running::Setup setup;
  setup.receiver.read_bytes_max = 4 * kKiB;
  setup.receiver.read_bytes_per_turn = 16 * kKiB;
  Running running(setup);
  running.pause_reading.store(true);  // until all have sent
  auto flood = running.client();
  auto quiet = running.client();
  auto flood_too = running.client();
  const std::string many(100 * kKiB, 'x');
  REQUIRE(flood.send(many));
  REQUIRE(quiet.send("quiet"));
  REQUIRE(flood_too.send(many));
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (running.books.connections_opened.load() < 3 &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  running.pause_reading.store(false);
  running.receiver.wake();
  std::size_t flooded = 0;
  auto chunk = running.next();
  for (; chunk && chunk->bytes.text() != "quiet"; chunk = running.next()) {
    flooded += chunk->bytes.size();
  }
  REQUIRE(chunk);
  CHECK(flooded <= 64 * kKiB);
}

TEST_CASE("n9_a_connection_over_the_limit_is_reset_and_counted") {
  Running::Setup setup;
  setup.limits = {1, 0};
  Running running(setup);
  auto first = running.client();
  REQUIRE(first.send("<a/>"));
  REQUIRE(running.next());
  auto second = running.client();
  CHECK(second.ending() == LoopbackClient::Ending::reset);
  CHECK(running.books.connections_refused.load() == 1);
}

TEST_CASE("n10_a_feed_that_frame_refuses_is_closed_with_reset") {
  Running running;
  auto client = running.client();
  REQUIRE(client.send("GET / HTTP/1.1\r\n"));
  auto chunk = running.next();
  REQUIRE(chunk);
  chunk->connection->refuse.store(true);
  REQUIRE(client.send("\r\n"));
  Chunk last;
  (void)running.read_to_end(last);
  CHECK(last.end == ConnectionEnd::refused);
  running.answer(last, true);
  CHECK(client.ending() == LoopbackClient::Ending::reset);
}

TEST_CASE("a_stop_sends_every_end_down_and_waits_for_the_answers") {
  Running running;
  auto client = running.client();
  REQUIRE(client.send("<a/>"));
  auto chunk = running.next();
  REQUIRE(chunk);
  running.thread.request_stop();
  Chunk last;
  (void)running.read_to_end(last);
  CHECK(last.end == ConnectionEnd::shutdown);
  running.answer(last, true);
  CHECK(client.ending() == LoopbackClient::Ending::reset);
  running.thread.join();
  CHECK(running.limits.connections() == 0);
}

TEST_CASE("a_cancelled_ingest_ends_idle_connections_without_an_answer") {
  Running running;
  auto idle = running.client();
  auto probe = running.client();
  probe.finish();
  CHECK(probe.ending() == LoopbackClient::Ending::fin);  // so the idle one is accepted, too
  // What Pipeline::cancel() does after a fatal error.
  running.thread.request_stop();
  running.replies.cancel();
  running.lane.queue.cancel();
  running.thread.join();
  CHECK(idle.ending() == LoopbackClient::Ending::reset);
  CHECK(running.limits.connections() == 0);
}

TEST_CASE("a_feed_that_waits_for_memory_does_not_turn_in_circles") {
  constexpr std::size_t kReadBytes = 32 * kKiB;
  for (const std::size_t left : {kReadBytes, kReadBytes + kReadBytes / 2, kReadBytes / 2}) {
    CAPTURE(left);
    Running::Setup setup;
    setup.ingest_bytes = kMiB;
    setup.reserve_bytes = 512 * kKiB;
    setup.receiver.slab_bytes = kReadBytes;
    setup.receiver.privileged_read_bytes = kReadBytes;
    Running running(setup);
    auto elsewhere = running.ingest.try_charge_reserve(setup.ingest_bytes - left);
    REQUIRE(elsewhere);
    auto client = running.client();
    REQUIRE(client.send("<a/>"));
    client.finish();
    auto other = running.client();
    REQUIRE(other.send("<b/>"));
    // A turn each 50 ms: not a thousand of them.
    const std::uint64_t before = running.clock.looks.load();
    CHECK_FALSE(running.next_within(300ms));
    CHECK(running.clock.looks.load() - before < 100);
    elsewhere.reset();
    Chunk last;
    (void)running.read_to_end(last);
    CHECK(last.end == ConnectionEnd::finished);
    running.answer(last, true);
  }
}

TEST_CASE("a_stop_does_not_turn_in_circles_where_a_stalled_client_is_gone") {
  Running::Setup setup;
  setup.lane_capacity = 1;
  setup.receiver.read_bytes_max = 1000;
  Running running(setup);
  auto client = running.client();
  REQUIRE(client.send(std::string(10'000, 'x')));  // one read is in the lane, the next one waits
  auto probe = running.client();
  probe.finish();
  CHECK(probe.ending() == LoopbackClient::Ending::fin);
  running.thread.request_stop();
  client.reset();
  const std::uint64_t before = running.clock.looks.load();
  BoundedQueue<int> nothing(1);
  CHECK_FALSE(nothing.pop_until(std::chrono::steady_clock::now() + 300ms).has_value());
  CHECK(running.clock.looks.load() - before < 100);
}

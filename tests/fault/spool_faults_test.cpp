// The disk fails under Spool and Rotate (FAULTS D1 to D18, P2, P3, P13).
#include <doctest/doctest.h>

#include <random>

#include "spool_rig.h"

using namespace sluice;
using Op = FaultFilesystem::Op;

namespace {

// A client that sends events and then waits for its FIN.
struct Client {
  explicit Client(SpoolRig& rig) : connection(rig.connect()) {}
  ConnectionPtr connection;
  std::vector<std::string> sent;
};

Status send_and_finish(SpoolRig& rig, Client& client, const std::string& event) {
  client.sent.push_back(event);
  return rig.give(rig.batch(client.connection, {event}, ConnectionEnd::finished));
}

bool acknowledged(const SpoolRig& rig, const Client& client) {
  return std::any_of(rig.replies.begin(), rig.replies.end(), [&](const Reply& reply) {
    return reply.connection == client.connection && reply.durable;
  });
}

// Everything in the store, once, and nothing changed.
void check_exactly_once(const SpoolWorld& world, const std::set<std::string>& acknowledged) {
  CHECK_FALSE(world.store_changed);
  std::map<std::string, int> seen;
  for (const std::string& event : stored_events(world)) {
    ++seen[event];
  }
  for (const auto& entry : seen) {
    CHECK_MESSAGE(entry.second == 1, entry.first.substr(0, 12), " stored ", entry.second, " times");
  }
  for (const std::string& event : acknowledged) {
    CHECK_MESSAGE(seen.contains(event), event.substr(0, 12), " was acknowledged and is lost");
  }
}

// Power loss, then a start that brings everything to the store.
void lose_power_and_recover(SpoolWorld& world, std::uint64_t seed) {
  world.filesystem.restart(seed);
  SpoolRig rig(world);
  REQUIRE_MESSAGE(rig.failure.empty(), rig.failure);
  REQUIRE(rig.egress().ok());
  CHECK(rig.difference() == 0);
}

}  // namespace

TEST_CASE("d2_an_error_on_the_nth_write_or_sync_costs_the_segment_and_no_event") {
  for (const Op op : {Op::write, Op::sync}) {
    for (std::uint64_t n = 0; n < 6; ++n) {
      SpoolWorld world;
      SpoolRig rig(world);
      world.filesystem.fail({.op = op, .after = n, .code = EIO, .path_has = ".wal"});
      std::set<std::string> acked;
      for (int i = 0; i < 5; ++i) {
        Client client(rig);
        const std::string event = "<e n=\"" + std::to_string(i) + "\"/>";
        REQUIRE(send_and_finish(rig, client, event).ok());
        world.clock.advance(std::chrono::seconds(1));
        REQUIRE(rig.idle().ok());
        CHECK(acknowledged(rig, client));
        acked.insert(event);
      }
      CHECK(rig.books.events_durable.load() == 5);
      lose_power_and_recover(world, n);
      check_exactly_once(world, acked);
      CHECK(stored_events(world).size() == 5);
    }
  }
}

TEST_CASE("d2_a_file_whose_sync_failed_is_never_synced_again") {
  SpoolWorld world;
  SpoolRig rig(world);
  Client first(rig);
  REQUIRE(send_and_finish(rig, first, "<a/>").ok());
  world.filesystem.fail({.op = Op::sync, .code = EIO, .path_has = ".wal"});
  std::map<std::string, int> syncs_after_failure;
  std::string failed;
  world.filesystem.on_operation = [&](Op op, const Path& path) {
    if (op == Op::sync && path.extension() == ".wal") {
      if (failed.empty()) {
        failed = path.string();
      } else {
        ++syncs_after_failure[path.string()];
      }
    }
  };
  Client second(rig);
  REQUIRE(send_and_finish(rig, second, "<b/>").ok());
  REQUIRE(rig.give(SealNow{}).ok());
  CHECK(acknowledged(rig, second));
  CHECK(rig.books.segments_abandoned.load() == 1);
  REQUIRE(rig.egress().ok());
  world.filesystem.on_operation = nullptr;
  CHECK_FALSE(failed.empty());
  CHECK_FALSE(syncs_after_failure.contains(failed));
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>", "<b/>"});
  CHECK(rig.difference() == 0);
}

TEST_CASE("d3_a_sync_that_fails_once_and_would_succeed_when_repeated_loses_no_acked_event") {
  // The disk forgets what was dirty: a Spooler that repeated the sync would acknowledge air.
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    SpoolWorld world;
    SpoolRig rig(world);
    Client first(rig);
    REQUIRE(send_and_finish(rig, first, "<a/>").ok());
    world.filesystem.fail({.op = Op::sync, .code = EIO, .path_has = ".wal"});
    Client second(rig);
    REQUIRE(send_and_finish(rig, second, "<b/>").ok());
    REQUIRE(acknowledged(rig, second));
    lose_power_and_recover(world, seed);
    check_exactly_once(world, {"<a/>", "<b/>"});
  }
}

TEST_CASE("d4_short_writes_leave_the_right_bytes") {
  SpoolWorld world;
  SpoolRig rig(world);
  world.filesystem.fail({.op = Op::write, .times = 1000, .bytes = 7, .path_has = ".wal"});
  Client client(rig);
  REQUIRE(send_and_finish(rig, client, "<e>" + std::string(200, 'x') + "</e>").ok());
  CHECK(acknowledged(rig, client));
  REQUIRE(rig.give(SealNow{}).ok());
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == client.sent);
}

TEST_CASE("d2_two_failures_in_a_row_stop_reading_and_60_seconds_of_them_end_ingest") {
  SpoolWorld world;
  SpoolRig rig(world);
  world.filesystem.fail({.op = Op::write, .times = 1'000'000, .code = EIO});
  Client client(rig);
  REQUIRE(send_and_finish(rig, client, "<a/>").ok());
  CHECK_FALSE(rig.spooler->wants_input());
  CHECK_FALSE(rig.conditions.ready());
  CHECK(rig.replies.empty());
  const std::uint64_t opened = world.filesystem.count(Op::open, ".wal");
  int seconds = 0;
  Status status;
  for (; status && seconds < 100; ++seconds) {
    CHECK(rig.spooler->wake_at() == world.clock.now() + std::chrono::seconds(1));
    world.clock.advance(std::chrono::seconds(1));
    status = rig.idle();
  }
  CHECK(seconds == 60);
  CHECK(status.error().kind == ErrorKind::fatal);
  CHECK(world.filesystem.count(Op::open, ".wal") >= opened + 60);  // a new one each second
  CHECK(rig.replies.empty());
}

TEST_CASE("d10_a_disk_that_comes_back_within_the_time_is_used_again") {
  SpoolWorld world;
  SpoolRig rig(world);
  Client first(rig);
  REQUIRE(send_and_finish(rig, first, "<a/>").ok());
  world.filesystem.fail({.op = Op::write, .times = 1'000'000, .code = EROFS});
  Client second(rig);
  REQUIRE(send_and_finish(rig, second, "<b/>").ok());
  for (int second_passed = 0; second_passed < 30; ++second_passed) {
    world.clock.advance(std::chrono::seconds(1));
    REQUIRE(rig.idle().ok());
    CHECK_FALSE(rig.conditions.ready());
  }
  world.filesystem.clear_faults();
  world.clock.advance(std::chrono::seconds(1));
  REQUIRE(rig.idle().ok());
  CHECK(rig.conditions.ready());
  CHECK(rig.spooler->wants_input());
  CHECK(acknowledged(rig, second));
  REQUIRE(rig.give(SealNow{}).ok());
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>", "<b/>"});
}

TEST_CASE("d1_on_a_full_disk_reading_stops_for_as_long_as_it_takes_and_goes_on_by_itself") {
  SpoolWorld world;
  SpoolRig rig(world);
  world.filesystem.set_capacity(kMiB + 200 * kKiB);
  std::set<std::string> acked;
  Client client(rig);
  std::string event;
  for (int i = 0; rig.spooler->wants_input() && i < 1000; ++i) {
    client = Client(rig);
    event = "<e n=\"" + std::to_string(i) + "\">" + std::string(5000, 'x') + "</e>";
    REQUIRE(send_and_finish(rig, client, event).ok());
    if (acknowledged(rig, client)) {
      acked.insert(event);
    }
  }
  REQUIRE_FALSE(rig.spooler->wants_input());
  CHECK(acked.size() > 10);
  CHECK_FALSE(acked.contains(event));
  for (int minutes = 0; minutes < 30; ++minutes) {
    world.clock.advance(std::chrono::minutes(1));
    REQUIRE(rig.idle().ok());  // never fatal
  }
  CHECK_FALSE(rig.conditions.ready());
  world.filesystem.set_capacity(std::nullopt);
  world.clock.advance(std::chrono::seconds(1));
  REQUIRE(rig.idle().ok());
  CHECK(rig.conditions.ready());
  CHECK(acknowledged(rig, client));
  acked.insert(event);
  lose_power_and_recover(world, 5);
  check_exactly_once(world, acked);
}

TEST_CASE("d17_egress_goes_on_with_a_full_disk_and_frees_space") {
  SpoolWorld world;
  SpoolRig rig(world);
  std::vector<std::string> sent;
  for (int i = 0; i < 3; ++i) {
    Client client(rig);
    sent.push_back("<e n=\"" + std::to_string(i) + "\">" + std::string(50'000, 'x') + "</e>");
    REQUIRE(send_and_finish(rig, client, sent.back()).ok());
    REQUIRE(rig.give(SealNow{}).ok());
  }
  const std::uint64_t used = rig.spool->measure()->bytes;
  // Not a byte left, for a SEAL record neither: each gets a side seal, out of the reserve.
  world.filesystem.set_capacity(used);
  world.filesystem.fail({.op = Op::write, .times = 1000, .code = ENOSPC, .path_has = ".wal"});
  REQUIRE(rig.egress().ok());
  world.filesystem.clear_faults();
  world.clock.advance(std::chrono::seconds(2));
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == sent);
  CHECK(rig.spool->measure()->bytes < used);
}

TEST_CASE("d16_a_failed_directory_sync_makes_the_entries_again") {
  for (std::uint64_t n = 0; n < 8; ++n) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      SpoolWorld world;
      SpoolRig rig(world);
      world.filesystem.fail(
          {.op = Op::sync_directory, .after = n, .code = EIO, .path_has = "/spool/xml"});
      std::set<std::string> acked;
      for (int i = 0; i < 4; ++i) {
        Client client(rig);
        const std::string event = "<e n=\"" + std::to_string(i) + "\"/>";
        REQUIRE(send_and_finish(rig, client, event).ok());
        REQUIRE(acknowledged(rig, client));
        acked.insert(event);
        REQUIRE(rig.give(SealNow{}).ok());
        REQUIRE(rig.rotator->on_idle(rig.blocks).ok());  // prepares beside it
      }
      lose_power_and_recover(world, seed);
      check_exactly_once(world, acked);
    }
  }
}

TEST_CASE("p13_a_drain_on_a_full_disk_ends_in_time_and_drops_only_what_was_never_acked") {
  SpoolWorld world;
  SpoolRig::Options options;
  options.spooler.segment_run_bytes = 1000;  // and so little is allocated ahead
  options.spooler.sync_bytes = 1000;
  SpoolRig rig(world, options);
  Client first(rig);
  REQUIRE(send_and_finish(rig, first, "<a/>").ok());
  world.filesystem.set_capacity(0);
  Client second(rig);
  REQUIRE(send_and_finish(rig, second, "<b>" + std::string(500'000, 'x') + "</b>").ok());
  REQUIRE_FALSE(rig.spooler->wants_input());
  rig.draining = true;
  for (int i = 0; i < 6; ++i) {
    REQUIRE(rig.idle().ok());
    world.clock.advance(std::chrono::seconds(1));
  }
  REQUIRE(rig.spooler->wants_input());
  REQUIRE(rig.replies.size() == 2);
  CHECK(rig.replies[1].connection == second.connection);
  CHECK_FALSE(rig.replies[1].durable);
  // What comes after is dropped too: its forerunners are not durable.
  REQUIRE(rig.give(rig.batch(second.connection, {"<c/>"}, ConnectionEnd::shutdown)).ok());
  REQUIRE(rig.finish_ingest().ok());
  CHECK(rig.books.pieces_dropped_unacked.load() == 2);
  CHECK(rig.books.events_durable.load() == 1);
  world.filesystem.set_capacity(std::nullopt);
  lose_power_and_recover(world, 1);
  check_exactly_once(world, {"<a/>"});
}

TEST_CASE("d14_a_spool_that_lost_both_copies_of_format_loses_no_event") {
  SpoolWorld world;
  SpoolUuid uuid{};
  {
    SpoolRig rig(world);
    uuid = rig.spool->format().uuid;
    Client client(rig);
    REQUIRE(send_and_finish(rig, client, "<a/>").ok());
  }
  REQUIRE(replace_file(world.filesystem, "/spool/FORMAT", "rubbish").ok());
  REQUIRE(world.filesystem.unlink("/spool/FORMAT.bak").ok());
  world.filesystem.restart(1);
  SpoolRig rig(world);
  REQUIRE(rig.failure.empty());
  CHECK(rig.spool->format().uuid == uuid);
  CHECK(rig.spool->warnings().size() == 1);
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>"});
}

// Clients, segments, egress and rebuilt egress at random until the power goes at a random call;
// then again, through several lives of the process.
TEST_CASE("p3_no_acked_event_is_lost_and_none_stored_twice_whenever_the_power_goes") {
  constexpr int kRounds = 1000;
  std::size_t acked_in_all = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t seed = 1000 + static_cast<std::uint64_t>(round);
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    SpoolWorld world;
    world.random_state = seed;
    std::set<std::string> acked;
    int number = 0;
    for (int life = 0; life < 4; ++life) {
      SpoolRig::Options options;
      options.spooler.segment_run_bytes = random() % 2 == 0 ? 2000 : 100'000;
      options.rotate_capacity = 1000;
      options.prepared_capacity = 1 + random() % 3;
      world.filesystem.power_off_after(random() % 400 + 1);
      SpoolRig rig(world, options);
      if (random() % 3 == 0) {
        const std::array<Op, 3> ops = {Op::write, Op::sync, Op::sync_directory};
        world.filesystem.fail({.op = ops[random() % 3],
                               .after = random() % 40,
                               .times = random() % 2 + 1,
                               .code = random() % 4 == 0 ? ENOSPC : EIO});
      }
      std::vector<Client> clients;
      std::vector<Client> gone;
      std::size_t replies_seen = 0;
      while (rig.failure.empty() && !world.filesystem.powered_off()) {
        if (clients.empty() || random() % 3 == 0) {
          clients.emplace_back(rig);
        }
        Client& client = clients[random() % clients.size()];
        Status status;
        switch (random() % 8) {
          case 0:
            status = rig.give(SealNow{});
            break;
          case 1:
          case 2:
            status = rig.egress();
            break;
          case 3:
            world.clock.advance(std::chrono::milliseconds(random() % 3000));
            status = rig.idle();
            break;
          case 4:
            if (random() % 10 == 0) {
              rig.blocks.items.clear();
              while (rig.to_rotate.try_pop()) {
              }
              rig.new_rotator();
            }
            break;
          default:
            if (rig.spooler->wants_input()) {
              std::vector<std::string> events;
              for (std::uint64_t i = 0; i < random() % 3 + 1; ++i) {
                events.push_back("<e n=\"" + std::to_string(number++) + "\">" +
                                 std::string(random() % 10 == 0 ? 20'000 : random() % 300, 'x') +
                                 "</e>");
                client.sent.push_back(events.back());
              }
              const bool ends = random() % 2 == 0;
              status = rig.spooler->process(
                  rig.batch(client.connection, events,
                            ends ? ConnectionEnd::finished : ConnectionEnd::open),
                  rig.finished);
              rig.hand_over();
              if (ends) {
                // Sends no more, and is still known by its connection when its reply comes.
                gone.push_back(client);
                client = Client(rig);
              }
            }
        }
        for (; replies_seen < rig.replies.size(); ++replies_seen) {
          const Reply& reply = rig.replies[replies_seen];
          for (const Client& candidate : gone) {
            if (reply.durable && candidate.connection == reply.connection) {
              acked.insert(candidate.sent.begin(), candidate.sent.end());
            }
          }
        }
        if (!status) {
          break;  // a half failed: the process would end
        }
      }
      world.filesystem.restart(seed * 7 + static_cast<std::uint64_t>(life));
    }
    lose_power_and_recover(world, seed);
    check_exactly_once(world, acked);
    acked_in_all += acked.size();
  }
  CHECK(acked_in_all > kRounds);
}

// Uploads that an earlier process left open, in a store in memory.
#include "common/s3/leftover_uploads.h"

#include <doctest/doctest.h>

#include "fakes/memory_object_store.h"
#include "test_clock.h"

namespace sluice {
namespace {

struct Fixture {
  void begin(const std::string& key) {
    store.create_multipart({.key = key, .content_type = ""}, [](const auto&) {});
    store.poll(clock.now());
  }
  std::shared_ptr<LeftoverUploads> look(std::vector<std::string> prefixes) {
    return LeftoverUploads::make(
        {.prefixes = std::move(prefixes),
         .is_ours = [](std::string_view key) { return key.ends_with("ours"); }},
        {.store = store, .gate = gate, .backoff = backoff, .clock = clock});
  }
  void run(LeftoverUploads& leftovers) {
    for (int turn = 0; turn < 10'000 && !leftovers.done(); ++turn) {
      if (leftovers.start_next()) {
        store.poll(clock.now());
      } else {
        clock.advance(std::chrono::seconds(1));
      }
    }
    REQUIRE(leftovers.done());
  }

  ManualClock clock;
  MemoryObjectStore store;
  UploadGate gate{{}};
  Backoff backoff{{}};
};

TEST_CASE("s18_only_our_own_uploads_under_our_prefixes_are_aborted") {
  Fixture fixture;
  for (const char* key : {"xml-events/a-ours", "xml-events/b-ours", "xml-events/theirs",
                          "quarantine/c-ours", "elsewhere/d-ours"}) {
    fixture.begin(key);
  }
  const auto leftovers = fixture.look({"xml-events/", "quarantine/"});
  CHECK_FALSE(leftovers->listed());
  fixture.run(*leftovers);
  CHECK(leftovers->aborted() == 3);
  CHECK_FALSE(leftovers->error());
  CHECK(fixture.store.open_uploads() == 2);
  CHECK(fixture.store.count("abort xml-events/theirs") == 0);
  CHECK(fixture.gate.running() == 0);
}

TEST_CASE("every_page_of_the_listing_is_read") {
  Fixture fixture;
  for (int i = 0; i < 2500; ++i) {
    fixture.begin("p/" + std::to_string(i) + (i % 5 == 0 ? "-ours" : "-theirs"));
  }
  const auto leftovers = fixture.look({"p/"});
  fixture.run(*leftovers);
  CHECK(leftovers->aborted() == 500);
  CHECK(fixture.store.count("list_multipart") == 3);
  CHECK(fixture.store.open_uploads() == 2000);
}

TEST_CASE("a_store_that_fails_for_a_while_is_asked_again_and_one_that_refuses_is_not") {
  Fixture fixture;
  fixture.begin("p/ours");
  const StoreError down{.kind = StoreErrorKind::retry, .http_status = 503, .code = "Down"};
  fixture.store.faults = {{.op = "list_multipart", .times = 3, .error = down},
                          {.op = "abort", .times = 2, .error = down}};
  const auto leftovers = fixture.look({"p/"});
  fixture.run(*leftovers);
  CHECK(leftovers->aborted() == 1);

  fixture.begin("p/ours");
  const StoreError denied{
      .kind = StoreErrorKind::configuration, .http_status = 403, .code = "AccessDenied"};
  fixture.store.faults = {{.op = "list_multipart", .times = -1, .error = denied}};
  const auto refused = fixture.look({"p/"});
  fixture.run(*refused);
  REQUIRE(refused->error());
  CHECK(refused->error()->code == "AccessDenied");
  CHECK(refused->listed());
  CHECK(fixture.store.count("list_multipart") == 5);

  // It takes objects, and lists nothing.
  fixture.store.faults = {{.op = "list_multipart", .times = -1, .error = down}};
  REQUIRE(fixture.gate.try_start({.prefix = "p/"}, fixture.clock.now()));
  fixture.gate.ended({.prefix = "p/"}, std::nullopt);
  const auto tired = fixture.look({"p/"});
  fixture.run(*tired);
  CHECK(tired->error());
  CHECK(fixture.store.open_uploads() == 1);
}

TEST_CASE("s18_a_store_that_is_away_at_the_start_is_asked_until_it_is_back") {
  for (const StoreError& error :
       {StoreError{.kind = StoreErrorKind::retry, .http_status = 503, .code = "Down"},
        StoreError{.kind = StoreErrorKind::configuration, .code = "NoCredentials"}}) {
    CAPTURE(error.code);
    Fixture fixture;
    fixture.begin("p/ours");
    fixture.store.faults = {{.op = "list_multipart", .times = 40, .error = error}};
    const auto leftovers = fixture.look({"p/"});
    fixture.run(*leftovers);
    CHECK(leftovers->aborted() == 1);
    CHECK_FALSE(leftovers->error());
  }
}

}  // namespace
}  // namespace sluice

// The chain, and what keeps its credentials fresh, on a clock that the tests move.
#include "common/s3/refreshing_credentials.h"

#include <doctest/doctest.h>

#include <deque>

#include "fakes/credential_world.h"

using namespace sluice;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

class ScriptedSource final : public CredentialSource {
 public:
  explicit ScriptedSource(std::string_view name) : name_(name) {}
  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] SourceAnswer fetch() override {
    fetches += 1;
    return answer;
  }
  [[nodiscard]] bool fixed() const override { return is_fixed; }

  SourceAnswer answer = NotConfigured{"not set"};
  int fetches = 0;
  bool is_fixed = false;

 private:
  std::string_view name_;
};

struct Fixture {
  Fixture() {
    CredentialChain::Links links;
    for (const char* name : {"first", "second"}) {
      auto link = std::make_unique<ScriptedSource>(name);
      (links.empty() ? first : second) = link.get();
      links.push_back(std::move(link));
    }
    chain.emplace(std::move(links), clock);
    credentials.emplace(RefreshingCredentials::Outside{
        .chain = *chain, .clock = clock, .random = [this] { return chance; }});
  }

  [[nodiscard]] FetchedCredentials lasting(const std::string& key_id,
                                           std::optional<seconds> life) const {
    FetchedCredentials fetched{{.access_key_id = key_id, .secret_access_key = "canary"},
                               {.source = "the test"}};
    if (life) {
      fetched.origin.expires_at = clock.wall_now() + *life;
    }
    return fetched;
  }
  // "" and no error: others are being fetched.
  std::string key_id() {
    const auto current = credentials->current();
    if (current) {
      serial = current->serial;
      return current->access_key_id;
    }
    error = current.error().kind == ErrorKind::transient ? "" : current.error().message;
    return {};
  }
  // Moves the clock to where turn() asks for it, until it fetches; how long that was.
  milliseconds to_next_fetch(milliseconds most = hours(24)) {
    const int before = first->fetches;
    milliseconds passed{0};
    while (passed < most) {
      const milliseconds wait = credentials->turn();
      if (first->fetches > before) {
        return passed;
      }
      CHECK(wait > milliseconds(0));
      clock.advance(wait);
      passed += wait;
    }
    return most;
  }

  ManualClock clock;
  ScriptedSource* first = nullptr;
  ScriptedSource* second = nullptr;
  std::optional<CredentialChain> chain;
  std::optional<RefreshingCredentials> credentials;
  std::uint64_t chance = 0;
  std::uint64_t serial = 0;
  std::string error;
};

}  // namespace

TEST_CASE("the_first_configured_link_decides_and_an_error_names_all_that_were_tried") {
  Fixture fixture;
  const auto nothing = fixture.chain->fetch();
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().message == "nothing gives credentials (first: not set; second: not set)");
  fixture.second->answer = fixture.lasting("AKIASECOND00", std::nullopt);
  const auto second = fixture.chain->fetch();
  REQUIRE(second);
  CHECK(second->origin.key_id_end == "ND00");
  REQUIRE(fixture.chain->tried().size() == 1);
  CHECK(fixture.chain->tried()[0].name == "first");
}

TEST_CASE("c5_a_link_that_fails_does_not_fall_through_to_somebody_else") {
  Fixture fixture;
  fixture.first->answer = rejected("the role was removed");
  fixture.second->answer = fixture.lasting("AKIASECOND00", std::nullopt);
  const auto failed = fixture.chain->fetch();
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message == "first: the role was removed");
  CHECK(fixture.second->fetches == 0);
  fixture.first->answer = fixture.lasting("AKIAFIRST000", std::nullopt);
  REQUIRE(fixture.chain->fetch());
  fixture.first->answer = NotConfigured{"its file is gone"};
  const auto gone = fixture.chain->fetch();
  REQUIRE_FALSE(gone);
  CHECK(holds(gone.error().message, "first: its file is gone"));
  CHECK(fixture.second->fetches == 0);
}

TEST_CASE("credentials_that_come_expired_are_an_error_about_the_clock") {
  Fixture fixture;
  fixture.first->answer = fixture.lasting("AKIA", seconds(-1));
  const auto late = fixture.chain->fetch();
  REQUIRE_FALSE(late);
  CHECK(holds(late.error().message, "is this machine's clock right?"));
}

TEST_CASE("nobody_waits_for_a_fetch_but_is_told_that_one_is_under_way") {
  Fixture fixture;
  CHECK(fixture.key_id().empty());
  CHECK(fixture.error.empty());
  CHECK(fixture.first->fetches == 0);
  fixture.first->answer = fixture.lasting("AKIA", hours(6));
  fixture.credentials->turn();
  CHECK(fixture.key_id() == "AKIA");
  CHECK(fixture.credentials->report().origin->source == "the test");
}

TEST_CASE("s16_credentials_are_fetched_early_and_not_by_all_at_once") {
  for (const auto& [chance, early] :
       {std::pair(0, seconds(300)), std::pair(150'000, minutes(7) + seconds(30))}) {
    Fixture fixture;
    fixture.chance = static_cast<std::uint64_t>(chance);
    fixture.first->answer = fixture.lasting("AKIA", hours(6));
    fixture.credentials->turn();
    CHECK(fixture.to_next_fetch() == hours(6) - early);
  }
  Fixture brief;  // five minutes early is too early for what lasts a minute
  brief.first->answer = brief.lasting("AKIA", seconds(60));
  brief.credentials->turn();
  CHECK(brief.to_next_fetch() == seconds(45));
}

TEST_CASE("s16_old_credentials_serve_until_they_expire") {
  Fixture fixture;
  fixture.first->answer = fixture.lasting("AKIAOLD", hours(1));
  fixture.credentials->turn();
  const WallTime end = fixture.clock.wall_now() + hours(1);
  fixture.first->answer = rejected("HTTP 401");
  fixture.to_next_fetch();
  int tries = 0;
  while (fixture.clock.wall_now() < end) {
    CHECK(fixture.key_id() == "AKIAOLD");
    CHECK(fixture.credentials->report().error == "first: HTTP 401");
    CHECK_FALSE(fixture.credentials->report().expired);
    const milliseconds wait = fixture.to_next_fetch();
    CHECK(wait <= RefreshingCredentials::kRetryMost);
    tries += 1;
  }
  CHECK(tries >= 5);
  CHECK(tries <= 20);
  CHECK(fixture.key_id().empty());
  CHECK(holds(fixture.error, "the credentials from the test expired at 2023-11-14T23:13:20Z"));
  CHECK(holds(fixture.error, "HTTP 401"));
  CHECK_FALSE(holds(fixture.error, "canary"));
  CHECK(fixture.credentials->report().expired);
  // And when the source is well again, so are we.
  fixture.first->answer = fixture.lasting("AKIANEW", hours(1));
  CHECK(fixture.to_next_fetch() <= RefreshingCredentials::kRetryMost);
  CHECK(fixture.key_id() == "AKIANEW");
  CHECK(fixture.credentials->report().error.empty());
}

TEST_CASE("s16_a_source_that_gives_the_old_ones_again_is_asked_again_later") {
  Fixture fixture;
  const FetchedCredentials old = fixture.lasting("AKIA", hours(6));
  fixture.first->answer = old;
  fixture.credentials->turn();
  fixture.to_next_fetch();
  CHECK(fixture.to_next_fetch() >= RefreshingCredentials::kRetryLeast / 2);
  CHECK(fixture.to_next_fetch() >= RefreshingCredentials::kRetryLeast);
  CHECK(fixture.key_id() == "AKIA");
  fixture.first->answer = fixture.lasting("AKIA", hours(6));  // the same for longer
  const milliseconds waited = fixture.to_next_fetch();
  CHECK(fixture.to_next_fetch() == hours(6) - waited - minutes(5));
}

TEST_CASE("s16_a_file_that_is_half_written_is_read_again_and_what_it_held_serves_on") {
  Fixture fixture;
  fixture.first->answer = fixture.lasting("AKIA", std::nullopt);
  fixture.credentials->turn();
  CHECK(fixture.to_next_fetch(hours(1)) == hours(1));
  fixture.first->answer = rejected("the secret access key is missing");
  fixture.credentials->reread();
  CHECK(fixture.to_next_fetch() == milliseconds(0));
  CHECK(fixture.key_id() == "AKIA");
  fixture.first->answer = fixture.lasting("AKIANEW", std::nullopt);
  CHECK(fixture.to_next_fetch() <= RefreshingCredentials::kRetryLeast);
  CHECK(fixture.key_id() == "AKIANEW");
}

TEST_CASE("s5_one_refresh_serves_all_who_wait") {
  Fixture fixture;
  int wakes = 0;
  fixture.credentials->on_due([&wakes] { wakes += 1; });
  fixture.first->answer = fixture.lasting("AKIAOLD", hours(6));
  fixture.credentials->turn();
  CHECK(fixture.key_id() == "AKIAOLD");
  const std::uint64_t old = fixture.serial;
  fixture.clock.advance(minutes(1));
  fixture.first->answer = fixture.lasting("AKIANEW", hours(6));
  for (int i = 0; i < 8; ++i) {
    CHECK(fixture.credentials->refresh(old));
    CHECK(fixture.key_id().empty());  // the refused ones are not used again
    CHECK(fixture.error.empty());
  }
  CHECK(wakes == 1);
  fixture.credentials->turn();
  CHECK(fixture.first->fetches == 2);
  CHECK(fixture.key_id() == "AKIANEW");
  CHECK(fixture.credentials->refresh(old));  // an answer that was late: the new ones are here
  CHECK(fixture.key_id() == "AKIANEW");
  fixture.credentials->turn();
  CHECK(fixture.first->fetches == 2);
}

TEST_CASE("s5_a_store_that_refuses_fresh_credentials_too_is_not_answered_with_more") {
  Fixture fixture;
  fixture.first->answer = fixture.lasting("AKIA", hours(6));
  fixture.credentials->turn();
  CHECK(fixture.key_id() == "AKIA");
  CHECK_FALSE(fixture.credentials->refresh(fixture.serial));
  fixture.clock.advance(RefreshingCredentials::kRefreshInterval);
  CHECK(fixture.credentials->refresh(fixture.serial));
  fixture.credentials->turn();
  CHECK(fixture.key_id() == "AKIA");  // the same again
  CHECK_FALSE(fixture.credentials->refresh(fixture.serial));
  CHECK(fixture.first->fetches == 2);
}

TEST_CASE("s16_a_refresh_that_fails_leaves_the_store_to_judge_the_old_ones") {
  Fixture fixture;
  fixture.first->answer = fixture.lasting("AKIA", hours(6));
  fixture.credentials->turn();
  CHECK(fixture.key_id() == "AKIA");
  fixture.clock.advance(minutes(1));
  fixture.first->answer = transient("does not answer");
  CHECK(fixture.credentials->refresh(fixture.serial));
  fixture.credentials->turn();
  CHECK(fixture.key_id() == "AKIA");
  CHECK_FALSE(fixture.credentials->refresh(fixture.serial));
}

TEST_CASE("the_environment_has_nothing_fresher") {
  Fixture fixture;
  fixture.first->is_fixed = true;
  fixture.first->answer = fixture.lasting("AKIA", std::nullopt);
  fixture.credentials->turn();
  CHECK(fixture.key_id() == "AKIA");
  fixture.clock.advance(hours(1));
  CHECK_FALSE(fixture.credentials->refresh(fixture.serial));
  fixture.credentials->reread();
  fixture.credentials->turn();
  CHECK(fixture.first->fetches == 1);
}

TEST_CASE("a_machine_that_slept_over_the_end_fetches_before_it_signs") {
  Fixture fixture;
  fixture.first->answer = fixture.lasting("AKIAOLD", hours(1));
  fixture.credentials->turn();
  CHECK(fixture.key_id() == "AKIAOLD");
  fixture.clock.step_wall(hours(2));  // the monotonic clock stood still
  CHECK(fixture.key_id().empty());
  CHECK(fixture.error.empty());
  fixture.first->answer = fixture.lasting("AKIANEW", hours(1));
  fixture.credentials->turn();
  CHECK(fixture.key_id() == "AKIANEW");
}

TEST_CASE("nothing_at_all_is_an_error_and_is_tried_again") {
  Fixture fixture;
  fixture.credentials->turn();
  CHECK(fixture.key_id().empty());
  CHECK(holds(fixture.error, "nothing gives credentials (first: not set; second: not set)"));
  CHECK_FALSE(fixture.credentials->refresh(0));
  fixture.second->answer = fixture.lasting("AKIA", hours(6));
  fixture.to_next_fetch();
  CHECK(fixture.key_id() == "AKIA");
}

TEST_CASE("the_thread_fetches_at_once_when_it_is_asked_to") {
  Fixture fixture;
  fixture.first->answer = fixture.lasting("AKIA", std::nullopt);
  const CredentialThread thread(*fixture.credentials);
  const auto until = std::chrono::steady_clock::now() + seconds(30);
  while (fixture.key_id().empty() && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  CHECK(fixture.key_id() == "AKIA");
}

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "commands/check_store.h"
#include "commands/store_of.h"
#include "common/platform/clock.h"
#include "common/platform/disk_hazard.h"
#include "common/platform/posix_filesystem.h"
#include "scratch_directory.h"

using namespace sluice;
using Verdict = CheckLine::Verdict;

namespace {

Verdict worst(const std::vector<CheckLine>& lines, std::string_view subject) {
  Verdict verdict = Verdict::ok;
  for (const CheckLine& line : lines) {
    if (line.subject == subject) {
      verdict = std::max(verdict, line.verdict);
    }
  }
  return verdict;
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("a_spool_that_does_not_exist_yet_is_fine_and_is_not_made") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  Config config;
  config.spool_bytes_max = kMiB;
  config.spool_dir = scratch.path() / "a" / "spool";
  const auto lines = check_spool(config, filesystem);
  CHECK(worst(lines, "spool") == Verdict::ok);
  CHECK(worst(lines, "disk sync") != Verdict::failure);
  CHECK(std::filesystem::is_empty(scratch.path()));
}

TEST_CASE("a_spool_of_everybody_is_a_failure_and_one_of_the_group_a_warning") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  Config config;
  config.spool_dir = scratch.path();
  ::chmod(scratch.path().c_str(), 0777);
  CHECK(worst(check_spool(config, filesystem), "spool") == Verdict::failure);
  ::chmod(scratch.path().c_str(), 0770);
  CHECK(worst(check_spool(config, filesystem), "spool") == Verdict::warning);
  ::chmod(scratch.path().c_str(), 0700);
  CHECK(worst(check_spool(config, filesystem), "spool") == Verdict::ok);
  CHECK(access_hazard({FileType::directory, 0, 0, {}, 12345, 0700}, 1)->serious);
}

TEST_CASE("a_file_in_the_place_of_the_spool_is_a_failure") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  Config config;
  config.spool_dir = scratch.path() / "file";
  REQUIRE(filesystem.open(config.spool_dir, OpenMode::create_new));
  CHECK(worst(check_spool(config, filesystem), "spool") == Verdict::failure);
  config.spool_dir = scratch.path() / "file" / "spool";
  CHECK(worst(check_spool(config, filesystem), "spool") == Verdict::failure);
}

TEST_CASE("a_spool_larger_than_its_disk_is_warned_about") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  Config config;
  config.spool_dir = scratch.path();
  config.spool_bytes_max = 1ULL << 50U;
  CHECK(worst(check_spool(config, filesystem), "spool room") == Verdict::warning);
}

TEST_CASE("memory_is_no_disk") {
  struct stat info {};
  if (::stat("/dev/shm", &info) != 0) {
    MESSAGE("no /dev/shm here");
    CHECK_FALSE(filesystem_hazard("/nowhere"));
    return;
  }
  const auto hazard = filesystem_hazard("/dev/shm");
  REQUIRE(hazard);
  CHECK(holds(*hazard, "/dev/shm is in memory (tmpfs)"));
}

TEST_CASE("the_sync_test_leaves_nothing_behind") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  const CheckLine line = check_sync(filesystem, scratch.path());
  CHECK(line.verdict != Verdict::failure);
  CHECK(holds(line.text, "written and synced in"));
  CHECK(std::filesystem::is_empty(scratch.path()));
  CHECK(check_sync(filesystem, scratch.path() / "missing").verdict == Verdict::failure);
}

TEST_CASE("a_refused_prefix_is_a_failure_with_the_stores_reason_and_a_left_probe_is_not") {
  StoreError error;
  error.http_status = 403;
  error.code = "AccessDenied";
  error.advice = "Allow s3:PutObject.";
  const auto lines = judge_probes(
      {{"xml-events/", {}, {}}, {"quarantine/", error, {}}, {"other/", {}, error}}, "s3://bucket");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].verdict == Verdict::ok);
  CHECK(lines[1].verdict == Verdict::failure);
  CHECK(holds(lines[1].text, "quarantine/"));
  CHECK(holds(lines[1].text, "AccessDenied"));
  CHECK(holds(lines[1].text, "Allow s3:PutObject."));
  CHECK(lines[2].verdict == Verdict::ok);
}

TEST_CASE("credentials_are_a_line_that_says_whose_or_a_line_for_each_link_that_gave_none") {
  CredentialReport report;
  report.origin = CredentialOrigin{.source = "the environment", .key_id_end = "MPLE"};
  report.tried = {{.name = "first", .reason = "not set"}};
  auto lines = judge_credentials(report);
  REQUIRE(lines.size() == 1);
  CHECK(to_text(lines[0]) ==
        "ok    credentials  from the environment, key id …MPLE, without an end");

  report = {.error = "nothing", .tried = {{.name = "first", .reason = "not set"}}};
  lines = judge_credentials(report);
  REQUIRE(lines.size() == 2);
  CHECK(to_text(lines[0]) == "WARN  credentials  not from first: not set");
  CHECK(lines[1].verdict == Verdict::failure);

  report.tried.push_back({.name = "second", .reason = "HTTP 401", .configured = true});
  lines = judge_credentials(report);
  REQUIRE(lines.size() == 2);
  CHECK(to_text(lines[1]) == "FAIL  credentials  second: HTTP 401");
}

HttpOutcome answered(const HttpConnection& connection) {
  HttpOutcome outcome;
  outcome.response.status = 403;
  outcome.response.connection = connection;
  return outcome;
}

TEST_CASE("the_way_to_the_store_is_a_line_a_step_with_its_time") {
  using std::chrono::microseconds;
  const WallTime now{std::chrono::hours(24)};
  HttpConnection connection{.address = "10.1.2.3",
                            .resolved = microseconds(1000),
                            .connected = microseconds(3000),
                            .secured = microseconds(9000),
                            .answered = microseconds(14500),
                            .certificate_expires_at = now + std::chrono::hours(24 * 60)};
  auto lines = judge_connection(answered(connection), "https://s3.test", now);
  REQUIRE(lines.size() == 3);
  CHECK(to_text(lines[0]) == "ok    dns          10.1.2.3 in 1.0 ms");
  CHECK(to_text(lines[1]) ==
        "ok    tls          handshake in 6.0 ms, certificate accepted until 1970-03-03T00:00:00Z");
  CHECK(to_text(lines[2]) ==
        "ok    connection   https://s3.test: connected in 2.0 ms, answered 5.5 ms later");

  connection.certificate_expires_at = now + std::chrono::hours(24 * 13);
  CHECK(judge_connection(answered(connection), "https://s3.test", now)[1].verdict ==
        Verdict::warning);
  CHECK(judge_connection(answered(connection), "http://s3.test", now)[1].verdict ==
        Verdict::warning);
  connection.address = "127.0.0.1";  // of a proxy, say
  CHECK(judge_connection(answered(connection), "http://s3.test", now)[1].verdict ==
        Verdict::warning);
  CHECK(judge_connection(answered(connection), "http://127.0.0.1:9000", now)[1].verdict ==
        Verdict::ok);
}

TEST_CASE("s15_where_the_way_to_the_store_ends_is_the_subject_of_the_failure") {
  const auto subject = [](HttpError error) {
    HttpOutcome outcome;
    outcome.error = std::move(error);
    const auto lines = judge_connection(outcome, "https://s3.test", WallTime{});
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].verdict == Verdict::failure);
    CHECK(holds(lines[0].text, "https://s3.test"));
    return lines[0].subject;
  };
  CHECK(subject({.kind = HttpError::Kind::name, .message = "no such host"}) == "dns");
  CHECK(subject({.kind = HttpError::Kind::certificate, .message = "expired"}) == "tls");
  CHECK(subject({.kind = HttpError::Kind::timeout, .message = "late"}) == "connection");
  CHECK(subject({.kind = HttpError::Kind::proxy, .message = "no", .proxy_status = 407}) ==
        "connection");
}

TEST_CASE("s6_a_clock_that_is_off_by_more_than_half_a_minute_is_a_warning") {
  const WallTime now{std::chrono::hours(24)};
  CHECK(judge_clock(std::nullopt, now).verdict == Verdict::warning);
  CHECK(to_text(judge_clock(now + std::chrono::seconds(2), now)) ==
        "ok    clock        2 s behind the store's");
  const CheckLine ahead = judge_clock(now - std::chrono::seconds(31), now);
  CHECK(ahead.verdict == Verdict::warning);
  CHECK(ahead.text.starts_with("31 s ahead of the store's: "));
}

TEST_CASE("an_upload_in_parts_must_begin_and_should_be_found_and_given_up") {
  const StoreError denied{.kind = StoreErrorKind::configuration, .code = "AccessDenied"};
  auto lines =
      judge_multipart({{.prefix = "a/", .error = {}, .list_error = {}, .abort_error = {}},
                       {.prefix = "b/", .error = denied, .list_error = {}, .abort_error = {}}});
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].verdict == Verdict::ok);
  CHECK(lines[1].verdict == Verdict::failure);
  CHECK(holds(lines[1].text, "b/"));
  lines =
      judge_multipart({{.prefix = "a/", .error = {}, .list_error = denied, .abort_error = denied}});
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].verdict == Verdict::ok);
  CHECK(lines[1].verdict == Verdict::warning);
  CHECK(lines[2].verdict == Verdict::warning);
}

TEST_CASE("the_directory_of_the_settings_takes_a_probe") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  SystemClock clock;
  Config config;
  config.output_dir = scratch.path() / "objects";
  auto store = store_of(config, "test", {filesystem, clock});
  REQUIRE(store);
  const auto probes =
      probe_store(**store, {{"a/", "b/"}, "test", std::chrono::milliseconds(20000)});
  REQUIRE(probes.size() == 2);
  CHECK_FALSE(probes[0].error);
  CHECK_FALSE(probes[1].error);
}

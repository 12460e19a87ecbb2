#include "common/ndjson/log_file.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "common/ndjson/rotated_logs.h"
#include "common/platform/posix_filesystem.h"
#include "log_rig.h"
#include "scratch_directory.h"

namespace sluice {
namespace {

using Op = FaultFilesystem::Op;
using Names = std::vector<std::string>;

TEST_CASE("lines_are_in_the_file_once_over_several_processes") {
  LogRig rig;
  for (int process = 0; process < 3; ++process) {
    rig.start();
    REQUIRE(rig.complete());
    CHECK(rig.append());
    CHECK(rig.switch_segment());
    CHECK(rig.append());
  }
  CHECK(rig.lines.size() == 6);
  rig.judge();
  CHECK(rig.files() == Names{"server.log"});
}

TEST_CASE("a_line_that_the_spool_has_and_the_file_has_not_is_written_at_the_next_start") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  (void)rig.record();
  rig.start();
  REQUIRE(rig.complete());
  rig.judge();
}

TEST_CASE("at_a_first_start_it_goes_on_behind_the_predecessors_lines") {
  LogRig rig;
  rig.write(rig.path, "2026-11-21T09:14:07.000001Z [INFO] old\n2026-11-21T09:14:08");
  const std::string of_older_spool = rig.record();
  rig.spool.clear();
  rig.lines.clear();
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.content() == "2026-11-21T09:14:07.000001Z [INFO] old\n2026-11-21T09:14:08\nline 0 \n");
}

TEST_CASE("without_a_note_the_lines_of_all_that_is_in_the_spool_are_written_once") {
  LogRig rig;
  rig.write(rig.path, "of the predecessor");
  (void)rig.record();
  (void)rig.record();
  // Killed between the first line and the note that says that all are there.
  rig.disk.fail({.op = Op::rename, .after = 1, .code = EIO, .path_has = "LOGFILE"});
  CHECK_FALSE(rig.complete());
  rig.start();
  REQUIRE(rig.complete());
  rig.judge();
  CHECK(rig.content().starts_with("of the predecessor\nline 0"));
}

TEST_CASE("records_without_a_line_and_with_several_are_completed") {
  LogRig rig;
  REQUIRE(rig.complete());
  rig.spool[rig.next++] = "";
  rig.spool[rig.next++] = "line 0\nline 1\n";
  rig.spool[rig.next++] = "";
  rig.write(rig.path, "line 0\nli");
  rig.start();
  REQUIRE(rig.complete());
  CHECK(rig.content() == "line 0\nline 1\n");
}

TEST_CASE("nothing_is_appended_before_it_is_complete") {
  LogRig rig;
  Status status = rig.append();
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::transient);
  CHECK_FALSE(rig.log_file->sync_and_note(rig.next));
  CHECK(rig.log_file->reopen());
  CHECK(rig.files().empty());
}

// ---- rotation -----------------------------------------------------------------------------------

TEST_CASE("a_file_that_would_get_too_large_is_rotated_to_a_name_that_no_file_has") {
  LogRig rig({.bytes_max = 100});
  rig.write("/logs/server.log.20231114_221320", "taken\n");
  REQUIRE(rig.complete());
  for (int i = 0; i < 5; ++i) {
    CHECK(rig.append(40));  // 48 bytes: two a file
  }
  CHECK(rig.files() == Names{"server.log", "server.log.20231114_221320",
                             "server.log.20231114_221320.1", "server.log.20231114_221320.2"});
  CHECK(rig.content("/logs/server.log.20231114_221320") == "taken\n");
  CHECK(rig.content().size() == 48);
  rig.judge();
}

TEST_CASE("a_group_larger_than_a_file_may_be_gets_one_of_its_own") {
  LogRig rig({.bytes_max = 100});
  REQUIRE(rig.complete());
  CHECK(rig.append(300));
  CHECK(rig.files() == Names{"server.log"});
  CHECK(rig.append(300));
  CHECK(rig.files().size() == 2);
  rig.judge();
}

TEST_CASE("rotated_files_beyond_the_number_to_keep_go_oldest_first_and_no_others") {
  LogRig rig({.bytes_max = 10, .files_keep = 2});
  const Names others{"server.log.1",
                     "server.log.20231114_22132",
                     "server.log.20231114_221320.gz",
                     "server.log.20231114_221320.01",
                     "server.log.20231114_221320.0",
                     "server.log.20231114-221320",
                     "server.logs.20231114_221320"};
  for (const std::string& name : others) {
    rig.write(Path("/logs") / name, "other\n");
  }
  REQUIRE(rig.complete());
  for (int i = 0; i < 6; ++i) {
    CHECK(rig.append());
    rig.clock.advance(std::chrono::seconds(1));
  }
  Names expected = others;
  for (const char* name :
       {"server.log", "server.log.20231114_221324", "server.log.20231114_221325"}) {
    expected.emplace_back(name);
  }
  std::sort(expected.begin(), expected.end());
  CHECK(rig.files() == expected);
}

TEST_CASE("p6_where_the_clock_steps_back_rotated_files_keep_their_order") {
  LogRig rig({.bytes_max = 10, .files_keep = 2});
  REQUIRE(rig.complete());
  for (int i = 0; i < 5; ++i) {
    CHECK(rig.append());
    rig.clock.step_wall(-std::chrono::hours(24));
  }
  rig.lines.erase(rig.lines.begin(), rig.lines.begin() + 2);
  rig.judge();
}

TEST_CASE("a_file_is_rotated_when_its_first_line_is_too_old_and_not_when_the_clock_steps") {
  LogRig rig({.age_max = std::chrono::hours(1)});
  REQUIRE(rig.complete());
  rig.clock.advance(std::chrono::hours(3));
  CHECK(rig.append());
  rig.clock.advance(std::chrono::minutes(59));
  rig.clock.step_wall(std::chrono::hours(24));
  CHECK(rig.append());
  CHECK(rig.files().size() == 1);
  rig.clock.advance(std::chrono::minutes(1));
  CHECK(rig.append());
  CHECK(rig.files().size() == 2);
  rig.judge();
}

TEST_CASE("the_age_of_a_file_that_was_there_at_the_start_is_that_of_its_first_line") {
  LogRig rig({.age_max = std::chrono::hours(1)});
  rig.write(rig.path, "2023-11-14T21:30:00.000000Z [INFO] 43 minutes ago\n");
  REQUIRE(rig.complete());
  rig.clock.advance(std::chrono::minutes(15));
  CHECK(rig.append());
  CHECK(rig.files().size() == 1);
  rig.clock.advance(std::chrono::minutes(2));
  CHECK(rig.append());
  CHECK(rig.files().size() == 2);
}

TEST_CASE("only_names_that_a_rotation_gives_are_those_of_rotated_files") {
  const auto n_of = [](std::string_view name) {
    const auto rotated = parse_rotated_name("server.log", name);
    return rotated ? static_cast<int>(rotated->n) : -1;
  };
  CHECK(n_of("server.log.20231114_221320") == 0);
  CHECK(n_of("server.log.20231114_221320.1") == 1);
  for (const char* name :
       {"server.log", "server.log.", "server.log.20231114_221320.", "server.log.20231114_221320.0",
        "server.log.20231114_221320.01", "server.log.20231114_221320.1x",
        "server.log.20231114_221320.+1", "server.log.20231114_22132", "server.log.2023111a_221320",
        "server.log.20231114-221320", "xserver.log.20231114_221320"}) {
    CAPTURE(name);
    CHECK(n_of(name) == -1);
  }
}

TEST_CASE("a_name_that_something_else_has_is_passed_over") {
  LogRig rig({.bytes_max = 10});
  rig.disk.make_odd("/logs/server.log.20231114_221320", FileType::symlink);
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.append());
  CHECK(rig.content("/logs/server.log.20231114_221320.1") == "line 0 \n");
}

TEST_CASE("on_a_file_system_that_renames_only_over_others_a_link_gives_the_name") {
  LogRig rig({.bytes_max = 10});
  REQUIRE(rig.complete());
  CHECK(rig.append());
  rig.disk.fail({.op = Op::rename, .code = EINVAL, .path_has = "server.log."});
  CHECK(rig.append());
  CHECK(rig.files() == Names{"server.log", "server.log.20231114_221320"});
  rig.judge();
}

TEST_CASE("where_no_new_file_can_be_made_the_old_one_gets_its_name_back") {
  LogRig rig({.bytes_max = 10});
  REQUIRE(rig.complete());
  CHECK(rig.append());
  rig.disk.fail({.op = Op::open, .code = EMFILE, .path_has = "server.log"});
  CHECK(rig.append());
  CHECK(rig.files() == Names{"server.log"});
  CHECK(rig.content() == "line 0 \nline 1 \n");
}

TEST_CASE("a_rotation_that_fails_is_tried_again_and_the_lines_go_on_into_the_old_file") {
  LogRig rig({.bytes_max = 10});
  REQUIRE(rig.complete());
  CHECK(rig.append());
  rig.disk.fail({.op = Op::rename, .times = 3, .code = EACCES, .path_has = "server.log."});
  CHECK(rig.append());
  CHECK(rig.files() == Names{"server.log"});
  CHECK(rig.append());  // not tried again at once
  rig.disk.clear_faults();
  rig.clock.advance(std::chrono::seconds(2));
  CHECK(rig.append());
  CHECK(rig.files().size() == 2);
  rig.judge();
}

TEST_CASE("d2_a_new_file_whose_entry_may_not_be_durable_and_that_cannot_be_removed_is_made_again") {
  LogRig rig({.bytes_max = 10});
  REQUIRE(rig.complete());
  CHECK(rig.append());
  rig.disk.fail({.op = Op::sync_directory, .after = 1, .code = EIO});
  rig.disk.fail({.op = Op::unlink, .code = EIO, .path_has = "/logs/server.log"});
  CHECK(rig.append());
  CHECK(rig.content().empty());
  rig.clock.advance(std::chrono::seconds(2));
  CHECK(rig.append());
  CHECK(rig.content() == "line 2 \n");
  CHECK(rig.switch_segment());
  rig.disk.restart(1);
  rig.judge();
}

// ---- faults -------------------------------------------------------------------------------------

TEST_CASE("d15_of_lines_that_find_no_room_nothing_is_in_the_file_and_the_error_says_what_to_do") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  const std::uint64_t first = rig.next;
  const std::string text = rig.record(900);
  rig.disk.fail({.op = Op::write, .code = 0, .bytes = 500, .path_has = "server.log"});
  rig.disk.fail({.op = Op::write, .after = 1, .code = ENOSPC, .path_has = "server.log"});
  const Status status = rig.log_file->append(first, text);
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::transient);
  CHECK(status.error().code == ENOSPC);
  for (const char* part : {"/logs/server.log", "No space left", "free some space"}) {
    CHECK(status.error().message.find(part) != std::string::npos);
  }
  CHECK(rig.content() == "line 0 \n");
  CHECK(rig.log_file->append(first, text));
  rig.judge();
}

TEST_CASE("d2_after_a_failed_sync_what_the_disk_has_not_is_written_again") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.append(600));
  rig.disk.fail({.op = Op::sync, .code = EIO, .path_has = "server.log"});
  CHECK_FALSE(rig.switch_segment());
  CHECK(rig.log_file->complete_due());
  CHECK_FALSE(rig.append());
  REQUIRE(rig.complete());
  CHECK(rig.switch_segment());
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    rig.disk.restart(seed);
    rig.judge();
  }
}

TEST_CASE("d15_a_log_file_that_is_none_is_refused_by_name") {
  for (const FileType type : {FileType::symlink, FileType::other}) {
    LogRig rig;
    rig.disk.make_odd(rig.path, type);
    const Status status = rig.complete();
    REQUIRE_FALSE(status);
    CHECK(status.error().message.find("must be a regular file") != std::string::npos);
  }
}

// ---- a real disk --------------------------------------------------------------------------------

TEST_CASE("on_a_real_disk_it_rotates_follows_a_rename_and_completes") {
  log::set_level(log::Level::error);
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  const ManualClock clock;
  const Path log = scratch.path() / "logs" / "server.log";
  StreamDirectory::Options options;
  options.stream = Stream::logs;
  options.directory = scratch.path() / "spool";
  options.quarantine = scratch.path() / "quarantine";
  REQUIRE(filesystem.create_directories(options.directory));
  StreamDirectory stream(filesystem, clock, options);
  const auto content_of = [](const Path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const LogFile::SpooledLines spooled = [](std::uint64_t from, const LogFile::TakeLines& take) {
    CHECK(from == 1);
    Status status = take(1, "one\n");
    status = status ? take(2, "two\n") : status;
    return status ? take(3, "three\n") : status;
  };
  {
    LogFile first(stream, {.path = log, .bytes_max = 6});
    REQUIRE(first.complete(0, [](auto, const auto&) { return Status(); }));
    CHECK(first.append(0, "zero\n"));
    CHECK(first.append(1, "one\n"));
    CHECK(content_of(scratch.path() / "logs" / "server.log.20231114_221320") == "zero\n");
    std::filesystem::rename(log, log.string() + ".1");
  }
  LogFile second(stream, {.path = log});
  REQUIRE(second.complete(4, spooled));
  CHECK(content_of(log.string() + ".1") == "one\ntwo\nthree\n");
  CHECK(second.append(4, "four\n"));
  CHECK(second.reopen());
  CHECK(second.append(5, "five\n"));
  CHECK(content_of(log) == "four\nfive\n");
  std::filesystem::rename(log, log.string() + ".2");
  CHECK(second.reopen());
  CHECK(second.append(6, "six\n"));
  CHECK(content_of(log) == "six\n");
  CHECK(content_of(log.string() + ".2") == "four\nfive\n");
}

}  // namespace
}  // namespace sluice

// What others do to the log file, while we run or between two processes: how it is found again.
#include <doctest/doctest.h>

#include <random>

#include "log_rig.h"

namespace sluice {
namespace {

using Op = FaultFilesystem::Op;
using Names = std::vector<std::string>;

const Path kNote = "/spool/logs/LOGFILE";

// ---- others that rotate, truncate and write -----------------------------------------------------

TEST_CASE("on_sighup_it_goes_on_in_a_new_file_only_where_the_old_one_was_moved") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.log_file->reopen());
  CHECK(rig.append());
  CHECK(rig.files() == Names{"server.log"});

  REQUIRE(rig.disk.rename(rig.path, "/logs/server.log.1"));
  CHECK(rig.append());  // until SIGHUP into the old one
  CHECK(rig.files() == Names{"server.log.1"});
  CHECK(rig.log_file->reopen());
  CHECK(rig.append());
  CHECK(rig.content() == "line 3 \n");

  REQUIRE(rig.disk.rename(rig.path, "/logs/server.log.2"));
  rig.write(rig.path, "");  // logrotate's "create"
  CHECK(rig.log_file->reopen());
  CHECK(rig.append());
  CHECK(rig.content() == "line 4 \n");
  rig.judge();
}

TEST_CASE("a_file_that_cannot_be_opened_anew_is_tried_again_and_the_old_one_goes_on") {
  LogRig rig;
  REQUIRE(rig.complete());
  REQUIRE(rig.disk.rename(rig.path, "/logs/server.log.1"));
  rig.disk.fail({.op = Op::open, .times = 9, .code = EMFILE, .path_has = "server.log"});
  const Status status = rig.log_file->reopen();
  REQUIRE_FALSE(status);
  CHECK(status.error().message.find("/logs/server.log") != std::string::npos);
  CHECK(rig.append());
  CHECK(rig.files() == Names{"server.log.1"});
  rig.disk.clear_faults();
  rig.clock.advance(std::chrono::seconds(2));
  CHECK(rig.append());
  CHECK(rig.content() == "line 1 \n");
  rig.judge();
}

TEST_CASE("p2_died_between_logrotates_rename_and_sighup_it_completes_the_renamed_file") {
  for (const bool created : {false, true}) {
    CAPTURE(created);
    LogRig rig;
    REQUIRE(rig.complete());
    CHECK(rig.append());
    REQUIRE(rig.disk.rename(rig.path, "/logs/server.log.1"));
    if (created) {
      rig.write(rig.path, "");
    }
    CHECK(rig.append());
    (void)rig.record();
    rig.start();
    REQUIRE(rig.complete());
    CHECK(rig.content("/logs/server.log.1") == "line 0 \nline 1 \nline 2 \n");
    CHECK(rig.append());
    CHECK(rig.content() == "line 3 \n");
  }
}

TEST_CASE("p2_of_a_file_that_is_gone_the_lines_in_the_spool_are_written_once_to_a_new_one") {
  for (std::uint64_t calls = 1;; ++calls) {
    CAPTURE(calls);
    LogRig rig;
    REQUIRE(rig.complete());
    for (int i = 0; i < 3; ++i) {
      CHECK(rig.append(600));
    }
    REQUIRE(rig.disk.unlink(rig.path));
    rig.disk.power_off_after(calls);
    rig.start();
    const bool alive = rig.complete().ok();
    rig.disk.resume();
    rig.start();
    REQUIRE(rig.complete());
    rig.judge();
    if (alive) {
      CHECK(calls > 20);
      break;
    }
  }
}

TEST_CASE("a_file_cut_short_while_it_is_written_goes_on_at_its_end") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.append());
  // logrotate's "copytruncate"
  rig.write("/logs/server.log.1", rig.content());
  REQUIRE((*rig.disk.open(rig.path, OpenMode::read_write))->truncate(0));
  CHECK(rig.append());
  (void)rig.record();
  CHECK(rig.content() == "line 2 \n");
  rig.start();
  REQUIRE(rig.complete());
  CHECK(rig.content() == "line 2 \nline 3 \n");
  rig.judge();
}

TEST_CASE("of_a_file_cut_short_before_a_start_the_copy_is_completed") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.switch_segment());
  CHECK(rig.append());
  rig.write("/logs/server.log.1", rig.content());
  REQUIRE((*rig.disk.open(rig.path, OpenMode::read_write))->truncate(0));
  (void)rig.record();
  rig.start();
  REQUIRE(rig.complete());
  CHECK(rig.content("/logs/server.log.1") == "line 0 \nline 1 \nline 2 \n");
  CHECK(rig.append());
  rig.judge();
}

TEST_CASE("of_a_file_cut_short_without_a_copy_the_lines_in_the_spool_are_written_at_its_end") {
  // Also where the other one is larger than ours was, and has its inode number.
  for (const std::string& text :
       {std::string(), std::string("other"), std::string(400, 'o') + '\n'}) {
    CAPTURE(text);
    LogRig rig;
    REQUIRE(rig.complete());
    CHECK(rig.append(100));
    CHECK(rig.switch_segment());
    CHECK(rig.append());
    REQUIRE((*rig.disk.open(rig.path, OpenMode::read_write))->truncate(0));
    rig.write(rig.path, text);
    rig.start();
    REQUIRE(rig.complete());
    CHECK(rig.content() == text + (text == "other" ? "\n" : "") + "line 1 \n");
  }
}

TEST_CASE("a_log_that_was_moved_to_another_disk_is_known_by_its_last_bytes") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.switch_segment());
  CHECK(rig.append());
  (void)rig.record();
  rig.log_file.reset();
  rig.disk.load(*rig.disk.save());  // other inode numbers
  rig.start();
  REQUIRE(rig.complete());
  rig.judge();
}

TEST_CASE("of_two_files_with_its_last_bytes_the_one_at_its_path_is_the_log") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.switch_segment());
  rig.write("/logs/server.log.bak", rig.content());
  (void)rig.record();
  rig.log_file.reset();
  rig.disk.load(*rig.disk.save());
  rig.start();
  REQUIRE(rig.complete());
  CHECK(rig.content() == "line 0 \nline 1 \n");
  CHECK(rig.content("/logs/server.log.bak") == "line 0 \n");
}

TEST_CASE("a_file_with_the_inode_number_of_the_log_and_other_last_bytes_is_not_the_log") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.switch_segment());
  REQUIRE(rig.disk.rename(rig.path, "/logs/server.log.9"));
  REQUIRE((*rig.disk.open("/logs/server.log.9", OpenMode::read_write))->truncate(0));
  const std::string other = "another file, and longer than the log was\n";
  rig.write("/logs/server.log.9", other);
  (void)rig.record();
  rig.start();
  REQUIRE(rig.complete());
  CHECK(rig.content() == "line 1 \n");
  CHECK(rig.content("/logs/server.log.9") == other);
}

TEST_CASE("with_another_log_filename_the_old_file_is_completed_first") {
  LogRig rig;
  REQUIRE(rig.complete());
  CHECK(rig.append());
  (void)rig.record();
  rig.options.path = "/elsewhere/new.log";
  rig.start();
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.content() == "line 0 \nline 1 \n");
  CHECK(rig.content("/elsewhere/new.log") == "line 2 \n");
}

TEST_CASE("p2_text_of_others_stays_wherever_it_comes_between_ours") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    LogRig rig;
    std::string others;
    for (int process = 0; process < 4; ++process) {
      rig.disk.power_off_after(random() % 2 == 0 ? 1 + random() % 60 : 1000);
      rig.start();
      if (rig.complete()) {
        for (int i = 0; i < 12 && !rig.disk.powered_off(); ++i) {
          if (random() % 4 == 0) {
            const std::string text = "other " + std::to_string(random() % 100) + '\n';
            auto file = rig.disk.open(rig.path, OpenMode::read_write);
            if (file && write_all(**file, as_bytes(text), (*file)->info()->bytes)) {
              others += text;
            }
          }
          (void)rig.append(random() % 200);  // where that fails the spool has it
          if (random() % 3 == 0) {
            (void)rig.switch_segment().ok();
          }
        }
      }
      rig.disk.resume();
    }
    rig.start();
    REQUIRE(rig.complete());
    rig.judge();
    std::string found;
    const std::string content = rig.content();
    for (std::size_t at = 0; at < content.size();) {
      const std::size_t end = content.find('\n', at) + 1;
      found += content.compare(at, 5, "other") == 0 ? content.substr(at, end - at) : "";
      at = end;
    }
    CHECK(found == others);
  }
}

TEST_CASE("p3_text_of_others_that_was_not_synced_costs_no_line_when_the_power_goes") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    LogRig rig;
    const std::string other(300 + random() % 1500, 'o');
    if (round % 2 == 0) {
      rig.write(rig.path, other);
      REQUIRE(rig.complete());
    } else {
      REQUIRE(rig.complete());
      rig.write(rig.path, other);
      (void)rig.record(random() % 600);  // it dies before the append
    }
    for (int i = 0; i < 3; ++i) {
      round % 2 == 0 ? (void)rig.append(random() % 600) : (void)rig.record(random() % 600);
    }
    rig.start();
    rig.disk.power_off_after(1 + random() % 40);
    (void)rig.complete().ok();
    rig.disk.restart(random());
    rig.start();
    REQUIRE(rig.complete());
    rig.judge();
  }
}

// ---- the note -----------------------------------------------------------------------------------

TEST_CASE("a_position_is_read_as_it_was_written_also_from_one_copy") {
  LogPosition position;
  position.sequence = (7ULL << 32U) + 3;
  position.offset = 1ULL << 40U;
  position.inode = ~0ULL;
  position.tail = {.bytes = 4096, .crc32c = 0xFFFFFFFF};
  position.path = "/logs/with\nfeed and \xFF.log";
  const std::string encoded = encode_log_position(position);
  for (const std::size_t byte : {std::size_t{50}, encoded.size() / 2 + 50, encoded.size()}) {
    std::string content = encoded;
    if (byte < content.size()) {
      content[byte] ^= 1;
    }
    const auto decoded = decode_log_position(content);
    REQUIRE(decoded);
    CHECK(*decoded == position);
  }
  CHECK_FALSE(decode_log_position(""));
  CHECK_FALSE(decode_log_position(encoded.substr(0, 60)));
}

TEST_CASE(
    "d7_a_note_with_a_bad_copy_is_good_and_with_two_lines_come_twice_rather_than_not_at_all") {
  LogRig rig;
  REQUIRE(rig.complete());
  (void)rig.record();
  rig.disk.flip_bit(kNote, 400);
  rig.start();
  REQUIRE(rig.complete());
  CHECK(rig.content() == "line 0 \n");
  rig.disk.flip_bit(kNote, 400);
  rig.disk.flip_bit(kNote, 4096ULL * 8 + 400);
  (void)rig.record();
  rig.start();
  REQUIRE(rig.complete());
  CHECK(rig.append());
  CHECK(rig.content() == "line 0 \nline 0 \nline 1 \nline 2 \n");
}

TEST_CASE("a_note_that_cannot_be_read_now_is_no_first_start") {
  LogRig rig;
  REQUIRE(rig.complete());
  (void)rig.record();
  rig.disk.fail({.op = Op::read, .times = 2, .code = EIO, .path_has = "LOGFILE"});
  rig.start();
  const Status status = rig.complete();
  REQUIRE_FALSE(status);
  CHECK(status.error().code == EIO);
  CHECK(rig.log_file->complete_due());
  REQUIRE(rig.complete());
  rig.judge();
}

}  // namespace
}  // namespace sluice

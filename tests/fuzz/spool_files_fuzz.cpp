// Any bytes as the files beside a segment: side seal, list of rejects, ledger, FORMAT; as they are,
// and as the content of a file whose checksum is right. They are read or refused; what was read is
// the same when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../fakes/fault_filesystem.h"
#include "../test_clock.h"
#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/spool/ledger.h"
#include "common/spool/segment_files.h"
#include "common/spool/spool_format_file.h"
#include "common/spool/twin_file.h"

using namespace sluice;

namespace {

const Path kDirectory = "/spool";
constexpr SegmentId kId{1, 2};

void put(Filesystem& disk, const Path& path, std::string_view content) {
  (void)disk.unlink(path).ok();
  auto file = disk.open(path, OpenMode::create_new);
  CHECK_THAT(file.ok() && write_all(**file, as_bytes(content), 0).ok());
}

bool same(const SegmentSeal& one, const SegmentSeal& other) {
  return one.summary.records == other.summary.records &&
         one.summary.events == other.summary.events && one.summary.end == other.summary.end &&
         one.summary.first_received_at == other.summary.first_received_at &&
         one.summary.digest == other.summary.digest && one.kept.size() == other.kept.size();
}

void read_seal(Filesystem& disk, StreamDirectory& stream, std::string_view content) {
  put(disk, seal_path(kDirectory, kId), content);
  const auto seal = read_side_seal(disk, kDirectory, kId);
  if (seal) {
    CHECK_THAT(seal->has_value());
    CHECK_THAT(write_side_seal(stream, kId, **seal).ok());
    const auto again = read_side_seal(disk, kDirectory, kId);
    CHECK_THAT(again.ok() && again->has_value() && same(**seal, **again));
  }
}

void read_reject_list(Filesystem& disk, StreamDirectory& stream, std::string_view content) {
  put(disk, rejects_path(kDirectory, kId), content);
  const auto list = read_rejects(disk, kDirectory, kId);
  if (list) {
    CHECK_THAT(list->has_value());
    CHECK_THAT(write_rejects(stream, kId, **list).ok());
    const auto again = read_rejects(disk, kDirectory, kId);
    CHECK_THAT(again.ok() && again->has_value() && (*list)->hash() == (*again)->hash());
  }
}

void read_ledger_file(Filesystem& disk, std::string_view content) {
  put(disk, kDirectory / "ledger-1.jsonl", content);
  const Status status = read_ledger(disk, kDirectory, [](const LedgerEntry& entry) {
    const auto again = ledger_entry_from_json(to_json(entry));
    CHECK_THAT(again.ok() && *again == entry);
    return true;
  });
  CHECK_THAT(status.ok());
  (void)highest_segment_in_ledger(disk, kDirectory);
}

void read_format(std::string_view content) {
  const auto format = decode_spool_format(content);
  if (format) {
    const auto again = decode_spool_format(encode_spool_format(*format));
    CHECK_THAT(again.ok() && again->uuid == format->uuid && again->secret == format->secret &&
               again->instance == format->instance);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  FaultFilesystem disk;
  CHECK_THAT(disk.create_directories(kDirectory).ok());
  ManualClock clock;
  StreamDirectory::Options options;
  options.directory = options.quarantine = kDirectory;
  StreamDirectory stream(disk, clock, options);
  read_seal(disk, stream, text);
  read_seal(disk, stream, encode_twin(TwinKind::seal, kId, text));
  read_reject_list(disk, stream, text);
  read_reject_list(disk, stream, encode_twin(TwinKind::rejects, kId, text));
  read_ledger_file(disk, text);
  read_format(text);
  read_format(std::string(text) + '\n' + std::to_string(crc32c(as_bytes(text))) + '\n');
  return 0;
}

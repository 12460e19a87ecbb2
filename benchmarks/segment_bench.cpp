// Segment writing (build a group, checksum it, hand it to the kernel) and CRC32C.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/platform/posix_filesystem.h"
#include "common/spool/segment_writer.h"

namespace {

using namespace sluice;

constexpr std::size_t kEventBytes = 2200;

struct Run {
  explicit Run(std::size_t events) {
    const std::string text(events * kEventBytes, 'x');
    run.push_back(Buffer::copy_of(as_bytes(text), Charge()));
    for (std::size_t i = 0; i < events; ++i) {
      pieces.push_back({static_cast<std::uint32_t>(i * kEventBytes), kEventBytes});
    }
  }
  [[nodiscard]] SegmentWriter::Record record() const {
    SegmentWriter::Record record;
    record.run = run;
    record.run_bytes = static_cast<std::uint32_t>(run.front().size());
    record.pieces = pieces;
    record.events = static_cast<std::uint32_t>(pieces.size());
    return record;
  }
  std::vector<Buffer> run;
  std::vector<Piece> pieces;
};

// Groups of about 4 MiB; the argument is the number of events in a batch.
void segment_group(benchmark::State& state) {
  const Run run(static_cast<std::size_t>(state.range(0)));
  SegmentWriter writer{SegmentHeader()};
  std::uint64_t bytes = 0;
  for (auto step : state) {
    (void)step;
    writer.begin_group();
    while (writer.group_bytes() < 4 * kMiB) {
      writer.add(run.record());
      bytes += run.run.front().size();
    }
    benchmark::DoNotOptimize(writer.parts().data());
    if (writer.has_room_for(1'000'000'000)) {
      writer.group_durable();
    } else {
      writer.discard_group();
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(segment_group)->Arg(1)->Arg(4)->Arg(32)->Arg(110);

// The same through pwritev into a file of at most 64 MiB, without a sync.
void segment_write(benchmark::State& state) {
  const Run run(static_cast<std::size_t>(state.range(0)));
  PosixFilesystem filesystem;
  const Path path = std::filesystem::temp_directory_path() / "sluice-segment-bench";
  auto file = filesystem.open(path, OpenMode::create_or_open);
  CHECK_THAT(file.ok());
  SegmentWriter writer{SegmentHeader()};
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
  for (auto step : state) {
    (void)step;
    writer.begin_group();
    while (writer.group_bytes() < 4 * kMiB) {
      writer.add(run.record());
      bytes += run.run.front().size();
    }
    CHECK_THAT(write_all(**file, writer.parts(), offset).ok());
    offset = (offset + 4 * kMiB) % (64 * kMiB);
    writer.discard_group();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
  CHECK_THAT(filesystem.unlink(path).ok());
}
BENCHMARK(segment_write)->Arg(1)->Arg(32);

void checksum(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto step : state) {
    (void)step;
    benchmark::DoNotOptimize(crc32c(as_bytes(text)));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum)->Arg(96)->Arg(2200)->Arg(64 << 10)->Arg(4 << 20);

}  // namespace

BENCHMARK_MAIN();

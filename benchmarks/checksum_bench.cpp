// What the checksums of an upload cost: bytes of a part through each of them.
#include <benchmark/benchmark.h>

#include <string>

#include "common/s3/object_checksum.h"

namespace {

using namespace sluice;

// A part of 16 MiB in blocks of 4 MiB, as Upload has it.
ObjectBody part() {
  ObjectBody body;
  for (int block = 0; block < 4; ++block) {
    const auto owner = std::make_shared<std::string>(4 * kMiB, static_cast<char>('a' + block));
    body.append(std::as_bytes(std::span(*owner)), owner);
  }
  return body;
}

template <class Checksum>
void measure(benchmark::State& state, const Checksum& checksum) {
  const ObjectBody body = part();
  for (auto step : state) {
    (void)step;
    benchmark::DoNotOptimize(checksum(body));
  }
  state.SetBytesProcessed(
      static_cast<std::int64_t>(state.iterations() * static_cast<std::int64_t>(body.size())));
}

void checksum_crc32c(benchmark::State& state) { measure(state, crc32c_of); }
void checksum_sha256(benchmark::State& state) { measure(state, sha256_of); }
void checksum_md5(benchmark::State& state) { measure(state, md5_of); }

BENCHMARK(checksum_crc32c)->Unit(benchmark::kMillisecond);
BENCHMARK(checksum_sha256)->Unit(benchmark::kMillisecond);
BENCHMARK(checksum_md5)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();

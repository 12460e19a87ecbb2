// Micro benchmarks of the XML path on the vendor's sample event: framer, parser with and without
// tokens, JSON from the tape, compression.
#include <benchmark/benchmark.h>

#include <fstream>
#include <iterator>
#include <string>

#include "common/base/buffer.h"
#include "common/compress/compressor.h"
#include "common/xml/xml_framer.h"
#include "common/xml/xml_parser.h"
#include "common/xml/xml_to_json.h"

namespace sluice {
namespace {

constexpr int kEvents = 1000;

const std::string& stream() {
  static const std::string text = [] {
    std::ifstream file(SLUICE_TEST_DATA "/acm-event.xml", std::ios::binary);
    const std::string event((std::istreambuf_iterator<char>(file)), {});
    std::string all;
    for (int i = 0; i < kEvents; ++i) {
      all += event;
    }
    return all;
  }();
  return text;
}

std::vector<Cut> cuts() {
  XmlFramer framer({});
  std::vector<Cut> found;
  framer.scan(as_bytes(stream()), found);
  return found;
}

void report(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
  state.counters["events"] =
      benchmark::Counter(kEvents, benchmark::Counter::kIsIterationInvariantRate);
}

// What Validate leaves.
struct Parsed {
  std::string source;
  EventTape tape;
};

Parsed parse_all(bool tokens, XmlParser& parser) {
  Parsed parsed{stream() + ' ', {}};
  parser.begin_tape();
  for (const Cut& cut : cuts()) {
    (void)parser.parse(
        parsed.source,
        {static_cast<std::uint32_t>(cut.begin), static_cast<std::uint32_t>(cut.length), tokens},
        parsed.tape);
  }
  return parsed;
}

void frame(benchmark::State& state) {
  const auto chunk_bytes = static_cast<std::size_t>(state.range(0));
  std::vector<Cut> found;
  for (auto _ : state) {
    XmlFramer framer({});
    found.clear();
    for (std::size_t at = 0; at < stream().size(); at += chunk_bytes) {
      framer.scan(as_bytes(std::string_view(stream()).substr(at, chunk_bytes)), found);
    }
    if (found.size() != kEvents) {
      state.SkipWithError("wrong number of events");
    }
  }
  report(state, stream().size());
}
BENCHMARK(frame)->Arg(256)->Arg(1460)->Arg(128L * 1024);

void parse(benchmark::State& state) {
  const bool tokens = state.range(0) != 0;
  std::string source = stream() + ' ';
  const std::vector<Cut> found = cuts();
  XmlParser parser;
  std::size_t tape_bytes = 0;
  for (auto _ : state) {
    EventTape tape;
    parser.begin_tape();
    for (const Cut& cut : found) {
      benchmark::DoNotOptimize(parser.parse(
          source,
          {static_cast<std::uint32_t>(cut.begin), static_cast<std::uint32_t>(cut.length), tokens},
          tape));
    }
    if (tape.size() != kEvents) {
      state.SkipWithError("wrong number of events");
    }
    tape_bytes = tape.memory_bytes();
  }
  report(state, stream().size());
  state.counters["tape"] = static_cast<double>(tape_bytes) / static_cast<double>(source.size());
}
BENCHMARK(parse)->Arg(0)->Arg(1);

void to_json(benchmark::State& state) {
  XmlParser parser;
  const Parsed parsed = parse_all(true, parser);
  XmlToJson converter;
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (std::size_t event = 0; event < parsed.tape.size(); ++event) {
      converter.append(parsed.tape, event, parsed.source, {state.range(0) != 0, 1}, out);
    }
  }
  report(state, stream().size());
}
BENCHMARK(to_json)->Arg(0)->Arg(1);

void compress_events(benchmark::State& state) {
  const auto compression = static_cast<Compression>(state.range(0));
  Compressor compressor(compression, static_cast<int>(state.range(1)));
  std::size_t bytes = 0;
  for (auto _ : state) {
    ByteChain out;
    compressor.append(as_bytes(stream()), out);
    compressor.finish(out);
    bytes = out.size();
  }
  report(state, stream().size());
  state.counters["ratio"] = static_cast<double>(stream().size()) / static_cast<double>(bytes);
}
BENCHMARK(compress_events)
    ->Args({static_cast<int>(Compression::gzip), 1})
    ->Args({static_cast<int>(Compression::gzip), 3})
    ->Args({static_cast<int>(Compression::zstd), 3});

}  // namespace
}  // namespace sluice

BENCHMARK_MAIN();

// Micro benchmarks of the logs protocol: framing, judging and rendering lines of about 200 bytes
// (0) and of about 2 KB (1); and what other JSON parsers take for the same verdict
// (docs/decisions/log-line-parser.md).
#include <benchmark/benchmark.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#ifdef SLUICE_SIMDJSON
#include <simdjson.h>
#endif

#include "common/base/buffer.h"
#include "common/ndjson/line_framer.h"
#include "common/ndjson/line_renderer.h"
#include "common/ndjson/log_line.h"

namespace sluice {
namespace {

constexpr int kLines = 1000;

std::string short_line(int number) {
  return R"({"timestamp": "2026-11-21T09:14:07.)" + std::to_string(100000 + number) +
         R"(Z", "level": "INFO", "message": "GET /api/v1/doors/17/events returned 200 in )" +
         std::to_string(number % 97) +
         R"( ms", "service": "door-controller", "host": "ctl-04", "pid": 2117, "latency_ms": 3.25})" +
         "\n";
}

std::string long_line(int number) {
  std::string line = R"({"timestamp": "2026-11-21T09:14:07.123Z", "level": "ERROR", "message": ")";
  for (int frame = 0; frame < 10; ++frame) {
    line += R"(Traceback: File \"/srv/app/doors/controller.py\", line )" +
            std::to_string(number + frame) + R"(, in handle_event\n    raise TimeoutError\n)";
  }
  line += R"(", "context": {"tenant": "Stra\u00dfenbahn", "city": "Z)"
          "\xC3\xBC"
          R"(rich", "doors": [)";
  for (int door = 0; door < 12; ++door) {
    line += R"({"id": )" + std::to_string(1000 + door) + R"(, "open": false, "name": "Door )" +
            std::to_string(door) + R"("}, )";
  }
  return line + "null]}, \"pid\": 2117, \"load\": [0.25, 0.5, 1e-3]}\n";
}

const std::string& stream(bool of_long_lines) {
  static const auto make = [](auto line) {
    std::string all;
    for (int i = 0; i < kLines; ++i) {
      all += line(i);
    }
    all.reserve(all.size() + 64);  // simdjson reads past the end
    return all;
  };
  static const std::string short_lines = make(short_line);
  static const std::string long_lines = make(long_line);
  return of_long_lines ? long_lines : short_lines;
}

std::vector<std::string_view> lines_of(const std::string& text) {
  LineFramer framer(kMiB);
  std::vector<Cut> cuts;
  framer.scan(as_bytes(text), cuts);
  std::vector<std::string_view> lines;
  lines.reserve(cuts.size());
  for (const Cut& cut : cuts) {
    lines.push_back(std::string_view(text).substr(cut.begin, cut.length));
  }
  return lines;
}

// `judge` says whether level and message are there.
template <class Judge>
void each_line(benchmark::State& state, Judge judge) {
  const std::string& text = stream(state.range(0) != 0);
  const auto lines = lines_of(text);
  for (auto _ : state) {
    int good = 0;
    for (const std::string_view line : lines) {
      good += judge(line) ? 1 : 0;
    }
    if (good != kLines) {
      state.SkipWithError("a line was refused");
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
  state.counters["lines"] =
      benchmark::Counter(kLines, benchmark::Counter::kIsIterationInvariantRate);
}

void frame_lines(benchmark::State& state) {
  const std::string& text = stream(state.range(0) != 0);
  std::vector<Cut> cuts;
  for (auto _ : state) {
    LineFramer framer(kMiB);
    cuts.clear();
    framer.scan(as_bytes(text), cuts);
    benchmark::DoNotOptimize(cuts.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
}
BENCHMARK(frame_lines)->Arg(0)->Arg(1);

void check(benchmark::State& state) {
  each_line(state, [](std::string_view line) {
    return check_log_line(line, LogLevel::info) == LogVerdict::received;
  });
}
BENCHMARK(check)->Arg(0)->Arg(1);

void render_log_file(benchmark::State& state) {
  LineRenderer renderer;
  std::string out;
  each_line(state, [&](std::string_view line) {
    out.clear();
    return renderer.append_log_file_line(line, wall_time_of(1'795'252'447), out);
  });
}
BENCHMARK(render_log_file)->Arg(0)->Arg(1);

void render_jsonl(benchmark::State& state) {
  LineRenderer renderer;
  std::string out;
  const PeerAddress peer = *parse_peer_address("192.0.2.1:5000");
  each_line(state, [&](std::string_view line) {
    out.clear();
    return renderer.append_jsonl(line, {wall_time_of(1'795'252'447), peer, {}}, out);
  });
}
BENCHMARK(render_jsonl)->Arg(0)->Arg(1);

// Counts the two keys at the outermost level.
struct Keys : nlohmann::json_sax<nlohmann::json> {
  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool start_object(std::size_t /*elements*/) override { return ++depth < 64; }
  bool key(string_t& value) override {
    found += depth == 1 && (value == "level" || value == "message") ? 1 : 0;
    return true;
  }
  bool end_object() override {
    --depth;
    return true;
  }
  bool start_array(std::size_t /*elements*/) override { return ++depth < 64; }
  bool end_array() override {
    --depth;
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*fault*/) override {
    return false;
  }
  int depth = 0;
  int found = 0;
};

void nlohmann_sax(benchmark::State& state) {
  each_line(state, [](std::string_view line) {
    Keys keys;
    return nlohmann::json::sax_parse(line.begin(), line.end(), &keys) && keys.found == 2;
  });
}
BENCHMARK(nlohmann_sax)->Arg(0)->Arg(1);

#ifdef SLUICE_SIMDJSON
// Given every advantage: the bytes behind a line are readable, numbers are not looked at.
void simdjson_dom(benchmark::State& state) {
  simdjson::dom::parser parser;
  each_line(state, [&](std::string_view line) {
    simdjson::dom::element root;
    return parser.parse(line.data(), line.size(), false).get(root) == simdjson::SUCCESS &&
           root["level"].error() == simdjson::SUCCESS &&
           root["message"].error() == simdjson::SUCCESS;
  });
}
BENCHMARK(simdjson_dom)->Arg(0)->Arg(1);

bool walk(simdjson::ondemand::value value, int depth, int& found) {
  using simdjson::ondemand::json_type;
  if (depth > 64) {
    return false;
  }
  switch (value.type()) {
    case json_type::object:
      for (auto field : value.get_object()) {
        std::string_view key;
        if (field.unescaped_key().get(key) != simdjson::SUCCESS) {
          return false;
        }
        found += depth == 1 && (key == "level" || key == "message") ? 1 : 0;
        if (!walk(field.value(), depth + 1, found)) {
          return false;
        }
      }
      return true;
    case json_type::array:
      for (auto element : value.get_array()) {
        if (!walk(element.value(), depth + 1, found)) {
          return false;
        }
      }
      return true;
    case json_type::string:
      return value.get_string().error() == simdjson::SUCCESS;
    case json_type::number:
      return !value.raw_json_token().empty();
    case json_type::boolean:
      return value.get_bool().error() == simdjson::SUCCESS;
    default:
      return value.is_null();
  }
}

void simdjson_ondemand(benchmark::State& state) {
  simdjson::ondemand::parser parser;
  each_line(state, [&](std::string_view line) {
    simdjson::ondemand::document document;
    simdjson::ondemand::value root;
    int found = 0;
    return parser.iterate(line.data(), line.size(), line.size() + 64).get(document) ==
               simdjson::SUCCESS &&
           document.get_value().get(root) == simdjson::SUCCESS && walk(root, 1, found) &&
           found == 2;
  });
}
BENCHMARK(simdjson_ondemand)->Arg(0)->Arg(1);
#endif

}  // namespace
}  // namespace sluice

BENCHMARK_MAIN();

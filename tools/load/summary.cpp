#include "summary.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <numeric>

namespace sluice::load {
namespace {

std::string_view name_of_pieces(const Options& options) {
  switch (options.protocol) {
    case Protocol::xml:
      break;
    case Protocol::logs:
      return "lines";
    case Protocol::rpc:
      return "requests";
  }
  return options.file.empty() ? "events" : "copies of the file";
}

std::string_view name_of(Protocol protocol) {
  return protocol == Protocol::xml ? "xml" : protocol == Protocol::logs ? "logs" : "rpc";
}

std::uint64_t as_expected(const AnswerTotals& answers) {
  return std::accumulate(answers.as_expected.begin(), answers.as_expected.end(), std::uint64_t{0});
}

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

std::string answers_text(const AnswerTotals& answers) {
  std::string kinds;
  for (std::size_t i = 0; i < kAnswerNames.size(); ++i) {
    if (answers.as_expected.at(i) > 0) {
      kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", answers.as_expected.at(i),
                           kAnswerNames.at(i));
    }
  }
  const LatencyHistogram& latency = answers.latency;
  std::string text = fmt::format(
      "answers: {} as expected{}, {} others, {} missing; "
      "p50 {:.3f} ms, p99 {:.3f} ms, p99.9 {:.3f} ms, max {:.3f} ms\n",
      as_expected(answers), kinds.empty() ? "" : " (" + kinds + ")", answers.others,
      answers.missing, milliseconds(latency.quantile(0.5)), milliseconds(latency.quantile(0.99)),
      milliseconds(latency.quantile(0.999)), milliseconds(latency.longest()));
  if (answers.others > 0) {
    text += fmt::format("the first other one: {}\n", answers.first_other);
  }
  return text;
}

}  // namespace

std::string summary_text(const Options& options, const Load& load) {
  const Totals& totals = load.totals();
  const double seconds = load.elapsed().count();
  const double megabytes = static_cast<double>(totals.bytes) / 1e6;
  const std::string_view pieces = name_of_pieces(options);
  std::string text =
      fmt::format("sent {} {}, {:.1f} MB in {:.2f} s: ", totals.events, pieces, megabytes, seconds);
  if (options.file.empty()) {
    text += fmt::format("{:.0f} {}/s, ", static_cast<double>(totals.events) / seconds, pieces);
  }
  text +=
      fmt::format("{:.1f} MB/s; connections: {} closed by FIN, {} by RST, {} failed\n",
                  megabytes / seconds, totals.closed_by_fin, totals.closed_by_reset, totals.failed);
  if (options.protocol != Protocol::xml) {
    text += answers_text(load.answers());
  }
  return text;
}

std::string summary_json(const Options& options, const Load& load) {
  const Totals& totals = load.totals();
  const double seconds = load.elapsed().count();
  nlohmann::ordered_json json{{"protocol", name_of(options.protocol)},
                              {"sent", totals.events},
                              {"bytes", totals.bytes},
                              {"seconds", seconds},
                              {"per_second", static_cast<double>(totals.events) / seconds},
                              {"connections",
                               {{"fin", totals.closed_by_fin},
                                {"rst", totals.closed_by_reset},
                                {"failed", totals.failed}}}};
  if (options.protocol != Protocol::xml) {
    const AnswerTotals& answers = load.answers();
    nlohmann::ordered_json kinds = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < kAnswerNames.size(); ++i) {
      if (answers.as_expected.at(i) > 0) {
        kinds[std::string(kAnswerNames.at(i))] = answers.as_expected.at(i);
      }
    }
    json["answers"] = {{"as_expected", as_expected(answers)},
                       {"others", answers.others},
                       {"missing", answers.missing},
                       {"by_kind", kinds}};
    if (answers.others > 0) {
      json["answers"]["first_other"] = answers.first_other;
    }
    const LatencyHistogram& latency = answers.latency;
    json["latency_ms"] = {{"p50", milliseconds(latency.quantile(0.5))},
                          {"p99", milliseconds(latency.quantile(0.99))},
                          {"p99.9", milliseconds(latency.quantile(0.999))},
                          {"max", milliseconds(latency.longest())}};
  }
  // What the server answered may be no UTF-8.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::load

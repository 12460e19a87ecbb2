#include "common/log/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "common/log/line_limiter.h"
#include "common/log/log_format.h"

namespace sluice::log {

namespace {

std::atomic<Level> least_level{Level::info};
std::atomic<Format> line_format{Format::text};

// Never destroyed: threads may log while statics die.
spdlog::logger& logger() {
  static spdlog::logger& instance = *[] {
    auto made = std::make_unique<spdlog::logger>("sluice",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    return made.release();
  }();
  return instance;
}

bool wanted(Level level) { return level >= least_level.load(std::memory_order_relaxed); }

LineLimiter& limiter() {
  static LineLimiter& instance = *new LineLimiter(std::chrono::seconds(1));
  return instance;
}

void write_line(Level level, std::string_view event, std::span<const Field> fields) {
  const WallTime now = std::chrono::system_clock::now();
  const std::string line = line_format.load(std::memory_order_relaxed) == Format::text
                               ? format_text(now, level, event, fields)
                               : format_json(now, level, event, fields);
  logger().log(spdlog::level::critical, spdlog::string_view_t(line));
}

}  // namespace

void write(Level level, std::string_view event, Fields fields) {
  if (wanted(level)) {
    write_line(level, event, {fields.begin(), fields.size()});
  }
}

void limited(Level level, std::string_view event, Fields fields) {
  if (!wanted(level)) {
    return;
  }
  const auto suppressed = limiter().pass(event, std::chrono::steady_clock::now());
  if (!suppressed) {
    return;
  }
  if (*suppressed == 0) {
    write_line(level, event, {fields.begin(), fields.size()});
    return;
  }
  std::vector<Field> with_count(fields);
  with_count.emplace_back("suppressed", *suppressed);
  write_line(level, event, with_count);
}

void set_format(Format format) { line_format.store(format); }

void set_level(Level level) { least_level.store(level); }

Result<Level> level_from_string(std::string_view text) {
  for (const Level level : {Level::debug, Level::info, Level::warning, Level::error}) {
    if (text == to_string(level)) {
      return level;
    }
  }
  return fatal("\"" + std::string(text) + "\" is no log level: debug, info, warning or error");
}

}  // namespace sluice::log

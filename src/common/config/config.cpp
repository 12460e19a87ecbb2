#include "common/config/config.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/config/config_file.h"
#include "common/config/config_rules.h"
#include "common/config/near_miss.h"
#include "common/config/settings.h"
#include "common/config/value_text.h"

namespace sluice {

namespace {

constexpr std::uintmax_t kFileBytesMax = kMiB;

struct Given {
  std::string text;
  std::string source;
};

// An empty variable is an unset one (compose files pass them on), except where it is a value.
std::optional<Given> given_for(const Setting& setting,
                               const std::map<std::string, std::string>& environment,
                               const std::map<std::string, std::string, std::less<>>& file_values,
                               const std::string& file_path) {
  const auto* text_field = std::get_if<TextField>(&setting.field);
  const bool empty_counts = text_field != nullptr && text_field->empty_counts;
  for (const std::string_view name : {setting.name, setting.alias}) {
    const auto found = environment.find(std::string(name));
    if (found != environment.end() && (!found->second.empty() || empty_counts)) {
      return Given{found->second,
                   name == setting.name ? "environment" : "environment " + std::string(name)};
    }
  }
  const auto found = file_values.find(setting.name);
  if (found != file_values.end() && (!found->second.empty() || empty_counts)) {
    return Given{found->second, "file " + file_path};
  }
  return std::nullopt;
}

// A line each, whatever bytes of a setting or key they quote.
std::string joined(const std::vector<std::string>& complaints) {
  std::string text;
  for (const std::string& complaint : complaints) {
    text += (text.empty() ? "" : "\n") + quotable_text(complaint);
  }
  return text;
}

}  // namespace

std::string Config::destination() const {
  if (!uses_s3()) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(output_dir, error);
    // "dir" and "dir/" are one place.
    std::string path = (error ? std::filesystem::path(output_dir) : absolute).lexically_normal();
    while (path.size() > 1 && path.back() == '/') {
      path.pop_back();
    }
    return "file://" + path;
  }
  return "s3://" + bucket_name + (aws_endpoint_url.empty() ? "" : "@" + aws_endpoint_url);
}

bool Config::serves(std::string_view protocol) const { return list_has(protocols, protocol); }

std::vector<Stream> Config::streams() const {
  std::vector<Stream> named;
  for (const Stream stream : {Stream::xml, Stream::logs}) {
    if (serves(to_string(stream))) {
      named.push_back(stream);
    }
  }
  return named;
}

std::uint64_t Config::rpc_memory_bytes() const {
  constexpr std::uint64_t kRpcShare = 8;
  if (!serves("rpc")) {
    return 0;
  }
  return streams().empty() ? memory_bytes_max : memory_bytes_max / kRpcShare;
}

std::uint64_t Config::ingest_memory_bytes() const {
  return (memory_bytes_max - rpc_memory_bytes()) / std::max<std::size_t>(1, streams().size()) / 2;
}

std::uint64_t Config::egress_memory_bytes() const {
  return (memory_bytes_max - rpc_memory_bytes()) / std::max<std::size_t>(1, streams().size()) -
         ingest_memory_bytes();
}

ThreadCounts thread_counts(const Config& config, unsigned cores) {
  const auto choose = [](std::uint64_t setting, unsigned by_cores) {
    return setting != 0 ? static_cast<unsigned>(setting) : std::max(1U, by_cores);
  };
  // Validate costs about as much as all the rest together; Receive hardly anything.
  return {choose(config.receive_threads, std::min(cores / 8, 4U)),
          choose(config.frame_threads, std::min(cores / 4, 8U)),
          choose(config.validate_threads, std::min(cores / 2, 32U)),
          choose(config.convert_threads, std::min(cores / 2, 32U))};
}

Result<ConfigSources> read_config_sources(const std::string& path) {
  ConfigSources sources;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      sources.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  if (path.empty()) {
    return sources;
  }
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) {
    return fatal("cannot read the configuration file " + path + ": " + error.message());
  }
  if (bytes > kFileBytesMax) {
    return fatal("the configuration file " + path + " has more than 1 MiB: is it the right one?");
  }
  std::ifstream in(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) {
    return fatal("cannot read the configuration file " + path);
  }
  sources.file = ConfigFile{path, std::move(content)};
  return sources;
}

Result<Config> load_config(const ConfigSources& sources) {
  Config config;
  std::vector<std::string> complaints;
  FileValues file;
  std::string file_path;
  if (sources.file) {
    file_path = sources.file->path;
    file = values_of_file(*sources.file, complaints);
  }
  config.of_listeners = std::move(file.of_listeners);
  for (const Setting& setting : all_settings()) {
    const auto given = given_for(setting, sources.environment, file.of_all, file_path);
    if (given) {
      if (Status status = assign(setting, given->text, config); !status) {
        complaints.push_back(std::string(setting.name) + " (" + given->source + ") " +
                             status.error().message);
      }
    }
    config.settings.push_back(SettingValue{std::string(setting.name), "",
                                           given ? given->source : "default", given.has_value()});
  }
  if (const auto home = sources.environment.find("HOME"); home != sources.environment.end()) {
    config.home = home->second;
  }
  if (complaints.empty()) {
    apply_dependent_defaults(config);
    complaints = config_complaints(config);
  }
  if (!complaints.empty()) {
    return fatal(joined(complaints));
  }
  for (std::size_t i = 0; i < config.settings.size(); ++i) {
    config.settings[i].value = value_of(all_settings()[i], config);
  }
  config.warnings = environment_warnings(sources.environment);
  const auto more = config_warnings(config);
  config.warnings.insert(config.warnings.end(), more.begin(), more.end());
  return config;
}

}  // namespace sluice

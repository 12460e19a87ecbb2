// Any text as configuration: lines NAME=value are the environment; what stands behind a line "file"
// is the JSON file. It is accepted, or refused by lines each of which names a setting or the file,
// and quotes nothing that breaks the line. What was accepted is accepted again as it is printed,
// from the environment and from a file (what holds for one listener: from a file in any case), with
// the same values, and names no secret.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/config/config_report.h"
#include "common/config/settings.h"
#include "common/config/tls_settings.h"

using namespace sluice;

namespace {

constexpr std::string_view kFile = "/the/file.json";

[[noreturn]] void complain(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

ConfigSources sources_of(std::string_view text) {
  ConfigSources sources;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line == "file") {
      sources.file = ConfigFile{std::string(kFile), std::string(text)};
      break;
    }
    // An environment holds no NUL.
    if (const std::size_t equals = line.find('=');
        equals != std::string::npos && line.find('\0') == std::string::npos) {
      sources.environment.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  return sources;
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7F;
}

void check_complaints(std::string_view message) {
  if (message.empty()) {
    complain("refused without a word");
  }
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    const std::string_view line = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    const auto settings = all_settings();
    const bool names_setting =
        std::any_of(settings.begin(), settings.end(), [line](const Setting& setting) {
          return line.find(setting.name) != std::string_view::npos;
        });
    if (!names_setting && line.find(kFile) == std::string_view::npos) {
      complain("names no setting: " + std::string(line));
    }
    if (std::any_of(line.begin(), line.end(), is_control)) {
      complain("a control character in: " + std::string(line));
    }
  }
}

std::string secret_of(const Setting& setting, const Config& config) {
  return config.*std::get<SecretField>(setting.field).member;
}

bool same_values(const std::vector<SettingValue>& one, const std::vector<SettingValue>& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const SettingValue& a, const SettingValue& b) {
                      return a.name == b.name && a.value == b.value &&
                             a.explicitly_set == b.explicitly_set;
                    });
}

// That what is in effect for each listener is what is printed for it, else what is for all.
void check_listeners(const Config& config) {
  const std::map<std::string_view, std::string> of_all{
      {"TLS_CERT", config.tls_cert},
      {"TLS_KEY", config.tls_key},
      {"TLS_CLIENT_CA", config.tls_client_ca},
      {"TLS_CLIENT_NAMES", config.tls_client_names}};
  for (const std::string_view protocol : kProtocols) {
    const TlsSettings tls = config.tls_of(protocol);
    for (const TlsSetting& setting : tls_settings()) {
      const std::string& value = tls.*setting.member;
      const SettingValue* own = config.of_listener(protocol, setting.name);
      if (own != nullptr ? value != own->value
                         : !value.empty() && value != of_all.at(setting.name)) {
        complain("another " + std::string(setting.name) + " holds for " + std::string(protocol) +
                 ":\n" + config_table(config));
      }
    }
    if (config.serves(protocol) && tls.cert.empty() != tls.key.empty()) {
      complain("half a certificate for " + std::string(protocol) + ":\n" + config_table(config));
    }
  }
}

// What was set, as it is printed; secrets, which are not, from where they are.
void check_round_trip(const Config& config, bool by_file) {
  ConfigSources again;
  nlohmann::json file = nlohmann::json::object();
  for (std::size_t i = 0; i < config.settings.size(); ++i) {
    const Setting& setting = all_settings()[i];
    const SettingValue& value = config.settings[i];
    if (!value.explicitly_set) {
      continue;
    }
    if (is_secret(setting)) {
      again.environment[value.name] = secret_of(setting, config);
    } else if (by_file) {
      file[value.name] = value.value;
    } else {
      again.environment[value.name] = value.value;
    }
  }
  for (const SettingValue& value : config.of_listeners) {
    const std::size_t dot = value.name.find('.');
    file[value.name.substr(0, dot)][value.name.substr(dot + 1)] = value.value;
  }
  if (!file.empty()) {
    std::string text;
    try {
      text = file.dump();
    } catch (const nlohmann::json::type_error&) {
      return;  // JSON cannot hold what is no UTF-8, the environment can
    }
    again.file = ConfigFile{std::string(kFile), text};
  }
  const Result<Config> reread = load_config(again);
  if (!reread) {
    complain("as printed it is refused: " + reread.error().message);
  }
  if (!same_values(config.settings, reread->settings) ||
      !same_values(config.of_listeners, reread->of_listeners)) {
    complain("as printed it is another:\n" + config_table(config) + config_table(*reread));
  }
  for (const Setting& setting : all_settings()) {
    if (is_secret(setting) && secret_of(setting, config) != secret_of(setting, *reread)) {
      complain(std::string(setting.name) + " is another");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const ConfigSources sources = sources_of({reinterpret_cast<const char*>(bytes), size});
  const Result<Config> config = load_config(sources);
  if (!config) {
    check_complaints(config.error().message);
    return 0;
  }
  check_listeners(*config);
  check_round_trip(*config, false);
  check_round_trip(*config, true);
  return 0;
}

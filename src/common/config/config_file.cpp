#include "common/config/config_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/config/near_miss.h"
#include "common/config/settings.h"
#include "common/config/tls_settings.h"
#include "common/config/value_text.h"

namespace sluice {

namespace {

const Setting* setting_named(std::string_view name) {
  const auto settings = all_settings();
  const auto found = std::find_if(settings.begin(), settings.end(),
                                  [&](const Setting& one) { return one.name == name; });
  return found == settings.end() ? nullptr : &*found;
}

bool is_protocol(std::string_view key) {
  return std::find(kProtocols.begin(), kProtocols.end(), key) != kProtocols.end();
}

std::string_view nearest_protocol(std::string_view key) {
  constexpr std::size_t kDistanceMax = 2;  // "rcp", "LOG"
  const auto nearest =
      std::find_if(kProtocols.begin(), kProtocols.end(), [&](std::string_view protocol) {
        return edit_distance(lower_case(key), protocol) <= kDistanceMax;
      });
  return nearest == kProtocols.end() ? std::string_view() : *nearest;
}

std::string no_setting(const std::string& key, bool is_object, const std::string& path) {
  std::string_view nearest = is_object ? nearest_protocol(key) : std::string_view();
  nearest = nearest.empty() ? nearest_setting(key) : nearest;
  return key + " in " + path + " is no setting" +
         (nearest.empty() ? "; `sluice config` lists them"
                          : "; did you mean " + std::string(nearest) + "?");
}

// "TLS_CERT, TLS_KEY, …"
std::string names_of_listener_settings() {
  std::string text;
  for (const TlsSetting& setting : tls_settings()) {
    text += (text.empty() ? "" : ", ") + std::string(setting.name);
  }
  return text;
}

class FileReader {
 public:
  FileReader(const std::string& path, std::vector<std::string>& complaints)
      : path_(path), complaints_(complaints) {}

  FileValues read(const nlohmann::json& object) {
    for (const auto& [key, value] : object.items()) {
      if (is_protocol(key)) {
        read_listener(key, value);
      } else {
        read_setting(key, value);
      }
    }
    return std::move(values_);
  }

 private:
  void read_setting(const std::string& key, const nlohmann::json& value) {
    const Setting* setting = setting_named(key);
    if (setting == nullptr) {
      complaints_.push_back(no_setting(key, value.is_object(), path_));
    } else if (is_secret(*setting)) {
      complaints_.push_back(key +
                            " must not stand in a file: set it in the environment and remove "
                            "it from " +
                            path_);
    } else if (value.is_string()) {
      values_.of_all[key] = value.get<std::string>();
    } else if (value.is_number() || value.is_boolean()) {
      values_.of_all[key] = value.dump();
    } else {
      complaints_.push_back(key + " in " + path_ + " must be a string, a number, true or false");
    }
  }

  void read_listener(const std::string& protocol, const nlohmann::json& object) {
    if (!object.is_object()) {
      complaints_.push_back(protocol + " in " + path_ + " must be an object that holds some of " +
                            names_of_listener_settings());
      return;
    }
    for (const auto& [key, value] : object.items()) {
      read_of_listener(protocol, key, value);
    }
  }

  void read_of_listener(const std::string& protocol, const std::string& key,
                        const nlohmann::json& value) {
    const std::string name = protocol + "." + key;
    const auto possible = tls_settings();
    if (std::none_of(possible.begin(), possible.end(),
                     [&key](const TlsSetting& one) { return one.name == key; })) {
      complaints_.push_back(name + " in " + path_ + ": for one listener there are only " +
                            names_of_listener_settings());
      return;
    }
    if (!value.is_string()) {
      complaints_.push_back(name + " in " + path_ + " must be a string");
      return;
    }
    const std::string source = "file " + path_;
    Config any;  // the rules of a value are those of the general one
    if (Status status = assign(*setting_named(key), value.get<std::string>(), any); !status) {
      complaints_.push_back(name + " (" + source + ") " + status.error().message);
    }
    values_.of_listeners.push_back({name, value.get<std::string>(), source, true});
  }

  const std::string& path_;
  std::vector<std::string>& complaints_;
  FileValues values_;
};

}  // namespace

FileValues values_of_file(const ConfigFile& file, std::vector<std::string>& complaints) {
  const auto parsed = nlohmann::json::parse(file.content, nullptr, false);
  if (!parsed.is_object()) {
    complaints.push_back(file.path + " must be a JSON object such as {\"PORT\": 8080}");
    return {};
  }
  return FileReader(file.path, complaints).read(parsed);
}

}  // namespace sluice

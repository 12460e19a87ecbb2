// The table of all settings: name, group, meaning, and how its text becomes a field of Config.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "common/base/result.h"
#include "common/config/config.h"

namespace sluice {

struct TextField {
  std::string Config::*member;
  // What is wrong with a value, as "must …"; empty where nothing is. May be null.
  std::string (*complaint)(std::string_view) = nullptr;
  bool empty_counts = false;  // an empty value is a value, not the same as unset
};
struct SecretField {
  std::string Config::*member;
  std::string (*complaint)(std::string_view) = nullptr;  // as of TextField
  bool spaces = false;                                   // may hold some
};
struct FlagField {
  bool Config::*member;
};
struct PortField {
  std::uint16_t Config::*member;
};
struct CountField {
  std::uint64_t Config::*member;
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};
struct BytesField {
  std::uint64_t Config::*member;
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};
struct DurationField {
  std::chrono::milliseconds Config::*member;
  std::chrono::milliseconds unit;
  std::chrono::milliseconds least;
  std::chrono::milliseconds most;
};
template <class Enum>
struct ChoiceField {
  Enum Config::*member;
  std::span<const std::pair<std::string_view, Enum>> choices;
};

using SettingField =
    std::variant<TextField, SecretField, FlagField, PortField, CountField, BytesField,
                 DurationField, ChoiceField<OutputFormat>, ChoiceField<Compression>,
                 ChoiceField<FileSizeBasis>, ChoiceField<log::Format>, ChoiceField<log::Level>,
                 ChoiceField<S3Checksum>, ChoiceField<S3Encryption>, ChoiceField<LogLevel>>;

struct Setting {
  std::string_view name;
  std::string_view group;
  SettingField field;
  std::string_view meaning;            // a sentence or two, for docs/configuration.md
  std::string_view alias = {};         // read where `name` is not set
  std::string_view default_text = {};  // where the default depends on other settings
};

std::span<const Setting> all_settings();

[[nodiscard]] bool is_secret(const Setting& setting);
// "seconds", "bytes", "true or false", "xml, json or jsonl" …
[[nodiscard]] std::string type_text(const Setting& setting);
// As it would be written in the environment; a secret gives "(set)" or nothing.
[[nodiscard]] std::string value_of(const Setting& setting, const Config& config);
// Sets the field. The error says what is allowed and quotes the value unless it is secret.
Status assign(const Setting& setting, std::string_view text, Config& config);

}  // namespace sluice

#include "common/config/config_report.h"

#include <algorithm>

#include "common/config/settings.h"

namespace sluice {

namespace {

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

std::string escaped_cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '>') {
      cell += '\\';
    }
    cell += c;
  }
  return cell;
}

constexpr std::string_view kIntroduction =
    R"(# Configuration

<!-- Made by `sluice config --markdown`; a test compares. Change src/common/config/settings.cpp. -->

A setting comes from the environment, else from the JSON file given with `--config FILE`
(`{"PORT": 8080, "OUTPUT_FORMAT": "json"}`), else it has its default. `sluice config` prints what
is in effect and where it comes from.

- Sizes are bytes or carry a unit: `5242880`, `512KiB`, `5MiB`, `1GiB`.
- Times are numbers of the unit given, fractions allowed: `60`, `0.5`.
- Switches are `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off`, in any case.
- An empty variable is an unset one (only `PREFIX` may be empty).
- Secrets are taken from the environment, or from files that other settings name; no command, log
  line or page shows them.

A bad value, or an unknown key in the file, is named with its source and ends the start with exit
code 2. A variable that looks like a misspelt setting is warned about. `CURRENT_FILE` and
`TEMP_FILE` of the XML aggregator are gone on purpose: segments in `SPOOL_DIR` take their place.

Objects go to S3 when `BUCKET_NAME` is set, else into the directory `OUTPUT_DIR`. Where neither is
set, but `AWS_ENDPOINT_URL`, `PREFIX` or any `S3_*` is, Sluice refuses to start and says which is
missing.

## One listener

`TLS_CERT`, `TLS_KEY`, `TLS_CLIENT_CA` and `TLS_CLIENT_NAMES` hold for all listeners. In the file,
and only there, an object named `xml`, `logs` or `rpc` gives any of them for that listener alone:

```json
{"TLS_CERT": "a.pem", "TLS_KEY": "a.key",
 "logs": {"TLS_CERT": "b.pem", "TLS_KEY": "b.key", "TLS_CLIENT_CA": "ca.pem"},
 "xml": {"TLS_CERT": ""}}
```

What it names wins for the listener, also over the environment; what it does not name holds as for
all, wherever that comes from. Here an empty value is a value: with an empty `TLS_CERT` the listener
speaks plain text, with an empty `TLS_CLIENT_CA` its clients need no certificate. Only listeners
that `TLS_PROTOCOLS` names speak TLS. `sluice config` prints these settings last, as
`logs.TLS_CERT`.
)";

}  // namespace

std::string config_table(const Config& config) {
  std::vector<SettingValue> settings = config.settings;
  settings.insert(settings.end(), config.of_listeners.begin(), config.of_listeners.end());
  std::size_t name_width = 0;
  std::size_t value_width = 0;
  for (const SettingValue& setting : settings) {
    name_width = std::max(name_width, setting.name.size());
    value_width = std::max(value_width, std::min<std::size_t>(setting.value.size(), 32));
  }
  std::string table;
  for (const SettingValue& setting : settings) {
    table += padded(setting.name, name_width) + "  " +
             padded(setting.value.empty() ? "-" : setting.value, value_width) + "  " +
             setting.source + "\n";
  }
  return table;
}

std::string config_markdown() {
  std::string text(kIntroduction);
  const Config defaults;
  std::string_view group;
  for (const Setting& setting : all_settings()) {
    if (setting.group != group) {
      group = setting.group;
      text += "\n## " + std::string(group) +
              "\n\n| setting | type | default | meaning |\n|---|---|---|---|\n";
    }
    std::string default_text;
    if (!setting.default_text.empty()) {
      default_text = setting.default_text;
    } else if (is_secret(setting)) {
      default_text = "none";
    } else {
      default_text = "`" + value_of(setting, defaults) + "`";
    }
    text += "| `" + std::string(setting.name) + "` | " + type_text(setting) + " | " + default_text +
            " | " + escaped_cell(setting.meaning) +
            (setting.alias.empty() ? "" : " Also `" + std::string(setting.alias) + "`.") + " |\n";
  }
  return text;
}

}  // namespace sluice

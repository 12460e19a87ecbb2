// AWS's shared files: whatever they hold, parsing ends, and an error shows nothing of it. What was
// parsed, written again in the plainest form, is the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/s3/aws_ini.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<IniSections> sections = parse_ini(text);
  if (!sections) {
    if (!sections.error().message.starts_with("line ") || sections.error().message.size() > 100) {
      std::abort();
    }
    return 0;
  }
  std::string again;
  for (const auto& [section, values] : *sections) {
    static_cast<void>(profile_of_section(section));
    again += "[" + section + "]\n";
    for (const auto& [name, value] : values) {
      again += name + "=";
      for (const char c : value) {  // a line break in a value is an indented line
        again += c == '\n' ? std::string("\n ") : std::string(1, c);
      }
      again += "\n";
    }
  }
  const Result<IniSections> reparsed = parse_ini(again);
  if (!reparsed || *reparsed != *sections) {
    std::abort();
  }
  return 0;
}

#include "common/s3/aws_ini.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr std::string_view kSpace = " \t\r\f\v";

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// A '#' or ';' behind white space begins a comment; inside of a word it is part of it.
std::string_view without_comment(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] == '#' || text[i] == ';') && i > 0 &&
        kSpace.find(text[i - 1]) != std::string_view::npos) {
      return trim(text.substr(0, i));
    }
  }
  return text;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

class Parser {
 public:
  // False: the line is nothing.
  bool take(std::string_view line) {
    const bool indented = !line.empty() && kSpace.find(line.front()) != std::string_view::npos;
    line = trim(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') {
      return true;
    }
    if (indented && value_ != nullptr) {
      value_->append("\n").append(line);
      return true;
    }
    return line.front() == '[' ? take_section(line) : take_value(line);
  }

  IniSections take_sections() { return std::move(sections_); }

 private:
  bool take_section(std::string_view line) {
    const std::size_t end = line.find(']');
    const std::string_view rest =
        end == std::string_view::npos ? std::string_view() : trim(line.substr(end + 1));
    if (end == std::string_view::npos ||
        (!rest.empty() && rest.front() != '#' && rest.front() != ';')) {
      return false;
    }
    section_ = &sections_[std::string(trim(line.substr(1, end - 1)))];
    value_ = nullptr;
    return true;
  }

  bool take_value(std::string_view line) {
    const std::size_t equals = line.find('=');
    if (section_ == nullptr || equals == std::string_view::npos ||
        trim(line.substr(0, equals)).empty()) {
      return false;
    }
    value_ = &(*section_)[lower_case(trim(line.substr(0, equals)))];
    *value_ = without_comment(trim(line.substr(equals + 1)));
    return true;
  }

  IniSections sections_;
  IniSection* section_ = nullptr;
  std::string* value_ = nullptr;  // that an indented line goes on with
};

}  // namespace

Result<IniSections> parse_ini(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  Parser parser;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (!parser.take(text.substr(0, end))) {
      return rejected("line " + std::to_string(number) +
                      " is no [section], comment or \"name = value\" in one");
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parser.take_sections();
}

std::string profile_of_section(std::string_view section) {
  if (section == "default") {
    return "default";
  }
  constexpr std::string_view kWord = "profile";
  if (!section.starts_with(kWord) || section.size() == kWord.size() ||
      kSpace.find(section[kWord.size()]) == std::string_view::npos) {
    return {};
  }
  std::string_view name = trim(section.substr(kWord.size()));
  if (name.size() >= 2 && name.front() == name.back() &&
      (name.front() == '"' || name.front() == '\'')) {
    name = name.substr(1, name.size() - 2);
  }
  return std::string(name);
}

}  // namespace sluice

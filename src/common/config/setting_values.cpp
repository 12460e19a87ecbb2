// Settings as text, both ways: what settings.h declares beside the table.
#include <limits>

#include "common/config/settings.h"
#include "common/config/value_text.h"

namespace sluice {

namespace {

using std::chrono::milliseconds;

// "a, b or c"
template <class Enum>
std::string choices_text(const ChoiceField<Enum>& field) {
  std::string text;
  for (std::size_t i = 0; i < field.choices.size(); ++i) {
    if (i > 0) {
      text += i + 1 == field.choices.size() ? " or " : ", ";
    }
    text += field.choices[i].first;
  }
  return text;
}

std::string unit_text(milliseconds unit) {
  return unit == milliseconds(1)           ? "milliseconds"
         : unit == std::chrono::seconds(1) ? "seconds"
                                           : "days";
}

struct TypeOf {
  std::string operator()(const TextField& /*field*/) const { return "text"; }
  std::string operator()(const SecretField& /*field*/) const { return "secret"; }
  std::string operator()(const FlagField& /*field*/) const { return "true or false"; }
  std::string operator()(const PortField& /*field*/) const { return "port"; }
  std::string operator()(const CountField& field) const {
    return std::to_string(field.least) + " to " + std::to_string(field.most);
  }
  std::string operator()(const BytesField& /*field*/) const { return "bytes"; }
  std::string operator()(const DurationField& field) const { return unit_text(field.unit); }
  template <class Enum>
  std::string operator()(const ChoiceField<Enum>& field) const {
    return choices_text(field);
  }
};

struct ValueOf {
  const Config& config;
  std::string operator()(const TextField& field) const { return config.*field.member; }
  std::string operator()(const SecretField& field) const {
    return (config.*field.member).empty() ? "" : "(set)";
  }
  std::string operator()(const FlagField& field) const {
    return config.*field.member ? "true" : "false";
  }
  std::string operator()(const PortField& field) const {
    return std::to_string(config.*field.member);
  }
  std::string operator()(const CountField& field) const {
    return std::to_string(config.*field.member);
  }
  std::string operator()(const BytesField& field) const { return bytes_text(config.*field.member); }
  std::string operator()(const DurationField& field) const {
    return duration_text(config.*field.member, field.unit);
  }
  template <class Enum>
  std::string operator()(const ChoiceField<Enum>& field) const {
    for (const auto& [name, value] : field.choices) {
      if (value == config.*field.member) {
        return std::string(name);
      }
    }
    return "";
  }
};

// Sets the member and returns nothing, or says what is allowed as "must …".
struct Assign {
  std::string_view text;
  Config& config;

  std::string operator()(const TextField& field) const {
    if (text.find('\0') != std::string_view::npos) {
      return "must not hold a NUL";
    }
    if (field.complaint != nullptr && !text.empty()) {
      if (std::string complaint = field.complaint(text); !complaint.empty()) {
        return complaint;
      }
    }
    config.*field.member = text;
    return "";
  }
  std::string operator()(const SecretField& field) const {
    // Anything else could split or end the request header that it goes into.
    for (const char c : text) {
      if (c < ' ' || c >= 0x7F || (c == ' ' && !field.spaces)) {
        return std::string("must be printable ASCII") + (field.spaces ? "" : " without spaces") +
               " (is there a line break at its end?)";
      }
    }
    if (field.complaint != nullptr && !text.empty()) {
      if (std::string complaint = field.complaint(text); !complaint.empty()) {
        return complaint;
      }
    }
    config.*field.member = text;
    return "";
  }
  std::string operator()(const FlagField& field) const {
    const auto value = parse_flag(text);
    if (!value) {
      return "must be true, 1, yes or on, or false, 0, no or off";
    }
    config.*field.member = *value;
    return "";
  }
  std::string operator()(const PortField& field) const {
    const auto value = parse_count(text);
    if (!value || *value > std::numeric_limits<std::uint16_t>::max()) {
      return "must be a port: 1 to 65535, or 0 for any free one";
    }
    config.*field.member = static_cast<std::uint16_t>(*value);
    return "";
  }
  std::string operator()(const CountField& field) const {
    const auto value = parse_count(text);
    if (!value || *value < field.least || *value > field.most) {
      return "must be a whole number from " + std::to_string(field.least) + " to " +
             std::to_string(field.most);
    }
    config.*field.member = *value;
    return "";
  }
  std::string operator()(const BytesField& field) const {
    const auto value = parse_bytes(text);
    if (!value || *value < field.least || *value > field.most) {
      return "must be bytes, such as 5242880, 512KiB, 5MiB or 1GiB, from " +
             bytes_text(field.least) + " to " + bytes_text(field.most);
    }
    config.*field.member = *value;
    return "";
  }
  std::string operator()(const DurationField& field) const {
    const auto value = parse_duration(text, field.unit);
    if (!value || *value < field.least || *value > field.most) {
      return "must be a number of " + unit_text(field.unit) + " from " +
             duration_text(field.least, field.unit) + " to " +
             duration_text(field.most, field.unit);
    }
    config.*field.member = *value;
    return "";
  }
  template <class Enum>
  std::string operator()(const ChoiceField<Enum>& field) const {
    for (const auto& [name, value] : field.choices) {
      if (lower_case(name) == lower_case(text)) {
        config.*field.member = value;
        return "";
      }
    }
    return "must be " + choices_text(field);
  }
};

}  // namespace

bool is_secret(const Setting& setting) {
  return std::holds_alternative<SecretField>(setting.field);
}

std::string type_text(const Setting& setting) { return std::visit(TypeOf{}, setting.field); }

std::string value_of(const Setting& setting, const Config& config) {
  return std::visit(ValueOf{config}, setting.field);
}

Status assign(const Setting& setting, std::string_view text, Config& config) {
  const std::string complaint = std::visit(Assign{text, config}, setting.field);
  if (complaint.empty()) {
    return {};
  }
  // A URL with an '@' may carry a password.
  const bool quotable = !is_secret(setting) && text.find('@') == std::string_view::npos;
  return fatal(quotable ? "is \"" + std::string(text) + "\", but " + complaint : complaint);
}

}  // namespace sluice

#include "common/config/setting_rules.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "common/config/config.h"
#include "common/config/value_text.h"
#include "common/net/allow_list.h"
#include "common/s3/object_key.h"

namespace sluice {

namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool holds_only(std::string_view text, std::string_view besides_alphanumeric) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alphanumeric(c) || besides_alphanumeric.find(c) != std::string_view::npos;
  });
}

bool is_header_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; }) &&
         !text.starts_with(' ') && !text.ends_with(' ');
}

// A host with perhaps a port; an IPv6 address in brackets.
bool is_host_and_port(std::string_view host) {
  // "[::1]:9000" has colons in brackets; the port is what follows the last one outside of them.
  const std::size_t bracket = host.rfind(']');
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const auto port = parse_count(host.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) {
      return false;
    }
    host = host.substr(0, colon);
  }
  return !host.empty() && holds_only(host, ".-_:[]");
}

// Without the scheme; nothing where it is neither http nor https.
std::optional<std::string_view> behind_scheme(std::string_view text) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (text.starts_with(scheme)) {
      return text.substr(scheme.size());
    }
  }
  return std::nullopt;
}

// Characters, not bytes: all but the continuations of UTF-8.
std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string tag_complaint(std::string_view key, std::string_view value) {
  constexpr std::string_view kPunctuation = " +-=._:/@";
  const auto is_allowed = [&](char c) {
    return is_alphanumeric(c) || static_cast<unsigned char>(c) >= 0x80 ||
           kPunctuation.find(c) != std::string_view::npos;
  };
  if (key.empty() || characters(key) > 128 || characters(value) > 256) {
    return "must have keys of 1 to 128 characters and values of at most 256";
  }
  if (key.starts_with("aws:")) {
    return "must have no key that begins with aws:";
  }
  if (!std::all_of(key.begin(), key.end(), is_allowed) ||
      !std::all_of(value.begin(), value.end(), is_allowed)) {
    return "must have keys and values of letters, digits, spaces and + - = . _ : / @ only";
  }
  return "";
}

}  // namespace

std::string protocols_complaint(std::string_view text) {
  bool named = false;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view one = text.substr(begin, end - begin);
    if (std::find(kProtocols.begin(), kProtocols.end(), one) == kProtocols.end()) {
      return "must be xml, logs, rpc or some of them, apart by commas without spaces";
    }
    named = true;
    begin = end + 1;
  }
  return named ? "" : "must name one at least";
}

std::string hosts_complaint(std::string_view text) {
  return holds_only(text, ".:-_%[],/ ")
             ? ""
             : "must be addresses, host names, unix:/path or systemd:NAME, apart by commas, "
               "without ports";
}

std::string allow_list_complaint(std::string_view text) {
  const auto list = AllowList::parse(text);
  return list ? "" : "must be addresses and networks: " + list.error().message;
}

std::string file_name_complaint(std::string_view text) {
  const bool is_name =
      text != "." && text != ".." && text.find('/') == std::string_view::npos && text.size() <= 200;
  return is_name ? "" : "must be the name of a file, without a folder (that is LOG_DIR)";
}

std::string host_complaint(std::string_view text) {
  return holds_only(text, ".:-_%[]") ? "" : "must be an address or a host name, without a port";
}

std::string prefix_complaint(std::string_view text) {
  return validate_key_prefix(text)
             ? ""
             : "must be what a key can begin with: no '/' in front, no empty, \".\" or \"..\" "
               "folder, no control character or backslash, UTF-8, at most 512 bytes";
}

std::string instance_complaint(std::string_view text) {
  return validate_instance(text) ? ""
                                 : "must be 1 to 64 letters, digits, '.', '-' and '_', and begin "
                                   "with a letter, a digit or '_'";
}

std::string bucket_complaint(std::string_view text) {
  if (text.size() < 3 || text.size() > 63 || !holds_only(text, ".-_")) {
    return "must be the name of a bucket alone (3 to 63 letters, digits, '.', '-'), without s3:// "
           "and without a folder (that is PREFIX)";
  }
  return "";
}

std::string region_complaint(std::string_view text) {
  return holds_only(text, "-") ? "" : "must be the name of a region, such as eu-central-1";
}

std::string role_complaint(std::string_view text) {
  return text.starts_with("arn:") && text.size() <= 2048 && holds_only(text, ":/+=,.@_-")
             ? ""
             : "must be the ARN of a role, such as arn:aws:iam::123456789012:role/sluice";
}

std::string session_name_complaint(std::string_view text) {
  return text.size() >= 2 && text.size() <= 64 && holds_only(text, "+=,.@_-")
             ? ""
             : "must be 2 to 64 letters, digits, '+', '=', ',', '.', '@', '_' and '-'";
}

std::string endpoint_complaint(std::string_view text) {
  constexpr std::string_view kForm = "must be http://host[:port] or https://host[:port]";
  const auto rest = behind_scheme(text);
  if (!rest) {
    return std::string(kForm);
  }
  if (rest->find('@') != std::string_view::npos) {
    return "must not hold a user name or password: credentials go into AWS_ACCESS_KEY_ID and "
           "AWS_SECRET_ACCESS_KEY";
  }
  const std::size_t slash = std::min(rest->find('/'), rest->size());
  if (!holds_only(rest->substr(slash), "/.-_~")) {
    return std::string(kForm) + ", perhaps with a path";
  }
  return is_host_and_port(rest->substr(0, slash))
             ? ""
             : std::string(kForm) + "; a port must be 1 to 65535";
}

std::string proxy_complaint(std::string_view text) {
  auto rest = behind_scheme(text);
  if (rest) {
    rest->remove_prefix(rest->rfind('@') + 1);  // 0 where there is none
    while (rest->ends_with('/')) {
      rest->remove_suffix(1);
    }
  }
  return rest && is_host_and_port(*rest)
             ? ""
             : "must be http://[user:password@]host[:port] or https://[user:password@]host[:port]; "
               "what is special in a password is written as %XX";
}

std::string header_complaint(std::string_view text) {
  return is_header_value(text) && text.size() <= 2048
             ? ""
             : "must be printable ASCII of at most 2048 bytes, without a space at either end";
}

std::string user_agent_complaint(std::string_view text) {
  return is_header_value(text) && text.size() <= 256
             ? ""
             : "must be printable ASCII of at most 256 bytes, without a space at either end";
}

std::string kms_context_complaint(std::string_view text) {
  const auto context = nlohmann::json::parse(text, nullptr, false);
  const bool all_strings =
      context.is_object() && std::all_of(context.begin(), context.end(),
                                         [](const auto& value) { return value.is_string(); });
  return all_strings && text.size() <= 4096
             ? ""
             : R"(must be a JSON object of strings, such as {"department": "gate"}, of at most 4 KiB)";
}

std::string storage_class_complaint(std::string_view text) {
  return holds_only(text, "_-") && text.size() <= 64
             ? ""
             : "must be the name of a storage class, such as STANDARD_IA";
}

std::string acl_complaint(std::string_view text) {
  constexpr std::array kAcls = std::to_array<std::string_view>(
      {"private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read",
       "bucket-owner-read", "bucket-owner-full-control"});
  return std::find(kAcls.begin(), kAcls.end(), text) != kAcls.end()
             ? ""
             : "must be private, public-read, public-read-write, authenticated-read, "
               "aws-exec-read, bucket-owner-read or bucket-owner-full-control";
}

std::string tags_complaint(std::string_view text) {
  constexpr std::size_t kTagsMax = 10;
  std::set<std::string_view> keys;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('&', begin), text.size());
    const std::string_view tag = text.substr(begin, end - begin);
    const std::size_t equals = tag.find('=');
    if (equals == std::string_view::npos) {
      return "must be key=value&key=value";
    }
    const std::string_view key = tag.substr(0, equals);
    if (std::string complaint = tag_complaint(key, tag.substr(equals + 1)); !complaint.empty()) {
      return complaint;
    }
    if (!keys.insert(key).second) {
      return "must not have the same key twice";
    }
    begin = end + 1;
  }
  return keys.size() <= kTagsMax ? "" : "must have at most ten tags";
}

std::string account_complaint(std::string_view text) {
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && text.size() == 12 ? "" : "must be the 12 digits of an AWS account";
}

std::string payer_complaint(std::string_view text) {
  return text == "requester" ? "" : "must be requester";
}

}  // namespace sluice

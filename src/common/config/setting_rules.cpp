#include "common/config/setting_rules.h"

#include <algorithm>

#include "common/config/value_text.h"
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

}  // namespace

std::string protocols_complaint(std::string_view text) {
  return text == "xml" ? "" : "must be xml: this version serves xml only";
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

std::string endpoint_complaint(std::string_view text) {
  constexpr std::string_view kForm = "must be http://host[:port] or https://host[:port]";
  std::string_view host = text;
  if (host.starts_with("https://")) {
    host.remove_prefix(8);
  } else if (host.starts_with("http://")) {
    host.remove_prefix(7);
  } else {
    return std::string(kForm);
  }
  if (host.find('@') != std::string_view::npos) {
    return "must not hold a user name or password: credentials go into AWS_ACCESS_KEY_ID and "
           "AWS_SECRET_ACCESS_KEY";
  }
  const std::size_t slash = std::min(host.find('/'), host.size());
  if (!holds_only(host.substr(slash), "/.-_~")) {
    return std::string(kForm) + ", perhaps with a path";
  }
  host = host.substr(0, slash);
  // "[::1]:9000" has colons in brackets; the port is what follows the last one outside of them.
  const std::size_t bracket = host.rfind(']');
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const auto port = parse_count(host.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) {
      return std::string(kForm) + "; the port must be 1 to 65535";
    }
    host = host.substr(0, colon);
  }
  return !host.empty() && holds_only(host, ".-_:[]") ? "" : std::string(kForm);
}

}  // namespace sluice

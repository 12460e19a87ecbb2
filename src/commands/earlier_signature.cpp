#include "commands/earlier_signature.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace sluice {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// The parts between the separators; none for an empty text.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…", with or without the spaces.
EarlierSignature parse_authorization(std::string_view value) {
  value = trimmed(value);
  EarlierSignature earlier;
  const std::size_t end = std::min(value.find_first_of(" \t"), value.size());
  earlier.algorithm = value.substr(0, end);
  if (earlier.algorithm != sigv4::kAlgorithm) {
    return earlier;
  }
  for (std::string_view part : split(value.substr(end), ',')) {
    part = trimmed(part);
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::string_view name = part.substr(0, equals);
    const std::string_view text = part.substr(std::min(equals + 1, part.size()));
    if (name == "Credential") {
      earlier.credential = text;
    } else if (name == "SignedHeaders") {
      earlier.signed_headers = text;
    } else if (name == "Signature") {
      earlier.signature = text;
    }
  }
  return earlier;
}

std::optional<EarlierSignature> take_query(std::string& query) {
  EarlierSignature earlier{.in_query = true};
  std::string token;
  const std::array<std::pair<std::string_view, std::string*>, 7> parameters{{
      {"X-Amz-Algorithm", &earlier.algorithm},
      {"X-Amz-Credential", &earlier.credential},
      {"X-Amz-Date", &earlier.date},
      {"X-Amz-Expires", &earlier.expires},
      {"X-Amz-SignedHeaders", &earlier.signed_headers},
      {"X-Amz-Signature", &earlier.signature},
      {"X-Amz-Security-Token", &token},
  }};
  std::string rest;
  for (const std::string_view parameter : split(query, '&')) {
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    const auto* const found =
        std::find_if(parameters.begin(), parameters.end(),
                     [&](const auto& known) { return known.first == parameter.substr(0, equals); });
    if (found != parameters.end()) {
      *found->second = sigv4::uri_decode(parameter.substr(std::min(equals + 1, parameter.size())));
    } else {
      rest.append(rest.empty() ? "" : "&").append(parameter);
    }
  }
  if (earlier.signature.empty()) {
    return std::nullopt;
  }
  query = std::move(rest);
  return earlier;
}

void compare_values(std::vector<std::string>& lines, const std::string& what,
                    const std::pair<std::string, std::string>& there_and_here) {
  const auto& [there, here] = there_and_here;
  lines.push_back(what + ": " + (there == here ? "the same" : there + ", here " + here));
}

void list_names(std::vector<std::string>& lines, const std::string& what,
                const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  if (!text.empty()) {
    lines.push_back(what + ": " + text);
  }
}

}  // namespace

bool EarlierSignature::names(std::string_view header) const {
  const auto listed = split(signed_headers, ';');
  return std::any_of(listed.begin(), listed.end(),
                     [header](std::string_view name) { return same_header_name(name, header); });
}

std::optional<EarlierSignature> take_earlier_signature(RawRequest& request) {
  std::optional<EarlierSignature> earlier = take_query(request.query);
  if (const std::string* value = request.header("authorization"); value != nullptr) {
    earlier = parse_authorization(*value);
  }
  std::erase_if(request.headers,
                [](const auto& header) { return same_header_name(header.first, "authorization"); });
  return earlier;
}

std::vector<std::string> compare(const EarlierSignature& earlier, const NewSignature& now) {
  if (earlier.algorithm != sigv4::kAlgorithm) {
    return {"it is not of the kind " + std::string(sigv4::kAlgorithm) + ": left out"};
  }
  std::vector<std::string> lines;
  const std::string signed_here = sigv4::signed_headers(now.request);
  compare_values(lines, "signature", {earlier.signature, now.signature});
  compare_values(lines, "credential", {earlier.credential, now.credential});
  compare_values(lines, "signed headers", {earlier.signed_headers, signed_here});
  if (earlier.in_query) {
    compare_values(lines, "expires", {earlier.expires, now.expires});
  }
  std::vector<std::string> missing;
  for (const std::string_view name : split(earlier.signed_headers, ';')) {
    if (now.raw.header(name) == nullptr) {
      missing.emplace_back(name);
    }
  }
  list_names(lines, "it names, but the request does not have", missing);
  std::vector<std::string> unsigned_names;
  const EarlierSignature here{.signed_headers = signed_here};
  for (const auto& [name, value] : now.raw.headers) {
    if (!here.names(name) && !earlier.names(name)) {
      unsigned_names.push_back(name);
    }
  }
  list_names(lines, "the request has, but nobody signed", unsigned_names);
  if (earlier.signature != now.signature && earlier.credential == now.credential &&
      earlier.signed_headers == signed_here && earlier.expires == now.expires) {
    lines.emplace_back(
        "so the secret, or something in the canonical request, is not what the signer had");
  }
  return lines;
}

}  // namespace sluice

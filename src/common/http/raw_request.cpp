#include "common/http/raw_request.h"

#include <algorithm>
#include <cstddef>

namespace sluice {
namespace {

// Takes the next line off `text`, without its line end.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

Error wrong_line(int number, std::string_view what) {
  return rejected("line " + std::to_string(number) + " of the request: " + std::string(what));
}

// The target is all between the method and the version: it may have spaces of its own.
Status parse_request_line(std::string_view line, int number, RawRequest& request) {
  const std::size_t method_end = line.find(' ');
  const std::size_t target_end = line.rfind(' ');
  if (method_end == std::string_view::npos || method_end == 0 || target_end == method_end ||
      !line.substr(target_end + 1).starts_with("HTTP/")) {
    return wrong_line(number, "must be METHOD target HTTP/1.1");
  }
  const std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);
  if (!target.starts_with('/')) {
    return wrong_line(number, "the target must begin with a slash; the host goes into Host");
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  request.method = line.substr(0, method_end);
  request.path = target.substr(0, question);
  request.query = target.substr(std::min(question + 1, target.size()));
  return {};
}

Status parse_header(std::string_view line, int number, RawRequest& request) {
  if (line.front() == ' ' || line.front() == '\t') {
    if (request.headers.empty()) {
      return wrong_line(number, "goes on with a header, but there is none above");
    }
    request.headers.back().second.append("\n").append(line);
    return {};
  }
  const std::size_t colon = line.find(':');
  if (colon == 0 || line.find_first_of(" \t") < colon || colon == std::string_view::npos) {
    return wrong_line(number, "must be Name: value; an empty line ends the headers");
  }
  request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  return {};
}

}  // namespace

bool same_header_name(std::string_view left, std::string_view right) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [&lower](char a, char b) { return lower(a) == lower(b); });
}

const std::string* RawRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (same_header_name(key, name)) {
      return &value;
    }
  }
  return nullptr;
}

Result<RawRequest> parse_raw_request(std::string_view text) {
  RawRequest request;
  int number = 1;
  std::string_view line = take_line(text);
  for (; line.empty() && !text.empty(); ++number) {
    line = take_line(text);  // what was pasted may begin with empty lines
  }
  if (Status status = parse_request_line(line, number, request); !status) {
    return status.error();
  }
  while (!text.empty()) {
    line = take_line(text);
    ++number;
    if (line.empty()) {
      break;
    }
    if (Status status = parse_header(line, number, request); !status) {
      return status.error();
    }
  }
  request.body = text;
  return request;
}

}  // namespace sluice

#include "common/s3/s3_endpoint.h"

#include <algorithm>

#include "common/s3/sigv4.h"

namespace sluice {
namespace {

bool is_host(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == ':' || c == '[' || c == ']' || c == '_';
  });
}

// AWS's rules for names (3 to 63 of a-z 0-9 . -), widened by what older buckets and other stores
// allow: upper case and '_'.
bool is_bucket(std::string_view name) {
  return name.size() >= 3 && name.size() <= 255 && name != "..." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_';
         });
}

}  // namespace

Result<S3Endpoint> S3Endpoint::make(const Options& options) {
  if (!is_bucket(options.bucket)) {
    return rejected("BUCKET_NAME: not the name of a bucket");
  }
  if (options.region.empty() || !is_host(options.region)) {
    return rejected("AWS_REGION: not the name of a region");
  }
  std::string url = options.endpoint_url;
  if (url.empty()) {
    url = "https://s3." + options.region + ".amazonaws.com" +
          (options.region.starts_with("cn-") ? ".cn" : "");
  }
  S3Endpoint endpoint;
  const std::size_t colon = url.find("://");
  endpoint.scheme_ = url.substr(0, std::min(colon, url.size()));
  if (colon == std::string::npos || (endpoint.scheme_ != "http" && endpoint.scheme_ != "https")) {
    return rejected("AWS_ENDPOINT_URL: must begin with http:// or https://");
  }
  const std::string rest = url.substr(colon + 3);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string host = rest.substr(0, slash);
  if (!is_host(host) || rest.find_first_of("?#") != std::string::npos) {
    return rejected("AWS_ENDPOINT_URL: must be http[s]://host[:port][/path]");
  }
  const std::string_view default_port = endpoint.scheme_ == "https" ? ":443" : ":80";
  if (host.ends_with(default_port) &&
      host.find(']', host.size() - default_port.size()) == std::string::npos) {
    host.resize(host.size() - default_port.size());
  }
  std::string path = rest.substr(slash);
  while (path.ends_with('/')) {
    path.pop_back();
  }
  endpoint.base_url_ = endpoint.scheme_ + "://" + host + path;
  endpoint.path_ = sigv4::uri_encode(path, true);
  // A certificate for *.s3.region.amazonaws.com does not cover a name with dots.
  const bool dotted = endpoint.scheme_ == "https" && options.bucket.find('.') != std::string::npos;
  if (options.path_style || dotted) {
    endpoint.host_ = host;
    endpoint.path_ += "/" + options.bucket;
  } else {
    endpoint.host_ = options.bucket + "." + host;
  }
  return endpoint;
}

S3Location S3Endpoint::locate(std::string_view key) const {
  S3Location location;
  location.host = host_;
  location.path = path_ + (key.empty() ? "" : "/" + sigv4::uri_encode(key, true));
  if (location.path.empty()) {
    location.path = "/";
  }
  location.url = scheme_ + "://" + host_ + location.path;
  return location;
}

}  // namespace sluice

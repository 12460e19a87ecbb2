#include "common/s3/s3_endpoint.h"

#include <algorithm>
#include <array>

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

// The names that AWS's partitions end their host names with.
std::string_view domain_of_region(std::string_view region) {
  struct Partition {
    std::string_view regions;
    std::string_view domain;
  };
  constexpr std::array kPartitions = std::to_array<Partition>({
      {"cn-", "amazonaws.com.cn"},
      {"eusc-", "amazonaws.eu"},
      {"us-iso-", "c2s.ic.gov"},
      {"us-isob-", "sc2s.sgov.gov"},
      {"us-isof-", "csp.hci.ic.gov"},
      {"eu-isoe-", "cloud.adc-e.uk"},
  });
  const auto* found =
      std::find_if(kPartitions.begin(), kPartitions.end(),
                   [&](const Partition& one) { return region.starts_with(one.regions); });
  return found == kPartitions.end() ? "amazonaws.com" : found->domain;
}

// https://docs.aws.amazon.com/general/latest/gr/s3.html
std::string aws_url(const S3Endpoint::Options& options) {
  std::string host = options.accelerate ? "s3-accelerate" : options.fips ? "s3-fips" : "s3";
  host += options.dualstack ? ".dualstack" : "";
  host += options.accelerate ? "" : "." + options.region;
  return "https://" + host + "." + std::string(domain_of_region(options.region));
}

std::string_view without_port(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  const bool in_brackets = colon != std::string_view::npos && host.find(']', colon) != host.npos;
  return host.substr(0, in_brackets ? host.npos : colon);
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
    url = aws_url(options);
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
  endpoint.bucket_ = options.bucket;
  endpoint.trusted_ = options.endpoint_url.empty() ? domain_of_region(options.region)
                                                   : std::string(without_port(host));
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

std::optional<S3Location> S3Endpoint::redirected(std::string_view key,
                                                 std::string_view location) const {
  constexpr std::string_view kHttps = "https://";
  if (!location.starts_with(kHttps)) {
    return std::nullopt;
  }
  // A query of its own ("?rk=…") is a hint that S3 does not need.
  const std::string_view rest = location.substr(kHttps.size(), location.find('?') - kHttps.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view host = rest.substr(0, slash);
  const std::string_view path = rest.substr(slash);
  const std::string_view name = without_port(host);
  const bool below = name.size() > trusted_.size() && name.ends_with(trusted_) &&
                     name[name.size() - trusted_.size() - 1] == '.';
  if (!is_host(host) || (name != trusted_ && !below)) {
    return std::nullopt;
  }
  const std::string in_host = "/" + sigv4::uri_encode(key, true);
  const std::string in_path = "/" + bucket_ + (key.empty() ? "" : in_host);
  if (path != in_host && path != in_path) {
    return std::nullopt;
  }
  return S3Location{.url = std::string(kHttps) + std::string(rest),
                    .host = std::string(host),
                    .path = std::string(path)};
}

}  // namespace sluice

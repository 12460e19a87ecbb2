// Where a bucket answers: host, path and URL of an object, by the rules of AWS and of the stores
// that speak its protocol. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace sluice {

struct S3Location {
  std::string url;   // without the query
  std::string host;  // the Host header: without a default port
  std::string path;  // encoded, as sent and signed
};

class S3Endpoint {
 public:
  struct Options {
    std::string endpoint_url = {};  // "http[s]://host[:port][/path]"; empty: AWS
    std::string region = "us-east-1";
    std::string bucket = {};
    bool path_style = false;  // https://host/bucket/key, not https://bucket.host/key
    // Of AWS's own endpoints only; the rules of the settings refuse what does not exist.
    bool dualstack = false;
    bool fips = false;
    bool accelerate = false;
  };
  // Rejected where the URL is not one, or the bucket's name cannot be one.
  static Result<S3Endpoint> make(const Options& options);

  // Of an object; of the bucket where `key` is empty.
  [[nodiscard]] S3Location locate(std::string_view key) const;
  // Where the Location of a 307 sends the request for `key`: nothing unless it is https, the host
  // is the endpoint's, below it or AWS's (for an endpoint of AWS's), and the path is that of the
  // key.
  [[nodiscard]] std::optional<S3Location> redirected(std::string_view key,
                                                     std::string_view location) const;
  [[nodiscard]] const std::string& base_url() const { return base_url_; }

 private:
  std::string scheme_;
  std::string host_;      // with a port that is not the default one, the bucket in front
  std::string path_;      // encoded, without a slash at the end: what stands before "/key"
  std::string base_url_;  // for the log
  std::string bucket_;
  std::string trusted_;  // the host names that end with it are the same store's; no port
};

}  // namespace sluice

// Where a bucket answers: host, path and URL of an object, by the rules of AWS and of the stores
// that speak its protocol. Pure.
#pragma once

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
  };
  // Rejected where the URL is not one, or the bucket's name cannot be one.
  static Result<S3Endpoint> make(const Options& options);

  // Of an object; of the bucket where `key` is empty.
  [[nodiscard]] S3Location locate(std::string_view key) const;
  [[nodiscard]] const std::string& base_url() const { return base_url_; }

 private:
  std::string scheme_;
  std::string host_;      // with a port that is not the default one, the bucket in front
  std::string path_;      // encoded, without a slash at the end: what stands before "/key"
  std::string base_url_;  // for the log
};

}  // namespace sluice

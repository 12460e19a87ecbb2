#include "common/s3/s3_endpoint.h"

#include <doctest/doctest.h>

namespace sluice {
namespace {

std::string url_of(const S3Endpoint::Options& options, std::string_view key) {
  const Result<S3Endpoint> endpoint = S3Endpoint::make(options);
  REQUIRE(endpoint);
  return endpoint->locate(key).url;
}

TEST_CASE("aws_buckets_are_addressed_in_virtual_host_style") {
  CHECK(url_of({.endpoint_url = "", .region = "eu-west-1", .bucket = "bucket"}, "a b/ü+.xml") ==
        "https://bucket.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC%2B.xml");
  CHECK(url_of({.endpoint_url = "", .region = "cn-north-1", .bucket = "bucket"}, "k") ==
        "https://bucket.s3.cn-north-1.amazonaws.com.cn/k");
  CHECK(url_of({.endpoint_url = "", .region = "eu-west-1", .bucket = "bucket"}, "") ==
        "https://bucket.s3.eu-west-1.amazonaws.com/");
}

TEST_CASE("a_dotted_bucket_over_tls_is_addressed_by_path") {
  CHECK(url_of({.endpoint_url = "", .region = "eu-west-1", .bucket = "my.bucket"}, "k") ==
        "https://s3.eu-west-1.amazonaws.com/my.bucket/k");
}

TEST_CASE("custom_endpoints_keep_port_and_path") {
  const S3Endpoint::Options by_path{
      .endpoint_url = "http://localhost:9000/store/", .bucket = "bucket", .path_style = true};
  CHECK(url_of(by_path, "k") == "http://localhost:9000/store/bucket/k");
  CHECK(url_of({.endpoint_url = "http://s3.test:80", .bucket = "bucket"}, "k") ==
        "http://bucket.s3.test/k");
  CHECK(url_of({.endpoint_url = "https://s3.test:443", .bucket = "bucket"}, "k") ==
        "https://bucket.s3.test/k");
  CHECK(url_of({.endpoint_url = "http://[::1]:80", .bucket = "bucket", .path_style = true}, "k") ==
        "http://[::1]/bucket/k");
}

TEST_CASE("what_is_no_endpoint_is_refused") {
  for (const char* url : {"localhost:9000", "ftp://x", "http://", "http://user@host", "http://a/?x",
                          "file:///etc/passwd", "http://a b"}) {
    CAPTURE(url);
    CHECK_FALSE(S3Endpoint::make({.endpoint_url = url, .bucket = "bucket"}));
  }
  CHECK_FALSE(S3Endpoint::make({.endpoint_url = "", .bucket = "a/b"}));
  CHECK_FALSE(S3Endpoint::make({.endpoint_url = "", .bucket = ""}));
  CHECK_FALSE(S3Endpoint::make({.endpoint_url = "", .region = "", .bucket = "bucket"}));
}

}  // namespace
}  // namespace sluice

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

TEST_CASE("aws_has_other_endpoints_for_the_same_bucket") {
  const auto host_of = [](S3Endpoint::Options options) {
    options.bucket = "bucket";
    const Result<S3Endpoint> endpoint = S3Endpoint::make(options);
    REQUIRE(endpoint);
    return endpoint->locate("k").host;
  };
  CHECK(host_of({.region = "eu-west-1", .dualstack = true}) ==
        "bucket.s3.dualstack.eu-west-1.amazonaws.com");
  CHECK(host_of({.region = "us-east-1", .fips = true}) == "bucket.s3-fips.us-east-1.amazonaws.com");
  CHECK(host_of({.region = "us-gov-west-1", .dualstack = true, .fips = true}) ==
        "bucket.s3-fips.dualstack.us-gov-west-1.amazonaws.com");
  CHECK(host_of({.region = "eu-west-1", .accelerate = true}) ==
        "bucket.s3-accelerate.amazonaws.com");
  CHECK(host_of({.region = "eu-west-1", .dualstack = true, .accelerate = true}) ==
        "bucket.s3-accelerate.dualstack.amazonaws.com");
  CHECK(host_of({.region = "cn-north-1", .dualstack = true}) ==
        "bucket.s3.dualstack.cn-north-1.amazonaws.com.cn");
  CHECK(host_of({.region = "us-iso-east-1"}) == "bucket.s3.us-iso-east-1.c2s.ic.gov");
  CHECK(host_of({.region = "us-isob-east-1"}) == "bucket.s3.us-isob-east-1.sc2s.sgov.gov");
}

TEST_CASE("s3_a_redirect_leads_only_to_the_same_store_over_tls_and_to_the_same_key") {
  const Result<S3Endpoint> aws = S3Endpoint::make({.region = "eu-west-1", .bucket = "bucket"});
  REQUIRE(aws);
  const auto there =
      aws->redirected("a b", "https://bucket.s3-eu-west-1.amazonaws.com/a%20b?rk=e2c69a31");
  REQUIRE(there);
  CHECK(there->host == "bucket.s3-eu-west-1.amazonaws.com");
  CHECK(there->path == "/a%20b");
  CHECK(there->url == "https://bucket.s3-eu-west-1.amazonaws.com/a%20b");
  CHECK(aws->redirected("k", "https://s3-eu-west-1.amazonaws.com/bucket/k"));
  CHECK(aws->redirected("", "https://bucket.s3-eu-west-1.amazonaws.com/"));
  for (const char* location :
       {"http://bucket.s3-eu-west-1.amazonaws.com/k", "https://amazonaws.com.evil.test/k",
        "https://evilamazonaws.com/k", "https://bucket.s3.amazonaws.com.cn/k", "", "/k",
        "https://bucket.s3-eu-west-1.amazonaws.com/other", "https://x@amazonaws.com/k",
        "https://evil.test\\.amazonaws.com/k", "https://evil.test#.amazonaws.com/k",
        "https://evil.test?.amazonaws.com/k"}) {
    CAPTURE(location);
    CHECK_FALSE(aws->redirected("k", location));
  }
  const Result<S3Endpoint> other = S3Endpoint::make(
      {.endpoint_url = "http://s3.test:9000", .bucket = "bucket", .path_style = true});
  REQUIRE(other);
  CHECK(other->redirected("k", "https://s3.test:9443/bucket/k"));
  CHECK(other->redirected("k", "https://bucket.node-3.s3.test/k"));
  CHECK_FALSE(other->redirected("k", "https://bucket.s3.eu-west-1.amazonaws.com/k"));
  CHECK_FALSE(other->redirected("k", "https://nots3.test/bucket/k"));
}

}  // namespace
}  // namespace sluice

#include "common/http/raw_request.h"

#include <doctest/doctest.h>

#include <string>

namespace sluice {
namespace {

TEST_CASE("target_may_have_spaces_and_bytes_of_any_kind") {
  const auto request =
      parse_raw_request("GET /example space/\xE1\x88\xB4?a b=? HTTP/1.1\nHost:h\n");
  REQUIRE(request);
  CHECK(request->method == "GET");
  CHECK(request->path == "/example space/\xE1\x88\xB4");
  CHECK(request->query == "a b=?");
  CHECK(request->body.empty());
}

TEST_CASE("line_feed_and_carriage_return_line_feed_are_line_ends") {
  for (const std::string end : {"\n", "\r\n"}) {
    std::string text = "POST / HTTP/1.1" + end;
    text += "Host: h" + end + "X:a" + end;
    text += "X:b" + end + end + "one\r\ntwo\n";
    const auto request = parse_raw_request(text);
    REQUIRE(request);
    REQUIRE(request->headers.size() == 3);
    CHECK(*request->header("HOST") == " h");
    CHECK(*request->header("x") == "a");
    CHECK(request->headers.back().second == "b");
    CHECK(request->body == "one\r\ntwo\n");
  }
}

TEST_CASE("folded_line_belongs_to_the_header_above") {
  const auto request = parse_raw_request("GET / HTTP/1.1\nA:1\n  2\n\t3\nB:4\n\n");
  REQUIRE(request);
  CHECK(*request->header("a") == "1\n  2\n\t3");
  CHECK(*request->header("b") == "4");
}

TEST_CASE("empty_lines_above_the_request_are_skipped") {
  const auto request = parse_raw_request("\n\r\nGET / HTTP/1.1\nHost:h\n");
  REQUIRE(request);
  CHECK(request->header("host") != nullptr);
  CHECK(request->header("hos") == nullptr);
}

TEST_CASE("what_is_no_request_is_rejected_with_its_line_and_never_its_text") {
  struct Wrong {
    const char* text;
    const char* line;
  };
  for (const Wrong& wrong : {Wrong{"", "line 1 "},
                             {"\n\n", "line 2 "},
                             {"canary", "line 1 "},
                             {"GET HTTP/1.1\n", "line 1 "},
                             {" / HTTP/1.1\n", "line 1 "},
                             {"GET / canary\n", "line 1 "},
                             {"GET https://canary/ HTTP/1.1\n", "line 1 "},
                             {"GET / HTTP/1.1\n canary\n", "line 2 "},
                             {"GET / HTTP/1.1\nHost:h\ncanary\n", "line 3 "},
                             {"GET / HTTP/1.1\nHost:h\ncan ary: 1\n", "line 3 "},
                             {"GET / HTTP/1.1\nHost:h\n:canary\n", "line 3 "}}) {
    CAPTURE(std::string(wrong.text));
    const auto request = parse_raw_request(wrong.text);
    REQUIRE_FALSE(request);
    CHECK(request.error().kind == ErrorKind::rejected);
    CHECK(request.error().message.starts_with(wrong.line));
    CHECK(request.error().message.find("canary") == std::string::npos);
  }
}

}  // namespace
}  // namespace sluice

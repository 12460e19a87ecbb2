#include "common/s3/aws_ini.h"

#include <doctest/doctest.h>

using namespace sluice;

namespace {

std::string value(const Result<IniSections>& sections, const char* section, const char* name) {
  REQUIRE(sections);
  REQUIRE(sections->contains(section));
  REQUIRE(sections->at(section).contains(name));
  return sections->at(section).at(name);
}

std::string error_of(std::string_view text) {
  const auto sections = parse_ini(text);
  return sections ? std::string() : sections.error().message;
}

}  // namespace

TEST_CASE("sections_values_and_comments_are_told_apart") {
  const auto sections = parse_ini(
      "\xEF\xBB\xBF# a comment\r\n"
      "[default]\r\n"
      "AWS_Access_Key_Id = AKIA#1;2 # not the key\r\n"
      "aws_secret_access_key=a=b/c+d\n"
      "\n"
      "; another\n"
      "[ profile prod ] ; behind a section\n"
      "region =\teu-central-1\t\n"
      "empty =\n");
  CHECK(value(sections, "default", "aws_access_key_id") == "AKIA#1;2");
  CHECK(value(sections, "default", "aws_secret_access_key") == "a=b/c+d");
  CHECK(value(sections, "profile prod", "region") == "eu-central-1");
  CHECK(value(sections, "profile prod", "empty").empty());
  CHECK(sections->size() == 2);
}

TEST_CASE("a_section_may_come_again_and_the_later_value_wins") {
  const auto sections = parse_ini("[a]\nx = 1\ny = 2\n[b]\nx = 3\n[a]\nx = 4");
  CHECK(value(sections, "a", "x") == "4");
  CHECK(value(sections, "a", "y") == "2");
  CHECK(value(sections, "b", "x") == "3");
}

TEST_CASE("indented_lines_belong_to_the_value_before_them") {
  const auto sections = parse_ini("[a]\n  first = 1\ns3 =\n  max_queue_size = 3\nlast = 2\n");
  CHECK(value(sections, "a", "first") == "1");
  CHECK(value(sections, "a", "s3") == "\nmax_queue_size = 3");
  CHECK(value(sections, "a", "last") == "2");
  CHECK(sections->at("a").size() == 3);
}

TEST_CASE("what_is_no_line_of_the_form_is_named_by_its_number_and_not_shown") {
  CHECK(error_of("[a]\nx = 1\ncanary\n").starts_with("line 3 "));
  CHECK(error_of("canary = 1\n").starts_with("line 1 "));
  CHECK(error_of("\n[canary\n").starts_with("line 2 "));
  CHECK(error_of("[a] canary\n").starts_with("line 1 "));
  CHECK(error_of("[a]\n= canary\n").starts_with("line 2 "));
  for (const char* text : {"[a]\nx = 1\ncanary\n", "[canary\n", "[a]\n= canary\n"}) {
    CHECK(error_of(text).find("canary") == std::string::npos);
  }
  CHECK(parse_ini("").value().empty());
}

TEST_CASE("profiles_of_the_config_file_have_a_word_in_front") {
  CHECK(profile_of_section("default") == "default");
  CHECK(profile_of_section("profile prod") == "prod");
  CHECK(profile_of_section("profile\t'my prod'") == "my prod");
  CHECK(profile_of_section("profile \"prod\"") == "prod");
  CHECK(profile_of_section("profile default") == "default");
  for (const char* other : {"prod", "profileprod", "profile", "sso-session x", ""}) {
    CAPTURE(other);
    CHECK(profile_of_section(other).empty());
  }
}

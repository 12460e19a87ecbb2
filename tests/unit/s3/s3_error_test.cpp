#include "common/s3/s3_error.h"

#include <doctest/doctest.h>

#include <string>

namespace sluice {
namespace {

TEST_CASE("error_document_gives_code_message_and_region") {
  const S3ErrorBody error = scan_s3_error(
      "\xEF\xBB\xBF <?xml version=\"1.0\"?>\n<!-- x --><Error><Code>PermanentRedirect</Code>"
      "<Message>use &lt;that&gt; &amp; so</Message><Region>eu-west-1</Region></Error>");
  CHECK(error.is_error);
  CHECK(error.code == "PermanentRedirect");
  CHECK(error.message == "use <that> & so");
  CHECK(error.region == "eu-west-1");
}

TEST_CASE("success_documents_and_garbage_are_no_error") {
  for (const char* body :
       {"", "   ", "<CompleteMultipartUploadResult/>", "{}", "<?xml",
        "<!-- <Error><Code>x</Code></Error>", "<html><Error/></html>", "<", "&"}) {
    CAPTURE(body);
    CHECK_FALSE(scan_s3_error(body).is_error);
  }
}

TEST_CASE("s14_hostile_error_text_is_cut_and_made_printable") {
  const std::string long_text(100'000, 'A');
  const S3ErrorBody error =
      scan_s3_error("<Error><Code>Bad\x1b[31m\nCode;rm -rf</Code><Message>a\nb\x1b" + long_text +
                    "</Message></Error>");
  CHECK(error.is_error);
  CHECK(error.code == "Bad31mCoderm-rf");
  CHECK(error.message.starts_with("a?b?AAA"));
  CHECK(error.message.size() == 512);
  CHECK(scan_s3_error("<Error><Code>" + long_text).code.size() == 64);
}

TEST_CASE("s14_bytes_past_the_bound_are_not_looked_at") {
  const std::string filler(70'000, ' ');
  CHECK_FALSE(scan_s3_error(filler + "<Error><Code>X</Code></Error>").is_error);
  CHECK(scan_s3_error("<Error>" + filler + "<Code>X</Code></Error>").code.empty());
}

TEST_CASE("escaping_is_the_inverse_of_unescaping") {
  const std::string text = "\"a&b<c>'\"";
  CHECK(element_text("<ETag>" + xml_escape(text) + "</ETag>", {.name = "ETag"}) == text);
}

}  // namespace
}  // namespace sluice

// What an S3 store, or whatever stands in its place, answers: errors and listings.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/s3/s3_error.h"
#include "common/s3/s3_listing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace sluice;
  const std::string_view body(reinterpret_cast<const char*>(bytes), size);
  const S3ErrorBody error = scan_s3_error(body);
  CHECK_THAT(error.code.size() <= 64 && error.message.size() <= 512);
  for (const char c : error.code + error.message + error.region) {
    CHECK_THAT(c >= 0x20 && c < 0x7F);
  }
  // Unescaping never makes text longer.
  CHECK_THAT(xml_unescape(body).size() <= size);
  CHECK_THAT(xml_unescape(xml_escape(body)) == body);
  if (const auto page = parse_object_page(body)) {
    CHECK_THAT(page->objects.size() <= size);
    CHECK_THAT(!parse_object_page(body.substr(0, body.rfind('>'))));
  }
  if (const auto page = parse_upload_page(body)) {
    CHECK_THAT(page->uploads.size() <= size);
    CHECK_THAT(!parse_upload_page(body.substr(0, body.rfind('>'))));
  }
  return 0;
}

#include "common/s3/s3_listing.h"

#include <doctest/doctest.h>

#include <string>

namespace sluice {
namespace {

// From the reference of ListObjectsV2, with what other stores do: numeric references, no owner, the
// word on the encoding at the end.
constexpr std::string_view kObjects =
    R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>bucket</Name><Prefix/><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys>
  <IsTruncated>true</IsTruncated><NextContinuationToken>1ueG/&amp;==</NextContinuationToken>
  <!-- <Contents><Key>no</Key></Contents> -->
  <Contents><Key>a%2Bb+c%2F%C3%BC</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>
    <ETag>&quot;fba9&quot;</ETag><ChecksumAlgorithm>CRC32C</ChecksumAlgorithm><Size>434234</Size>
    <Owner><ID>x</ID><Key>not this</Key></Owner></Contents>
  <Contents><Key>z</Key><LastModified>then</LastModified><ETag>&#34;aa&#x22;</ETag><Size>0</Size>
  </Contents><EncodingType>url</EncodingType></ListBucketResult>)";

TEST_CASE("a_page_of_objects_is_read_with_its_continuation") {
  const auto page = parse_object_page(kObjects);
  REQUIRE(page);
  REQUIRE(page->objects.size() == 2);
  CHECK(page->objects[0].key == "a+b c/\xC3\xBC");
  CHECK(page->objects[0].bytes == 434234);
  CHECK(page->objects[0].etag == "\"fba9\"");
  CHECK(page->objects[0].modified_at == WallTime(std::chrono::seconds(1255369830)));
  CHECK(page->objects[1].key == "z");
  CHECK(page->objects[1].etag == "\"aa\"");
  CHECK_FALSE(page->objects[1].modified_at);
  CHECK(page->continuation == "1ueG/&==");
}

TEST_CASE("keys_are_taken_as_they_are_where_the_store_does_not_encode_them") {
  const auto page = parse_object_page(
      "<ListBucketResult><Contents><Key>a+b%41&lt;&#xFC;</Key></Contents></ListBucketResult>");
  REQUIRE(page);
  REQUIRE(page->objects.size() == 1);
  CHECK(page->objects[0].key == "a+b%41<\xC3\xBC");
  CHECK(page->continuation.empty());
}

TEST_CASE("a_page_of_uploads_is_read_with_its_markers") {
  const auto page = parse_upload_page(
      "<ListMultipartUploadsResult><Bucket>b</Bucket><EncodingType>url</EncodingType>"
      "<KeyMarker/><NextKeyMarker>k%26</NextKeyMarker><NextUploadIdMarker>id&amp;2</"
      "NextUploadIdMarker><IsTruncated>true</IsTruncated>"
      "<Upload><Key>my%3Ckey</Key><UploadId>id&amp;1</UploadId><Initiator><ID>i</ID></Initiator>"
      "<Initiated>2010-11-10T20:48:33.000Z</Initiated></Upload></ListMultipartUploadsResult>");
  REQUIRE(page);
  REQUIRE(page->uploads.size() == 1);
  CHECK(page->uploads[0].upload.key == "my<key");
  CHECK(page->uploads[0].upload.upload_id == "id&1");
  CHECK(page->uploads[0].initiated_at == WallTime(std::chrono::seconds(1289422113)));
  CHECK(page->next.key == "k&");
  CHECK(page->next.upload_id == "id&2");
}

TEST_CASE("s14_no_prefix_of_a_list_passes_for_a_whole_one") {
  for (std::size_t bytes = 0; bytes < kObjects.size(); ++bytes) {
    CAPTURE(bytes);
    CHECK_FALSE(parse_object_page(kObjects.substr(0, bytes)));
  }
  CHECK_FALSE(parse_upload_page(kObjects));
  for (const char* body :
       {"<a><b></a></b>", "<ListBucketResult></ListBucketResult><ListBucketResult/>", "x<a/>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "<>", "</a>",
        "<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>"}) {
    CAPTURE(body);
    CHECK_FALSE(parse_object_page(body));
  }
  CHECK(parse_object_page("<ListBucketResult/>"));
}

TEST_CASE("listing_queries_are_sorted_and_encoded") {
  CHECK(listing_query(ListRequest{.prefix = "a b/", .start_after = "a b/\xC3\xBC"}) ==
        "encoding-type=url&list-type=2&max-keys=1000&prefix=a%20b%2F&start-after=a%20b%2F%C3%BC");
  CHECK(listing_query(ListRequest{
            .start_after = "without effect", .continuation = "t=", .objects_max = 5000}) ==
        "continuation-token=t%3D&encoding-type=url&list-type=2&max-keys=1000");
  CHECK(listing_query(ListUploadsRequest{
            .prefix = "p", .after = {.key = "k/", .upload_id = "i+"}, .uploads_max = 7}) ==
        "key-marker=k%2F&max-uploads=7&prefix=p&upload-id-marker=i%2B&uploads=");
}

}  // namespace
}  // namespace sluice

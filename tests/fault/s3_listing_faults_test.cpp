// Listings of the S3 client, against a server that answers by pages.
#include <doctest/doctest.h>

#include "s3_client_fixture.h"

namespace sluice {
namespace {

using s3_client_test::Fixture;
using s3_client_test::Multipart;

StoreResult<ObjectPage> list(Fixture& fixture, const ListRequest& request) {
  return fixture.wait<ObjectPage>(
      [&](auto done) { (*fixture.client)->list(request, std::move(done)); });
}

StoreResult<UploadPage> list_uploads(Fixture& fixture, const ListUploadsRequest& request) {
  return fixture.wait<UploadPage>(
      [&](auto done) { (*fixture.client)->list_multipart(request, std::move(done)); });
}

// Names that XML, a URL or a form would each spoil in its own way.
const std::vector<std::string> kKeys = {
    "p/ a+b",     "p/%41",          "p/<&>\"'", "p/line\nbreak",
    "p/\x01\x7f", "p/\xC3\xBC.xml", "p/~",      "p/\xF0\x9F\x8C\x8A"};

TEST_CASE("every_key_survives_a_listing_by_pages") {
  Fixture fixture;
  for (const std::string& key : kKeys) {
    REQUIRE(fixture.put(key, "12345").ok());
  }
  REQUIRE(fixture.put("q/other", "x").ok());
  std::vector<std::string> sorted = kKeys;
  std::sort(sorted.begin(), sorted.end());

  std::vector<std::string> listed;
  ListRequest request{.prefix = "p/", .objects_max = 3};
  std::size_t pages = 0;
  do {
    const StoreResult<ObjectPage> page = list(fixture, request);
    REQUIRE(page.ok());
    REQUIRE(page.value.objects.size() <= 3);
    for (const ListedObject& object : page.value.objects) {
      listed.push_back(object.key);
      CHECK(object.bytes == 5);
      CHECK(object.etag == "\"827ccb0eea8a706c4c34a16891f84e7b\"");
      REQUIRE(object.modified_at);
      CHECK(std::chrono::abs(*object.modified_at - std::chrono::system_clock::now()) <
            std::chrono::minutes(5));
    }
    request.continuation = page.value.continuation;
    pages += 1;
  } while (!request.continuation.empty());
  CHECK(listed == sorted);
  CHECK(pages == 3);

  const StoreResult<ObjectPage> behind =
      list(fixture, {.prefix = "p/", .start_after = sorted[4], .objects_max = 1});
  REQUIRE(behind.ok());
  REQUIRE(behind.value.objects.size() == 1);
  CHECK(behind.value.objects[0].key == sorted[5]);
  CHECK(list(fixture, {.prefix = "nothing"}).value.objects.empty());
}

TEST_CASE("s18_open_uploads_are_listed_with_their_ids_and_times_and_can_be_aborted") {
  Fixture fixture;
  std::vector<std::pair<std::string, std::string>> begun;
  for (const std::string& key : kKeys) {
    for (int i = 0; i < 2; ++i) {
      begun.emplace_back(key, Multipart(fixture, key).id);
    }
  }
  std::sort(begun.begin(), begun.end());
  const Multipart other(fixture, "q/other");

  std::vector<std::pair<std::string, std::string>> listed;
  ListUploadsRequest request{.prefix = "p/", .uploads_max = 3};
  do {
    const StoreResult<UploadPage> page = list_uploads(fixture, request);
    REQUIRE(page.ok());
    for (const OpenUpload& open : page.value.uploads) {
      listed.emplace_back(open.upload.key, open.upload.upload_id);
      REQUIRE(open.initiated_at);
      CHECK(std::chrono::abs(*open.initiated_at - std::chrono::system_clock::now()) <
            std::chrono::minutes(5));
      const auto aborted = fixture.wait<ObjectStore::Nothing>(
          [&](auto done) { (*fixture.client)->abort_multipart(open.upload, std::move(done)); });
      CHECK(aborted.ok());
    }
    request.after = page.value.next;
  } while (!request.after.empty());
  CHECK(listed == begun);
  CHECK(list_uploads(fixture, {.prefix = "p/"}).value.uploads.empty());
  CHECK(fixture.server.uploads().size() == 1);
}

TEST_CASE("s1_a_list_that_is_cut_or_is_none_is_a_failure") {
  Fixture fixture;
  REQUIRE(fixture.put("a", "x").ok());
  const std::vector<nlohmann::json> faults = {
      {{"kind", "status"}, {"status", 200}, {"body", "<html>sign in</html>"}},
      {{"kind", "status"}, {"status", 200}, {"body", ""}},
      {{"kind", "status"}, {"status", 200}, {"body", "<ListBucketResult><Contents>"}},
      {{"kind", "error200"}},
      {{"kind", "truncate"}}};
  for (const nlohmann::json& fault : faults) {
    CAPTURE(fault.dump());
    fixture.server.fault(fault);
    CHECK(list(fixture, {}).error.value_or(StoreError{.kind = StoreErrorKind::exists}).kind ==
          StoreErrorKind::retry);
    fixture.server.fault(fault);
    CHECK(
        list_uploads(fixture, {}).error.value_or(StoreError{.kind = StoreErrorKind::exists}).kind ==
        StoreErrorKind::retry);
  }
  CHECK(list(fixture, {}).value.objects.size() == 1);
}

}  // namespace
}  // namespace sluice

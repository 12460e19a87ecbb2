// DirectoryStore's listings.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "common/platform/posix_filesystem.h"
#include "common/s3/directory_store.h"
#include "scratch_directory.h"

namespace sluice {
namespace {

struct Fixture {
  Fixture()
      : store(DirectoryStore::open(posix, {.root = scratch.path() / "objects", .instance = "a"})) {
    REQUIRE(store);
  }
  template <class T>
  StoreResult<T> wait(const std::function<void(StoreCompletion<T>)>& start) {
    std::optional<StoreResult<T>> result;
    start([&result](StoreResult<T> given) { result = std::move(given); });
    (*store)->poll(MonotonicTime::max());
    REQUIRE(result);
    return std::move(*result);
  }
  void put(const std::string& key) {
    const auto result = wait<PutOutcome>([&](auto done) {
      PutRequest request;
      request.name = {.key = key, .content_type = "text/plain"};
      request.body.append(std::as_bytes(std::span(key)), nullptr);
      (*store)->put(std::move(request), std::move(done));
    });
    REQUIRE(result.ok());
  }
  std::vector<std::string> list(ListRequest request) {
    std::vector<std::string> keys;
    do {
      const auto page =
          wait<ObjectPage>([&](auto done) { (*store)->list(request, std::move(done)); });
      REQUIRE(page.ok());
      REQUIRE(page.value.objects.size() <= request.objects_max);
      for (const ListedObject& object : page.value.objects) {
        keys.push_back(object.key);
        CHECK(object.bytes == object.key.size());
        CHECK(object.modified_at);
      }
      request.continuation = page.value.continuation;
    } while (!request.continuation.empty());
    return keys;
  }

  ScratchDirectory scratch;
  PosixFilesystem posix;
  Result<std::unique_ptr<DirectoryStore>> store;
};

TEST_CASE("files_are_listed_in_the_order_of_their_keys_by_pages_of_any_size") {
  Fixture fixture;
  // "a-/" and "a.x" stand before "a/", "a0" behind it: a directory sorts with its '/'.
  std::vector<std::string> keys = {"a/b/c", "a/b/d", "a/z", "a-/x", "a.x", "a0", "b", "z/y/x/w"};
  for (const std::string& key : keys) {
    fixture.put(key);
  }
  std::sort(keys.begin(), keys.end());
  for (std::uint32_t most = 1; most < 10; ++most) {
    CHECK(fixture.list({.objects_max = most}) == keys);
  }
  for (const std::string prefix : {"a", "a/", "a/b", "a/b/c", "a/b/c/d", "z/y/", "zz", "."}) {
    for (const std::string after : {"", "a", "a/b/c", "a/b/c0", "a/y", "b", "z/y/x/w"}) {
      CAPTURE(prefix);
      CAPTURE(after);
      std::vector<std::string> expected;
      std::copy_if(keys.begin(), keys.end(), std::back_inserter(expected),
                   [&](const auto& key) { return key.starts_with(prefix) && key > after; });
      CHECK(fixture.list({.prefix = prefix, .start_after = after, .objects_max = 2}) == expected);
    }
  }
}

TEST_CASE("an_upload_that_was_begun_is_listed_until_it_ends_and_is_no_object") {
  Fixture fixture;
  const auto begin = [&](const char* key) {
    return fixture
        .wait<std::string>([&](auto done) {
          (*fixture.store)->create_multipart({.key = key, .content_type = "a/b"}, std::move(done));
        })
        .value;
  };
  const std::string first = begin("p/b");
  const std::string second = begin("p/a");
  begin("q");
  CHECK(fixture.list({}).empty());
  const auto page_after = [&](UploadMarker after) {
    return fixture
        .wait<UploadPage>([&](auto done) {
          (*fixture.store)
              ->list_multipart({.prefix = "p/", .after = std::move(after), .uploads_max = 1},
                               std::move(done));
        })
        .value;
  };
  const UploadPage one = page_after({});
  REQUIRE(one.uploads.size() == 1);
  CHECK(one.uploads[0].upload.key == "p/a");
  CHECK(one.uploads[0].upload.upload_id == second);
  CHECK(one.uploads[0].initiated_at);
  const UploadPage two = page_after(one.next);
  REQUIRE(two.uploads.size() == 1);
  CHECK(two.uploads[0].upload.upload_id == first);
  CHECK(two.next.empty());
  const auto aborted = fixture.wait<ObjectStore::Nothing>([&](auto done) {
    (*fixture.store)->abort_multipart(two.uploads[0].upload, std::move(done));
  });
  CHECK(aborted.ok());
  CHECK(page_after(one.next).uploads.empty());
}

}  // namespace
}  // namespace sluice

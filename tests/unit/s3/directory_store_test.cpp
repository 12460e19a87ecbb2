#include "common/s3/directory_store.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "common/platform/posix_filesystem.h"
#include "common/s3/store_probe.h"
#include "fakes/fault_filesystem.h"
#include "scratch_directory.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

std::string content_of(const Path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

PutRequest put_of(std::string key, const std::string& text) {
  auto owner = std::make_shared<std::string>(text);
  PutRequest request;
  request.name = {.key = std::move(key), .content_type = "text/plain"};
  request.body.append(std::as_bytes(std::span(*owner)), owner);
  return request;
}

struct Fixture {
  explicit Fixture(Filesystem* given = nullptr)
      : store(DirectoryStore::open(given == nullptr ? posix : *given,
                                   {.root = scratch.path() / "objects", .instance = "a"})) {
    REQUIRE(store);
  }
  StoreResult<PutOutcome> put(PutRequest request) const {
    std::optional<StoreResult<PutOutcome>> result;
    (*store)->put(std::move(request), [&](StoreResult<PutOutcome> given) { result = given; });
    CHECK_FALSE(result);  // never called inside the request
    (*store)->poll(MonotonicTime::max());
    REQUIRE(result);
    return *result;
  }
  [[nodiscard]] Path object(const char* key) const { return scratch.path() / "objects" / key; }
  [[nodiscard]] std::size_t temporary_files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(object(".sluice-tmp")), fs::directory_iterator()));
  }

  ScratchDirectory scratch;
  PosixFilesystem posix;
  Result<std::unique_ptr<DirectoryStore>> store;
};

TEST_CASE("object_is_a_file_under_its_key") {
  Fixture fixture;
  const StoreResult<PutOutcome> result = fixture.put(put_of("a/2026/b.xml", "hello"));
  CHECK(result.ok());
  CHECK_FALSE(result.value.found_equal);
  CHECK(content_of(fixture.object("a/2026/b.xml")) == "hello");
  CHECK(fixture.temporary_files() == 0);
}

TEST_CASE("equal_bytes_under_the_key_are_a_success_and_others_are_never_overwritten") {
  Fixture fixture;
  CHECK(fixture.put(put_of("k", "hello")).ok());
  const StoreResult<PutOutcome> again = fixture.put(put_of("k", "hello"));
  CHECK(again.ok());
  CHECK(again.value.found_equal);
  for (const char* text : {"hellO", "hell", "hello!", ""}) {
    CAPTURE(text);
    const StoreResult<PutOutcome> other = fixture.put(put_of("k", text));
    REQUIRE(other.error);
    CHECK(other.error->kind == StoreErrorKind::exists);
  }
  CHECK(content_of(fixture.object("k")) == "hello");
  CHECK(fixture.temporary_files() == 0);
}

TEST_CASE("large_equal_objects_are_compared_to_the_end") {
  Fixture fixture;
  std::string text(600'000, 'x');
  CHECK(fixture.put(put_of("k", text)).ok());
  CHECK(fixture.put(put_of("k", text)).value.found_equal);
  text.back() = 'y';
  CHECK(fixture.put(put_of("k", text)).error.value_or(StoreError{}).kind == StoreErrorKind::exists);
}

TEST_CASE("c2_keys_that_leave_the_directory_are_refused") {
  Fixture fixture;
  for (const char* key : {"../x", "a/../../x", "/etc/x", "a//b", "", "a/", ".sluice-tmp/a~1"}) {
    CAPTURE(key);
    const StoreResult<PutOutcome> result = fixture.put(put_of(key, "x"));
    REQUIRE(result.error);
    CHECK(result.error->kind == StoreErrorKind::this_object);
  }
  CHECK_FALSE(fs::exists(fixture.scratch.path() / "x"));
}

TEST_CASE("stale_temporary_files_of_this_instance_alone_are_removed_at_start") {
  ScratchDirectory scratch;
  const Path temporary = scratch.path() / ".sluice-tmp";
  fs::create_directories(temporary);
  for (const char* name : {"a~1", "a~99", "ab~1", "b~1"}) {
    std::ofstream(temporary / name) << "x";
  }
  PosixFilesystem filesystem;
  CHECK(DirectoryStore::open(filesystem, {.root = scratch.path(), .instance = "a"}));
  CHECK_FALSE(fs::exists(temporary / "a~1"));
  CHECK_FALSE(fs::exists(temporary / "a~99"));
  CHECK(fs::exists(temporary / "ab~1"));
  CHECK(fs::exists(temporary / "b~1"));
}

TEST_CASE("parts_in_any_order_make_one_object") {
  Fixture fixture;
  DirectoryStore& store = **fixture.store;
  std::string id;
  store.create_multipart({.key = "big/k", .content_type = ""},
                         [&](StoreResult<std::string> given) { id = given.value; });
  store.poll(MonotonicTime::max());
  std::size_t parts = 0;
  for (const auto& [number, begin, text] :
       {std::tuple{2U, 5U, "world"}, std::tuple{1U, 0U, "hello"}}) {
    PartRequest part{.key = "big/k", .upload_id = id, .number = number, .begin = begin};
    part.body.append(std::as_bytes(std::span(text, 5)), nullptr);
    store.upload_part(std::move(part),
                      [&](const StoreResult<UploadedPart>& given) { parts += given.ok() ? 1 : 0; });
    store.poll(MonotonicTime::max());
  }
  CHECK(parts == 2);
  CHECK_FALSE(fs::exists(fixture.object("big/k")));
  std::optional<StoreResult<PutOutcome>> done;
  store.complete_multipart({.key = "big/k", .upload_id = id, .parts = {}},
                           [&](StoreResult<PutOutcome> given) { done = given; });
  store.poll(MonotonicTime::max());
  REQUIRE(done);
  CHECK(done->ok());
  CHECK(content_of(fixture.object("big/k")) == "helloworld");
  CHECK(fixture.temporary_files() == 0);

  store.complete_multipart({.key = "big/k", .upload_id = id, .parts = {}},
                           [&](StoreResult<PutOutcome> given) { done = given; });
  store.poll(MonotonicTime::max());
  CHECK(done->error.value_or(StoreError{}).kind == StoreErrorKind::upload_lost);
}

TEST_CASE("head_and_get_tell_what_is_there") {
  Fixture fixture;
  DirectoryStore& store = **fixture.store;
  CHECK(fixture.put(put_of("k", "hello")).ok());
  std::optional<ObjectInfo> info;
  std::optional<std::string> text;
  store.head("k", [&](StoreResult<std::optional<ObjectInfo>> given) { info = given.value; });
  store.poll(MonotonicTime::max());
  store.get({.key = "k"},
            [&](StoreResult<std::optional<std::string>> given) { text = given.value; });
  store.poll(MonotonicTime::max());
  REQUIRE(info);
  CHECK(info->bytes == 5);
  CHECK(text == "hello");
  bool absent = false;
  store.head("none/k", [&](const StoreResult<std::optional<ObjectInfo>>& given) {
    absent = given.ok() && !given.value;
  });
  store.poll(MonotonicTime::max());
  CHECK(absent);
}

TEST_CASE("wake_is_sticky_and_ends_one_poll") {
  Fixture fixture;
  DirectoryStore& store = **fixture.store;
  store.wake();
  store.wake();
  store.poll(MonotonicTime::max());  // would hang
  std::thread waker([&store] { store.wake(); });
  store.poll(MonotonicTime::max());
  waker.join();
  store.poll(std::chrono::steady_clock::now());
  CHECK(true);
}

TEST_CASE("probe_leaves_nothing_behind") {
  Fixture fixture;
  const std::vector<PrefixProbe> probes =
      probe_store(**fixture.store, {.prefixes = {"xml/", "q/"}, .instance = "a"});
  REQUIRE(probes.size() == 2);
  CHECK(probes[0].prefix == "xml/");
  CHECK_FALSE(probes[0].error);
  CHECK_FALSE(probes[1].error);
  CHECK(fs::is_empty(fixture.object("xml")));
}

TEST_CASE("d15_an_unwritable_directory_is_a_store_that_is_down") {
  if (::geteuid() == 0) {
    MESSAGE("root writes everywhere: a file stands in the way instead");
  }
  Fixture fixture;
  std::ofstream(fixture.object("blocked")) << "a file where a directory should be";
  const StoreResult<PutOutcome> result = fixture.put(put_of("blocked/k", "x"));
  REQUIRE(result.error);
  CHECK(result.error->kind == StoreErrorKind::retry);
  CHECK_FALSE(result.error->advice.empty());
  fs::remove(fixture.object("blocked"));
  CHECK(fixture.put(put_of("blocked/k", "x")).ok());
}

struct FaultyFixture {
  FaultyFixture() { reopen(); }
  void reopen() {
    auto opened = DirectoryStore::open(filesystem, {.root = "/objects", .instance = "a"});
    REQUIRE(opened);
    store = std::move(*opened);
  }
  StoreResult<PutOutcome> put(PutRequest request) const {
    std::optional<StoreResult<PutOutcome>> result;
    store->put(std::move(request), [&](StoreResult<PutOutcome> given) { result = given; });
    store->poll(MonotonicTime::max());
    REQUIRE(result);
    return *result;
  }
  std::string content(const char* path) {
    return read_file(filesystem, path, kMiB).ok() ? *read_file(filesystem, path, kMiB) : "";
  }

  FaultFilesystem filesystem;
  std::unique_ptr<DirectoryStore> store;
};

TEST_CASE("d1_d15_any_failing_call_is_transient_and_leaves_no_half_object") {
  using Op = FaultFilesystem::Op;
  for (const Op op : {Op::open, Op::write, Op::sync, Op::rename, Op::sync_directory}) {
    for (const int code : {ENOSPC, EIO, EROFS}) {
      CAPTURE(static_cast<int>(op));
      FaultyFixture fixture;
      fixture.filesystem.fail({.op = op, .times = 1, .code = code});
      const StoreResult<PutOutcome> failed = fixture.put(put_of("a/b/k", "hello"));
      REQUIRE(failed.error);
      CHECK(failed.error->kind == StoreErrorKind::retry);
      CHECK_FALSE(failed.error->advice.empty());
      const std::string half = fixture.content("/objects/a/b/k");
      CHECK((half.empty() || half == "hello"));
      CHECK(fixture.put(put_of("a/b/k", "hello")).ok());
      CHECK(fixture.content("/objects/a/b/k") == "hello");
    }
  }
}

TEST_CASE("d3_a_failed_sync_is_never_repeated_on_the_same_file") {
  FaultyFixture fixture;
  fixture.filesystem.fail({.op = FaultFilesystem::Op::sync, .times = 1, .code = EIO});
  CHECK_FALSE(fixture.put(put_of("k", "hello")).ok());
  CHECK(fixture.put(put_of("k", "hello")).ok());
  fixture.filesystem.power_off_after(0);
  fixture.filesystem.restart(1);
  CHECK(fixture.content("/objects/k") == "hello");
}

TEST_CASE("d16_an_entry_whose_directory_sync_failed_is_made_again") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    FaultyFixture fixture;
    CHECK(fixture.put(put_of("k0", "zero")).ok());
    fixture.filesystem.fail({.op = FaultFilesystem::Op::sync_directory, .times = 1, .code = EIO});
    CHECK_FALSE(fixture.put(put_of("k", "hello")).ok());
    CHECK(fixture.put(put_of("k", "hello")).ok());
    fixture.filesystem.power_off_after(0);
    fixture.filesystem.restart(seed);
    CHECK(fixture.content("/objects/k") == "hello");
    CHECK(fixture.content("/objects/k0") == "zero");
  }
}

TEST_CASE("p3_a_confirmed_object_survives_power_loss_at_any_call") {
  for (std::uint64_t operations = 0; operations < 40; ++operations) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      CAPTURE(operations);
      CAPTURE(seed);
      FaultyFixture fixture;
      fixture.filesystem.power_off_after(operations);
      std::vector<std::string> confirmed;
      for (const char* key : {"k1", "d/k2", "d/e/k3"}) {
        if (fixture.put(put_of(key, std::string("text of ") + key)).ok()) {
          confirmed.emplace_back(key);
        }
      }
      fixture.store.reset();
      fixture.filesystem.restart(seed);
      for (const std::string& key : confirmed) {
        CHECK(fixture.content(("/objects/" + key).c_str()) == "text of " + key);
      }
      // The next start puts them all again: equal bytes, or the first ones.
      fixture.reopen();
      for (const char* key : {"k1", "d/k2", "d/e/k3"}) {
        CHECK(fixture.put(put_of(key, std::string("text of ") + key)).ok());
      }
    }
  }
}

}  // namespace
}  // namespace sluice

#include "common/platform/posix_filesystem.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/buffer.h"
#include "scratch_directory.h"

using namespace sluice;

TEST_CASE("what_is_written_is_read_and_create_new_refuses_an_existing_file") {
  ScratchDirectory scratch;
  PosixFilesystem filesystem;
  const Path path = scratch.path() / "file";
  auto file = filesystem.open(path, OpenMode::create_new);
  REQUIRE(file);
  const std::span<const std::byte> parts[] = {as_bytes("one "), as_bytes(""), as_bytes("two")};
  CHECK(write_all(**file, parts, 0).ok());
  CHECK((*file)->fdatasync().ok());
  CHECK(read_file(filesystem, path, 100).value() == "one two");
  auto again = filesystem.open(path, OpenMode::create_new);
  REQUIRE_FALSE(again);
  CHECK(again.error().code == EEXIST);
  CHECK(read_file(filesystem, path, 3).error().code == EFBIG);
}

TEST_CASE("allocate_keeps_the_size_and_truncate_releases") {
  ScratchDirectory scratch;
  PosixFilesystem filesystem;
  auto file = filesystem.open(scratch.path() / "file", OpenMode::create_new);
  REQUIRE(file);
  CHECK((*file)->allocate(1 << 20).ok());
  CHECK((*file)->info()->bytes == 0);
}

TEST_CASE("a_fifo_and_a_link_are_listed_as_such_and_never_followed") {
  ScratchDirectory scratch;
  PosixFilesystem filesystem;
  REQUIRE(::mkfifo((scratch.path() / "fifo").c_str(), 0600) == 0);
  REQUIRE(::symlink("/etc/passwd", (scratch.path() / "link").c_str()) == 0);
  auto entries = filesystem.list(scratch.path());
  REQUIRE(entries);
  REQUIRE(entries->size() == 2);
  for (const auto& entry : *entries) {
    CHECK(entry.info.type == (entry.name == "fifo" ? FileType::other : FileType::symlink));
  }
  CHECK(filesystem.open(scratch.path() / "link", OpenMode::read).error().code == ELOOP);
}

TEST_CASE("rename_exclusive_never_replaces") {
  ScratchDirectory scratch;
  PosixFilesystem filesystem;
  const Path from = scratch.path() / "from";
  const Path to = scratch.path() / "to";
  REQUIRE(replace_file(filesystem, from, "new").ok());
  REQUIRE(replace_file(filesystem, to, "old").ok());
  CHECK(filesystem.rename_exclusive(from, to).error().code == EEXIST);
  CHECK(read_file(filesystem, to, 10).value() == "old");
}

TEST_CASE("a_lock_is_held_by_one") {
  ScratchDirectory scratch;
  PosixFilesystem filesystem;
  auto first = filesystem.lock(scratch.path() / "LOCK", "1");
  REQUIRE(first);
  CHECK(filesystem.lock(scratch.path() / "LOCK", "2").error().code == EWOULDBLOCK);
  CHECK(read_file(filesystem, scratch.path() / "LOCK", 10).value() == "1");
  first->reset();
  CHECK(filesystem.lock(scratch.path() / "LOCK", "2").ok());
}

#include "common/compress/compressor.h"

#include <doctest/doctest.h>

#include <random>

#include "common/base/buffer.h"
#include "common/xml/object_frame.h"
#include "decompress.h"

using namespace sluice;  // NOLINT

namespace {

std::string sample(std::size_t bytes, unsigned seed, int symbols) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> symbol(0, symbols - 1);
  std::string text(bytes, '\0');
  for (char& c : text) {
    c = static_cast<char>(symbol(random));
  }
  return text;
}

}  // namespace

TEST_CASE("what_is_compressed_comes_back_byte_for_byte") {
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    for (const int level : {0, 1, 2, 3, 9}) {
      for (const std::size_t bytes : {0U, 1U, 100U, 70000U, 3000000U}) {
        for (const int symbols : {2, 256}) {
          CAPTURE(static_cast<int>(compression));
          CAPTURE(level);
          CAPTURE(bytes);
          const std::string text = sample(bytes, 7, symbols);
          const std::string small = compress(as_bytes(text), compression, level);
          CHECK(small.empty() == text.empty());
          CHECK(test::decompress(small, compression) == text);
        }
      }
    }
  }
}

TEST_CASE("the_same_bytes_compress_to_the_same_bytes") {
  const std::string text = sample(500000, 11, 20);
  for (const Compression compression : {Compression::gzip, Compression::zstd}) {
    CHECK(compress(as_bytes(text), compression, 1) == compress(as_bytes(text), compression, 1));
  }
}

TEST_CASE("members_of_one_compressor_are_whole_and_independent") {
  for (const Compression compression : {Compression::gzip, Compression::zstd}) {
    Compressor compressor(compression, 1);
    std::string all;
    std::string expected;
    for (unsigned part = 0; part < 5; ++part) {
      const std::string text = sample(100000 * part + 1, part, 30);
      ByteChain chain;
      for (std::size_t at = 0; at < text.size(); at += 7777) {
        compressor.append(as_bytes(std::string_view(text).substr(at, 7777)), chain);
      }
      compressor.finish(chain);
      std::string member(chain.size(), '\0');
      chain.drain_into(std::as_writable_bytes(std::span(member)));
      CHECK(test::decompress(member, compression) == text);
      all += member;
      expected += text;
    }
    CHECK(test::decompress(all, compression) == expected);
  }
}

TEST_CASE("gzip_header_has_no_time_and_no_name") {
  const std::string member = compress(as_bytes("events"), Compression::gzip, 1);
  REQUIRE(member.size() > 10);
  CHECK(member.substr(0, 8) == std::string("\x1f\x8b\x08\0\0\0\0\0", 8));
}

TEST_CASE("object_frame_is_the_same_under_every_compression") {
  for (const OutputFormat format : {OutputFormat::xml, OutputFormat::json, OutputFormat::jsonl}) {
    SegmentSettings plain;
    plain.format = format;
    const ObjectFrame expected = object_frame(plain);
    CHECK(expected.prefix.size() == expected.prefix_bytes);
    CHECK(expected.suffix.size() == expected.suffix_bytes);
    for (const Compression compression : {Compression::gzip, Compression::zstd}) {
      SegmentSettings settings = plain;
      settings.compression = compression;
      const ObjectFrame frame = object_frame(settings);
      CHECK(test::decompress(frame.prefix, compression) == expected.prefix);
      CHECK(test::decompress(frame.separator, compression) == expected.separator);
      CHECK(test::decompress(frame.suffix, compression) == expected.suffix);
      CHECK(frame.prefix_bytes == expected.prefix_bytes);
    }
  }
}

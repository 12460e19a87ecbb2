// docs/spool_format.md ends with a worked example: these are its bytes. A change of the format that
// forgets the document fails here. The failing test prints the lines that belong there.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "common/spool/segment_format.h"
#include "common/spool/twin_file.h"
#include "fakes/fault_filesystem.h"
#include "segment_builder.h"

using namespace sluice;

namespace {

constexpr std::size_t kLineBytes = 16;

std::string hex_lines(std::span<const std::byte> bytes, std::uint64_t offset) {
  std::string lines;
  for (std::size_t at = 0; at < bytes.size(); at += kLineBytes) {
    char number[16];
    std::snprintf(number, sizeof number, "%08llx ", static_cast<unsigned long long>(offset) + at);
    lines += number;
    std::string text;
    for (std::size_t i = 0; i < kLineBytes; ++i) {
      if (at + i >= bytes.size()) {
        lines += "   ";
        continue;
      }
      const auto byte = std::to_integer<unsigned char>(bytes[at + i]);
      char two[8];
      std::snprintf(two, sizeof two, " %02x", byte);
      lines += two;
      text += byte >= 0x20 && byte < 0x7F ? static_cast<char>(byte) : '.';
    }
    lines += "  |" + text + "|\n";
  }
  return lines;
}

}  // namespace

TEST_CASE("the_worked_example_of_the_format_document_is_what_the_writer_makes") {
  const Path directory = "/spool/xml";
  FaultFilesystem filesystem;
  REQUIRE(filesystem.create_directories(directory).ok());
  SegmentHeader header = test_header(1);
  header.settings = R"({"format":"xml"})";  // shortened: the real one has every key
  SegmentBuilder builder(filesystem, directory, header);
  builder.group({{"<a>1</a>", "<b/>"}});
  builder.seal();
  std::vector<std::byte> file(builder.file().info()->bytes);
  REQUIRE(builder.file().pread(file, 0).ok());
  const std::string example = hex_lines(std::span(file).first(100), 0) + "...\n" +
                              hex_lines(std::span(file).subspan(kRecordsBegin), kRecordsBegin);

  std::ifstream document(std::string(SLUICE_SOURCE_ROOT) + "/docs/spool_format.md");
  std::stringstream content;
  content << document.rdbuf();
  CHECK_MESSAGE(content.str().find("```\n" + example + "```") != std::string::npos,
                "the example must read:\n", example);
}

#include "common/net/token_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/platform/posix_filesystem.h"
#include "scratch_directory.h"

using namespace sluice;

namespace {

const std::string kFirst = "first-token-of-16";
const std::string kSecond = "second token, with spaces in it";

// A file of tokens on the real disk: its mode and links matter.
class TokenFileOnDisk {
 public:
  explicit TokenFileOnDisk(const std::string& content, mode_t mode = 0640) {
    std::ofstream(path()) << content;
    REQUIRE(::chmod(path().c_str(), mode) == 0);
  }
  [[nodiscard]] std::filesystem::path path() const { return directory_.path() / "tokens"; }
  [[nodiscard]] Result<TokenFile> read() const {
    PosixFilesystem filesystem;
    return TokenFile::read(filesystem, path());
  }
  [[nodiscard]] std::string complaint() const {
    const auto file = read();
    return file ? "" : file.error().message;
  }

 private:
  ScratchDirectory directory_;
};

}  // namespace

TEST_CASE("each_token_of_a_file_matches_and_nothing_else_does") {
  TokenFileOnDisk on_disk("# who: why\n\n" + kFirst + "\r\n   \n" + kSecond + " \t");
  const auto file = on_disk.read();
  REQUIRE(file);
  CHECK(file->size() == 2);
  CHECK(file->matches(kFirst));
  CHECK(file->matches(kSecond));
  for (const std::string& other :
       {std::string(), kFirst + "\r", kFirst.substr(1), kFirst + kSecond, std::string("# who: why"),
        kFirst + std::string(1, '\0'), kSecond + " \t"}) {
    CHECK_FALSE(file->matches(other));
  }
  CHECK_FALSE(TokenFile().matches(""));
}

TEST_CASE("a_mounted_secret_is_read_through_its_links") {
  TokenFileOnDisk on_disk(kFirst);
  const auto link = on_disk.path().parent_path() / "link";
  std::filesystem::create_symlink(on_disk.path(), link);
  PosixFilesystem filesystem;
  const auto file = TokenFile::read(filesystem, link);
  REQUIRE(file);
  CHECK(file->matches(kFirst));
}

TEST_CASE("a_bad_file_of_tokens_is_named_and_shows_no_token") {
  CHECK(TokenFileOnDisk(kFirst, 0644).complaint().find("chmod o=") != std::string::npos);
  CHECK(TokenFileOnDisk(kFirst, 0602).complaint().find("chmod o=") != std::string::npos);
  CHECK(TokenFileOnDisk("# none\n").complaint().find("no token") != std::string::npos);
  CHECK(TokenFileOnDisk("").complaint().find("no token") != std::string::npos);
  const std::string too_short = TokenFileOnDisk("\n" + kFirst + "\n15-bytes-are-no \n").complaint();
  CHECK(too_short.find("line 3: ") != std::string::npos);
  CHECK(too_short.find("15-bytes") == std::string::npos);
  CHECK(TokenFileOnDisk(std::string(TokenFile::kTokenBytesMax + 1, 'x'))
            .complaint()
            .find("line 1: ") != std::string::npos);
  std::string many;
  for (std::size_t i = 0; i < TokenFile::kTokensMax; ++i) {
    many += kFirst + "\n";
  }
  CHECK(TokenFileOnDisk(many).read().ok());
  CHECK(TokenFileOnDisk(many + kFirst).complaint().find("line 257: more than 256") !=
        std::string::npos);
  CHECK(TokenFileOnDisk(std::string(kMiB + 1, '#')).complaint().find("1 MiB") != std::string::npos);

  TokenFileOnDisk gone(kFirst);
  std::filesystem::remove(gone.path());
  CHECK(gone.complaint().find(gone.path().string()) != std::string::npos);
  std::filesystem::create_directory(gone.path());
  CHECK_FALSE(gone.complaint().empty());
}

TEST_CASE("a_token_line_has_one_token_and_nothing_else") {
  CHECK(parse_token_line(R"({"token": "abc"})") == "abc");
  CHECK(parse_token_line("  {\"token\":\"a\\u0062c\"}\r\n") == "abc");
  CHECK(parse_token_line(R"({"token": ""})") == "");
  for (const std::string_view line :
       {R"({"token": "abc", "level": "INFO"})", R"({"token": "abc", "token": "abd"})",
        R"({"Token": "abc"})", R"({"token": 1})", R"({"token": {"token": "abc"}})",
        R"(["token", "abc"])", R"("token")", R"({"token": "abc"} x)", R"({"token": "abc")", "{}",
        "", "<EVENT/>", "{\"token\": \"\xFF\"}", R"({"level": "INFO", "message": "token"})"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_token_line(line));
  }
  const std::string padded = R"({"token": "abc"})" + std::string(kTokenLineBytesMax, ' ');
  CHECK(parse_token_line(padded.substr(0, kTokenLineBytesMax)) == "abc");
  CHECK_FALSE(parse_token_line(padded));
}

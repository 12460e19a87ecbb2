#include "commands/sign.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <system_error>

#include "commands/exit_code.h"
#include "commands/sign_request.h"
#include "common/platform/clock.h"

namespace sluice {
namespace {

// A request to look at is small; this one is held in memory whole.
constexpr std::size_t kRequestBytesMax = 64 * kMiB;

Result<std::string> read_request(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string content;
  char piece[16 * kKiB];
  while (in.read(piece, sizeof piece) || in.gcount() > 0) {
    content.append(piece, static_cast<std::size_t>(in.gcount()));
    if (content.size() > kRequestBytesMax) {
      return rejected("the request in " + path + " has more than 64 MiB");
    }
  }
  if (!in.eof()) {
    return rejected("cannot read the request from " + path + ": " +
                    std::generic_category().message(errno));
  }
  return content;
}

Result<sigv4::Headers> parse_trailers(const std::vector<std::string>& lines) {
  sigv4::Headers trailers;
  for (const std::string& line : lines) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || colon == 0) {
      return rejected("--trailer must be name:value");
    }
    trailers.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  return trailers;
}

Result<WallTime> time_of(const SignOptions& options) {
  if (options.time.empty()) {
    return SystemClock().wall_now();
  }
  const auto time = sigv4::parse_amz_date(options.time);
  if (!time) {
    return rejected("--time must be a time like 2015-08-30T12:36:00Z or 20150830T123600Z");
  }
  return *time;
}

std::string environment(const char* name) {
  // Nothing here sets a variable.
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string() : std::string(value);
}

Result<Credentials> credentials_of_environment() {
  Credentials credentials{.access_key_id = environment("AWS_ACCESS_KEY_ID"),
                          .secret_access_key = environment("AWS_SECRET_ACCESS_KEY"),
                          .session_token = environment("AWS_SESSION_TOKEN")};
  if (credentials.access_key_id.empty()) {
    return rejected("AWS_ACCESS_KEY_ID is not set");
  }
  if (credentials.secret_access_key.empty()) {
    return rejected("AWS_SECRET_ACCESS_KEY is not set");
  }
  return EnvironmentCredentials(std::move(credentials)).current();
}

Result<SignedRequest> sign(const SignOptions& options) {
  Result<WallTime> time = time_of(options);
  if (!time) {
    return time.error();
  }
  Result<sigv4::Headers> trailers = parse_trailers(options.trailers);
  if (!trailers) {
    return trailers.error();
  }
  Result<Credentials> credentials = credentials_of_environment();
  if (!credentials) {
    return credentials.error();
  }
  Result<std::string> text = read_request(options.request_path);
  if (!text) {
    return text.error();
  }
  Result<RawRequest> request = parse_raw_request(*text);
  if (!request) {
    return request.error();
  }
  return sign_request(
      {.request = std::move(*request),
       .rules = {.normalize = !options.no_normalize,
                 .s3 = options.s3,
                 .sign_body = options.sign_body,
                 .omit_session_token = options.omit_session_token,
                 .presign = std::chrono::seconds(options.presign_seconds),
                 .chunk_bytes = options.chunk_bytes,
                 .trailers = std::move(*trailers)},
       .scope = {.region = options.region, .service = options.service, .time = *time},
       .credentials = std::move(*credentials)});
}

// Header values are bytes of any kind, so they are written as they are.
void print_section(std::string_view heading, std::string_view text) {
  if (!text.empty()) {
    std::fwrite(heading.data(), 1, heading.size(), stdout);
    std::fputc('\n', stdout);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputs("\n\n", stdout);
  }
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += (text.empty() ? "" : "\n") + line;
  }
  return text;
}

}  // namespace

int sign_command(const SignOptions& options) {
  const Result<SignedRequest> result = sign(options);
  if (!result) {
    std::fprintf(stderr, "sluice: %s\n", result.error().message.c_str());
    return kExitConfiguration;
  }
  print_section("canonical request", result->canonical_request);
  print_section("string to sign", result->string_to_sign);
  print_section("authorization", result->authorization);
  print_section("presigned url", result->url);
  print_section("chunk signatures", joined(result->chunk_lines));
  print_section("the signature that the request had", joined(result->comparison));
  if (options.service == "s3" && !options.s3) {
    std::fputs("note: S3 signs by rules of its own: --s3\n", stderr);
  }
  for (const std::string& note : result->notes) {
    std::fprintf(stderr, "note: %s\n", note.c_str());
  }
  return kExitClean;
}

}  // namespace sluice
